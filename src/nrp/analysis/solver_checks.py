"""The solver held against what is known in closed form, and against itself on finer grids and steps."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from nrp.analysis.morphology import count_domains
from nrp.analysis.result import Result, row
from nrp.settings import CampaignSettings, FilmSettings
from nrp.simulation import ETDRK4, FieldSweep, Run, simulate_run
from nrp.store import Step
from nrp.systems import Film, draw_disorder
from nrp.systems.film_theory import (
    growth_rate,
    stripe_energy,
    uniform_cost,
    uniform_decay,
    uniform_equilibrium,
    wall_energy,
    wall_width,
)

SOLVER = Step("solver", 1)


def solver_checks(*, box: float = 32.0, anisotropies: tuple[float, ...] = (2.0, 4.0)) -> Result:
    """Return how far the solver is from the closed forms, its order, and what resolution changes.

    Rows: ``growth_rate_error`` (largest difference of rates), ``uniform_mode_error``,
    ``stripe_energy_error`` and ``wall_energy_error`` (relative), ``dissipation_error`` (largest residual of
    the energy balance over the largest rate of change), ``convergence_order`` (slope of error against
    step), ``resolution_difference`` of final states at a fixed medium, relative rms, between dx and dx/2,
    and ``negative_domains``, their number by dx.
    Arrays hold the curves behind them.

    Parameters
    ----------
    box, anisotropies
        Of the study of resolution, the part that takes time.
    """
    waves, measured, theory = _growth()
    steps, errors = _convergence()
    times, change, balance, energy = _dissipation()
    rows = [
        row("growth_rate_error", np.max(np.abs(measured - theory))),
        row("uniform_mode_error", _uniform_mode()),
        row("stripe_energy_error", _stripes(), anisotropy=0.6),
        row("wall_energy_error", _wall(), anisotropy=2.0),
        row("dissipation_error", np.max(np.abs(change - balance)) / np.max(np.abs(change))),
        row("convergence_order", np.polyfit(np.log(steps), np.log(errors), 1)[0]),
    ]
    for alpha in anisotropies:
        for metric, values in zip(
            ("resolution_difference", "negative_domains"), _resolution(alpha, box), strict=True
        ):
            rows += [row(metric, v, anisotropy=alpha, case=f"dx = {dx:g}") for dx, v in values.items()]
    common = {"analysis": "solver", "system": "film"}
    return Result.of(
        [entry | common for entry in rows],
        wavenumber=waves,
        growth_measured=measured,
        growth_theory=theory,
        step=steps,
        step_error=errors,
        time=times,
        energy=energy,
        energy_change=change,
        energy_balance=balance,
    )


def _clean(box: float, points: int, **changes: float) -> FilmSettings:
    return FilmSettings(box=box, dx=box / points, coarsen=1, disorder="none", **changes)


def _evolve(film: Film, phi: ndarray, h: float, *, duration: float, dt: float) -> ndarray:
    stepper = ETDRK4(film, lambda _: h)
    for i in range(round(duration / dt)):
        phi = stepper.step(phi, i * dt, dt)
    return phi


def _growth(alpha: float = 2.0, uniform: float = 0.3) -> tuple[ndarray, ndarray, ndarray]:
    """Seed waves about a uniform state and measure how fast each grows or decays."""
    settings = _clean(16 * np.pi, 64)
    film = Film(settings, anisotropy=alpha, disorder=draw_disorder(settings, seed=0, sample=0))
    h = alpha * uniform**3 - (alpha - uniform_cost()) * uniform
    x = settings.dx * np.arange(settings.points)
    waves = np.arange(1, 17) / 8
    seed, duration = 1e-6, 1.0
    rates = []
    for k in waves:
        cosine = np.cos(k * x)[None, :] * np.ones((settings.points, 1))
        phi = _evolve(film, uniform + seed * cosine, h, duration=duration, dt=0.05)
        rates.append(np.log(2 * np.mean(phi * cosine) / seed) / duration)
    return waves, np.array(rates), growth_rate(waves, alpha, uniform)


def _uniform_mode(alpha: float = 3.0, start: float = 0.9) -> float:
    settings = _clean(2 * np.pi, 4)
    film = Film(settings, anisotropy=alpha, disorder=np.ones((4, 4)))
    phi = _evolve(film, np.full((4, 4), start), 0.0, duration=5.0, dt=0.02)
    exact = float(uniform_decay(np.array(5.0), start, alpha))
    return abs(phi[0, 0] - exact) / exact


def _stripes(alpha: float = 0.6) -> float:
    """Relax stripes close to their threshold; the formula is the first term of an expansion in α − Δ."""
    settings = _clean(2 * np.pi, 16)
    film = Film(settings, anisotropy=alpha, disorder=np.ones((16, 16)))
    x = settings.dx * np.arange(16)
    phi = 0.2 * np.cos(x)[None, :] * np.ones((16, 1))
    phi = _evolve(film, phi, 0.0, duration=200.0, dt=0.5)
    return abs(film.energy(phi, 0.0) / stripe_energy(alpha) - 1)


def _wall(alpha: float = 2.0) -> float:
    """Relax two walls in a film without dipoles; each must have the energy of a tanh profile."""
    settings = _clean(64.0, 256, dipolar=0.0)
    film = Film(settings, anisotropy=alpha, disorder=np.ones((256, 256)))
    x = settings.dx * np.arange(256)
    width = wall_width(alpha, settings)
    profile = np.tanh((x - 16) / width) * np.tanh((48 - x) / width)
    phi = np.ones((256, 1)) * profile
    phi = _evolve(film, phi, 0.0, duration=2.0, dt=0.1)
    above = (film.energy(phi, 0.0) + alpha / 4) * settings.box
    return abs(above / 2 / wall_energy(alpha, settings) - 1)


_SMALL = CampaignSettings(
    system=FilmSettings(box=16, coarsen=1), field_init=0.5, sweep_rate=(0.05,), frames=2
)


def _convergence() -> tuple[ndarray, ndarray]:
    """Return the relative error at the end of a short sweep against the step."""
    steps = np.array([0.2, 0.1, 0.05, 0.025])

    def final(dt: float) -> ndarray:
        frames = simulate_run(_SMALL.replace(time_step=dt), Run(0.05, 0, 2.0))
        return frames.image[-1]

    reference = final(0.00625)
    errors = [np.linalg.norm(final(dt) - reference) for dt in steps]
    return steps, np.array(errors) / np.linalg.norm(reference)


def _dissipation() -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Return dH/dt by differences and by −⟨φ_t²⟩ − h'⟨φ⟩, during the sweep and after it."""
    system, alpha = _SMALL.system, 2.0
    film = Film(system, anisotropy=alpha, disorder=draw_disorder(system, seed=0, sample=0))
    sweep = FieldSweep(_SMALL.field_init, _SMALL.sweep_rate[0])
    stepper = ETDRK4(film, sweep)
    dt = 0.02
    states = [np.full(film.disorder.shape, uniform_equilibrium(_SMALL.field_init, alpha))]
    times = dt * np.arange(round(2 * sweep.zero_time / dt) + 1)
    for time in times[:-1]:
        states.append(stepper.step(states[-1], time, dt))
    energy = np.array([film.energy(phi, sweep(t)) for phi, t in zip(states, times, strict=True)])
    change = (energy[2:] - energy[:-2]) / (2 * dt)
    balance = np.array(
        [
            -np.mean(film.rate(phi, sweep(t)) ** 2) - sweep.slope(t) * phi.mean()
            for phi, t in zip(states[1:-1], times[1:-1], strict=True)
        ]
    )
    # A centred difference means nothing across the kink of h.
    smooth = np.abs(times[1:-1] - sweep.zero_time) > 1.5 * dt
    return times[1:-1][smooth], change[smooth], balance[smooth], energy[1:-1][smooth]


def _resolution(alpha: float, box: float) -> tuple[dict[float, float], dict[float, int]]:
    """Return by dx how far final states of one medium are from those at dx/2, and their domains."""
    spacings = (1.0, 0.5, 0.25)
    finals = []
    for dx in spacings:
        film = FilmSettings(box=box, dx=dx, coarsen=round(1 / dx))
        campaign = CampaignSettings(system=film, frames=2)
        finals.append(simulate_run(campaign, Run(0.01, 0, alpha)).image[-1])
    differences = {
        dx: float(np.linalg.norm(coarse - fine) / np.linalg.norm(fine))
        for dx, coarse, fine in zip(spacings, finals, finals[1:], strict=False)
    }
    counts = [count_domains(final < 0) for final in finals]
    return differences, dict(zip(spacings, counts, strict=True))
