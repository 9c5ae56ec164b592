"""The integrators: their order, the kink of the field, long steps."""

from itertools import pairwise

import numpy as np
import pytest

from nrp.settings import BeadSettings, CampaignSettings, FilmSettings
from nrp.simulation import ETDRK4, RK4, FieldSweep, Run, simulate_run
from nrp.systems import Bead, Film, draw_disorder

SMALL = FilmSettings(box=8, dx=0.5, coarsen=1, disorder="unit_mean")


def advance(stepper, state, *, end, steps):
    for i in range(steps):
        state = stepper.step(state, i * end / steps, end / steps)
    return state


def errors_of(solve, counts, exact):
    best = solve(exact)
    return np.array([np.abs(solve(steps) - best).max() for steps in counts])


def assert_order_four(errors):
    """Each halving of the step gains a factor 16, over two decades at least."""
    orders = [np.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert errors[0] / errors[-1] > 100
    np.testing.assert_allclose(orders, 4, atol=0.5)
    assert orders[-1] == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize(
    ("anisotropy", "external_field"),
    [(2.0, lambda t: 0.0), (3.0, FieldSweep(1.5, 0.3)), (1.0, lambda t: np.cos(3 * t))],
    ids=["zero", "swept", "oscillating"],
)
def test_etdrk4_is_of_fourth_order_on_the_film(anisotropy, external_field):
    disorder = draw_disorder(SMALL, seed=0, sample=0)
    stepper = ETDRK4(Film(SMALL, anisotropy=anisotropy, disorder=disorder), external_field)
    x = 2 * np.pi * SMALL.dx * np.arange(SMALL.points) / SMALL.box
    start = 0.3 + 0.5 * np.cos(2 * x[:, None]) * np.sin(x) + 0.2 * np.cos(3 * x)

    def solve(steps):
        return advance(stepper, start, end=2.0, steps=steps)

    assert_order_four(errors_of(solve, (32, 64, 128, 256), 1024))


@pytest.mark.parametrize(
    "external_field", [lambda t: 0.0, lambda t: np.cos(3 * t)], ids=["zero", "oscillating"]
)
def test_rk4_is_of_fourth_order_on_the_bead(external_field):
    stepper = RK4(Bead(BeadSettings(), anisotropy=1.0), external_field)

    def solve(steps):
        return advance(stepper, np.array([0.2, 1.3]), end=3.0, steps=steps)

    assert_order_four(errors_of(solve, (20, 40, 80, 160), 1280))


@pytest.mark.parametrize("system", [SMALL, BeadSettings(pixels=8)], ids=["film", "bead"])
def test_no_step_crosses_the_kink_of_the_field(system):
    # T₀ = 1.3514 lies between two frames and is no multiple of any step.
    run = Run(0.37, 0, 2.0)

    def solve(steps):
        campaign = CampaignSettings(system=system, field_init=0.5, duration=2, frames=2, time_step=2 / steps)
        return simulate_run(campaign, run).image[-1]

    assert_order_four(errors_of(solve, (32, 64, 128, 256), 1024))


def test_a_kink_at_a_frame_or_past_the_end_adds_no_step():
    def last(duration, frames):
        campaign = CampaignSettings(
            system=SMALL, field_init=0.5, duration=duration, frames=frames, time_step=0.1
        )
        return simulate_run(campaign, Run(0.5, 0, 2.0)).image[-1]

    disorder = draw_disorder(SMALL, seed=0, sample=0)
    stepper = ETDRK4(Film(SMALL, anisotropy=2.0, disorder=disorder), FieldSweep(0.5, 0.5))
    campaign = CampaignSettings(system=SMALL, field_init=0.5, duration=2, frames=2)
    start = simulate_run(campaign, Run(0.5, 0, 2.0)).image[0]
    for duration, frames in [(2.0, 3), (0.9, 2)]:
        expected = advance(stepper, start, end=duration, steps=round(duration / 0.1))
        np.testing.assert_allclose(last(duration, frames), expected, atol=1e-12)


@pytest.mark.parametrize("anisotropy", [1.0, 2.0, 4.0])
def test_long_steps_stay_bounded(anisotropy):
    """Far beyond the explicit limit 2/L(k_max) ≈ 0.013, from a rough start."""
    disorder = draw_disorder(SMALL, seed=0, sample=0)
    film = Film(SMALL, anisotropy=anisotropy, disorder=disorder)
    start = np.random.default_rng(0).uniform(-1, 1, size=disorder.shape)
    stepper, phi, energy = ETDRK4(film, lambda t: 0.0), start, [film.energy(start, 0.0)]
    for _ in range(400):
        phi = stepper.step(phi, 0.0, 0.25)
        energy.append(film.energy(phi, 0.0))
    assert np.abs(phi).max() < 1.5
    assert np.diff(energy).max() < 1e-12
