"""Claims: what makes the sentences of the book true, and where chapters show them."""

import ast
import itertools
import re
from pathlib import Path

import jupytext
import numpy as np
import pytest
from bs4 import BeautifulSoup

from nrp.base import InvalidSetting
from nrp.book import claims as module
from nrp.book.claims import Claim, ClaimFailed, all_claims, claims, parse_claims
from nrp.book.report import number
from nrp.evaluation import Result, row
from nrp.pipeline import Study
from nrp.pipeline.parameters import PARAMETERS
from nrp.pipeline.published import published_names
from nrp.store import Store

CHAPTERS = sorted((Path(__file__).parents[1] / "chapters").glob("*.md"))
HIDDEN = {"remove-cell", "remove-input", "hide-input", "hide-cell"}
NOT_NEGATIVE = {
    "detection_rate",
    "false_alarm_rate",
    "jump_p_value",
    "one_step_rmse",
    "rate_error",
    "reconstruction_rmse",
    "rollout_diverged",
    "smallest_detectable_jump",
    "zeeman_error",
}
"""Metrics of which a bound of 0 from below would shut nothing out."""


def cells(page: Path) -> list:
    """The code cells of a page."""
    return [cell for cell in jupytext.read(page, fmt="md:myst").cells if cell.cell_type == "code"]


def tagged(page: Path, tags: set[str]) -> list[str]:
    """The sources of the code cells of a page that have one of some tags."""
    return [cell.source for cell in cells(page) if tags & set(cell.metadata.get("tags", []))]


def shown(page: Path) -> set[str]:
    """The names of all claims that a page shows."""
    calls = itertools.chain.from_iterable(ast.walk(ast.parse(cell.source)) for cell in cells(page))
    return {
        argument.value
        for call in calls
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "claims"
        for argument in call.args[1:]
    }


def parts(claim: Claim) -> list:
    return [part for part in (claim.row, claim.over, claim.less) if part is not None]


def test_every_claim_names_a_result(store):
    known = {*Study("book", store).results, *(f"published {name}" for name in published_names())}
    assert {part.result for claim in all_claims().values() for part in parts(claim)} <= known


def test_every_claim_of_published_results_holds(store):
    study = Study("book", store)
    failed = [
        name for name, c in all_claims().items() if c.is_published and not c.book.holds(c.measured(study))
    ]
    assert failed == []


def test_every_bound_shuts_something_out():
    vacuous = [
        name
        for name, claim in all_claims().items()
        for bound in filter(None, (claim.book, claim.mini))
        if claim.less is None
        and claim.row.metric in NOT_NEGATIVE
        and bound.above <= 0
        and bound.below == float("inf")
    ]
    assert vacuous == []
    with pytest.raises(InvalidSetting, match="must shut something out"):
        Claim.parse({"row": {"result": "solver", "metric": "growth_rate_error"}, "book": {}})


def test_chapters_show_every_claim_and_no_other():
    assert set().union(*map(shown, CHAPTERS)) == set(all_claims())


