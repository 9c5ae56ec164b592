"""Frozen, validated settings and the profiles ``mini``, ``book`` and ``paper``.

A setting is checked where it enters.  What cannot be allowed raises `InvalidSetting`, whose text
is one line: the setting, its value, what is allowed.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field, field_validator, model_validator

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]

MAX_POINTS = 4096
"""Longest side of a simulated grid, in points; a larger field does not fit a small machine."""


class InvalidSetting(ValueError):
    """A setting that is not allowed; the message is one line."""


class Settings(pydantic.BaseModel):
    """Base of all settings: immutable, strict about names, finite numbers only."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Build the settings from plain values.

        Raises
        ------
        InvalidSetting
            With one line that names the first wrong setting, its value and what is allowed.
        """
        try:
            return cls.model_validate(values)
        except pydantic.ValidationError as error:
            raise InvalidSetting(_one_line(error)) from None

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some settings changed."""
        return type(self).parse(self.model_dump() | changes)


def _one_line(error: pydantic.ValidationError) -> str:
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error" and not first["loc"]:
        return message
    # Tags of a union ("film") and positions in a tuple are not names that a user typed.
    names = [str(part) for part in first["loc"] if isinstance(part, str)]
    names = [name for name in names if name not in ("film", "bead")] or ["settings"]
    if first["type"] == "value_error":
        return f"{names[-1]}: {message}"
    if first["type"] == "extra_forbidden":
        return f"{names[-1]}: there is no such setting"
    message = message[0].lower() + message[1:]
    return f"{names[-1]} = {first['input']!r}: {message}".replace("\n", " ")


class FilmSettings(Settings):
    """The magnetic film: constants of the energy, its disorder, and the periodic box it fills.

    Lengths are in the units of the equation, in which the fastest-growing pattern has
    wavenumber 1.  Defaults are the paper's where it gives them.
    """

    system: Literal["film"] = "film"
    box: Positive = 64.0
    dx: Positive = 0.5
    coarsen: Count = 2
    """Stored frames are averages over blocks of ``coarsen × coarsen`` grid points."""
    stiffness: Positive = 2.0
    """β, the exchange between neighbouring spins."""
    dipolar: NonNegative = 2 / math.pi
    """γ, the strength of the dipolar interaction."""
    cutoff: Positive = math.pi / 2
    """d, the short-distance cut-off of the dipolar kernel."""
    disorder: Literal["quarter", "unit_mean", "zero_mean", "none"] = "quarter"
    """Reading of λ(r): ``1 + μ/4``, ``1 + μ``, ``μ`` or ``1``, with ``μ ~ N(0, strength²)``."""
    disorder_strength: NonNegative = 0.3
    noise: NonNegative = 0.0
    """Standard deviation of the seeded noise added to the uniform initial state."""

    @property
    def points(self) -> int:
        """Grid points along one side of the box."""
        return round(self.box / self.dx)

    @model_validator(mode="after")
    def _grid_fits(self) -> Self:
        if self.box / self.dx > MAX_POINTS:
            raise ValueError(
                f"box = {self.box}: with dx = {self.dx} at most {MAX_POINTS * self.dx:g} is allowed"
            )
        if not math.isclose(self.points * self.dx, self.box) or self.points < 4:
            raise ValueError(f"dx = {self.dx}: must divide box = {self.box} into at least 4 whole points")
        if self.points % self.coarsen:
            raise ValueError(f"coarsen = {self.coarsen}: must divide the {self.points} points of a side")
        if self.disorder != "none":
            if not math.isclose(self.box, round(self.box)):
                raise ValueError(
                    f"box = {self.box}: must be a whole number, for disorder is drawn on unit cells"
                )
            if not math.isclose(1 / self.dx, round(1 / self.dx)):
                raise ValueError(f"dx = {self.dx}: must divide 1, for disorder is drawn on unit cells")
        return self


class BeadSettings(Settings):
    """A bead in a two-dimensional double well, filmed on ``pixels × pixels`` images.

    ``U(x, y) = α (x² − 1)²/4 + k y²/2 − h x``.  Starting points are drawn uniformly from the
    square of half-width ``start``.
    """

    system: Literal["bead"] = "bead"
    pixels: Annotated[int, Field(ge=8, le=256)] = 32
    view: Positive = 2.2
    """Half-width of the square that the camera sees."""
    bead_width: Positive = 0.45
    """Standard deviation of the bead's bright spot."""
    transverse: Positive = 1.0
    """k, the stiffness across the double well."""
    start: Positive = 1.5


SystemSettings = Annotated[FilmSettings | BeadSettings, Field(discriminator="system")]


