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

from nrp.base import InvalidSetting
from nrp.simulation.calibration import time_step
from nrp.simulation.external_field import ExternalField
from nrp.simulation.integrators import ETDRK4, RK4, SBDF4
from nrp.simulation.settings import CampaignSettings
from nrp.systems import SYSTEMS
from nrp.systems.plane import Plane


@dataclass(frozen=True)
class Run:
    """The coordinates of one run of a campaign."""

    sweep_rate: float
    sample: int
    anisotropy: float


class Frame(NamedTuple):
    """One stored moment of a run."""

    time: float
    external_field: float
    energy: float
    image: Float[ndarray, "y x"]
    rate: Float[ndarray, "y x"]


class NotFinite(ArithmeticError):
    """The state of a run is no longer a number; the message is one line."""


class Simulation:
    """A run, which yields its frames one by one; an iteration that was broken off continues where it stopped.

    It begins with the state `start`, of a field on its full grid (y, x), or by default as the settings say.

    Raises
    ------
    InvalidSetting
        If `start` does not have the shape of the grid, or is not finite.
    NotFinite
        While it runs, if the state is no longer finite.
    """

    def __init__(self, campaign: CampaignSettings, run: Run, start: ndarray | None = None) -> None:
        sample = {"seed": campaign.seed, "sample": run.sample}
        self.campaign, self.run = campaign, run
        self.external_field = ExternalField.of(campaign, run.sweep_rate)
        self.time_step, self.error = time_step(campaign, run.anisotropy)
        self.onset_time = math.nan
        """First time at which the margin of the system is negative somewhere, looked for after every step;
        nan until then."""
        self.system = SYSTEMS[campaign.system.system].draw(
            campaign.system, anisotropy=run.anisotropy, **sample
        )
        self.disorder = None if self.system.disorder is None else self.system.image(self.system.disorder)
        """λ(r) as the frames show it."""
        times = np.linspace(campaign.begin, campaign.end(run.sweep_rate), campaign.frames).tolist()
        self._intervals = pairwise((campaign.begin, *times))
        field = self.external_field(campaign.begin)
        self.state = self.system.start(field, **sample) if start is None else start
        """The state at the last frame, on the full grid; copy it if it is to outlast the next one."""
        if self.state.shape != campaign.system.shape or not np.isfinite(self.state).all():
            wanted = campaign.system.shape
            raise InvalidSetting(f"start = {self.state.shape}: must be finite numbers of shape {wanted}")
        self._stepper = self._choose_stepper(drawn=start is None)
        forces = map(self.external_field, self.external_field.kinks)
        if start is None and self.system.spectral and not self.state.any() and not any(forces):
            raise InvalidSetting(f"field_init = {field}: leaves φ = 0 for ever; needs noise or another start")
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

    def _choose_stepper(self, *, drawn: bool) -> SBDF4 | ETDRK4 | RK4:
        """Return the stepper; a state out of equilibrium, or a sharp field, needs a careful start."""
        system = self.campaign.system
        if not isinstance(self.system, Plane):
            return RK4(self.system)
        if self.campaign.scheme == "etdrk4":
            return ETDRK4(self.system)
        settled = drawn and system.start == "equilibrium" and system.noise == 0
        if settled and not self.external_field.is_sharp:
            return SBDF4(self.system)
        return SBDF4(self.system, settle=4.0, substeps=8)


@dataclass(frozen=True)
class History:
    """All frames of a run; arrays over (frame, y, x) or (frame)."""

    time: Float[ndarray, " frame"]
    external_field: Float[ndarray, " frame"]
    energy: Float[ndarray, " frame"]
    image: Float[ndarray, "frame y x"]
    rate: Float[ndarray, "frame y x"]
    disorder: Float[ndarray, "y x"] | None
    onset_time: float
    final_state: ndarray


def simulate_run(campaign: CampaignSettings, run: Run, start: ndarray | None = None) -> History:
    """Integrate one run and return its frames; parameters and errors are those of `Simulation`."""
    simulation = Simulation(campaign, run, start)
    time, h, energy, image, rate = (np.array(column) for column in zip(*simulation, strict=True))
    disorder, onset_time, final_state = simulation.disorder, simulation.onset_time, np.array(simulation.state)
    return History(time, h, energy, image, rate, disorder, onset_time, final_state)


def runs_of(campaign: CampaignSettings) -> list[Run]:
    """Return the runs of a campaign in their fixed order: rate, sample, anisotropy."""
    return [Run(*choice) for choice in product(campaign.sweep_rate, campaign.sample, campaign.anisotropy)]


def number_of_steps(campaign: CampaignSettings, run: Run) -> int:
    """Return about how many time steps a run takes: at least one from frame to frame."""
    length = campaign.end(run.sweep_rate) - campaign.begin
    return math.ceil(length / time_step(campaign, run.anisotropy)[0]) + campaign.frames - 1
