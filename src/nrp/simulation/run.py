"""One run of one system, from its settings to its frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nrp.settings import (
    BeadSettings,
    CampaignSettings,
    FilmSettings,
    InvalidSetting,
    PlaneSettings,
    SystemSettings,
)
from nrp.simulation.calibration import time_step
from nrp.simulation.external_field import ExternalField
from nrp.simulation.integrators import ETDRK4, RK4, SBDF4
from nrp.systems import Bead, Film, SwiftHohenberg, draw_disorder
from nrp.systems.bead import draw_start, pixel_centres
from nrp.systems.plane import block_average


@dataclass(frozen=True)
class Run:
    """What tells one run of a campaign from the others."""

    sweep_rate: float
    sample: int
    anisotropy: float


class Frame(NamedTuple):
    """What is stored of one moment."""

    time: float
    external_field: float
    energy: float
    image: Float[ndarray, "y x"]
    rate: Float[ndarray, "y x"]


class NotFinite(ArithmeticError):
    """The state of a run is no longer a number; the message is one line."""


class Simulation:
    """A run, whose frames come one by one as it is iterated over; a broken iteration can be gone on with.

    Parameters
    ----------
    campaign, run
        What is run.
    start
        The state to begin with, of a film on its full grid (y, x); by default the one of the settings.

    Raises
    ------
    InvalidSetting
        If `start` does not have the shape of the grid, or is not finite.
    NotFinite
        While it runs, if the state is no longer finite.
    """

    def __init__(self, campaign: CampaignSettings, run: Run, start: ndarray | None = None) -> None:
        system, seed = campaign.system, {"seed": campaign.seed, "sample": run.sample}
        self.campaign, self.run = campaign, run
        self.external_field = ExternalField.of(campaign, run.sweep_rate)
        self.time_step, self.error = time_step(campaign, run.anisotropy)
        self.onset_time = math.nan
        """First time at which a point of a field is negative, or a bead has passed the middle, looked for
        after every step; nan until then."""
        self.disorder: ndarray | None = None
        """λ(r) as the frames show it."""
        times = np.linspace(campaign.begin, campaign.end(run.sweep_rate), campaign.frames).tolist()
        self._intervals = pairwise((campaign.begin, *times))
        if isinstance(system, BeadSettings):
            self.system = Bead(system, anisotropy=run.anisotropy)
            self._stepper, drawn = RK4(self.system), draw_start(system, **seed)
        else:
            if isinstance(system, FilmSettings):
                disorder = draw_disorder(system, **seed)
                self.disorder = block_average(disorder, system.coarsen)
                self.system = Film(system, anisotropy=run.anisotropy, disorder=disorder)
            else:
                self.system = SwiftHohenberg(system, anisotropy=run.anisotropy)
            settled = start is None and system.start == "equilibrium" and system.noise == 0
            self._stepper = self._plane_stepper(smooth=settled and not self.external_field.is_sharp)
            drawn = self._plane_start(system) if start is None else np.empty(system.shape)
        self.state = drawn if start is None else start
        """The state at the last frame, on the full grid; copy what is to outlast the next one."""
        if self.state.shape != drawn.shape or not np.isfinite(self.state).all():
            raise InvalidSetting(f"start = {self.state.shape}: must be finite numbers of shape {drawn.shape}")
        if self.system.margin(self.state).min() < 0:
            self.onset_time = campaign.begin

    def __iter__(self) -> Iterator[Frame]:
        for previous, time in self._intervals:
            with np.errstate(over="ignore", invalid="ignore"):  # raised as NotFinite
                self._advance(previous, time)
            h = self.external_field(time)
            image, rate = self.system.image(self.state), self.system.image_rate(self.state, h)
            yield Frame(time, h, self.system.energy(self.state, h), image, rate)

    def _advance(self, start: float, end: float) -> None:
        """Step from one frame to the next, with no step across a kink of h."""
        kinks = (kink for kink in self.external_field.kinks if start < kink < end)
        for left, right in pairwise((start, *kinks, end)):
            # Rounding keeps equal intervals equal, so that they share their coefficients.
            length, field = round(right - left, 10), self.external_field.piece(left)
            steps = math.ceil(length / self.time_step - 1e-9)
            stepper, dt = self._stepper, length / max(steps, 1)
            for i in range(steps):
                self.state = stepper.step(self.state, field, left + i * dt, dt)
                if not math.isfinite(self.state.item(0)):  # of all points, after one transform
                    raise NotFinite(
                        f"time_step = {self.time_step:.4g}: the run with anisotropy {self.run.anisotropy} "
                        f"is no longer finite at t = {left + i * dt:.4g}; a smaller step is needed"
                    )
                if stepper.negative and math.isnan(self.onset_time):
                    self.onset_time = self._crossing(left + (i + 1) * dt, dt)

    def _crossing(self, time: float, dt: float) -> float:
        """Return when the lowest point passed zero, by a straight line from the step that found it so."""
        margin = self.system.margin(self.state)
        place = np.unravel_index(margin.argmin(), margin.shape)
        slope = self.system.margin(self.system.rate(self.state, self.external_field(time)))[place]
        return time - float(np.clip(margin[place] / slope, 0, dt)) if slope < 0 else time

    def _plane_stepper(self, *, smooth: bool) -> SBDF4 | ETDRK4:
        if self.campaign.scheme == "etdrk4":
            return ETDRK4(self.system)
        return SBDF4(self.system) if smooth else SBDF4(self.system, settle=4.0, substeps=8)

    def _plane_start(self, system: PlaneSettings) -> ndarray:
        campaign, run = self.campaign, self.run
        draws = np.random.default_rng([campaign.seed, run.sample, 1])
        noise = system.noise * draws.normal(size=system.shape)
        if system.start == "uniform":
            return system.start_level + noise
        if system.start == "random":
            return system.start_level * draws.uniform(-1, 1, size=system.shape) + noise
        h = self.external_field(campaign.begin)
        level = self.system.uniform(h)
        if (
            abs(level) < 1e-9
            and system.noise == 0
            and not any(map(self.external_field, self.external_field.kinks))
        ):
            raise InvalidSetting(f"field_init = {h}: leaves φ = 0 for ever; needs noise or another start")
        return level + noise


@dataclass(frozen=True)
class Frames:
    """All frames of a run; arrays over (frame, y, x) or (frame)."""

    time: Float[ndarray, " frame"]
    external_field: Float[ndarray, " frame"]
    energy: Float[ndarray, " frame"]
    image: Float[ndarray, "frame y x"]
    rate: Float[ndarray, "frame y x"]
    disorder: Float[ndarray, "y x"] | None
    onset_time: float
    final_state: ndarray


def simulate_run(campaign: CampaignSettings, run: Run, start: ndarray | None = None) -> Frames:
    """Integrate one run and return its frames; parameters and errors are those of `Simulation`."""
    simulation = Simulation(campaign, run, start)
    arrays = [np.array(column) for column in zip(*simulation, strict=True)]
    return Frames(*arrays, simulation.disorder, simulation.onset_time, np.array(simulation.state))


def runs_of(campaign: CampaignSettings) -> list[Run]:
    """Return the runs of a campaign in their fixed order: rate, sample, anisotropy."""
    return [Run(*choice) for choice in product(campaign.sweep_rate, campaign.sample, campaign.anisotropy)]


def frame_axes(system: SystemSettings) -> tuple[Float[ndarray, " y"], Float[ndarray, " x"]]:
    """Return the coordinates (y, x) of the pixels of a frame."""
    if isinstance(system, BeadSettings):
        return pixel_centres(system), pixel_centres(system)
    ny, nx = (points // system.coarsen for points in system.shape)
    pixel = system.dx * system.coarsen
    return (np.arange(ny) + 0.5) * pixel, (np.arange(nx) + 0.5) * pixel


def memory_of(system: SystemSettings) -> int:
    """Return about how many bytes a run takes: thirty numbers for each point."""
    points = 1 if isinstance(system, BeadSettings) else math.prod(system.shape)
    return 240 * points
