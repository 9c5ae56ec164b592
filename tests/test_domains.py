"""Domains and walls, against shapes with known areas and lengths."""

import numpy as np
import pytest
from known import SIDE, disc, grid

from nrp.analysis.images.domains import (
    count_domains,
    describe,
    euler_number,
    label_domains,
    measure_domains,
    wall_length,
)


def test_a_disc_is_one_domain_wherever_it_lies():
    x, y = grid()
    disc = np.hypot(x - 32, y - 32) < 10
    assert count_domains(disc) == 1
    assert count_domains(np.roll(disc, (32, 32), (0, 1))) == 1  # over the corner of the box
    assert count_domains(np.roll(disc, 32, 0)) == 1
    assert count_domains(~disc) == 1


def test_stripes_round_the_torus_are_counted_once():
    x, _ = grid()
    assert count_domains(x % 16 < 8) == 4
    assert count_domains(np.roll(x % 16 < 8, 4, 1)) == 4  # the first is cut by the seam


def test_no_domain_and_all_domain():
    assert count_domains(np.zeros((8, 8), bool)) == 0
    assert count_domains(np.ones((8, 8), bool)) == 1


def test_diagonal_neighbours_do_not_touch():
    assert count_domains(np.eye(6, dtype=bool)[:4, :4]) == 4


def test_labels_of_domains_over_the_seam_are_one():
    labels, count = label_domains(disc((0, 0), 5) | disc((32, 32), 5))
    assert count == 2
    assert labels[0, 0] == labels[-1, -1] == labels[0, -1] != labels[32, 32]


@pytest.mark.parametrize("centre", [(32, 32), (0, 32), (0, 0)])
def test_a_disc_has_its_area_and_no_elongation_wherever_it_lies(centre):
    domains = measure_domains(disc(centre, 10.2), 0.5)
    assert domains.area == pytest.approx([np.pi * 5.1**2], rel=0.03)
    assert domains.elongation == pytest.approx([1], abs=0.02)


@pytest.mark.parametrize("shift", [0, 30])
def test_a_rectangle_is_as_elongated_as_it_is(shift):
    x, y = grid()
    rectangle = np.roll((x < 24) & (y < 6), (shift + 30, shift), (0, 1))
    domains = measure_domains(rectangle | disc((50 + shift, 10 + shift), 3), 1.0)
    assert sorted(domains.area)[1] == 144
    assert domains.elongation[domains.area.argmax()] == pytest.approx(4, rel=1e-6)


def test_a_stripe_round_the_torus_has_no_end():
    x, _ = grid()
    stripe = measure_domains(x < 8, 1.0)
    assert stripe.area.tolist() == [8 * SIDE]
    assert np.isnan(stripe.elongation).all()


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        (disc((20, 20), 8), 1),
        (disc((0, 0), 8) | disc((32, 32), 8), 2),
        (disc((32, 32), 12) & ~disc((32, 32), 6), 0),
        (~disc((32, 32), 8), -1),  # the torus has 0
        (np.ones((SIDE, SIDE), bool), 0),
    ],
)
def test_euler_number_is_domains_less_holes(phase, number):
    assert euler_number(phase) == number


@pytest.mark.parametrize("axis", [0, 1])
def test_length_of_straight_walls(axis):
    x, y = grid()
    stripe = np.where(np.abs((x, y)[axis] - 32) < 10, -1.0, 1.0)
    assert wall_length(stripe, 0.5) == pytest.approx(2 * SIDE * 0.5, rel=0.06)


def test_length_of_a_circle():
    x, y = grid()
    disc = np.where(np.hypot(x - 32, y - 32) < 20, -1.0, 1.0)
    assert wall_length(disc, 1.0) == pytest.approx(2 * np.pi * 20, rel=0.03)


def test_flat_image_has_no_pattern():
    flat = describe(np.ones((1, 8, 8)), 1.0)
    assert {name: values[0] for name, values in flat.items()} == {
        "negative_domains": 0,
        "negative_fraction": 0,
        "wall_density": 0,
        "pattern_wavenumber": 0,
    }
