"""Single runs in time, of a model that is right."""

import numpy as np
import pytest
from known import TrueBead, see

from nrp.analysis.model.curves import sweep_curves
from nrp.base import InvalidSetting


def test_curves_hold_truth_and_prediction(beads):
    model = TrueBead(beads)
    one = beads.isel(run=[0])
    arrays = sweep_curves([see(model, one)[0], see(model, one)[0]], alphas=(1.0,)).arrays
    assert arrays["one_step"].shape == (2, 1, 61)
    assert np.isnan(arrays["one_step"][..., 0]).all()
    assert np.isfinite(arrays["one_step"][..., 1:]).all()
    assert (arrays["reconstruction"] < 1e-3).all()
    assert (np.diff(arrays["potential"][0]) < 1e-6).all()  # the true landscape, at a fixed field
    assert arrays["potential"][0] == pytest.approx(arrays["energy"], abs=1e-4)
    assert arrays["prediction"].shape == arrays["truth"].shape == (1, 61, 24, 24)
    missed = np.sqrt(np.mean((arrays["prediction"] - arrays["truth"])[:, 1:] ** 2, axis=(2, 3)))
    assert arrays["one_step"][0][:, 1:] == pytest.approx(missed, abs=1e-6)


def test_runs_come_in_the_order_of_the_anisotropies_that_are_asked_for(beads):
    some = beads.isel(run=[0, 1]).assign_coords(anisotropy=("run", [1.0, 2.0]))
    arrays = sweep_curves(see(TrueBead(beads), some), alphas=(2.0, 1.0)).arrays
    assert np.array_equal(arrays["truth"], some.intensity.values[::-1])


def test_an_anisotropy_that_was_not_filmed_is_refused(beads):
    with pytest.raises(InvalidSetting, match=r"anisotropies = \[2.0\]: must be among those of the films, 1"):
        sweep_curves(see(TrueBead(beads), beads), alphas=(1.0, 2.0))
