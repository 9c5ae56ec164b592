"""The integrators: their order, that they agree, where they begin anew, long steps."""

from itertools import pairwise

import numpy as np
import pytest

from nrp.simulation import ETDRK4, RK4, SBDF4, CampaignSettings, ExternalField, Run, Simulation, simulate_run
from nrp.systems.bead import Bead, BeadSettings
from nrp.systems.film import Film, FilmSettings, draw_disorder

SMALL = FilmSettings(box=(8, 8), dx=0.5, coarsen=1, disorder="unit_mean")
SCHEMES = [SBDF4, ETDRK4]


def constant(value):
    return lambda time: value


def make_film(anisotropy, settings=SMALL):
    return Film(settings, anisotropy=anisotropy, disorder=draw_disorder(settings, seed=0, sample=0))


def smooth_start(settings=SMALL):
    y, x = (
        2 * np.pi * settings.dx * np.arange(n) / side
        for n, side in zip(settings.shape, settings.box, strict=True)
    )
    return 0.3 + 0.5 * np.cos(2 * y[:, None]) * np.sin(x) + 0.2 * np.cos(3 * x)


def advance(stepper, state, *, end, steps, field):
    for i in range(steps):
        state = stepper.step(state, field, i * end / steps, end / steps)
    return np.array(state)


def errors_of(solve, counts, exact):
    best = solve(exact)
    return np.array([np.abs(solve(steps) - best).max() for steps in counts])


def assert_order_four(errors):
    """Each halving of the step gains a factor 16, over two decades at least."""
    orders = [np.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert errors[0] / errors[-1] > 100
    np.testing.assert_allclose(orders, 4, atol=0.5)
    assert orders[-1] == pytest.approx(4, abs=0.2)


FIELDS = pytest.mark.parametrize(
    ("anisotropy", "field"),
    [
        (2.0, constant(0.0)),
        (3.0, ExternalField((0.0, 1.5), (5.0, 0.0)).piece(0.0)),
        (1.0, lambda t: np.cos(3 * t)),
    ],
    ids=["zero", "swept", "oscillating"],
)


@FIELDS
def test_etdrk4_is_of_fourth_order_on_the_film(anisotropy, field):
    stepper, start = ETDRK4(make_film(anisotropy)), smooth_start()

    def solve(steps):
        return advance(stepper, start, end=2.0, steps=steps, field=field)

    assert_order_four(errors_of(solve, (32, 64, 128, 256), 1024))


@FIELDS
def test_sbdf4_is_of_fourth_order_towards_the_truth_of_the_other_scheme(anisotropy, field):
    film, start = make_film(anisotropy), smooth_start()
    truth = advance(ETDRK4(film), start, end=4.0, steps=2000, field=field)

    def solve(steps):
        return advance(SBDF4(film, settle=0.5), start, end=4.0, steps=steps, field=field)

    errors = np.array([np.abs(solve(steps) - truth).max() for steps in (128, 256, 512, 1024)])
    assert_order_four(errors)


@pytest.mark.parametrize("shift", [0.5, 2.0, 6.0])
def test_the_split_changes_the_way_not_the_end(shift):
    film, start, field = make_film(2.0), smooth_start(), constant(0.2)
    truth = advance(ETDRK4(film), start, end=2.0, steps=800, field=field)
    found = advance(SBDF4(film, shift=shift), start, end=2.0, steps=800, field=field)
    np.testing.assert_allclose(found, truth, atol=1e-6)


def test_sbdf4_is_its_formula():
    """One step, from a history of the other scheme, written out with plain FFTs."""
    film, field, dt, shift = make_film(2.0), lambda t: 0.4 - 0.3 * t, 0.05, 1.5
    stepper, past = SBDF4(film, shift=shift, substeps=2), [smooth_start()]
    state = past[0]
    for i in range(4):
        state = stepper.step(state, field, i * dt, dt)
        past.append(np.array(state))
    rest = [
        np.fft.rfft2(film.local * (phi - phi**3) + shift * phi + field(i * dt)) for i, phi in enumerate(past)
    ]
    u = [np.fft.rfft2(phi) for phi in past]
    history = 4 * u[3] - 3 * u[2] + 4 / 3 * u[1] - u[0] / 4
    history += dt * (4 * rest[3] - 6 * rest[2] + 4 * rest[1] - rest[0])
    expected = np.fft.irfft2(history / (25 / 12 - dt * (film.linear - shift)), s=state.shape)
    np.testing.assert_allclose(past[4], expected, atol=1e-13)
    other = ETDRK4(film)
    np.testing.assert_allclose(past[1], advance(other, past[0], end=dt, steps=2, field=field), atol=1e-13)


def test_a_step_that_does_not_go_on_from_the_last_begins_anew():
    film, dt, start = make_film(2.0), 0.1, smooth_start()
    falling, other = (lambda t: 0.5 - 0.1 * t), (lambda t: 0.1)
    cases = {
        "another state": (lambda state: np.array(state), falling, 0.5, dt),
        "another field": (lambda state: state, other, 0.5, dt),
        "another time": (lambda state: state, falling, 0.9, dt),
        "another step": (lambda state: state, falling, 0.5, dt / 2),
    }
    for what, (pick, field, time, step) in cases.items():
        used = SBDF4(film)
        state = start
        for i in range(5):
            state = used.step(state, falling, i * dt, dt)
        fresh = SBDF4(film).step(np.array(state), field, time, step)
        np.testing.assert_array_equal(used.step(pick(state), field, time, step), fresh, err_msg=what)


def test_the_state_it_returns_cannot_be_changed_behind_its_back():
    state = SBDF4(make_film(2.0)).step(smooth_start(), constant(0.0), 0.0, 0.1)
    with pytest.raises(ValueError, match="read-only"):
        state[0, 0] = 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_negative_points_are_counted(scheme):
    stepper, state = scheme(make_film(2.0)), smooth_start()
    for i in range(6):
        state = stepper.step(state, constant(0.0), 0.1 * i, 0.1)
        assert stepper.negative == np.sum(state < 0) > 0


@pytest.mark.parametrize("field", [constant(0.0), lambda t: np.cos(3 * t)], ids=["zero", "oscillating"])
def test_rk4_is_of_fourth_order_on_the_bead(field):
    stepper = RK4(Bead(BeadSettings(), anisotropy=1.0))

    def solve(steps):
        return advance(stepper, np.array([0.2, 1.3]), end=3.0, steps=steps, field=field)

    assert_order_four(errors_of(solve, (20, 40, 80, 160), 1280))


@pytest.mark.parametrize("scheme", ["etdrk4", "sbdf4"])
@pytest.mark.parametrize(
    "system", [SMALL, SMALL.replace(box=(8, 4)), BeadSettings(pixels=8)], ids=["film", "oblong", "bead"]
)
def test_no_step_crosses_the_kink_of_the_field(system, scheme):
    # T₀ = 1.3514 lies between two frames and is no multiple of any step.
    run = Run(0.08, 0, 2.0)
    campaign = CampaignSettings(system=system, field_init=0.108112, duration=2, frames=2)

    def solve(steps):
        return simulate_run(campaign.replace(time_step=2 / steps, scheme=scheme), run).image[-1]

    counts = (64, 128, 256, 512) if scheme == "etdrk4" else (256, 512, 1024)
    assert_order_four(errors_of(solve, counts, 4096))


def test_no_step_crosses_a_jump_of_the_field():
    table = ((0, 1.0), (0.55, 1.0), (0.55, -0.5), (2, 0.3))
    campaign = CampaignSettings(system=SMALL, sweep_rate=(0,), field_table=table, frames=2)

    def solve(steps):
        return simulate_run(campaign.replace(time_step=2 / steps, scheme="etdrk4"), Run(0.0, 0, 2.0)).image[
            -1
        ]

    assert_order_four(errors_of(solve, (32, 64, 128, 256), 1024))
    rough = simulate_run(campaign.replace(time_step=0.05), Run(0.0, 0, 2.0)).image[-1]
    np.testing.assert_allclose(rough, solve(1024), atol=1e-6)


def test_a_kink_at_a_frame_or_past_the_end_adds_no_step():
    campaign = CampaignSettings(system=SMALL, field_init=0.5, duration=2, frames=2, scheme="etdrk4")
    stepper, start = ETDRK4(make_film(2.0)), simulate_run(campaign, Run(0.5, 0, 2.0)).image[0]
    for duration, frames in [(2.0, 3), (0.9, 2)]:
        changed = campaign.replace(duration=duration, frames=frames, time_step=0.1)
        steps, field = round(duration / 0.1), ExternalField.of(changed, 0.5)
        expected = advance(stepper, start, end=duration, steps=steps, field=field)
        np.testing.assert_allclose(simulate_run(changed, Run(0.5, 0, 2.0)).image[-1], expected, atol=1e-12)


@pytest.mark.parametrize("box", [(32, 32), (16, 32)])
def test_both_schemes_find_the_same_patterns(box):
    """Over the whole sweep, where α and box are small enough for single trajectories to converge."""
    system = FilmSettings(box=box, coarsen=1)
    campaign = CampaignSettings(system=system, sweep_rate=(0.02,), frames=2, tolerance=1e-4)
    for anisotropy in (1.0, 2.0):
        frames = [
            simulate_run(campaign.replace(scheme=scheme), Run(0.02, 0, anisotropy))
            for scheme in ("sbdf4", "etdrk4")
        ]
        first, second = (frame.image[-1] for frame in frames)
        assert np.ptp(first) > 1.5
        assert np.linalg.norm(first - second) < 1e-3 * np.linalg.norm(second)
        assert frames[0].onset_time == pytest.approx(frames[1].onset_time, abs=0.02)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("anisotropy", "dt"), [(1.0, 0.25), (2.0, 0.2), (4.0, 0.05)])
