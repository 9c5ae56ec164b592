"""Persistent homology, against level sets whose births and deaths are known."""

import numpy as np
import pytest
from known import SIDE, disc, grid, ring

from nrp.reduction.descriptors import names
from nrp.reduction.persistence import persistence, persistence_descriptors, persistence_image


def test_a_well_is_born_at_its_floor_and_dies_where_it_meets_a_deeper_one():
    image = np.ones((SIDE, SIDE))
    image[disc((10, 10), 4)] = -1.0
    image[disc((40, 40), 4)] = -0.5
    intervals = persistence(image, dimension=0)
    finite = intervals[np.isfinite(intervals[:, 1])]
    assert finite.tolist() == [[-0.5, 1.0]]
    assert intervals[~np.isfinite(intervals[:, 1])].tolist() == [[-1.0, np.inf]]


def test_persistence_knows_that_the_box_is_closed():
    image = np.ones((SIDE, SIDE))
    image[disc((0, 0), 6)] = -1.0  # four corners, one well
    assert len(persistence(image, dimension=0)) == 1
    x, _ = grid()
    stripe = persistence(np.where(x < 8, -1.0, 1.0), dimension=1)
    # The loop along the stripe is there with the stripe, that across it with the rest; both last for ever.
    assert sorted(stripe[:, 0]) == [-1.0, 1.0]
    assert np.isinf(stripe[:, 1]).all()


def test_a_ring_has_a_hole_as_deep_as_its_inside_is_high():
    assert [-1.0, 0.4] in persistence(ring(), dimension=1).tolist()


def test_persistence_image_weighs_by_persistence():
    deep, shallow = (persistence_image(np.array([[-1.0, death]])) for death in (1.0, 0.0))
    assert deep.sum() == pytest.approx(2 * shallow.sum(), rel=0.02)
    row, column = np.unravel_index(deep.argmax(), deep.shape)
    assert row / 20 * 3 == pytest.approx(2, abs=0.2)
    assert column / 20 * 3 - 1.5 == pytest.approx(-1, abs=0.2)
    both = persistence_image(np.array([[-1.0, 1.0], [-1.0, 0.0], [-1.0, np.inf]]))
    np.testing.assert_allclose(both, deep + shallow)
    assert not persistence_image(np.zeros((0, 2))).any()


def waves(count: int) -> np.ndarray:
    """Random smooth fields."""
    x, y = grid()
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, (count, 4))
    numbers = ((3, 1), (-2, 4), (5, -3), (1, 6))
    turns = [2 * np.pi * (x * k + y * q) / SIDE for k, q in numbers]
    return np.stack([sum(np.sin(t + p) for t, p in zip(turns, each, strict=True)) / 2 for each in phases])


def test_persistence_descriptors_do_not_depend_on_place_or_size():
    images = waves(2)
    still = np.zeros_like(images)
    found = persistence_descriptors(images, still)[0]
    assert found.shape == (2, len(names(("persistence",))))
    assert np.abs(found[0] - found[1]).max() > 1e-3 * np.abs(found).max()
    moved = persistence_descriptors(np.roll(images, (5, 9), axis=(1, 2)), still)[0]
    np.testing.assert_allclose(moved, found, atol=1e-12)
    # Four copies hold four of each class, but for those of the torus, on four times the area.
    larger = persistence_descriptors(np.tile(images, (1, 2, 2)), np.tile(still, (1, 2, 2)))[0]
    assert np.abs(larger - found).max() < 0.3 * np.abs(found).max()


def test_rates_of_persistence_descriptors_are_those_of_their_images():
    first, second = waves(2)
    rate = (second - first)[None]
    found = persistence_descriptors(first[None], rate)[1]
    short = 1e-3
    after, before = (persistence_descriptors(first[None] + s * rate, rate)[0] for s in (short, -short))
    expected = (after - before) / (2 * short)
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
    assert not persistence_descriptors(first[None], np.zeros_like(rate))[1].any()