class CampaignSettings(Settings):
    """Many runs of one system: the product of sweep rates, samples and anisotropies."""

    system: SystemSettings = FilmSettings()
    anisotropy: tuple[Positive, ...] = Field((1.0, 2.0, 3.0, 4.0), min_length=1)
    sample: tuple[Index, ...] = Field((0,), min_length=1)
    sweep_rate: tuple[Positive, ...] = Field((0.01,), min_length=1)
    """v, field per time."""
    field_init: NonNegative = 1.5
    """h_init, the field before the sweep."""
    duration: Positive | None = None
    """End of the run; by default 2 T₀ = 2 h_init / v."""
    frames: Annotated[int, Field(ge=2, le=100_000)] = 101
    time_step: Positive | None = None
    """Largest step; by default chosen by anisotropy (see `nrp.simulation.run`)."""
    seed: Index = 0

    @field_validator("anisotropy", "sample", "sweep_rate")
    @classmethod
    def _different(cls, values: tuple) -> tuple:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)} names a value twice; each may stand once")
        return values

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.duration is None and self.field_init == 0:
            raise ValueError("duration = None: must be given when field_init is 0")
        return self

    def end(self, sweep_rate: float) -> float:
        """Time at which a run with this sweep rate ends."""
        return 2 * self.field_init / sweep_rate if self.duration is None else self.duration


class ModelSettings(Settings):
    """Networks and training of one member of one arm."""

    arm: Literal["paper"] = "paper"
    latent: Annotated[int, Field(ge=1, le=4096)] = 32
    """Dimension of z."""
    width: Count = 200
    """Units in each hidden layer."""
    dynamics_weight: NonNegative = 0.1
    """λ of Eq. (2)."""
    epochs: Count = 450
    batch: Count = 200
    learning_rate: Positive = 1e-3
    member: Index = 0
    """Seed of the weights and of the order of the batches."""
    held_anisotropy: tuple[Positive, ...] = ()
    held_sample: tuple[Index, ...] = ()
    """Runs with these anisotropies and samples are not trained on."""


class Profile(Settings):
    """Everything that a reader may change at once: how much is simulated and trained."""

    name: Literal["mini", "book", "paper"]
    films: CampaignSettings
    """The paper's data: one disorder sample, every anisotropy."""
    samples: CampaignSettings
    """The same film with other disorder."""
    rates: CampaignSettings
    """The same film swept at another rate."""
    bead: CampaignSettings
    film_model: ModelSettings
    bead_model: ModelSettings
    figure_anisotropy: tuple[Positive, Positive]
    """The two anisotropies of Fig. 2A."""
    resolution_box: Positive
    """Side of the box in which grids of different spacing are compared."""


def _steps(first: float, last: float, step: float) -> tuple[float, ...]:
    return tuple(round(first + i * step, 10) for i in range(round((last - first) / step) + 1))


@cache
def profile(name: str) -> Profile:
    """Return the profile of that name.

    Raises
    ------
    InvalidSetting
        If there is no such profile.
    """
    match name:
        case "mini":
            return _mini()
        case "book":
            return _book()
        case "paper":
            return _book().replace(name="paper")
        case _:
            raise InvalidSetting(f"profile = {name!r}: must be one of mini, book, paper")


def _book() -> Profile:
    films = CampaignSettings(anisotropy=_steps(1, 4, 0.1))
    return Profile(
        name="book",
        films=films,
        samples=films.replace(sample=(1, 2, 3, 4)),
        rates=films.replace(anisotropy=_steps(1, 4, 0.5), sweep_rate=(0.014,)),
        bead=CampaignSettings(
            system=BeadSettings(),
            anisotropy=(1.0,),
            sample=tuple(range(60)),
            field_init=0.0,
            duration=6.0,
            frames=31,
            time_step=0.05,
        ),
        film_model=ModelSettings(held_anisotropy=(1.2, 1.7, 2.2, 2.7, 3.2, 3.7)),
        bead_model=ModelSettings(latent=2, epochs=800, held_sample=tuple(range(40, 60))),
        figure_anisotropy=(1.5, 3.5),
        resolution_box=32.0,
    )


def _mini() -> Profile:
    film = FilmSettings(box=16, dx=0.5, coarsen=1)
    films = CampaignSettings(
        system=film, anisotropy=_steps(1, 4, 0.25), sweep_rate=(0.02,), frames=31, time_step=0.25
    )
    return Profile(
        name="mini",
        films=films,
        samples=films.replace(sample=(1, 2)),
        rates=films.replace(anisotropy=(1.0, 2.0, 3.0), sweep_rate=(0.03,)),
        bead=CampaignSettings(
            system=BeadSettings(pixels=16),
            anisotropy=(1.0,),
            sample=tuple(range(20)),
            field_init=0.0,
            duration=6.0,
            frames=16,
            time_step=0.1,
        ),
        film_model=ModelSettings(latent=8, width=64, epochs=60, batch=50, held_anisotropy=(1.5, 3.5)),
        bead_model=ModelSettings(latent=2, width=64, epochs=600, batch=50, held_sample=tuple(range(14, 20))),
        figure_anisotropy=(2.0, 4.0),
        resolution_box=8.0,
    )
