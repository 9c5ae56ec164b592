"""What a model says of runs: each quantity once, and right."""

import numpy as np
import pytest
import torch
from known import TrueBead, see

from nrp.base import InvalidSetting
from nrp.evaluation import Observation, split
from nrp.reduction import ReducedModel, coverage

QUANTITIES = ("z", "z_rate", "slope", "potential", "moment", "mean", "rebuilt", "x", "x_rate")


class Counting(TrueBead):
    """The true landscape, which counts how many runs it is asked about."""

    def __init__(self, films) -> None:
        super().__init__(films)
        self.runs = {"encode": 0, "latent_rate": 0, "slope": 0}

    def encode(self, images):
        self.runs["encode"] += len(images)
        return super().encode(images)

    def latent_rate(self, images, rates):
        self.runs["latent_rate"] += len(images)
        return super().latent_rate(images, rates)

    def slope(self, z, controls):
        self.runs["slope"] += len(z)
        return super().slope(z, controls)


def test_each_quantity_is_computed_once_and_parts_share_it(beads):
    model = Counting(beads)
    whole = Observation(model, beads)
    part = whole.isel(run=np.array([3, 1]))
    of_part = part.isel(run=np.array([1]))
    assert model.runs == {"encode": 0, "latent_rate": 0, "slope": 0}  # nothing before it is asked for
    for _ in range(2):
        for o in (of_part, part, whole):
            assert torch.equal(o.velocity, -o.slope)
            assert len(o.z) == len(o.z_rate) == o.data.sizes["run"]
    assert model.runs == {"encode": 6, "latent_rate": 6, "slope": 6}


def test_a_part_says_of_its_runs_what_the_whole_says(beads):
    whole, places = Observation(TrueBead(beads), beads), np.array([4, 0, 2])
    part, alone = whole.isel(run=places), Observation(whole.model, beads.isel(run=places))
    for name in QUANTITIES:
        torch.testing.assert_close(getattr(part, name), getattr(whole, name)[torch.from_numpy(places)])
        torch.testing.assert_close(getattr(part, name), getattr(alone, name))
    assert part.samples.tolist() == [4, 0, 2]
    assert np.array_equal(part.times, whole.times[places])
    assert torch.equal(part.frames.energy, whole.frames.energy[torch.from_numpy(places)])


def test_members_can_share_the_frames(beads):
    first = Observation(TrueBead(beads), beads)
    second = Observation(TrueBead(beads), beads, first.frames)
    assert second.frames is first.frames


def test_quantities_are_those_of_the_bead(beads):
    (o,) = see(TrueBead(beads), beads)
    # The true landscape at a field of 0: V is the energy, −∂V/∂z the motion, −∂V/∂h the place along x.
    assert o.flat("potential") == pytest.approx(beads.energy.values.ravel(), abs=1e-4)
    assert o.flat("velocity") == pytest.approx(o.flat("z_rate"), abs=5e-3)
    assert o.flat("moment") == pytest.approx(o.flat("z")[:, 0], abs=1e-6)
    assert o.flat("mean") == pytest.approx(beads.intensity.mean(("y", "x")).values.ravel(), abs=1e-6)
    torch.testing.assert_close(o.rebuilt, o.x, atol=1e-4, rtol=0)
    assert o.at_rest.all()
    assert o.flat("controls").tolist() == [[1.0, 0.0]] * (6 * 61)


def test_runs_are_told_apart_by_what_is_new_in_them(beads):
    parts = split(see(TrueBead(beads), beads))
    assert {name: [len(o.samples) for o in found] for name, found in parts.items()} == {
        "trained": [4],
        "random_start": [2],
    }


def test_runs_that_are_new_in_two_things_are_refused(beads):
    model = TrueBead(beads)
    model.trained_on = {**model.trained_on, "anisotropy": [2.0], "sample": [9]}
    with pytest.raises(InvalidSetting, match="must have a run that is new in at most one thing"):
        split(see(model, beads))


def test_images_of_another_size_are_refused(beads):
    settings = TrueBead(beads).settings
    model = ReducedModel(settings, (3, 3), coverage([beads], settings))
    with pytest.raises(InvalidSetting, match=r"has \(24, 24\) pixels, the model takes images of \(3, 3\)"):
        Observation(model, beads)
