"""The solver against what is known of the film in closed form."""

import numpy as np
import pytest

from nrp.simulation import SBDF4, CampaignSettings, ExternalField, Run, simulate_run
from nrp.systems import film_theory
from nrp.systems.film import Film, FilmSettings

WAVELENGTH = 2 * np.pi
CLEAN = FilmSettings(box=WAVELENGTH, dx=WAVELENGTH / 16, coarsen=1, disorder="none")
LARGE = CLEAN.replace(box=4 * WAVELENGTH, dx=WAVELENGTH / 12)
STRIPES = np.cos(CLEAN.dx * np.arange(16)) * np.ones((16, 1))
UNIFORM_COST = 8 / np.pi
PATTERN_COST = 8 / np.pi - 2


def clean_film(settings, anisotropy):
    return Film(settings, anisotropy=anisotropy, disorder=np.ones(settings.shape))


def evolve(film, phi, *, time, dt, external_field=0.0):
    stepper, field = SBDF4(film), lambda t: external_field
    for i in range(round(time / dt)):
        phi = stepper.step(phi, field, i * dt, dt)
    return np.array(phi)


def test_costs_of_uniform_and_patterned_states():
    assert film_theory.uniform_cost() == pytest.approx(UNIFORM_COST, rel=1e-15)
    assert film_theory.pattern_cost() == pytest.approx(0.546479, abs=5e-7)
    other = FilmSettings(stiffness=3, dipolar=0.5, cutoff=1)
    k = np.linspace(0, 4, 4001)
    cost = 3 * k**2 + 0.5 * (2 * np.pi - 2 * np.pi * k)
    assert film_theory.pattern_cost(other) == pytest.approx(cost.min(), abs=1e-5)
    assert film_theory.uniform_cost(other) == pytest.approx(cost[0])


@pytest.mark.parametrize(
    ("anisotropy", "uniform"), [(1.0, 0.0), (2.5, 0.3), (3.0, -0.5), (4.0, 0.0), (4.0, 0.7)]
)
@pytest.mark.parametrize("wave", [(0, 1), (4, 0), (3, 3), (0, 9)])
def test_waves_about_a_uniform_state_grow_at_the_rate_of_linear_theory(anisotropy, uniform, wave):
    x = LARGE.dx * np.arange(LARGE.shape[0]) / 4
    wave_field = np.cos(wave[0] * x[:, None] + wave[1] * x[None, :])
    held = anisotropy * uniform**3 - (anisotropy - UNIFORM_COST) * uniform
    film, seed = clean_film(LARGE, anisotropy), 1e-6
    phi = evolve(film, uniform + seed * wave_field, time=0.2, dt=0.01, external_field=held)
    measured = np.log(2 * np.mean(phi * wave_field) / seed) / 0.2
    k = np.hypot(*wave) / 4
    expected = anisotropy * (1 - 3 * uniform**2) - 2 * (k - 1) ** 2 - PATTERN_COST
    assert measured == pytest.approx(expected, abs=1e-4)
    assert film_theory.growth_rate(k, anisotropy, uniform) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("anisotropy", [1.0, 2.5, UNIFORM_COST, 2.6, 4.0])
def test_uniform_mode_follows_its_bernoulli_equation(anisotropy):
    film, phi = clean_film(CLEAN, anisotropy), np.full((16, 16), 0.4)
    for time in (1.0, 2.0, 3.0):
        phi = evolve(film, phi, time=1.0, dt=0.01)
        expected = film_theory.uniform_decay(time, 0.4, anisotropy)
        np.testing.assert_allclose(phi, expected, rtol=2e-6)


def test_uniform_mode_decays_algebraically_at_the_threshold_of_the_double_well():
    assert UNIFORM_COST - film_theory.uniform_cost() == 0  # so the limit r = 0 is met exactly
    time = np.array([0.5, 5.0, 50.0])
    expected = 0.4 / np.sqrt(1 + 2 * UNIFORM_COST * 0.16 * time)
    at, beside = (film_theory.uniform_decay(time, 0.4, UNIFORM_COST + r) for r in (0.0, 2.0**-44))
    np.testing.assert_allclose(at, expected, rtol=1e-14)
    np.testing.assert_allclose(beside, expected, rtol=1e-11)


@pytest.mark.parametrize("external_field", [0.0, 0.3, 1.5])
@pytest.mark.parametrize("anisotropy", [1.0, 2.0, 3.0, 4.0])
def test_saturated_state_is_the_highest_equilibrium(anisotropy, external_field):
    phi = film_theory.uniform_equilibrium(external_field, anisotropy)
    rate = clean_film(CLEAN, anisotropy).rate(np.full((16, 16), phi), external_field)
    np.testing.assert_allclose(rate, 0, atol=1e-7 if external_field == 0 else 1e-12)
    for more in (0.1, 0.5, 1.0, 2.0):  # no equilibrium lies higher
        higher = np.full((16, 16), phi + more)
        assert clean_film(CLEAN, anisotropy).rate(higher, external_field).max() < 0


