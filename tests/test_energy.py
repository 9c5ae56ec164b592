"""What a model has determined of the energy, against the true landscape and landscapes that are wrong."""

import numpy as np
import pytest
from known import TrueBead, of, see, swept

from nrp.analysis.model.energy import diagnostics
from nrp.reduction import ModelSettings, coverage


def test_the_true_landscape_is_an_energy_without_any_fit(beads):
    result = diagnostics(see(TrueBead(beads), beads))
    for split in ("trained", "random_start"):
        assert result.value("energy_r2", split=split, case=None) > 0.999
        assert result.value("energy_r2_beyond_lookup", split=split, case=None) > 0.999
        assert result.value("explained_variance", split=split, case="rest", arm="paper") > 0.99
    assert result.value("explained_variance", split="trained", case="rest", arm="lookup") < 0.75
    assert result.value("unstable_directions", case="end") == 0  # in the wells


def test_a_shifted_potential_is_no_energy_but_has_its_line(beads):
    model = TrueBead(beads)
    true = model.potential
    model.potential = lambda z, controls: 3 * true(z, controls) - 5
    result = diagnostics(see(model, beads))
    assert of(result, "energy_r2", case=None) < 0
    assert of(result, "energy_r2", case="affine_fit") > 0.999


def test_what_only_knows_the_controls_knows_nothing_beyond_the_table(beads):
    three = {"anisotropy": ("run", [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]), "sample": ("run", [0, 1, 2, 0, 1, 2])}
    data, settings = swept(beads).assign_coords(three), ModelSettings(latent=2, width=8)
    for films, interval in ((data, False), (data.assign_coords(sample=("run", range(6))), True)):
        model = TrueBead(beads, settings)
        model.trained_on = coverage([films], settings)
        model.potential = lambda z, controls: controls[..., 1] + 0 * z.sum(-1)
        result = diagnostics(see(model, films))
        found = result.select(metric="energy_r2_beyond_lookup", split="trained", case=None).iloc[0]
        assert abs(found["value"]) < 1e-3
        if interval:
            assert found["low"] <= found["value"] <= found["high"]
        else:  # three samples are too few
            assert np.isnan(found["low"])


def test_a_decoder_that_stretches_is_told_by_its_metric(beads):
    model = TrueBead(beads)
    true = diagnostics(see(model, beads))
    encode, decode = model.autoencoder.encode, model.autoencoder.decode
    model.autoencoder.encode = lambda x: 2 * encode(x)
    model.autoencoder.decode = lambda z: decode(z / 2)
    twice = diagnostics(see(model, beads))
    assert twice.value("latent_scale") == pytest.approx(2 * true.value("latent_scale"), rel=1e-5)
    assert twice.value("metric_scale") == pytest.approx(true.value("metric_scale") / 4, rel=1e-4)
    assert twice.value("isometry_error") == pytest.approx(true.value("isometry_error"), abs=1e-3)
