"""Numbers as they are printed, cited and set into tables."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest

from nrp.book import report
from nrp.book.report import cite, columns_of, download, number, rows, table
from nrp.evaluation import Result, row
from nrp.pipeline import Study
from nrp.pipeline.published import published


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


@pytest.fixture
def errors():
    """Errors of two arms and of doing nothing, one of them with an interval, and a count."""
    return Result.of(
        [
            row("rmse", 0.5, split="trained", arm="paper", lead_time=1),
            row("rmse", 0.25, split="trained", arm="pod", lead_time=10, low=0.2, high=0.3),
            row("rmse", 0.75, split="new_disorder", arm="paper", lead_time=1),
            row("still", 0.6, split="trained"),
            row("tests", 13, arm="paper"),
        ]
    )


def test_table_has_a_line_per_index_and_intervals(errors):
    found = table(rows(errors, "rmse"), index="split", columns="arm", caption="x").data
    assert found.index.tolist() == ["trained", "new disorder"]
    assert found.loc["trained", "pod"] == "0.250 [0.200, 0.300]"
    assert found.loc["new disorder", "pod"] == "–"
    plain = table(rows(errors, "rmse"), index="split", columns="arm", caption="x", intervals=False).data
    assert plain.loc["trained", "pod"] == "0.250"


def test_numbers_name_columns_and_what_is_null_stands_for_all(errors):
    found = table(
        rows(errors, "rmse", "still", split="trained"), index="arm", columns="lead_time", caption="x"
    )
    assert found.data.columns.tolist() == ["1", "10", "all"]
    assert found.data.index.tolist() == ["paper", "pod", "all"]


def test_intervals_of_a_wide_table_stand_below_the_values():
    wide = Result.of([row("rmse", 0.25, split="trained", arm=name, low=0.2, high=0.3) for name in "abcd"])
    found = table(wide.table, index="split", columns="arm", caption="x").data
    assert found.loc["trained", "d"] == "0.250\n[0.200, 0.300]"


def test_two_rows_in_one_place_are_refused(errors):
    with pytest.raises(ValueError, match="duplicate"):
        table(rows(errors, "rmse", arm="paper"), index="metric", columns="arm", caption="x")


def test_rows_have_one_of_several_values_and_null_is_one(errors):
    assert rows(errors, "still", "rmse", arm=("paper", None))["value"].tolist() == [0.6, 0.5, 0.75]
    assert rows(errors, "rmse", arm="paper", split=["trained"])["value"].tolist() == [0.5]
    with pytest.raises(KeyError, match="no row with"):
        rows(errors, "rmse", arm="free_field")


def test_of_two_results_a_row_of_both_is_taken_from_the_first(errors):
    other = Result.of([row("still", 0.7, split="trained"), row("still", 0.8, split="new_disorder")])
    assert rows((errors, other), "still")["value"].tolist() == [0.6, 0.8]


def test_columns_of_a_table_are_chosen_one_by_one(errors):
    chosen = {"network": {"metric": "rmse", "arm": "paper"}, "nothing": {"metric": "still"}}
    found = table(columns_of(errors, chosen, split="trained"), index="split", columns="column", caption="x")
    assert found.data.loc["trained"].tolist() == ["0.500", "0.600"]


@pytest.fixture
def cited(store, monkeypatch):
    """A function that cites from the profile mini and returns what became citable."""

    def found(*arguments, **options):
        glued = {}
        monkeypatch.setattr(report, "glue", lambda name, text, *, display: glued.update({name: text}))
        cite(Study("mini", store), *arguments, **options)
        return glued

    return found


def test_names_choose_what_is_citable(cited):
    power = published("power")[0]
    found = cited("published power", "detection_rate.*.first order", prefix="controls.")
    value = power.value("detection_rate", split="first order", case="onset_rate", system="swift_hohenberg")
    assert found["controls.detection_rate.onset_rate.first order"] == number(value)
    assert found["controls.detection_rate.onset_rate.first order.interval"].startswith(f"{number(value)} [")
    assert all(".first order" in name for name in found)


def test_a_name_holds_for_what_goes_on_after_a_dot(cited):
    found = cited("published paper", "skill.increment.paper.trained")
    assert {"skill.increment.paper.trained", "skill.increment.paper.trained.10"} <= set(found)
    assert not any("per_frame_mean" in name for name in found)


@pytest.mark.parametrize("name", ["rate_error.first", "rate", "first order"])
def test_a_name_without_a_number_is_an_error(cited, name):
    """A part of a name is none, and one that fits does not hide one that does not."""
    with pytest.raises(KeyError, match=f"published power: no number is named {name}'"):
        cited("published power", "detection_rate.*.first order", name)


def test_counts_are_whole_numbers(cited):
    assert cited("continuity_paper", "tests") == {"tests.paper": "13"}


def test_where_a_benchmark_was_run_is_citable(cited):
    about = published("solver_benchmark")[1]
    assert cited("published solver_benchmark", "date", "machine") == {
        name: about[name] for name in ("machine", "date")
    }


def test_parameters_are_citable(cited):
    assert cited("parameters", "latent") == {"latent": "8"}


def test_shares_can_be_cited_as_counts(monkeypatch):
    told = {}
    monkeypatch.setattr(report, "glue", lambda name, text, display: told.update({name: text}))
    cite(Study("mini"), "published power", "*.jump 0.5")
    power, _ = published("power")
    for case in ("onset_gradient_interpolated", "separate_gradient", "onset_time"):
        entry = power.select(metric="detection_rate", split="jump 0.5", case=case, system="bead").iloc[0]
        found, of = round(entry["value"] * entry["members"]), round(entry["members"])
        expected = {0: f"none of {of}", of: f"all {of}"}.get(found, f"{found} of {of}")
        assert told[f"detection_rate.{case}.jump 0.5.count"] == expected


def test_a_download_holds_every_row(errors):
    errors.table["key"] = "a key"
    html = download({"one": errors, "other": errors}, "rows.csv").data
    data = base64.b64decode(re.search(r"base64,([^\"]+)", html).group(1))
    read = pd.read_csv(io.BytesIO(data))
    assert len(read) == 2 * len(errors.table)
    assert read["value"].tolist() == pytest.approx([*errors.table["value"], *errors.table["value"]])
    assert set(read["result"]) == {"one", "other"}