@pytest.mark.parametrize("anisotropy", [1.0, 2.0, 3.0, 4.0])
def test_saturated_state_loses_stability_at_the_critical_field(anisotropy):
    phi = film_theory.critical_magnetization(anisotropy)
    field = film_theory.critical_field(anisotropy)
    film = clean_film(CLEAN, anisotropy)
    np.testing.assert_allclose(film.rate(np.full((16, 16), phi), field), 0, atol=1e-13)
    for shift, sign in [(-0.02, 1), (0.02, -1)]:
        uniform = phi + shift
        held = anisotropy * uniform**3 - (anisotropy - UNIFORM_COST) * uniform
        later = evolve(film, uniform + 1e-6 * STRIPES, time=1, dt=0.05, external_field=held)
        assert sign * (np.ptp(later) - 2e-6) > 0


def test_no_pattern_grows_below_the_pattern_cost():
    for above, sign in [(-0.05, -1), (0.05, 1)]:
        film = clean_film(CLEAN, PATTERN_COST + above)
        assert sign * (np.ptp(evolve(film, 1e-6 * STRIPES, time=5, dt=0.1)) - 2e-6) > 0


def test_the_uniform_potential_turns_from_one_well_to_two_at_8_over_pi():
    phi = np.linspace(-1, 1, 2001)
    for above, wells in [(-0.01, 1), (0.01, 2)]:
        film = clean_film(CLEAN, UNIFORM_COST + above)
        rate = np.array([film.rate(np.full((16, 16), p), 0.0).mean() for p in phi])
        rate[np.abs(rate) < 1e-15] = 0.0
        sign = np.sign(rate)[np.sign(rate) != 0]
        assert np.sum((sign[:-1] > 0) & (sign[1:] < 0)) == wells


def test_above_1_plus_8_over_pi_the_sweep_never_reaches_the_critical_field():
    threshold = 1 + UNIFORM_COST
    assert film_theory.critical_field(threshold) == pytest.approx(0, abs=1e-14)
    swept = np.linspace(1, 4, 301)
    np.testing.assert_array_equal(film_theory.critical_field(swept) > 0, swept < threshold)
    # The saturated state that is left at h = 0 is stable above it and unstable below it.
    for above, sign in [(-0.05, 1), (0.05, -1)]:
        left = film_theory.uniform_equilibrium(0.0, threshold + above)
        film = clean_film(CLEAN, threshold + above)
        assert sign * (np.ptp(evolve(film, left + 1e-6 * STRIPES, time=2, dt=0.1)) - 2e-6) > 0


def test_stripes_near_onset_have_the_amplitude_and_energy_of_weakly_nonlinear_theory():
    errors = []
    for above in (0.4, 0.2, 0.1, 0.05):
        anisotropy = PATTERN_COST + above
        film, expected = clean_film(CLEAN, anisotropy), 2 * np.sqrt(above / (3 * anisotropy))
        phi = evolve(film, 0.5 * expected * STRIPES, time=20 / above, dt=0.5)
        amplitude, energy = 2 * np.mean(phi * STRIPES), film.energy(phi, 0.0)
        # The first correction, from the third harmonic, is of the relative size of α − Δ.
        assert amplitude == pytest.approx(expected, rel=0.03 * above)
        assert energy == pytest.approx(-(above**2) / (6 * anisotropy), rel=0.04 * above)
        assert film_theory.stripe_energy(anisotropy) == pytest.approx(-(above**2) / 6 / anisotropy)
        errors.append([amplitude / expected - 1, energy / -(above**2) * 6 * anisotropy - 1])
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 2, atol=0.1)


@pytest.mark.parametrize("anisotropy", [1.0, 2.0, 4.0])
def test_walls_without_dipoles_are_tanh_and_cost_their_closed_form(anisotropy):
    settings = FilmSettings(box=32, dx=0.5, coarsen=1, disorder="none", dipolar=0)
    film, x = clean_film(settings, anisotropy), 0.5 * np.arange(64)
    phi = evolve(film, np.where(x < 16, -1.0, 1.0) * np.ones((64, 1)), time=30, dt=0.1)
    middle = slice(16, 48)  # one of the two walls of the periodic box
    profile = np.tanh((x[middle] - 15.75) / np.sqrt(4 / anisotropy))
    np.testing.assert_allclose(phi[0, middle], profile, atol=1e-3)
    excess = (film.energy(phi, 0.0) + anisotropy / 4) * 32**2
    expected = 2 * np.sqrt(2) / 3 * np.sqrt(2 * anisotropy)
    assert excess / (2 * 32) == pytest.approx(expected, rel=1e-5)
    assert film_theory.wall_energy(anisotropy, settings) == pytest.approx(expected)
    assert film_theory.wall_width(anisotropy, settings) == pytest.approx(np.sqrt(4 / anisotropy))