ROW = {"result": "continuity_paper", "metric": "jump_p_value", "where": {"case": "onset_rate"}}
"""A result that is made of published readings alone, so that no film is needed."""
BOOK, MINI = "only true in the book", "never true in mini"


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """A store in which the curves are tested once."""
    return Store(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def two_claims(monkeypatch):
    """Two claims that nothing can fulfil: one for the book, and one with a bound of its own in mini."""
    impossible = {"above": 2}
    two = {
        BOOK: Claim.parse({"row": ROW, "book": impossible}),
        MINI: Claim.parse({"row": ROW, "book": {"below": 1}, "mini": impossible}),
    }
    monkeypatch.setattr(module, "all_claims", lambda: two)


def test_a_claim_that_fails_raises_in_one_line(tested, two_claims):
    with pytest.raises(ClaimFailed, match=rf"^{BOOK}: 0\.\d+ is not at least 2$"):
        claims(Study("book", tested), BOOK, MINI)


def test_mini_raises_by_its_own_bound_only(tested, two_claims):
    study = Study("mini", tested)
    with pytest.raises(ClaimFailed, match=MINI):
        claims(study, MINI)
    text = BeautifulSoup(claims(study, BOOK).data, "html.parser").text
    assert "✗ does not hold" in text
    assert "this is mini" in text


def test_with_other_settings_a_claim_is_shown_and_not_enforced(tested, two_claims):
    study = Study.of("book", tested, level=0.02)
    page = BeautifulSoup(claims(study, BOOK, MINI, MINI).data, "html.parser")
    assert "settings are changed" in page.caption.text
    assert page.summary.text == "Claims of this section: 2 of 3 hold"
    verdicts = [line.find_all("td")[-1].text for line in page.find_all("tr")[1:]]
    assert verdicts == ["✗ does not hold", "✓ holds", "✓ holds"]


def test_a_claim_of_published_results_is_enforced_everywhere(store, monkeypatch):
    where = {"split": "first order", "case": "onset_rate"}
    row = {"result": "published power", "metric": "detection_rate", "where": where, "column": "high"}
    claim = Claim.parse({"row": row, "book": {"below": 0.01}})
    monkeypatch.setattr(module, "all_claims", lambda: {"seen by no one": claim})
    for study in (Study("mini", store), Study.of("mini", store, level=0.02)):
        with pytest.raises(ClaimFailed, match="seen by no one"):
            claims(study, "seen by no one")


def test_table_says_what_was_measured(store):
    name = "another seed gives another curve"
    page = BeautifulSoup(claims(Study("book", store), name).data, "html.parser")
    value = Study("book", store).published("paper").value("onset_gradient_correlation", case="range")
    cells = [cell.text for cell in page.find_all("td")]
    assert cells == [
        name,
        "published paper: onset_gradient_correlation, range, paper",
        number(value),
        "at most 0.8",
        "✓ holds",
    ]


def test_a_claim_says_which_rows_it_reads_and_what_it_makes_of_them():
    above = {
        "result": "power",
        "metric": "rate",
        "where": {"split": ["a", "b"], "case": None},
        "pick": "largest",
    }
    below = {"result": "published power", "metric": "rate", "column": "low"}
    assert str(Claim.parse({"row": above, "less": below, "book": {"above": 0}})) == (
        "power: rate, a or b, largest − published power: rate, lower end"
    )
    assert str(Claim.parse({"row": below, "over": above, "book": {"above": 0}})) == (
        "published power: rate, lower end ÷ power: rate, a or b, largest"
    )


def test_an_unknown_claim_is_refused(store):
    with pytest.raises(InvalidSetting, match="claim = 'the moon is round': must be one of"):
        claims(Study("mini", store), "the moon is round")


@pytest.mark.parametrize(("pick", "end"), [("smallest", min), ("largest", max)])
def test_of_several_rows_the_smallest_or_largest_is_read(store, pick, end):
    study, where = Study("book", store), {"case": "increment", "lead_time": 10, "split": "trained"}
    row = {"result": "published paper", "metric": "skill", "where": where, "pick": pick}
    claim = Claim.parse({"row": row, "book": {"above": 0}})
    assert claim.measured(study) == end(study.published("paper").select(metric="skill", **where)["value"])


@pytest.mark.parametrize("known", [1, 2])
def test_a_rival_that_is_missing_or_ran_away_makes_no_claim_true(store, monkeypatch, known):
    rivals = [row("advantage", 0.5, case="over lookup"), row("advantage", np.nan, case="over pod")]
    result = Result.of(rivals[:known])
    monkeypatch.setattr(Study, "published", lambda study, name: result)
    where = {"case": ["over lookup", "over pod"]}
    named = {"result": "published paper", "metric": "advantage", "where": where, "pick": "smallest"}
    claim = Claim.parse({"row": named, "book": {"above": 0}})
    if known == 1:
        with pytest.raises(KeyError, match=r"case in \['over pod'\]"):
            claim.measured(Study("book", store))
    else:
        assert not claim.book.holds(claim.measured(Study("book", store)))


def test_a_row_that_is_not_the_only_one_or_not_there_is_nothing_measured(store, monkeypatch):
    for where in ({"split": "trained"}, {"split": "no such split"}):
        row = {"result": "published paper", "metric": "skill", "where": where}
        claim = Claim.parse({"row": row, "book": {"above": -1e9}})
        with pytest.raises(KeyError, match=r"rows? with"):
            claim.measured(Study("book", store))
        monkeypatch.setattr(module, "all_claims", lambda claim=claim: {"it is so": claim})
        with pytest.raises(ClaimFailed, match=r"it is so: nan is not at least -1e\+09 \(.*rows? with"):
            claims(Study("book", store), "it is so")


def test_claims_have_names_of_their_own_and_errors_name_them():
    entry = "{row: {result: solver, metric: growth_rate_error}, book: {below: 1}}"
    assert list(parse_claims(f"it is so: {entry}\n")) == ["it is so"]
    with pytest.raises(InvalidSetting, match=r"claims\.yml, line 2: 'it is so' is there already"):
        parse_claims(f"it is so: {entry}\nit is so: {entry}\n")
    with pytest.raises(InvalidSetting, match=r"claims\.yml, 'it is so': below = 'one'"):
        parse_claims(f"it is so: {entry.replace('below: 1', 'below: one')}\n")


class TestHiddenCode:
    """Readers see what makes the numbers; what they do not see is short and decides nothing."""

    def test_all_chapters_together_hide_little(self):
        lines = [line for page in CHAPTERS for source in tagged(page, HIDDEN) for line in source.splitlines()]
        assert sum(bool(line.strip()) for line in lines) <= 60

    @pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
    def test_hidden_cells_compose_no_words(self, page):
        choices = (ast.If, ast.IfExp, ast.Compare, ast.BoolOp, ast.Match)
        for source in tagged(page, HIDDEN):
            assert not any(isinstance(node, choices) for node in ast.walk(ast.parse(source))), source

    @pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
    def test_only_cite_makes_numbers_citable(self, page):
        assert all(not re.search(r"\bglue\w*\(", cell.source) for cell in cells(page))


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_parameters_of_a_chapter_are_known_and_mean_those_of_the_profile(page):
    for source in tagged(page, {"parameters"}):
        values = {line.targets[0].id: line.value.value for line in ast.parse(source).body}
        assert values.pop("profile") == "book"
        assert set(values) <= set(PARAMETERS)
        assert set(values.values()) <= {None}
