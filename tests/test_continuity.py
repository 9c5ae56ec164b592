"""The test for jumps on the curves of a reading."""

import numpy as np
import pytest
from known import SMOOTH, X, noisy

from nrp.analysis.transition.continuity import continuity, jump_rows
from nrp.analysis.transition.jumps import LEVEL
from nrp.base import InvalidSetting
from nrp.evaluation import Result, row


def test_rows_of_a_curve_are_in_units_of_its_range():
    curves = 7 * np.stack([noisy(X > 2.45, seed) for seed in range(3)])
    rows = Result.of(jump_rows("onset_time", X, curves))
    assert rows.value("jump_size") == pytest.approx(1, abs=0.1)
    assert rows.value("jump_p_value", case="onset_time") < LEVEL
    assert rows.value("log_likelihood", split="jumping") == 0
    assert "smallest_detectable_factor" not in set(rows.table["metric"])
    one = Result.of(jump_rows("onset_time", X, noisy(SMOOTH["line"], 0)[None], power=False))
    assert "smallest_detectable_jump" not in set(one.table["metric"])


def test_rates_are_weighed_by_their_logarithm():
    # A rate that grows tenfold and scatters by factors; doubled above a place.
    rate = np.exp(np.log(10) * (X - 1) / 3 + 0.03 * np.random.default_rng(1).normal(size=X.shape))
    doubled = rate * np.where(X > 2.05, 2.0, 1.0)
    assert 1.1 < Result.of(jump_rows("onset_rate", X, rate[None])).value("smallest_detectable_factor") < 2
    rows = Result.of(jump_rows("onset_rate", X, doubled[None], power=False))
    assert rows.value("jump_p_value") < LEVEL
    factor = np.exp(rows.value("jump_size") * np.ptp(np.log(doubled)))
    assert factor == pytest.approx(2, rel=0.3)
    # The unit of a rate does not matter.
    again = Result.of(jump_rows("onset_rate", X, 7 * doubled[None], power=False))
    assert again.value("jump_size") == pytest.approx(rows.value("jump_size"))


def test_every_curve_of_a_reading_is_tested_with_its_arm():
    rows = [
        *(row("onset_rate", 1.0, anisotropy=a, system="film") for a in X),
        *(row("decoded_rate", 1.0, anisotropy=a, system="film", arm="paper", members=2) for a in X),
        *(row("onset_lag", 1.0, anisotropy=a, system="film") for a in X),
        row("onset_gradient_roughness", 0.1, arm="paper"),
    ]
    curves = {name: np.exp([noisy(X, 1), noisy(X, 2)]) for name in ("onset_rate", "decoded_rate")}
    result = continuity(Result.of(rows, alphas=X, onset_lag=np.ones_like(X), **curves))
    tests = result.select(metric="jump_p_value")
    assert tests["case"].tolist() == ["onset_rate", "decoded_rate"]
    assert tests["arm"].tolist() == [None, "paper"]
    assert tests["members"].isna().tolist() == [True, False]
    assert result.value("tests") == 2
    assert result.value("alarms") == (tests["value"] < LEVEL).sum()


def test_too_few_anisotropies_are_refused():
    with pytest.raises(InvalidSetting, match="every = 3: leaves 11 anisotropies, and 13 are needed"):
        continuity(Result.of([], alphas=X), every=3)
