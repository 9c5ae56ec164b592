"""Films whose folds are known: the truth against the solver, and that the films show it."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from torch import from_numpy

from nrp.pipeline.landscape_controls import hexagon_films, narrow_films, uniform_films
from nrp.reduction.descriptors import describe
from nrp.simulation import Run, simulate_run
from nrp.simulation.run import runs_of
from nrp.systems import film_theory
from nrp.systems.film import FilmSettings, dispersion
from nrp.systems.swift_hohenberg import SwiftHohenberg, SwiftHohenbergSettings, stability_fields

UNIFORM, NARROW, HEXAGONS = uniform_films(), narrow_films(), hexagon_films()
COST = 8 / np.pi


def uniform_state(anisotropy, field, start=1.0):
    """The state at the end of a long rest, by an integrator that knows nothing of films."""

    def force(_, phi):
        return anisotropy * (phi - phi**3) - COST * phi + field

    return solve_ivp(force, (0, 3000), [start], method="LSODA", rtol=1e-9, atol=1e-11).y[0, -1]


@pytest.mark.parametrize("anisotropy", [2.7, 3.0, 3.5, 4.0])
def test_a_uniform_state_survives_down_to_its_fold_and_no_further(anisotropy):
    fold = float(film_theory.uniform_fold_field(anisotropy))
    level = np.sqrt((anisotropy - COST) / (3 * anisotropy))
    assert uniform_state(anisotropy, fold + 1e-4) > level
    assert uniform_state(anisotropy, fold - 1e-4) < -level
    assert uniform_state(anisotropy, -fold - 1e-4, start=-1) < -level
    assert uniform_state(anisotropy, -fold + 1e-4, start=-1) > level


def test_there_is_no_fold_of_the_uniform_state_below_the_double_well():
    assert np.isnan(film_theory.uniform_fold_field(np.array([1.0, 2.0, 2.54]))).all()
    for field in (-0.3, -0.01, 0.01, 0.3):
        states = [uniform_state(2.0, field, start) for start in (-1.0, 1.0)]
        assert states[0] == pytest.approx(states[1], abs=1e-6)
    other = FilmSettings(dipolar=0.2, cutoff=1.0)
    excess = 3.0 - 0.4 * np.pi
    assert film_theory.uniform_fold_field(3.0, other) == pytest.approx(-2 / 3 * excess * np.sqrt(excess / 9))


@pytest.mark.parametrize(("quadratic", "drive"), [(0.8, -0.1), (1.3, -0.1), (0.5, 0.2)])
def test_waves_about_the_uniform_state_grow_between_its_stability_fields(quadratic, drive):
    settings = SwiftHohenbergSettings(box=4 * np.pi, dx=np.pi / 8, coarsen=1, drive=drive)
    field = SwiftHohenberg(settings, anisotropy=quadratic)
    wave = 1e-6 * np.cos(np.pi / 8 * np.arange(32)) * np.ones((32, 1))  # k = 1

    def growth(external_field):
        phi = field.uniform(external_field)
        rate = field.rate(phi + wave, external_field)
        return np.mean(rate * wave) / np.mean(wave**2)

    lower, upper = stability_fields(quadratic, drive)
    for edge, inside in ((lower, 1), (upper, -1)):
        assert growth(edge) == pytest.approx(0, abs=1e-5)
        assert growth(edge + 0.01 * inside) > 1e-3 > -1e-3 > growth(edge - 0.01 * inside)


def test_below_the_tip_the_uniform_state_is_stable_in_every_field():
    lower, upper = stability_fields(np.array([0.5, np.sqrt(0.3) + 1e-6]), -0.1)
    assert np.isnan([lower[0], upper[0]]).all()
    assert lower[1] == pytest.approx(upper[1], abs=1e-3)


def filmed(films, campaign, anisotropy):
    chosen = films.campaigns[campaign]
    return simulate_run(chosen, Run(chosen.sweep_rate[-1], chosen.sample[0], anisotropy))


def mean(run):
    return run.image.mean(axis=(1, 2))


def contrast(run):
    return run.image.std(axis=(1, 2))


def test_a_loop_of_the_uniform_film_is_open_above_the_double_well_and_closed_below():
    gaps = {}
    for anisotropy in (2.0, 3.6):
        run = filmed(UNIFORM, "uniform", anisotropy)
        states, half = mean(run), len(run.time) // 2
        gaps[anisotropy] = states[half // 2] - states[half + half // 2]  # h = 0, down and up
        assert contrast(run).max() < 0.005
    assert gaps[2.0] < 0.15
    assert gaps[3.6] > 0.9


def test_a_sweep_jumps_beyond_the_fold_by_the_delay_of_a_passage():
    sweeps, alpha = UNIFORM.campaigns["uniform"], 3.6
    delays = []
    for rate in (0.005, 0.02):
        part = sweeps.replace(sweep_rate=rate, field_loop=False, field_init=0.2, field_final=-0.5, frames=701)
        run = simulate_run(part.replace(duration=0.7 / rate), Run(rate, 0, alpha))
        effective = alpha * run.disorder.mean()
        fold = film_theory.uniform_fold_field(effective, sweeps.system)
        jump = run.external_field[np.argmax(mean(run) < -np.sqrt((effective - COST) / (3 * effective)))]
        # φ passes x' = vt + ax² with a = 3αφ_s in a time 2.338 (av)^(−1/3) (the first zero of Ai).
        bend = 3 * effective * np.sqrt((effective - COST) / (3 * effective))
        delays.append((fold - jump) / (2.338 * rate / (bend * rate) ** (1 / 3)))
    assert delays == pytest.approx([1, 1], abs=0.15)


def test_held_uniform_films_stay_on_their_side_inside_the_window_only():
    fold = film_theory.uniform_fold_field(3.8)
    assert -0.3 < fold < -0.15
    ends = {key: mean(filmed(UNIFORM, f"uniform_held_{key}", 3.8))[-1] for key in ("down_-0.15", "up_0.15")}
    assert ends["down_-0.15"] > 0.4
    assert ends["up_0.15"] < -0.4
    assert mean(filmed(UNIFORM, "uniform_held_down_-0.3", 3.8))[-1] < -0.5
    assert mean(filmed(UNIFORM, "uniform_held_up_0.3", 3.8))[-1] > 0.5
    states = [mean(filmed(UNIFORM, f"uniform_held_{way}_0.15", 1.8))[-1] for way in ("down", "up")]
    assert states[0] == pytest.approx(states[1], abs=1e-3)


def test_no_pattern_fits_into_the_box_of_the_uniform_film():
    settings = UNIFORM.campaigns["uniform"].system
    longest = 2 * np.pi / settings.box[0]
    assert dispersion(longest * np.arange(1, 20), settings).min() > dispersion(0.0, settings) + 3


def slow_loop(anisotropy, rate):
    """The contrast on the ways down and up, by rising field, of a narrow film about its loss of stability."""
    films = NARROW.campaigns["narrow"]
    middle = round(float(film_theory.critical_field(anisotropy, films.system)), 3)
    films = films.replace(
        field_init=middle + 0.15, field_final=middle - 0.15, sweep_rate=rate, time_step=0.2, frames=161
    )
    seen = contrast(simulate_run(films, Run(rate, 0, anisotropy)))
    return seen[80::-1], seen[80:]


@pytest.mark.parametrize(("anisotropy", "jumps"), [(1.0, False), (1.9, True)])
def test_slow_loops_of_the_narrow_film_close_where_waves_set_in_softly_and_only_there(anisotropy, jumps):
    # At the ends of a loop, where it has just begun or will turn, the film is still settling.
    gaps = [np.abs(np.subtract(*slow_loop(anisotropy, rate))[4:-4]).max() for rate in (0.0008, 0.0002)]
    assert gaps[0] > 0.05
    assert gaps[1] > 0.8 * gaps[0] if jumps else gaps[1] < 0.7 * gaps[0]


def test_only_waves_along_the_narrow_film_fit():
    settings = NARROW.campaigns["narrow"].system
    across = 2 * np.pi / settings.box[0]
    assert dispersion(across * np.arange(1, 20), settings).min() > 1.8  # at h = 0.8, α(1 − 3φ₀²) is less
    along = 2 * np.pi / settings.box[1] * np.arange(1, 20)
    assert along[dispersion(along, settings).argmin()] == pytest.approx(1, abs=1e-3)


def test_narrow_films_are_held_with_and_without_waves_at_high_anisotropy_only():
    ends = {
        anisotropy: [
            contrast(filmed(NARROW, f"narrow_held_{way}_1.6", anisotropy))[-1] for way in ("down", "up")
        ]
        for anisotropy in (1.0, 1.9)
    }
    assert abs(np.subtract(*ends[1.0])) < 0.01
    assert ends[1.9][0] < 0.1 < 0.4 < ends[1.9][1]


def test_hexagons_and_the_uniform_state_are_both_held_inside_the_window_only():
    for campaign, anisotropy, patterned in (
        ("down_-0.05", 1.2, True),
        ("down_-0.15", 1.2, False),
        ("uniform_-0.05", 1.2, False),
        ("down_0", 0.4, False),
    ):
        settled = contrast(filmed(HEXAGONS, f"hexagons_held_{campaign}", anisotropy))[-1]
        assert settled > 0.25 if patterned else settled < 0.02, (campaign, anisotropy)


def test_hexagons_melt_below_the_field_in_which_the_uniform_state_is_unstable():
    run = filmed(HEXAGONS, "hexagons_0.001", 1.2)
    seen = contrast(run)
    melted = run.external_field[np.flatnonzero(seen > 0.2)[-1]]
    assert seen.max() > 0.4
    # The fold is at −0.068, of perfect hexagons at rest; the sweep comes later.
    assert -0.11 < melted < -0.068
    assert stability_fields(1.2, -0.1)[0] == pytest.approx(0.0463, abs=1e-4)
    assert contrast(filmed(HEXAGONS, "hexagons_0.001", 0.5)).max() < 0.002


@pytest.mark.parametrize("films", [uniform_films, narrow_films, hexagon_films])
@pytest.mark.parametrize("small", [False, True])
def test_campaigns_are_told_apart_and_tests_are_of_other_samples_and_anisotropies(films, small):
    chosen = films(small=small)
    assert (*chosen.sweeps, *chosen.protocols, *chosen.tests) == tuple(chosen.campaigns)
    runs = sum(len(runs_of(campaign)) for campaign in chosen.campaigns.values())
    assert runs < (60 if small else 350)
    trained = [
        chosen.campaigns[name] for name in (*chosen.sweeps, *chosen.protocols) if "watched" not in name
    ]
    seen = {(run.sample, run.anisotropy) for campaign in trained for run in runs_of(campaign)}
    samples, anisotropies = (set(each) for each in zip(*seen, strict=True))
    for name in chosen.tests:
        assert not samples & set(chosen.campaigns[name].sample)
        assert not anisotropies & set(chosen.campaigns[name].anisotropy)
    watched = next(chosen.campaigns[name] for name in chosen.sweeps if "watched" in name)
    assert not samples & set(watched.sample)


@pytest.mark.parametrize(
    ("films", "campaign", "anisotropy"),
    [(UNIFORM, "uniform", 3.0), (NARROW, "narrow", 1.5), (HEXAGONS, "hexagons_0.002", 1.0)],
    ids=["uniform", "narrow", "hexagons"],
)
def test_descriptors_show_more_than_rounding_and_the_decay_of_noise(films, campaign, anisotropy):
    run = filmed(films, campaign, anisotropy)
    pixel = films.campaigns[campaign].system.dx
    images, rates = (from_numpy(each.astype(np.float32)) for each in (run.image, run.rate))
    values, moved = (each.double().numpy() for each in describe(images, rates, pixel=pixel))
    scale = values.std(axis=0)
    rounding = np.spacing(np.abs(values).max(axis=0).astype(np.float32))
    assert (rounding < 0.1 * scale).all()  # no number is all rounding, not even of rings that stay dark
    square = (moved / scale) ** 2
    assert square[0].sum() < square[1:].sum()
    assert np.abs((values - values.mean(axis=0)) / scale).max() < 15
