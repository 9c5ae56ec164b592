"""What the loss leaves free, and what a clock can explain."""

import numpy as np
import pytest
import torch
import xarray as xr
from known import BEAD_SETTINGS, TrueBead, see

from nrp.analysis.model.identifiability import clock, demonstrations
from nrp.reduction import ReducedModel, coverage
from nrp.simulation import system_of


def test_loss_leaves_scale_and_zero_free(beads):
    model = ReducedModel(BEAD_SETTINGS, (24, 24), coverage([beads], BEAD_SETTINGS))
    result = demonstrations(see(model, beads))
    assert result.value("scale_law_error") < 1e-3
    assert result.value("gauge_loss_change") < 1e-6
    assert np.ptp(result.arrays["reconstruction_loss"]) < 1e-4
    assert result.value("dynamics_loss", case="scale 10") > 5 * result.value("dynamics_loss", case="scale 1")


def test_the_terms_of_the_loss_are_those_of_equation_two(beads):
    model = ReducedModel(BEAD_SETTINGS, (24, 24), coverage([beads], BEAD_SETTINGS))
    (o,) = see(model, beads.isel(run=slice(0, 4)))  # the others are held
    result = demonstrations(see(model, beads))
    with torch.no_grad():
        images = (o.frames.images - model.decode(o.z))[:, :-1].norm(dim=2).mean()
    motion = (o.z.diff(dim=1) / 0.05 + o.slope[:, :-1]).norm(dim=2).mean()
    assert result.value("reconstruction_loss", case="scale 1") == pytest.approx(images.item(), rel=1e-4)
    assert result.value("dynamics_loss", case="scale 1") == pytest.approx(motion.item(), rel=1e-3)


def test_a_clock_of_one_rate_explains_what_several_rates_do_not(beads):
    # A state that moves with time, not with the field: at one rate the field tells the time.
    time = np.linspace(0, 3, 61)
    place = 0.8 * np.sin(2 * time)[:, None] * np.array([1.0, 0.5])
    motion = 1.6 * np.cos(2 * time)[:, None] * np.array([1.0, 0.5])
    bead = system_of(beads, 0)
    image = np.array([bead.image(at) for at in place])
    rate = np.array([bead.image_motion(at, go) for at, go in zip(place, motion, strict=True)])

    def at_rate(speed: float) -> xr.Dataset:
        one = beads.isel(run=[0])
        shape = one.intensity.shape
        return one.assign(
            intensity=(one.intensity.dims, np.broadcast_to(image, shape).astype(np.float32)),
            rate=(one.intensity.dims, np.broadcast_to(rate, shape).astype(np.float32)),
            external_field=(("run", "frame"), (np.round(9 - speed * time, 1))[None]),
        ).assign_coords(sweep_rate=("run", [speed]))

    result = clock(see(TrueBead(beads), at_rate(1.0), at_rate(2.0), at_rate(1.4)))

    one, several = result.arrays["explained"]
    assert result.arrays["sweep_rate"].tolist() == [1.0, 1.4, 2.0]
    assert result.arrays["made_from"].tolist() == [[True, False, False], [True, False, True]]
    assert one[0] > 0.95
    assert one[1] < 0.7
    assert several[0] < 0.8
    assert several[2] > one[2]
    for case, value in (("one rate, at the unseen", one[1]), ("several rates, at the slowest", several[0])):
        assert result.value("explained_variance", case=case) == value
