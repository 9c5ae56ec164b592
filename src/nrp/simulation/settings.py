"""Settings of a campaign: many runs of one system."""

from __future__ import annotations

import math
import reprlib
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from nrp.base import Index, InvalidSetting, Settings, as_tuple
from nrp.systems import DEFAULT_SYSTEM, AnySystem

_Value = TypeVar("_Value")
Several = Annotated[tuple[_Value, ...], BeforeValidator(as_tuple)]
"""Some values; one may stand by itself."""
Anisotropy = Annotated[float, Field(ge=1e-6, le=100)]
SweepRate = Annotated[float, Field(ge=0, le=1e3)]
ExternalField = Annotated[float, Field(ge=-1e3, le=1e3)]
Time = Annotated[float, Field(ge=-1e9, le=1e9)]
MAX_FRAMES = 100_000


class CampaignSettings(Settings):
    """Many runs of one system: the product of sweep rates, samples and anisotropies."""

    system: AnySystem = Field(default_factory=DEFAULT_SYSTEM.settings_type)
    """What is simulated, and how a run begins."""
    anisotropy: Several[Anisotropy] = Field((1.0, 2.0, 3.0, 4.0), min_length=1)
    """α, the parameter that tells one run from another; each system says what it stands for."""
    sample: Several[Index] = Field((0,), min_length=1)
    """Samples of the disorder, or of the start."""
    sweep_rate: Several[SweepRate] = Field((0.01,), min_length=1)
    """v, the change of the field per time; 0 holds the field."""
    field_init: ExternalField = 1.5
    """h_init, the field before the sweep."""
    field_final: ExternalField = 0.0
    """The field at which the sweep ends."""
    field_loop: bool = False
    """Whether the field is swept back to `field_init` when it has reached `field_final`."""
    field_table: tuple[tuple[Time, ExternalField], ...] = ()
    """Instead of a sweep: points (time, h), joined by straight lines; two at one time are a jump.  At each
    the solver begins anew, so a few points are faster than many."""
    begin: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """Time at which a run begins; after 0, where it goes on from a stored state."""
    duration: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Length of the run; by default up to 2 T₀, twice the time of the sweep, or the end of the table."""
    frames: Annotated[int, Field(ge=2, le=MAX_FRAMES)] = 101
    """Number of stored frames, at equal times from the beginning to the end of a run."""
    scheme: Literal["sbdf4", "etdrk4"] = "sbdf4"
    """Scheme of a field in a periodic box; all else is integrated by the classical Runge–Kutta scheme."""
    tolerance: Annotated[float, Field(ge=1e-6, le=0.1)] = 1e-3
    """Relative error at the end of the paper's sweep, from which the time step is chosen."""
    time_step: Annotated[float, Field(ge=1e-6)] | None = None
    """Largest time step; by default chosen from the tolerance."""
    seed: Index = 0
    """Seed of all that is drawn at random: the disorder, random starts and noise."""

    @field_validator("anisotropy", "sample", "sweep_rate")
    @classmethod
    def _different(cls, values: tuple, info: ValidationInfo) -> tuple:
        if len(set(values)) < len(values):
            name = info.field_name
            raise ValueError(f"{name}: {list(values)} names a value twice; each may stand once")
        return values

    @model_validator(mode="after")
    def _field_is_known(self) -> Self:
        times = [time for time, _ in self.field_table]
        if times != sorted(times):
            raise ValueError(f"field_table = {reprlib.repr(list(self.field_table))}: its times must rise")
        if times and any(self.sweep_rate):
            raise ValueError(f"sweep_rate = {list(self.sweep_rate)}: must be 0 with a field_table")
        if self.field_loop and 0 in self.sweep_rate:
            raise ValueError("field_loop = True: needs a sweep, so no field_table and no sweep_rate of 0")
        for rate in self.sweep_rate:
            if self.end(rate) <= self.begin or not math.isfinite(self.end(rate)):
                name, value = ("begin", self.begin) if self.begin else ("sweep_rate", rate)
                raise ValueError(f"{name} = {value}: needs a duration, for the field does not end the run")
        return self

    @property
    def held_from(self) -> Literal["above", "below"] | None:
        """From which side a field was reached that is held to the end; None where it is not held."""
        fields = [h for _, h in self.field_table[-3:]]
        if len(fields) < 3 or fields[0] == fields[1] or fields[1] != fields[2]:
            return None
        return "above" if fields[0] > fields[2] else "below"

    def sweep_time(self, sweep_rate: float) -> float:
        """T₀, when the field has reached `field_final`; infinite if it never does."""
        return abs(self.field_init - self.field_final) / sweep_rate if sweep_rate else math.inf

    def end(self, sweep_rate: float) -> float:
        """Time at which a run with this sweep rate ends."""
        if self.duration is not None:
            return self.begin + self.duration
        return self.field_table[-1][0] if self.field_table else 2 * self.sweep_time(sweep_rate)

    def changed(self, **changes: Any) -> Self:
        """Return a copy with other settings of the campaign, or else of the system that it simulates.

        Raises
        ------
        InvalidSetting
            If neither has a setting of that name, or a value is not allowed.
        """
        own, inner = type(self).model_fields, type(self.system).model_fields
        if unknown := [name for name in changes if name not in own and name not in inner]:
            raise InvalidSetting(f"{unknown[0]}: there is no such setting")
        system = self.system.replace(**{name: v for name, v in changes.items() if name not in own})
        return self.replace(system=system, **{name: v for name, v in changes.items() if name in own})

    def with_frames_every(self, interval: float) -> Self:
        """Return a copy whose frames lie a time `interval` apart.

        Raises
        ------
        InvalidSetting
            If the runs differ in length, or their length is no multiple of the interval, or too large a one.
        """
        lengths = {self.end(rate) - self.begin for rate in self.sweep_rate}
        if len(lengths) > 1:
            raise InvalidSetting(f"every = {interval}: needs runs of one length, so a single sweep rate")
        length = lengths.pop()
        wanted = f"every = {interval}: must divide the duration {length:g} of a run"
        if not length / MAX_FRAMES < interval <= length:
            raise InvalidSetting(f"{wanted}, into less than {MAX_FRAMES} parts")
        if abs(length / interval - round(length / interval)) > 1e-6:
            raise InvalidSetting(wanted)
        return self.replace(frames=round(length / interval) + 1)
