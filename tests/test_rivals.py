"""Rivals without training, against flows that they can and cannot know."""

import numpy as np
import pytest
import torch
from known import TrueBead, see

from nrp.evaluation.rivals import Lookup, laws_of, polynomial_flow
from nrp.evaluation.scene import scenes_of


def table_of(controls: np.ndarray, values: np.ndarray) -> Lookup:
    return Lookup(controls, values[:, None])


def test_lookup_averages_its_entries_and_is_linear_between_them():
    controls = np.array([[1, 0.0], [1, 1.0], [3, 0.0], [3, 1.0], [3, 1.0]])
    table = table_of(controls, np.array([0.0, 2.0, 4.0, 5.0, 7.0]))
    asked = np.array([[1, 0.5], [3, 1.0], [2, 0.5], [9, -1.0]])
    # In the middle between (0 + 2)/2 and (4 + 6)/2; beyond the table its last value.
    assert table(asked)[:, 0].tolist() == pytest.approx([1.0, 6.0, 3.0, 4.0])


def test_lookup_of_a_single_entry_is_constant():
    table = table_of(np.array([[1, 0.0], [1, 0.0]]), np.array([2.0, 4.0]))
    assert table(np.array([[1, 0.0], [5, 5.0]]))[:, 0].tolist() == [3.0, 3.0]


def test_a_polynomial_finds_a_polynomial():
    draws = np.random.default_rng(0)
    z, controls = draws.uniform(-1, 1, (2000, 2)), draws.uniform(0, 1, (2000, 2))

    def rate(z, controls):
        return np.stack([z[:, 0] * z[:, 1] - 0.5 * controls[:, 1], -z[:, 1] + controls[:, 0] ** 2], axis=1)

    law = polynomial_flow(z, controls, rate(z, controls), noise=0.0)
    new = draws.uniform(-1, 1, (50, 2)), draws.uniform(0, 1, (50, 2))
    found = law(*(torch.tensor(part, dtype=torch.float32) for part in new))
    assert found.numpy() == pytest.approx(rate(*new), abs=0.02)


def test_a_polynomial_is_held_beside_the_states_that_were_seen():
    z = np.linspace(-1, 1, 100)[:, None]
    law = polynomial_flow(z, np.ones((100, 1)), z**2, noise=0.0)
    at = torch.ones(3, 1)
    far, farther, lost = law(torch.tensor([[1.5], [40.0], [np.nan]]), at)[:, 0].tolist()
    assert [far, farther] == pytest.approx([2.25, 2.25], rel=0.02)  # at one half beyond the largest, 1
    assert lost == pytest.approx(0, abs=0.02)


def test_rivals_are_made_of_training_runs_alone(beads):
    scenes = scenes_of(see(TrueBead(beads), beads))
    assert [law.name for law in laws_of(scenes, rivals=True)] == ["paper", "lookup"]  # no disorder, no sindy
    assert [law.name for law in laws_of(scenes, rivals=False)] == ["paper"]
    unseen = [scene for scene in scenes if scene.split != "trained"]
    assert [law.name for law in laws_of(unseen, rivals=True)] == ["paper"]


def disordered(beads):
    """Films of beads in the layout of films with disorder."""
    ones = np.ones((beads.sizes["run"], 24, 24))
    return beads.assign(disorder=(("run", "y", "x"), ones))


def test_a_sparse_polynomial_is_fitted_where_frames_are_twice_as_many_as_its_terms(beads):
    # Two latent numbers and two controls have 15 terms of the second degree or less.
    data = disordered(beads).isel(run=[0])
    names = {}
    for frames in (30, 31):
        scenes = scenes_of(see(TrueBead(beads), data.isel(frame=slice(0, frames))))
        names[frames] = [law.name for law in laws_of(scenes, rivals=True)]
    assert names == {30: ["paper", "lookup"], 31: ["paper", "lookup", "sindy"]}


def test_a_sparse_polynomial_knows_more_of_the_bead_than_a_table(beads):
    scenes = scenes_of(see(TrueBead(beads), disordered(beads)))
    laws = {law.name: law for law in laws_of(scenes, rivals=True)}
    seen = next(scene.o for scene in scenes if scene.split == "trained")
    missed = {
        name: (law.velocity(seen.z, seen.controls) - seen.z_rate).square().sum().item()
        for name, law in laws.items()
    }
    assert missed["paper"] < missed["sindy"] < 0.5 * missed["lookup"]
