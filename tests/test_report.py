"""Numbers as they are printed, and bounds that they must keep."""

from types import SimpleNamespace

import numpy as np
import pytest
from nrp.book.checks import BOUNDS, CheckFailed, check
from nrp.book.study import Study
from nrp.settings import InvalidSetting

from nrp.analysis import Result, row
from nrp.book import report
from nrp.book.report import glue_rows, number, only, table
from nrp.store import Store


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0299, "0.0299"),
        (1.0, "1.00"),
        (83.25, "83.2"),
        (142.4, "142"),
        (-14.07, "-14.1"),
        (0.0, "0"),
        (None, "–"),
        (np.nan, "–"),
        (1.7e-5, "1.70 × 10⁻⁵"),
        (99.96, "100"),
        (0.9996, "1.00"),
        (-2e-15, "0"),
    ],
)
def test_three_digits(value, text):
    assert number(value) == text


def test_table_has_a_line_per_index_and_intervals():
    rows = [
        row("rmse", 0.5, split="trained", arm="paper"),
        row("rmse", 0.25, split="trained", arm="pod", low=0.2, high=0.3),
        row("rmse", 0.75, split="new_disorder", arm="paper"),
    ]
    frame = table(Result.of(rows).table, index="split", columns="arm", caption="x").data
    assert frame.index.tolist() == ["trained", "new disorder"]
    assert frame.loc["trained", "pod"] == "0.250 [0.200, 0.300]"
    assert frame.loc["new disorder", "pod"] == "–"


def test_intervals_of_a_wide_table_stand_below_the_values():
    rows = [row("rmse", 0.25, split="trained", arm=name, low=0.2, high=0.3) for name in "abcd"]
    frame = table(Result.of(rows).table, index="split", columns="arm", caption="x").data
    assert frame.loc["trained", "d"] == "0.250\n[0.200, 0.300]"


def test_only_the_named_metrics_of_an_arm_are_glued(monkeypatch):
    glued = {}
    monkeypatch.setattr(report, "glue", lambda name, text, *, display: glued.update({name: text}))
    rows = [
        row("skill", 0.5, arm="pod", split="trained", lead_time=10, low=0.25, high=0.75),
        row("skill", 0.25, arm="paper", split="trained", lead_time=1),
        row("rate_error", 0.125, arm="pod", split="trained"),
    ]
    glue_rows(Result.of(rows), "skill", prefix="published.", arm="pod")
    assert glued == {
        "published.skill.pod.trained.10": "0.500",
        "published.skill.pod.trained.10.interval": "0.500 [0.250, 0.750]",
    }


def test_only_gives_value_and_place_as_printed():
    result = Result.of([row("rise", 14.4, anisotropy=1.75), row("fall", 1.0)])
    assert only(result, "rise") == ("14.4", "1.75")


def study_with(value: float, profile: str) -> SimpleNamespace:
    result = Result.of([row("reconstruction_rmse", value, split="trained", arm="paper")])
    return SimpleNamespace(profile=SimpleNamespace(name=profile), result=lambda name: result)


def test_check_prints_no_number_and_raises_out_of_bounds(capsys):
    check(study_with(0.02, "book"), "reconstruction")
    assert capsys.readouterr().out == "reconstruction: within its bounds\n"
    with pytest.raises(CheckFailed, match=r"0\.2 is not between 0 and 0.03"):
        check(study_with(0.2, "book"), "reconstruction")
    check(study_with(0.15, "mini"), "reconstruction")
    with pytest.raises(CheckFailed):
        check(study_with(np.nan, "book"), "reconstruction")


def test_check_of_what_is_published_looks_there(capsys):
    where = {"split": "jump 0.5", "case": "separate_gradient", "system": "bead"}

    def study(published: float) -> SimpleNamespace:
        of = {value: Result.of([row("detection_rate", value, **where)]) for value in (0.0, published)}
        profile = SimpleNamespace(name="mini")
        return SimpleNamespace(
            profile=profile, result=lambda name: of[0.0], published=lambda name: (of[published], {})
        )

    check(study(1.0), "published jumps are seen")
    with pytest.raises(CheckFailed):
        check(study(0.9), "published jumps are seen")


def test_every_bound_shuts_something_out():
    """A bound that holds whatever the number is no check: what cannot be negative needs an upper end."""
    for name, bound in BOUNDS.items():
        for low, high in filter(None, (bound.book, bound.mini)):
            ceiling = 1 if bound.metric == "energy_r2" else np.inf
            assert low > 0 or high < ceiling, name


def test_every_bound_names_an_analysis(tmp_path):
    names = Study("mini", Store(tmp_path)).results
    assert {bound.result for bound in BOUNDS.values()} <= set(names)


def test_unknown_names_are_refused(tmp_path):
    study = Study("mini", Store(tmp_path))
    for ask in (study.dataset, study.model, study.result):
        with pytest.raises(InvalidSetting, match="name = 'moon': must be one of"):
            ask("moon")


def test_nothing_is_computed_by_asking_for_keys(tmp_path):
    store = Store(tmp_path)
    study = Study("book", store)
    parts = (study.datasets, study.models, study.results, study.profile.controls)
    assert len(study.keys()) == sum(map(len, parts))
    assert "solver" not in {row["analysis"] for row in study.stored_rows()}
    assert list(store.entries()) == []
