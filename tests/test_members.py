"""Several members in one result: means, intervals, and the gauge between them."""

import numpy as np
import pytest
from known import TrueBead, of, see, swept

from nrp.analysis.model.forecast import forecast
from nrp.analysis.model.members import members
from nrp.reduction import ModelSettings, coverage


@pytest.fixture(scope="module")
def data(beads):
    return swept(beads)


@pytest.fixture
def pair(beads, data):
    """Two members that are the true landscape."""
    settings = ModelSettings(latent=2, width=8)
    models = [TrueBead(beads, settings) for _ in range(2)]
    for model in models:
        model.trained_on = coverage([data], settings)
    return models


def together(models, data):
    return members([see(model, data) for model in models], [], [], alphas=(1.0,))


def test_members_give_means_intervals_and_the_gauge_between_them(pair, data):
    same = together(pair, data)
    assert same.value("gauge_spread") == 0
    assert same.value("onset_gradient_correlation") == pytest.approx(1)
    assert same.select(metric="gauge_spread").iloc[0]["members"] == 2
    where = {"metric": "rate_error", "split": "trained", "arm": "paper", "case": None}
    single = forecast([see(pair[0], data)]).select(**where).iloc[0]
    both = same.select(**where).iloc[0]
    assert both["value"] == pytest.approx(single["value"])
    assert (both["low"], both["high"]) == pytest.approx((single["low"], single["high"]))  # over runs alone
    true = pair[1].potential
    pair[1].potential = lambda z, controls: true(z, controls) + controls[..., 1] ** 2
    shifted = together(pair, data)
    assert shifted.value("gauge_spread") > 0.1
    assert of(shifted, "rate_error", case=None) == pytest.approx(of(same, "rate_error", case=None))
    response = shifted.arrays["response"]
    shift = np.broadcast_to(-2 * data.external_field.values[0], (6, 61))
    assert response[1] - response[0] == pytest.approx(shift, abs=1e-4)
    mean = data.intensity.mean(("y", "x")).values
    assert shifted.arrays["magnetization"] == pytest.approx(mean, abs=1e-6)


def test_members_that_differ_have_an_interval_of_student(pair, data):
    pair[1].potential = lambda z, controls: 1.5 * TrueBead.potential(pair[1], z, controls)
    found = together(pair, data)
    single = [of(forecast([see(model, data)], far=False), "rate_error", case=None) for model in pair]
    assert single[0] in found.arrays["first_values"].tolist()
    entry = found.select(metric="rate_error", split="trained", case=None, arm="paper").iloc[0]
    assert entry["value"] == pytest.approx(np.mean(single), rel=1e-6)
    # Student's t with one degree of freedom, standard error |a − b|/2.
    assert entry["high"] - entry["value"] == pytest.approx(12.706 * abs(single[1] - single[0]) / 2, rel=1e-3)
    # The look-up is one of the velocity in each member's own coordinates, so it is averaged, too.
    lookup = found.select(metric="rate_error", split="trained", arm="lookup").iloc[0]
    assert lookup["members"] == 2
