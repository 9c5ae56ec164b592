"""One run of one system, from its settings to its frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nrp.settings import BeadSettings, CampaignSettings, FilmSettings
from nrp.simulation.integrators import ETDRK4, RK4
from nrp.simulation.sweep import FieldSweep
from nrp.systems import Bead, Film, draw_disorder
from nrp.systems.bead import draw_start, pixel_centres
from nrp.systems.film_theory import uniform_equilibrium


@dataclass(frozen=True)
class Run:
    """What tells one run of a campaign from the others."""

    sweep_rate: float
    sample: int
    anisotropy: float


@dataclass(frozen=True)
class Frames:
    """The stored frames of a run; arrays over (frame, y, x) or (frame)."""

    time: Float[ndarray, " frame"]
    image: Float[ndarray, "frame y x"]
    rate: Float[ndarray, "frame y x"]
    energy: Float[ndarray, " frame"]
    external_field: Float[ndarray, " frame"]
    disorder: Float[ndarray, "y x"] | None
    onset_time: float
    """First time at which the smallest value of a film is negative, looked at after every step;
    nan if that never happens, as for the bead, whose images are never negative."""


class NotFinite(ArithmeticError):
    """The state of a run is no longer a number; the message is one line."""


@dataclass(frozen=True)
class _Problem:
    """A system ready to be stepped, and how it is looked at."""

    stepper: ETDRK4 | RK4
    state: ndarray
    image: Callable[[ndarray], ndarray]
    rate: Callable[[ndarray, float], ndarray]
    energy: Callable[[ndarray, float], float]
    lowest: Callable[[ndarray], float]
    time_step: float
    disorder: ndarray | None = None


def runs_of(campaign: CampaignSettings) -> list[Run]:
    """Return the runs of a campaign in their fixed order: rate, sample, anisotropy."""
    return [Run(*choice) for choice in product(campaign.sweep_rate, campaign.sample, campaign.anisotropy)]


def frame_shape(system: FilmSettings | BeadSettings) -> tuple[int, int]:
    """Return (y, x) of a stored frame."""
    if isinstance(system, BeadSettings):
        return system.pixels, system.pixels
    side = system.points // system.coarsen
    return side, side


def frame_axis(system: FilmSettings | BeadSettings) -> Float[ndarray, " x"]:
    """Return the coordinate of the stored pixels along either side."""
    if isinstance(system, BeadSettings):
        return pixel_centres(system)
    side, pixel = frame_shape(system)[0], system.dx * system.coarsen
    return (np.arange(side) + 0.5) * pixel


def default_time_step(anisotropy: float) -> float:
    """Return the largest step used at an anisotropy: 1/α², and 0.25 at most.

    With it the ETDRK4 scheme stays near 10⁻³ relative error at the end of the paper's sweep
    where single trajectories converge at all.
    """
    return min(0.25, 1 / anisotropy**2)


def block_average(field: Float[ndarray, "fine_y fine_x"], factor: int) -> Float[ndarray, "y x"]:
    """Return the means over blocks of ``factor × factor`` points."""
    ny, nx = field.shape
    return field.reshape(ny // factor, factor, nx // factor, factor).mean(axis=(1, 3))


def simulate_run(campaign: CampaignSettings, run: Run) -> Frames:
    """Integrate one run and return its frames.

    Raises
    ------
    NotFinite
        If the state is no longer finite; the time step was too long.
    """
    sweep = FieldSweep(campaign.field_init, run.sweep_rate)
    problem = _problem(campaign, run, sweep)
    times = np.linspace(0, campaign.end(run.sweep_rate), campaign.frames)
    state = problem.state
    onset = 0.0 if problem.lowest(state) < 0 else math.nan
    images, rates, energies = [], [], []
    for previous, time in pairwise((0.0, *times)):
        with np.errstate(over="ignore", invalid="ignore"):  # raised as NotFinite below
            for start, dt, steps in _segments(previous, time, sweep.zero_time, problem.time_step):
                for i in range(steps):
                    state = problem.stepper.step(state, start + i * dt, dt)
                    if math.isnan(onset) and problem.lowest(state) < 0:
                        onset = start + (i + 1) * dt
            energies.append(problem.energy(state, sweep(time)))
        if not math.isfinite(energies[-1]):
            raise NotFinite(
                f"time_step = {problem.time_step:.4g}: the run with anisotropy {run.anisotropy} is "
                f"no longer finite at t = {time:.4g}; a smaller step is needed"
            )
        images.append(problem.image(state))
        rates.append(problem.rate(state, sweep(time)))
    return Frames(
        time=times,
        image=np.array(images),
        rate=np.array(rates),
        energy=np.array(energies),
        external_field=np.array([sweep(time) for time in times]),
        disorder=problem.disorder,
        onset_time=onset,
    )


def _segments(start: float, end: float, kink: float, time_step: float):
    """Yield (start, dt, steps) from one frame to the next, with no step across the kink of h."""
    edges = [start, kink, end] if start < kink < end else [start, end]
    for left, right in pairwise(edges):
        # Rounding keeps equal intervals equal, so that they share their coefficients.
        length = round(right - left, 10)
        if length > 0:
            steps = math.ceil(length / time_step - 1e-9)
            yield left, length / steps, steps


def _problem(campaign: CampaignSettings, run: Run, sweep: FieldSweep) -> _Problem:
    system = campaign.system
    time_step = campaign.time_step or default_time_step(run.anisotropy)
    seed = {"seed": campaign.seed, "sample": run.sample}
    if isinstance(system, BeadSettings):
        bead = Bead(system, anisotropy=run.anisotropy)
        return _Problem(
            stepper=RK4(bead, sweep),
            state=draw_start(system, **seed),
            image=bead.image,
            rate=lambda position, h: bead.image_rate(position, bead.rate(position, h)),
            energy=bead.energy,
            lowest=lambda position: 0.0,  # no image of it is negative
            time_step=time_step,
        )
    disorder = draw_disorder(system, **seed)
    film = Film(system, anisotropy=run.anisotropy, disorder=disorder)
    saturated = uniform_equilibrium(campaign.field_init, run.anisotropy, system)
    noise = np.random.default_rng([campaign.seed, run.sample, 1]).normal(size=disorder.shape)
    return _Problem(
        stepper=ETDRK4(film, sweep),
        state=saturated + system.noise * noise,
        image=lambda phi: block_average(phi, system.coarsen),
        rate=lambda phi, h: block_average(film.rate(phi, h), system.coarsen),
        energy=film.energy,
        lowest=np.min,
        time_step=time_step,
        disorder=block_average(disorder, system.coarsen),
    )