def test_energy_falls_at_fixed_field_from_a_rough_start(scheme, anisotropy, dt):
    """Far beyond the explicit limit 2/L(k_max) ≈ 0.013."""
    film, field = make_film(anisotropy), constant(0.1)
    start = np.random.default_rng(0).uniform(-1, 1, size=film.disorder.shape)
    stepper = scheme(film, settle=4.0, substeps=8) if scheme is SBDF4 else scheme(film)
    state, energy = start, [film.energy(start, 0.1)]
    for i in range(round(60 / dt)):
        state = stepper.step(state, field, i * dt, dt)
        energy.append(film.energy(state, 0.1))
    assert np.abs(state).max() < 1.5
    assert energy[0] - energy[-1] > 0.1
    assert np.diff(energy).max() < 1e-12


def test_without_a_slow_start_old_rough_modes_spoil_the_first_steps():
    system = FilmSettings(box=(32, 32), coarsen=1, start="random")
    campaign = CampaignSettings(system=system, field_init=0, duration=20, frames=2)
    run = Run(0.01, 0, 2.0)
    truth = simulate_run(campaign.replace(scheme="etdrk4", time_step=0.01), run).image[-1]
    careless = Simulation(campaign, run)
    careless._stepper = SBDF4(careless.system)
    errors = [np.linalg.norm(list(s)[-1].image - truth) for s in (Simulation(campaign, run), careless)]
    assert errors[0] < 1e-3 * np.linalg.norm(truth) < 0.1 * errors[1]
