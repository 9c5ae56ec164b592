"""How many numbers an image needs: modes, models of several dimensions, and images of known dimension."""

import numpy as np
import pytest
import xarray as xr
from known import BEAD_SETTINGS, Modes, TrueBead, see

from nrp.analysis.model.forecast import forecast
from nrp.analysis.model.reconstruction import intrinsic_dimension, latent_dimensions, pod_reconstruction
from nrp.simulation import system_of


def test_pod_of_all_modes_is_exact_and_errors_fall(beads):
    result = pod_reconstruction([beads], settings=BEAD_SETTINGS, modes=(1, 4, 16, 240))
    errors = result.select(split="trained")["value"].tolist()
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4
    assert result.value("reconstruction_rmse", split="random_start", case="16 modes") > errors[2]


def test_modes_are_those_of_the_singular_value_decomposition(beads):
    result = pod_reconstruction([beads], settings=BEAD_SETTINGS, modes=(2, 8))
    seen = beads.intensity.values[:4].reshape(4 * 61, -1).astype(float)
    squares = np.linalg.svd(seen - seen.mean(axis=0), compute_uv=False) ** 2
    for count in (2, 8):
        known = np.sqrt(squares[count:].sum() / seen.size)
        found = result.value("reconstruction_rmse", split="trained", case=f"{count} modes")
        assert found == pytest.approx(known, rel=1e-2)


def test_models_of_several_dimensions_stand_beside_each_other(beads):
    models = [Modes(beads, count, BEAD_SETTINGS.held) for count in (2, 8)]
    result = latent_dimensions([see(model, beads) for model in models])
    modes = pod_reconstruction([beads], settings=BEAD_SETTINGS, modes=(2, 8))
    assert len(result.table) == 2 * 2 * 2  # dimensions, splits, metrics
    for model, count in zip(models, (2, 8), strict=True):
        alone = forecast([see(model, beads)], far=False)
        for split in ("trained", "random_start"):
            where = {"split": split, "arm": "paper"}
            for metric in ("reconstruction_rmse", "rate_error"):
                found = result.value(metric, case=f"{count} numbers", **where)
                assert found == pytest.approx(alone.value(metric, case=None, **where))
            # A model whose states are the leading modes rebuilds what these rebuild.
            known = modes.value("reconstruction_rmse", split=split, case=f"{count} modes")
            rebuilt = result.value("reconstruction_rmse", case=f"{count} numbers", **where)
            assert rebuilt == pytest.approx(known, rel=1e-2)


def test_a_model_of_the_right_two_numbers_needs_no_more(beads):
    result = latent_dimensions(
        [see(model, beads) for model in (Modes(beads, 8, BEAD_SETTINGS.held), TrueBead(beads))]
    )
    errors = {
        case: result.value("reconstruction_rmse", split="trained", case=case)
        for case in ("8 numbers", "2 numbers")
    }
    assert errors["2 numbers"] < 0.1 * errors["8 numbers"]


def test_intrinsic_dimension_of_a_disc_of_places(beads):
    bead, places = system_of(beads, 0), np.random.default_rng(0).uniform(-1, 1, (10, 61, 2))
    images = np.array([[bead.image(place) - 0.5 for place in run] for run in places])
    wide = xr.concat([beads.isel(run=[0])] * 10, "run").assign(intensity=(("run", "frame", "y", "x"), images))
    result = intrinsic_dimension(wide)
    assert len(result.table) == 4
    for entry in result.table.to_dict("records"):
        assert entry["value"] == pytest.approx(2, abs=0.4)
        assert entry["low"] < entry["value"] < entry["high"]
