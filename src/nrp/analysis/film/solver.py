"""The solver held against closed forms, against another scheme, and against finer steps and grids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy import ndarray

from nrp.analysis.images.domains import count_domains
from nrp.analysis.registry import analysis
from nrp.evaluation import Result, row
from nrp.evaluation.result import mean_row
from nrp.simulation import SBDF4, CampaignSettings, ExternalField, Run, simulate_run
from nrp.systems.film import Film, FilmSettings
from nrp.systems.film_theory import (
    growth_rate,
    stripe_energy,
    uniform_cost,
    uniform_decay,
    wall_energy,
    wall_width,
)

SCHEMES, SPACINGS = ("sbdf4", "etdrk4"), (1.0, 0.5, 0.25)
_SMALL = CampaignSettings(
    system=FilmSettings(box=16, coarsen=1), field_init=0.5, sweep_rate=(0.05,), frames=2
)


def _options(profile) -> dict[str, object]:
    return {"box": profile.solver_box, "samples": profile.solver_samples, "anisotropy": (1.0, 2.0, 4.0)}


@analysis("solver", version=3, needs={}, options=_options)
def solver_checks(*, box: float, anisotropy: Sequence[float], samples: int) -> Result:
    """Return how far the solver is from the closed forms, its order, and what resolution changes.

    Rows: ``growth_rate_error`` (largest difference of rates), ``uniform_mode_error``,
    ``stripe_energy_error`` and ``wall_energy_error`` (relative), ``dissipation_error`` (largest residual of
    the energy balance over the largest rate of change), ``convergence_order`` by scheme (slope of error
    against step), ``scheme_difference`` of the final states of both schemes with their own steps,
    ``resolution_difference`` at a fixed medium between dx and dx/2 through the sweep, both relative rms,
    and ``negative_domains`` of the final states by dx, a mean over samples.
    Arrays hold the curves behind them, and a final state by dx at the last anisotropy.
    The arguments are those of the comparisons of whole sweeps, the part that takes time.
    """
    waves, measured, theory = _growth()
    steps, errors = _convergence()
    times, change, balance = _dissipation()
    orders = [np.polyfit(np.log(steps), np.log(errors[scheme]), 1)[0] for scheme in SCHEMES]
    rows = [
        row("growth_rate_error", np.max(np.abs(measured - theory))),
        row("uniform_mode_error", _uniform_mode()),
        row("stripe_energy_error", _stripes(), anisotropy=0.6),
        row("wall_energy_error", _wall(), anisotropy=2.0),
        row("dissipation_error", np.max(np.abs(change - balance)) / np.max(np.abs(change))),
        *(row("convergence_order", order, case=case) for case, order in zip(SCHEMES, orders, strict=True)),
    ]
    for alpha in anisotropy:
        runs = {dx: [_images(alpha, box, dx, sample=i) for i in range(samples)] for dx in SPACINGS}
        rows += _sweeps(alpha, box, runs)
    curves = {"wavenumber": waves, "growth_measured": measured, "growth_theory": theory, "step": steps}
    curves |= {"time": times, "energy_change": change, "energy_balance": balance}
    curves |= {f"{scheme}_error": values for scheme, values in errors.items()}
    curves |= {f"final_{dx:g}": runs[dx][0][-1] for dx in SPACINGS}
    return Result.of(rows, {"system": _SMALL.system.system}, **curves)


def _clean(box: tuple[float, float], points: int, anisotropy: float, **changes: float) -> Film:
    """Return a film without disorder, with so many points along the second side."""
    settings = FilmSettings(box=box, dx=box[1] / points, coarsen=1, disorder="none", **changes)
    return Film(settings, anisotropy=anisotropy, disorder=np.ones(settings.shape))


def _evolve(film: Film, phi: ndarray, h: float, *, duration: float, dt: float) -> ndarray:
    stepper, state, field = SBDF4(film), np.broadcast_to(phi, film.settings.shape), lambda _: h
    for i in range(round(duration / dt)):
        state = stepper.step(state, field, i * dt, dt)
    return np.array(state)


def _growth(alpha: float = 2.0, uniform: float = 0.3) -> tuple[ndarray, ndarray, ndarray]:
    """Seed waves about a uniform state and measure how fast each grows or decays."""
    film = _clean((np.pi, 16 * np.pi), 64, alpha)
    h = alpha * uniform**3 - (alpha - uniform_cost()) * uniform
    x, waves = film.settings.dx * np.arange(64), np.arange(1, 17) / 8
    seed, duration, rates = 1e-6, 1.0, []
    for k in waves:
        phi = _evolve(film, uniform + seed * np.cos(k * x), h, duration=duration, dt=0.02)
        rates.append(np.log(2 * np.mean(phi * np.cos(k * x)) / seed) / duration)
    return waves, np.array(rates), growth_rate(waves, alpha, uniform)


def _uniform_mode(alpha: float = 3.0, start: float = 0.9) -> float:
    film = _clean((2 * np.pi, 2 * np.pi), 4, alpha)
    phi = _evolve(film, np.array(start), 0.0, duration=5.0, dt=0.02)
    return abs(phi[0, 0] / float(uniform_decay(np.array(5.0), start, alpha)) - 1)


def _stripes(alpha: float = 0.6) -> float:
    """Relax stripes close to their threshold; the formula is the first term of an expansion in α − Δ."""
    film = _clean((2 * np.pi, 2 * np.pi), 16, alpha)
    phi = 0.2 * np.cos(film.settings.dx * np.arange(16))
    phi = _evolve(film, phi, 0.0, duration=200.0, dt=0.5)
    return abs(film.energy(phi, 0.0) / stripe_energy(alpha) - 1)


def _wall(alpha: float = 2.0) -> float:
    """Relax two walls in a film without dipoles; each must have the energy of a tanh profile."""
    film = _clean((1.0, 64.0), 256, alpha, dipolar=0.0)
    x, width = film.settings.dx * np.arange(256), wall_width(alpha, film.settings)
    phi = np.tanh((x - 16) / width) * np.tanh((48 - x) / width)
    phi = _evolve(film, phi, 0.0, duration=2.0, dt=0.1)
    above = (film.energy(phi, 0.0) + alpha / 4) * 64
    return abs(above / 2 / wall_energy(alpha, film.settings) - 1)


def _convergence() -> tuple[ndarray, dict[str, ndarray]]:
    """Return the relative error at the end of a short sweep against the step, by scheme."""
    steps, run = np.array([0.2, 0.1, 0.05, 0.025]), Run(0.05, 0, 2.0)

    def final(dt: float, scheme: str) -> ndarray:
        return simulate_run(_SMALL.replace(time_step=dt, scheme=scheme), run).image[-1]

    truth = final(0.00625, "etdrk4")
    errors = {
        scheme: np.array([np.linalg.norm(final(dt, scheme) - truth) for dt in steps]) for scheme in SCHEMES
    }
    return steps, {scheme: values / np.linalg.norm(truth) for scheme, values in errors.items()}


def _dissipation(dt: float = 0.02) -> tuple[ndarray, ndarray, ndarray]:
    """Return dH/dt by differences and by −⟨φ_t²⟩ − h'⟨φ⟩, during the sweep and after it."""
    sweep = ExternalField.of(_SMALL, 0.05)
    frames = simulate_run(_SMALL.replace(frames=round(20 / dt) + 1, time_step=dt), Run(0.05, 0, 2.0))
    change = (frames.energy[2:] - frames.energy[:-2]) / (2 * dt)
    slopes = np.array([sweep.slope(time) for time in frames.time.tolist()])
    balance = -np.mean(frames.rate**2, axis=(1, 2)) - slopes * np.mean(frames.image, axis=(1, 2))
    # A centred difference means nothing across the kink of h.
    smooth = np.abs(frames.time[1:-1] - sweep.kinks[-1]) > 1.5 * dt
    return frames.time[1:-1][smooth], change[smooth], balance[1:-1][smooth]


