"""Persistent homology, against level sets whose births and deaths are known."""

import numpy as np
import pytest
from known import SIDE, disc, grid, ring

from nrp.analysis.images.persistence import persistence, persistence_image


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