@pytest.mark.parametrize("seed", [1e-2, 1e-4])
@pytest.mark.parametrize("anisotropy", [1.0, 2.0, 3.0])
def test_in_a_clean_film_the_onset_comes_after_the_critical_field(anisotropy, seed):
    sweep = ExternalField((0.0, 1.5), (150.0, 0.0)).piece(0.0)
    critical_time = (1.5 - film_theory.critical_field(anisotropy)) / 0.01
    stepper = SBDF4(clean_film(CLEAN, anisotropy))
    saturated = film_theory.uniform_equilibrium(sweep(critical_time), anisotropy)
    phi, delay, dt = saturated + seed * STRIPES, 0.0, 0.1
    while phi.min() > 0 and delay < 60:
        phi = stepper.step(phi, sweep, critical_time + delay, dt)
        delay += dt
    critical = np.sqrt((1 - PATTERN_COST / anisotropy) / 3)
    # The wave grows as exp(3αφ_c v t²/2), by dynamic bifurcation theory, until it reaches φ_c.
    expected = np.sqrt(2 * np.log(critical / seed) / (3 * anisotropy * critical * 0.01))
    assert delay == pytest.approx(expected, rel=0.12)


# At α = 1 the two times meet: there the onset, an extreme value, depends on box and sample.
@pytest.mark.parametrize("anisotropy", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("sample", [0, 1])
def test_with_disorder_the_onset_comes_before_the_critical_field(anisotropy, sample):
    critical_time = (1.5 - float(film_theory.critical_field(anisotropy))) / 0.01
    campaign = CampaignSettings(system=FilmSettings(box=32), duration=critical_time, frames=2, time_step=0.25)
    onset = simulate_run(campaign, Run(0.01, sample, anisotropy)).onset_time
    assert critical_time - 30 < onset < critical_time


def stripes_at_rest(anisotropy, beyond, amplitude):
    """The amplitude of stripes that have come to rest in a field that lies below h_c by `beyond`."""
    field = float(film_theory.critical_field(anisotropy)) - beyond
    uniform = film_theory.uniform_equilibrium(field, anisotropy)
    film = clean_film(CLEAN, anisotropy)
    phi = evolve(film, uniform + amplitude * STRIPES, time=5000, dt=0.25, external_field=field)
    return 2 * np.mean(phi * STRIPES)


def test_stripes_set_in_softly_below_a_threshold_as_the_amplitude_equation_says():
    threshold = film_theory.soft_below()
    assert threshold == pytest.approx(PATTERN_COST + 1 / 3)
    for anisotropy, share in ((0.7, 0.02), (0.8, 0.1)):
        beyond = 1e-3
        field = float(film_theory.critical_field(anisotropy)) - beyond
        uniform = film_theory.uniform_equilibrium(field, anisotropy)
        growth = film_theory.growth_rate(1.0, anisotropy, uniform)
        # 12αφ₀²S = 4(α − Δ)S is 1 at the threshold.
        cubic = 3 * anisotropy / 4 * (1 - (anisotropy - PATTERN_COST) / (threshold - PATTERN_COST))
        expected = np.sqrt(growth / cubic)
        assert stripes_at_rest(anisotropy, beyond, 1.3 * expected) == pytest.approx(expected, rel=share)
        assert stripes_at_rest(anisotropy, -5e-3, 0.6) == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize("anisotropy", [1.0, 1.5, 2.5])
def test_beyond_that_threshold_stripes_live_on_where_the_saturated_film_is_stable(anisotropy):
    assert film_theory.soft_below() < anisotropy
    assert stripes_at_rest(anisotropy, -5e-4, 1e-3) == pytest.approx(0, abs=1e-3)
    assert stripes_at_rest(anisotropy, -5e-4, 0.8) > 0.4


def test_the_threshold_of_other_films_is_that_of_their_constants():
    strong = FilmSettings(stiffness=12.0, dipolar=12 / np.pi, cutoff=24 / (12 + PATTERN_COST))
    assert film_theory.soft_below(strong) == pytest.approx(PATTERN_COST + 2)
    other = FilmSettings(stiffness=1.0, dipolar=0.9, cutoff=2.0)
    best = 0.9 * np.pi
    depth = film_theory.dispersion(np.array([0.0, 2 * best]), other) - film_theory.dispersion(best, other)
    expected = film_theory.pattern_cost(other) + 1 / (4 / depth[0] + 2 / depth[1])
    assert film_theory.soft_below(other) == pytest.approx(expected)
