"""Landscapes read from a model of the bead: the true one, wrong ones, and stretched planes."""

import pytest
import torch
from known import TrueBead, TruePlane

from nrp.analysis.model.landscape import landscape
from nrp.base import InvalidSetting


def test_the_true_landscape_is_recognised(beads):
    result = landscape(TrueBead(beads), beads)
    assert result.value("energy_r2") > 0.999
    assert result.value("barrier_error") < 0.01
    assert result.value("minimum_position_error") < 0.03


def test_a_wrong_landscape_is_not(beads):
    model = TrueBead(beads)
    model.potential = lambda z, controls: z[..., 0]
    result = landscape(model, beads)
    assert result.value("energy_r2") < 0.1
    assert result.value("barrier_error") > 0.5


def test_barrier_error_is_that_of_the_worse_well(beads):
    model = TrueBead(beads)
    right = model.potential
    # Raise the left well alone by a tenth of the barrier.
    model.potential = lambda z, controls: right(z, controls) + 0.025 * (z[..., 0] < -0.5)
    assert landscape(model, beads).value("barrier_error") > 0.05


def test_isometry_is_told_from_a_stretched_plane(beads):
    even, uneven = TrueBead(beads), TrueBead(beads)
    centre = even.autoencoder.encode
    even.autoencoder.encode = lambda x: 3 * centre(x)
    uneven.autoencoder.encode = lambda x: centre(x) * torch.tensor([1.0, 2.0])
    assert landscape(even, beads).value("isometry_error") < 0.01
    # Eigenvalues 1 and 4: deviation 1.5 about a mean of 2.5.
    assert landscape(uneven, beads).value("isometry_error") == pytest.approx(0.6, abs=0.01)


def test_the_landscape_of_a_field_is_not_known(films):
    with pytest.raises(InvalidSetting, match="the landscape of the system 'film' is not known"):
        landscape(TruePlane(films), films)