def _images(alpha: float, box: float, dx: float, *, sample: int = 0, scheme: str = "sbdf4") -> ndarray:
    """Return frames of the paper's sweep, averaged to one pixel per unit of length."""
    film = FilmSettings(box=box, dx=dx, coarsen=round(1 / dx))
    campaign = CampaignSettings(system=film, frames=5, scheme=scheme)
    return simulate_run(campaign, Run(0.01, sample, alpha)).image


def _sweeps(alpha: float, box: float, runs: dict[float, list[ndarray]]) -> Iterator[dict]:
    """Yield what the scheme and the grid change in whole sweeps of one medium."""

    def difference(one: ndarray, other: ndarray) -> float:
        return float(np.linalg.norm(one - other) / np.linalg.norm(other))

    other, common = _images(alpha, box, 0.5, scheme="etdrk4"), {"anisotropy": alpha}
    yield row("scheme_difference", difference(runs[0.5][0][-1], other[-1]), **common)
    for coarse, fine in pairwise(SPACINGS):
        for frame, time in ((1, 75), (2, 150), (4, 300)):
            value = difference(runs[coarse][0][frame], runs[fine][0][frame])
            yield row("resolution_difference", value, case=f"dx = {coarse:g}, t = {time}", **common)
    for dx in SPACINGS:
        counts = np.array([count_domains(run[-1] < 0) for run in runs[dx]], dtype=float)
        yield mean_row("negative_domains", counts, case=f"dx = {dx:g}", **common)
