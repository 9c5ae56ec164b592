"""The Cahn–Hilliard equation: a field whose mean is conserved, against its closed forms."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.fft import fft2, fftfreq, ifft2
from scipy.integrate import simpson

from nrp.analysis.images.spectrum import mean_wavenumber
from nrp.base import InvalidSetting
from nrp.pipeline import Study
from nrp.simulation import (
    ETDRK4,
    SBDF4,
    CampaignSettings,
    Run,
    Simulation,
    open_dataset,
    simulate,
    simulate_run,
    system_of,
)
from nrp.systems.cahn_hilliard import CahnHilliard, CahnHilliardSettings

SMALL = CahnHilliardSettings(box=(16, 12), dx=0.5, coarsen=1)
SCHEMES = pytest.mark.parametrize("scheme", ["sbdf4", "etdrk4"])


def campaign(settings=SMALL, **changes):
    held = {"anisotropy": 1.0, "sweep_rate": 0.0, "field_init": 0.0}
    return CampaignSettings(system=settings, **held | changes)


def run_of(chosen, start=None):
    return simulate_run(chosen, Run(0.0, 0, chosen.anisotropy[0]), start)


def axes(settings):
    return np.meshgrid(*(settings.dx * np.arange(n) for n in settings.shape), indexing="ij")


def smooth_start(settings=SMALL):
    y, x = (2 * np.pi * r / side for r, side in zip(axes(settings), settings.box, strict=True))
    return 0.1 + 0.4 * np.cos(2 * y) * np.sin(x) + 0.2 * np.cos(x + y)


def gradient(phi, dx):
    """∂φ/∂y and ∂φ/∂x of a smooth field."""
    ky, kx = (2 * np.pi * fftfreq(n, dx) for n in phi.shape)
    return [ifft2(1j * k * fft2(phi)).real for k in (ky[:, None], kx[None, :])]


def test_the_rate_is_the_mobility_times_minus_the_slope_of_the_energy():
    """The slope point by point, by differences of H; then ∇² of it, by the definition in Fourier space."""
    settings = SMALL.replace(box=(4, 3))
    mixture = CahnHilliard(settings, anisotropy=1.7)
    phi, step = np.random.default_rng(0).normal(size=settings.shape), 1e-5
    slope = np.empty(phi.shape)
    for place in np.ndindex(phi.shape):
        nudge = np.zeros(phi.shape)
        nudge[place] = step
        change = mixture.energy(phi + nudge, 0.3) - mixture.energy(phi - nudge, 0.3)
        slope[place] = change * phi.size / (2 * step)
    np.testing.assert_allclose(-mixture.force(phi, 0.3), slope, atol=1e-6)
    ky, kx = (2 * np.pi * fftfreq(n, settings.dx) for n in phi.shape)
    laplacian = ifft2(-(ky[:, None] ** 2 + kx[None, :] ** 2) * fft2(slope)).real
    np.testing.assert_allclose(mixture.rate(phi, 0.3), laplacian, atol=1e-4)


@SCHEMES
def test_energy_falls_by_the_square_of_the_gradient_of_the_potential(scheme):
    """dH/dt = −∫|∇μ|² dr with μ = δH/δφ, all along a run."""
    h, chosen = 0.4, campaign(field_init=0.4, duration=8, frames=321, time_step=0.025, scheme=scheme)
    simulation = Simulation(chosen, Run(0.0, 0, 1.0), smooth_start())
    energy, loss = [], []
    for frame in simulation:
        mu = -simulation.system.force(np.array(simulation.state), h)
        energy.append(frame.energy)
        loss.append(sum(np.mean(part**2) for part in gradient(mu, SMALL.dx)))
    # From t = 1 on, when the waves that decay within a frame are gone.
    spent = [simpson(loss[i : i + 41], dx=0.025) for i in range(40, 320, 40)]
    np.testing.assert_allclose(-np.diff(energy[40::40]), spent, rtol=1e-4)
    assert sum(spent) > 0.03


@SCHEMES
@pytest.mark.parametrize("anisotropy", [0.5, 1.0, 2.0])
def test_energy_falls_and_mass_stays_from_noise_at_the_default_step(scheme, anisotropy):
    chosen = campaign(
        SMALL.replace(start_level=0.2),
        anisotropy=anisotropy,
        field_init=0.3,
        duration=30 / anisotropy**2,  # the time of growth is 4κ/a²
        scheme=scheme,
    )
    frames = run_of(chosen)
    assert np.diff(frames.energy).max() < 1e-12
    np.testing.assert_allclose(frames.image.mean(axis=(1, 2)), 0.2, atol=1e-13, rtol=0)
    np.testing.assert_allclose(frames.rate.mean(axis=(1, 2)), 0, atol=1e-13)
    assert np.abs(frames.final_state).max() < 1.2
    assert np.ptp(frames.final_state) > 1  # it has parted


def test_the_step_follows_the_anisotropy_and_one_too_long_ends_the_run_in_one_line():
    """At the default step, 0.1 κ/a², noise about a pure phase dies; at twelve times that, phases burst."""
    settings = SMALL.replace(stiffness=1.0, start_level=0.95)
    chosen = campaign(settings, anisotropy=2.0, duration=20, frames=2)
    assert Simulation(chosen, Run(0.0, 0, 2.0)).time_step == pytest.approx(0.1 / 4)
    assert run_of(chosen).final_state.std() < 1e-3
    with pytest.raises(ArithmeticError, match=r"^time_step = 0\.3: .* a smaller step is needed$"):
        run_of(chosen.replace(system=settings.replace(start_level=0), time_step=0.3, duration=40))


@SCHEMES
def test_waves_grow_and_decay_by_the_dispersion_relation(scheme):
    """σ(k) = k²(a(1 − 3φ₀²) − κk²) about φ₀, in a box whose waves 1/4, 1/2, … hold the fastest one."""
    anisotropy, uniform, end = 1.2, 0.3, 2.0
    stiffness = anisotropy * (1 - 3 * uniform**2) / 2  # so that the fastest wavenumber is 1
    settings = CahnHilliardSettings(box=(np.pi, 8 * np.pi), dx=np.pi / 4, coarsen=1, stiffness=stiffness)
    k, (_, x) = np.arange(8) / 4, axes(settings)
    waves = np.cos(k[:, None, None] * x)
    start = uniform + 1e-7 * waves[1:].sum(axis=0)
    chosen = campaign(settings, anisotropy=anisotropy, duration=end, frames=2, scheme=scheme)
    phi = run_of(chosen.replace(time_step=0.01), start).final_state
    growth = np.array([np.log(2e7 * np.mean((phi - uniform) * wave)) / end for wave in waves[1:]])
    expected = k[1:] ** 2 * (anisotropy * (1 - 3 * uniform**2) - stiffness * k[1:] ** 2)
    np.testing.assert_allclose(growth, expected, atol=1e-4)
    assert k[1:][growth.argmax()] == 1
    assert growth[0] > 0 > growth[-1]


@SCHEMES
def test_both_schemes_are_of_fourth_order(scheme):
    """Towards one truth, on a grid whose stiffest wave decays within some of the longest steps."""
    settings, end = SMALL.replace(dx=1.0), 1.0
    mixture, start = CahnHilliard(settings, anisotropy=1.0), smooth_start(settings)

    def solve(scheme, steps):
        stepper = SBDF4(mixture, settle=0.125) if scheme == "sbdf4" else ETDRK4(mixture)
        state, h, dt = start, lambda time: 0.3 * np.cos(3 * time), end / steps
        for i in range(steps):
            state = stepper.step(state, h, i * dt, dt)
        return np.array(state)

    truth = solve("etdrk4", 2048)
    errors = [np.abs(solve(scheme, steps) - truth).max() for steps in (64, 128, 256, 512)]
    orders = [np.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert errors[0] / errors[-1] > 100
    np.testing.assert_allclose(orders, 4, atol=0.5)
    assert orders[-1] == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize(("anisotropy", "stiffness"), [(1.0, 0.5), (2.0, 2.0)])
def test_walls_have_the_profile_and_the_energy_of_the_expansion(anisotropy, stiffness):
    settings = CahnHilliardSettings(box=(2, 24), dx=0.25, coarsen=1, stiffness=stiffness)
    x = axes(settings)[1] - 12
    start = 0.9 * np.cos(2 * np.pi * x / 24)
    frames = run_of(campaign(settings, anisotropy=anisotropy, duration=100, frames=2), start)
    width = np.sqrt(2 * stiffness / anisotropy)
    profile = np.tanh((6 - np.abs(x)) / width)  # two walls, 12 apart
    np.testing.assert_allclose(frames.final_state, profile, atol=1e-3)
    # Pure phases have −a/4 per area, and two walls cross the box of length 24.
    excess = 24 * (frames.energy[-1] + anisotropy / 4)
    assert excess / 2 == pytest.approx(2 * np.sqrt(2) / 3 * np.sqrt(anisotropy * stiffness), rel=1e-4)


def test_late_patterns_grow_coarser(store):
    """The mixture of the profile: the fastest wave first, then ever longer ones and fewer walls."""
    data = Study("mini", store).dataset("mixture")
    phi, time = data.concentration.values[0].astype(float), data.time.values[0]
    pixel = float(data.x[1] - data.x[0])
    k = np.array([mean_wavenumber(image, pixel) for image in phi])
    early, mid, late = (np.searchsorted(time, t) for t in (8, 25, 100))
    assert k[early] == pytest.approx(1, abs=0.25)  # k = 1 grows fastest, with κ = ½ and a = 1
    assert k[late] < 0.9 * k[mid] < 0.9 * k[early]
    np.testing.assert_allclose(phi.mean(axis=(1, 2)), 0, atol=1e-6)  # stored in single precision
    assert np.abs(phi[-1]).max() == pytest.approx(1, abs=0.1)
    assert np.diff(data.energy[0]).max() < 0


def test_the_field_moves_nothing_and_phi_and_minus_phi_are_alike():
    start, chosen = smooth_start(), campaign(duration=5, frames=6)
    frames, strong = run_of(chosen, start), run_of(chosen.replace(field_init=0.5), start)
    np.testing.assert_allclose(strong.image, frames.image, atol=1e-10)
    np.testing.assert_allclose(strong.energy, frames.energy - 0.5 * start.mean(), atol=1e-10)
    mirrored = run_of(chosen.replace(field_init=-0.5), -start)
    np.testing.assert_allclose(mirrored.image, -strong.image, atol=1e-10)
    np.testing.assert_allclose(mirrored.energy, strong.energy, atol=1e-12)


def test_a_run_begins_mixed_at_its_composition_and_never_uniform():
    mixture = CahnHilliard.draw(SMALL.replace(start_level=-0.3), anisotropy=1.0, seed=0, sample=0)
    start = mixture.start(2.0, seed=3, sample=1)
    assert start.mean() == pytest.approx(-0.3, abs=1e-15)
    assert start.std() == pytest.approx(0.05, rel=0.2)
    assert np.abs(start - mixture.start(2.0, seed=3, sample=2)).max() > 0.01
    for name, value in {"start": "equilibrium", "noise": 0, "start_level": 2}.items():
        with pytest.raises(InvalidSetting, match=rf"^{name} = {value!r}: .*$"):
            SMALL.replace(**{name: value})


def test_a_campaign_writes_the_concentration_and_goes_on_where_it_stopped(store):
    whole = campaign(SMALL.replace(start_level=0.1, coarsen=2), sample=(0, 1), duration=20, frames=11)
    unbroken = open_dataset(simulate(whole, store, workers=1))
    assert (unbroken.system, unbroken.field) == ("cahn_hilliard", "concentration")
    assert unbroken.concentration.shape == (2, 11, 16, 12)
    assert "disorder" not in unbroken
    first = simulate(whole.replace(duration=8, frames=5), store, workers=1)
    later = whole.replace(begin=8, duration=12, frames=7)
    second = open_dataset(simulate(later, store, start=first, workers=1))
    for i, part in ((slice(0, 5), open_dataset(first)), (slice(4, 11), second)):
        for name in ("time", "energy", "concentration"):
            np.testing.assert_allclose(part[name], unbroken[name][:, i], atol=1e-3, rtol=0)
    np.testing.assert_allclose(second.final_state, unbroken.final_state, atol=1e-3, rtol=0)
    spread = unbroken.concentration.std(("y", "x")).values
    assert (spread[:, 4] < 0.8 * spread[:, -1]).all()  # it was broken while the pattern grew
    assert isinstance(system_of(second, 1), CahnHilliard)
