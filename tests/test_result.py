"""Results: rows and arrays that come back from disk as they were."""

import numpy as np
import pytest

from nrp.evaluation import Result, row
from nrp.evaluation.result import COLUMNS, curve_rows, mean_row


def test_result_comes_back_from_disk(tmp_path):
    rows = [row("onset_time", 83.25, anisotropy=1.0, members=3), row("jump_size", np.nan, case="x")]
    Result.of(rows, curve=np.arange(3.0)).save(tmp_path)
    loaded = Result.load(tmp_path, profile="mini", key="abc")
    assert tuple(loaded.table.columns) == COLUMNS
    assert loaded.value("onset_time", anisotropy=1.0) == 83.25
    assert np.isnan(loaded.value("jump_size"))
    assert set(loaded.table["profile"]) == {"mini"}
    assert loaded.arrays["curve"].tolist() == [0, 1, 2]
    first, second = loaded.records()
    assert (first["members"], first["case"]) == (3, None)
    assert (second["value"], second["case"]) == (None, "x")


def test_value_asks_for_exactly_one_row():
    result = Result.of([row("a", 1, case="x"), row("a", 2, case=None)])
    assert result.value("a", case=None) == 2
    with pytest.raises(KeyError):
        result.value("a")
    with pytest.raises(KeyError):
        result.value("b")
    with pytest.raises(KeyError, match="no such column"):
        row("a", 1, colour="red")


def test_common_columns_fill_what_a_row_leaves_open():
    rows = [row("a", 1), row("b", 1, system="bead")]
    assert Result.of(rows, {"system": "film"}).table["system"].tolist() == ["film", "bead"]


def test_a_mean_has_the_interval_of_student_and_a_single_value_none():
    # Two values, 6 and 8: mean 7, standard error 1, Student's t with one degree of freedom.
    found = mean_row("a", np.array([6.0, 8.0]))
    assert (found["value"], found["low"], found["high"]) == pytest.approx(
        (7, 7 - 12.706, 7 + 12.706), rel=1e-4
    )
    alone = mean_row("a", np.array([6.0]))
    assert (alone["value"], alone["low"], alone["high"]) == (6, None, None)


def test_a_curve_has_a_row_for_each_anisotropy():
    rows = curve_rows("a", np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([1.5, 2.5]), arm="paper")
    assert [(each["anisotropy"], each["value"], each["arm"]) for each in rows] == [
        (1.5, 2.0, "paper"),
        (2.5, 4.0, "paper"),
    ]
