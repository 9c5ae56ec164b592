"""Frozen, validated settings and the profiles ``mini``, ``book`` and ``paper``.

A setting is checked where it enters.  What cannot be allowed raises `InvalidSetting`, whose text
is one line: the setting, its value, what is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import BeforeValidator, Field, field_validator, model_validator

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]
Pair = Annotated[
    tuple[Positive, Positive], BeforeValidator(lambda v: v if isinstance(v, tuple | list) else (v, v))
]

MAX_POINTS = 2**15
"""Longest side of a simulated grid, in points."""


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
    names = [name for name in names if name not in ("film", "swift_hohenberg", "bead")] or ["settings"]
    if first["type"] == "value_error":
        return f"{names[-1]}: {message}"
    if first["type"] == "extra_forbidden":
        return f"{names[-1]}: there is no such setting"
    message = message[0].lower() + message[1:]
    return f"{names[-1]} = {first['input']!r}: {message}".replace("\n", " ")


class PlaneSettings(Settings):
    """The periodic box that a field fills, its grid, and how a run begins.

    Lengths are in the units of the equation, in which the fastest-growing pattern has wavenumber 1.
    """

    box: Pair = (64.0, 64.0)
    """Sides (y, x) of the periodic box; one number means a square."""
    dx: Positive = 0.5
    coarsen: Count = 2
    """Stored frames are averages over blocks of ``coarsen × coarsen`` grid points."""
    start: Literal["equilibrium", "uniform", "random"] = "equilibrium"
    """The state a run begins with: saturated in the first field, ``start_level`` everywhere, or drawn
    for each grid point between plus and minus ``start_level``."""
    start_level: float = 1.0
    noise: NonNegative = 0.0
    """Standard deviation of the seeded noise added to that state."""

    @property
    def shape(self) -> tuple[int, int]:
        """Grid points (y, x)."""
        height, width = (round(side / self.dx) for side in self.box)
        return height, width

    @model_validator(mode="after")
    def _grid_fits(self) -> Self:
        if max(self.box) / self.dx > MAX_POINTS:
            raise ValueError(
                f"box = {max(self.box)}: with dx = {self.dx} at most {MAX_POINTS * self.dx:g} is allowed"
            )
        for side, points in zip(self.box, self.shape, strict=True):
            if points < 4 or not math.isclose(points * self.dx, side):
                raise ValueError(f"dx = {self.dx}: must divide box = {side} into at least 4 whole points")
            if points % self.coarsen:
                raise ValueError(f"coarsen = {self.coarsen}: must divide the {points} points of a side")
        return self


class FilmSettings(PlaneSettings):
    """The magnetic film: constants of the energy and its disorder.

    Defaults are the paper's where it gives them.
    """

    system: Literal["film"] = "film"
    stiffness: Positive = 2.0
    """β, the exchange between neighbouring spins."""
    dipolar: NonNegative = 2 / math.pi
    """γ, the strength of the dipolar interaction."""
    cutoff: Positive = math.pi / 2
    """d, the short-distance cut-off of the dipolar kernel."""
    disorder: Literal["quarter", "unit_mean", "zero_mean", "none"] = "quarter"
    """Reading of λ(r): ``1 + μ/4``, ``1 + μ``, ``μ`` or ``1``, with ``μ ~ N(0, strength²)``."""
    disorder_strength: NonNegative = 0.3

    @model_validator(mode="after")
    def _cells_fit(self) -> Self:
        for side in self.box:
            if self.disorder != "none" and not math.isclose(side, round(side)):
                raise ValueError(f"box = {side}: must be a whole number, for disorder is drawn on unit cells")
        if self.disorder != "none" and not math.isclose(1 / self.dx, round(1 / self.dx)):
            raise ValueError(f"dx = {self.dx}: must divide 1, for disorder is drawn on unit cells")
        return self


class SwiftHohenbergSettings(PlaneSettings):
    """The Swift–Hohenberg equation with a quadratic term, whose strength stands in the place of α."""

    system: Literal["swift_hohenberg"] = "swift_hohenberg"
    drive: float = 0.2
    """r, by which the uniform state φ = 0 is unstable at h = 0."""


class Tilt(Settings):
    """How the landscape of a bead leans to the right, over the anisotropy.

    ``s(α) = level + trend (α − place) + change S(α − place) + scatter ε``, with S from −½ to ½: a jump, or
    for a `width` above 0 the smooth ``tanh((α − place)/width)/2``.  ε is drawn for each α from N(0, 1).
    """

    level: float = 0.0
    trend: float = 0.0
    change: float = 0.0
    place: float = 2.5
    width: NonNegative = 0.0
    scatter: NonNegative = 0.0
    seed: Index = 0
    """Of ε."""


class BeadSettings(Settings):
    """A bead in a two-dimensional double well, filmed on ``pixels × pixels`` images.

    ``U(x, y) = w (x² − 1)²/4 + k y²/2 − (h + s(α)) x``, and w is α if no `well` is given.  Starting points
    are drawn uniformly from the square of half-width ``start`` about ``centre``.
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
    centre: tuple[float, float] = (0.0, 0.0)
    """(x, y) of the middle of that square."""
    well: Positive | None = None
    """w, the strength of the double well."""
    tilt: Tilt = Tilt()
    """s, by which the landscape leans without a field."""


SystemSettings = Annotated[
    FilmSettings | SwiftHohenbergSettings | BeadSettings, Field(discriminator="system")
]


class CampaignSettings(Settings):
    """Many runs of one system: the product of sweep rates, samples and anisotropies."""

    system: SystemSettings = FilmSettings()
    anisotropy: tuple[Positive, ...] = Field((1.0, 2.0, 3.0, 4.0), min_length=1)
    sample: tuple[Index, ...] = Field((0,), min_length=1)
    sweep_rate: tuple[NonNegative, ...] = Field((0.01,), min_length=1)
    """v, field per time; 0 holds the field."""
    field_init: float = 1.5
    """h_init, the field before the sweep."""
    field_final: float = 0.0
    """The field at which the sweep ends."""
    field_loop: bool = False
    """Whether the field is swept back to `field_init` when it has reached `field_final`."""
    field_table: tuple[tuple[float, float], ...] = ()
    """Instead of a sweep: points (time, h), joined by straight lines; two at one time are a jump.  At each
    the solver begins anew, so a few points are faster than many."""
    begin: NonNegative = 0.0
    """Time at which a run begins; after 0, where it goes on from a stored state."""
    duration: Positive | None = None
    """Length of the run; by default up to 2 T₀, twice the time of the sweep, or the end of the table."""
    frames: Annotated[int, Field(ge=2, le=100_000)] = 101
    scheme: Literal["sbdf4", "etdrk4"] = "sbdf4"
    """How a film is integrated (a bead: always by the classical Runge–Kutta scheme)."""
    tolerance: Annotated[float, Field(ge=1e-6, le=0.1)] = 1e-3
    """Relative error at the end of the paper's sweep, from which the time step is chosen."""
    time_step: Annotated[float, Field(ge=1e-6)] | None = None
    """Largest step, if it is not to be chosen (see `nrp.simulation.calibration`)."""
    seed: Index = 0

    @field_validator("anisotropy", "sample", "sweep_rate")
    @classmethod
    def _different(cls, values: tuple) -> tuple:
        if len(set(values)) < len(values):
            raise ValueError(f"{list(values)} names a value twice; each may stand once")
        return values

    @model_validator(mode="after")
    def _field_is_known(self) -> Self:
        times = [time for time, _ in self.field_table]
        if times != sorted(times):
            raise ValueError(f"field_table = {list(self.field_table)}: its times must rise")
        if times and any(self.sweep_rate):
            raise ValueError(f"sweep_rate = {list(self.sweep_rate)}: must be 0 with a field_table")
        if self.field_loop and 0 in self.sweep_rate:
            raise ValueError("field_loop = True: needs a sweep, so no field_table and no sweep_rate of 0")
        for rate in self.sweep_rate:
            if self.end(rate) <= self.begin or not math.isfinite(self.end(rate)):
                name, value = ("begin", self.begin) if self.begin else ("sweep_rate", rate)
                raise ValueError(f"{name} = {value}: needs a duration, for the field does not end the run")
        return self

    def sweep_time(self, sweep_rate: float) -> float:
        """T₀, when the field has reached `field_final`; infinite if it never does."""
        return abs(self.field_init - self.field_final) / sweep_rate if sweep_rate else math.inf

    def end(self, sweep_rate: float) -> float:
        """Time at which a run with this sweep rate ends."""
        if self.duration is not None:
            return self.begin + self.duration
        return self.field_table[-1][0] if self.field_table else 2 * self.sweep_time(sweep_rate)


class Runs(Settings):
    """Runs, named by the values of their coordinates: those with any of them are meant."""

    anisotropy: tuple[Positive, ...] = ()
    sample: tuple[Index, ...] = ()
    sweep_rate: tuple[NonNegative, ...] = ()


ARMS: dict[str, dict[str, Any]] = {
    "paper": {},
    "identified": {
        "loss": "identified",
        "potential": "energy",
        "modes": 512,
        "dynamics_weight": 1.0,
        "by_motion": True,
        "state_noise": 0.15,
        "epochs": 180,
        "optimizer": "muon",
        "learning_rate": 0.02,
    },
}
"""Named combinations of the parts of a model: what an arm changes of the defaults of `ModelSettings`."""


class ModelSettings(Settings):
    """Parts and training of one member of one arm.

    The arm is a name for a choice of parts (see `ARMS`); any part that is given goes before it.
    """

    arm: Literal["paper", "identified"] = "paper"
    encoder: Literal["dense", "convolutional", "pod"] = "dense"
    """Networks between image and z, or the leading modes of a proper orthogonal decomposition."""
    modes: Index = 0
    """So many POD coefficients of an image are what the encoder sees and the decoder makes; 0: its pixels."""
    potential: Literal["free", "energy", "none"] = "free"
    """Any function V(z, α, h), or U(z, α) − h·M(z), which grows at infinity, or none: a free vector field
    F(z, α, h) of the same size, which need not be the slope of anything."""
    mobility: Literal["identity", "pullback", "learned"] = "identity"
    """ż = −∂V/∂z, or (JᵀJ)⁻¹ or a learned symmetric positive matrix before it."""
    loss: Literal["paper", "identified"] = "paper"
    latent: Annotated[int, Field(ge=1, le=4096)] = 32
    """Dimension of z."""
    width: Count = 200
    """Units in each hidden layer."""
    dynamics_weight: NonNegative = 0.1
    """λ of Eq. (2): the weight of the residual of ż."""
    decoded_weight: NonNegative = 3.0
    """Of the loss `identified`: weight of the residual of the decoded rate."""
    isometry_weight: NonNegative = 1.0
    """Of the loss `identified`: weight of the stretching of the decoder."""
    state_noise: NonNegative = 0.0
    """Of the loss `identified`: rms length of random steps off the states at which ∂V/∂z is taken."""
    by_motion: bool = False
    """Whether frames are drawn more often where the image moves more, or each once in an epoch."""
    optimizer: Literal["adam", "muon"] = "adam"
    """Muon for the matrices of the networks (and Adam for all else), or Adam throughout."""
    epochs: Count = 450
    batch: Count = 200
    learning_rate: Positive = 1e-3
    patience: Index = 0
    """Training stops when the loss of the validation runs has not improved for so many epochs; 0: never."""
    member: Index = 0
    """Seed of the weights and of the order of the batches."""
    held: Runs = Runs()
    """Runs that are not trained on."""
    validation: Runs = Runs()
    """Runs that are not trained on, whose loss is watched."""

    @property
    def label(self) -> str:
        """Name of the model in tables: its arm, or that of the baseline that a changed part makes of it."""
        if self.potential == "none":
            return "free_field"
        return "pod" if self.encoder == "pod" else self.arm

    @model_validator(mode="before")
    @classmethod
    def _parts_of_the_arm(cls, values: Any) -> Any:
        return ARMS.get(values.get("arm"), {}) | values if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.modes and self.encoder == "convolutional":
            raise ValueError(
                f"modes = {self.modes}: must be 0 with a convolutional encoder, which sees pixels"
            )
        if self.patience and not any(self.validation.model_dump().values()):
            raise ValueError(f"patience = {self.patience}: needs validation runs")
        if self.encoder == "pod" and self.modes not in (0, self.latent):
            raise ValueError(
                f"modes = {self.modes}: must be 0 or latent = {self.latent} with the encoder pod"
            )
        if self.loss == "identified" and self.potential == "free":
            raise ValueError("potential = 'free': must be 'energy' or 'none' with the loss identified")
        if self.potential == "none" and self.mobility != "identity":
            raise ValueError(f"mobility = {self.mobility!r}: must be 'identity' without a potential")
        if 0 < self.modes < self.latent:
            raise ValueError(f"latent = {self.latent}: must be at most modes = {self.modes}")
        return self


SMOOTH = "smooth"
"""With this word the kinds of controls without a jump begin."""
LONG = "trained ten times as long"
"""With these words the kinds of controls end whose networks have more time than the others."""


class ControlSettings(Settings):
    """A control of the test for jumps: what is filmed, and how a potential is learned from it."""

    kind: str
    """By how much, and how steeply, the system changes; in words."""
    campaign: CampaignSettings
    """One run per anisotropy."""
    model: ModelSettings | None = None
    """None, where only the film itself is looked at."""
    settled: Positive | None = None
    """When a field is looked at again, to count the domains of its final state."""
    mobility: Positive = 1.0
    """By how many times as fast a film slides down its energy at anisotropies above `place`."""
    place: Positive = 2.5


class Profile(Settings):
    """Everything that a reader may change at once: how much is simulated and trained."""

    name: Literal["mini", "book", "paper"]
    films: CampaignSettings
    """The paper's data: one disorder sample, every anisotropy."""
    samples: CampaignSettings
    """The same film with other disorder."""
    rates: CampaignSettings
    """The film of the first swept at other rates."""
    held_rates: CampaignSettings
    """The film swept at a rate that is never trained on."""
    steps: CampaignSettings
    """The film while the field jumps."""
    holds: CampaignSettings
    """The film while the sweep, at a rate of its own, stops half-way."""
    fine: CampaignSettings
    """The film on frames that show every grid point, at several rates."""
    quenches: CampaignSettings
    """The film without a field, from noise."""
    beyond: CampaignSettings
    """The film at anisotropies outside those of the first."""
    beyond_rates: CampaignSettings
    """The film swept faster than at any rate that is trained on."""
    loops: CampaignSettings
    """The film while the field is swept to its opposite and back."""
    bead: CampaignSettings
    models: dict[str, ModelSettings]
    """By name: an arm of the film or a baseline of it, ``bead``, or the arm `paper` with another latent
    dimension."""
    controls: tuple[ControlSettings, ...]
    """Controls of the test for jumps."""
    variants: dict[str, CampaignSettings]
    """The film in other boxes, on other grids, and with other readings of its disorder; by name."""
    members: Count = 1
    """How many of each arm and baseline are trained."""
    figure_anisotropy: tuple[Positive, Positive]
    """The two anisotropies of Fig. 2A."""
    solver_box: Positive
    """Side of the box in which schemes and grids are compared."""
    solver_samples: Count
    """Samples over which that is done."""

    def control(self, kind: str) -> ControlSettings:
        """Return the first control of a kind.

        Raises
        ------
        KeyError
            If there is none.
        """
        for control in self.controls:
            if control.kind == kind:
                return control
        raise KeyError(kind)


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
            book = _book()
            samples = book.samples.replace(sample=tuple(range(1, 10)))
            paper, identified = book.models["paper"], book.models["identified"]
            others = {f"latent_{n}": paper.replace(latent=n) for n in (2, 8, 64)}
            others["free_field_paper"] = paper.replace(potential="none")
            held = Runs(anisotropy=(1.75, 3.25), sweep_rate=(0.014,))
            others["fine"] = identified.replace(held=held, validation=Runs())
            variants = {
                name: variant.replace(anisotropy=_steps(1, 4, 0.25), sample=tuple(range(5)))
                for name, variant in book.variants.items()
            }
            rough = (tilt.replace(scatter=0.1) for tilt in (_TILT, _TILTS[-1]))
            controls = (
                *_beads(_TILTS, range(30)),
                *_beads(_TILTS[-1:], range(30), longer=10),
                *_beads(tuple(rough), range(30), duration=6.0),  # some are slow
                *(_hexagons(seed) for seed in range(20)),
                *(each for factor in (1, 2, 4) for each in _mobile_films(book.films, factor, range(30))),
                *(
                    each
                    for factor in (1, 4)
                    for each in _mobile_films(book.films, factor, range(30, 35), paper)
                ),
            )
            changed = {"samples": samples, "models": book.models | others, "variants": variants}
            return book.replace(name="paper", members=5, controls=controls, **changed)
        case _:
            raise InvalidSetting(f"profile = {name!r}: must be one of mini, book, paper")


def _with_field(films: CampaignSettings, *table: tuple[float, float]) -> CampaignSettings:
    return films.replace(anisotropy=_steps(1, 4, 0.5), sweep_rate=(0.0,), field_table=table)


def _from_noise(films: CampaignSettings, duration: float) -> CampaignSettings:
    return _with_field(films, (0, 0), (duration, 0)).replace(system=films.system.replace(start="random"))


_TILT = Tilt(level=1.0, trend=0.1, scatter=0.02)
_TILTS = (
    _TILT,
    *(_TILT.replace(change=0.5, width=width) for width in (0.4, 0.2, 0.1)),
    *(_TILT.replace(change=change) for change in (0.05, 0.1, 0.2, 0.3, 0.5)),
)
"""Landscapes of the beads: without a change, with smooth changes of several widths, and with jumps."""


def _beads(
    tilts: Sequence[Tilt], seeds: Sequence[int], *, duration: float = 4.0, longer: int = 1
) -> tuple[ControlSettings, ...]:
    """Return beads that slide to the right past the middle, with a tilt that changes at some place."""
    controls = []
    for tilt, seed in product(tilts, seeds):
        tilt = tilt.replace(place=_place(seed), seed=seed)
        system = BeadSettings(pixels=16, well=0.5, tilt=tilt, start=0.2, centre=(-1.2, 0.0))
        campaign = CampaignSettings(
            system=system,
            anisotropy=_steps(1, 4, 0.1),
            sample=(seed,),
            field_init=0.0,
            duration=duration,
            frames=round(6.5 * duration) + 1,
        )
        if not tilt.change:
            kind = f"{SMOOTH}, no change"
        elif tilt.width:
            kind = f"{SMOOTH}, width {tilt.width:g}"
        else:
            kind = f"jump {tilt.change:g}"
        if tilt.scatter != _TILT.scatter:
            kind = f"{kind}, scatter {tilt.scatter:g}"
        if longer > 1:
            kind = f"{kind}, {LONG}"
        model = ModelSettings(latent=2, width=64, batch=100, epochs=150 * longer, member=seed)
        controls.append(ControlSettings(kind=kind, campaign=campaign, model=model))
    return tuple(controls)


def _place(seed: int) -> float:
    """Return where a control jumps: places spread evenly (by the golden ratio), on no grid of α."""
    return round(1.75 + 1.5 * (0.5 + 0.618034 * seed) % 1.5, 2) + 0.003


def _mobile_films(
    films: CampaignSettings, mobility: float, seeds: Sequence[int], model: ModelSettings | None = None
) -> tuple[ControlSettings, ...]:
    """Return films of one disorder sample each whose mobility jumps.

    Those without a model end a while after their onset.
    """
    kind = f"{SMOOTH}, usual mobility" if mobility == 1 else f"mobility × {mobility:g}"
    if model:
        kind = f"{kind}, arm {model.arm}"
    else:
        frames = 1 + 2 * (films.frames - 1) // 3
        duration = 2 * films.sweep_time(*films.sweep_rate) * (frames - 1) / (films.frames - 1)
        films = films.replace(frames=frames, duration=duration)
    return tuple(
        ControlSettings(
            kind=kind,
            campaign=films.replace(sample=(seed,)),
            model=model and model.replace(member=seed),
            mobility=mobility,
            place=_place(seed),
        )
        for seed in seeds
    )


def _hexagons(seed: int) -> ControlSettings:
    """Return a Swift–Hohenberg field that grows from noise, of stripes or of hexagons."""
    system = SwiftHohenbergSettings(box=32, start="uniform", start_level=0.3, noise=0.01)
    campaign = CampaignSettings(
        system=system,
        anisotropy=_steps(0.1, 1, 0.03),
        sample=(seed,),
        sweep_rate=(0.0,),
        field_init=0.0,
        duration=30.0,
        frames=61,
        time_step=0.1,
    )
    model = ModelSettings(latent=8, width=64, batch=200, epochs=150, member=seed)
    return ControlSettings(kind="first order", campaign=campaign, model=model, settled=1500.0)


def _smaller(control: ControlSettings, step: float, **changes: Any) -> ControlSettings:
    """Return a control with fewer anisotropies, frames and epochs."""
    first, *_, last = control.campaign.anisotropy
    campaign = control.campaign.replace(anisotropy=_steps(first, last, step), frames=11)
    return control.replace(campaign=campaign, model=control.model.replace(epochs=20), **changes)


def _variants(films: CampaignSettings) -> dict[str, CampaignSettings]:
    """Return the films whose final states and onsets are compared with those of the paper's film."""
    changes = {
        "box 64, dx = 0.5": {},
        "box 32": {"box": (32.0, 32.0)},
        "box 128": {"box": (128.0, 128.0)},
        "dx = 1": {"dx": 1.0, "coarsen": 1},
        "dx = 0.25": {"dx": 0.25, "coarsen": 4},
        "unit_mean": {"disorder": "unit_mean"},
        "zero_mean": {"disorder": "zero_mean"},
    }
    films = films.replace(anisotropy=_steps(1, 4, 0.5), sample=(0, 1), frames=2)
    variants = {
        name: films.replace(system=films.system.replace(**change)) for name, change in changes.items()
    }
    # Four times the points take four times the time.
    return variants | {name: variants[name].replace(sample=(0,)) for name in ("box 128", "dx = 0.25")}


def _with_baselines(paper: ModelSettings, identified: ModelSettings) -> dict[str, ModelSettings]:
    """Return the arms and baselines of their budget: POD with the same V, and a free field.

    The free field beside `paper` takes as long as that, and is trained in the profile `paper` alone.
    """
    arms = {"paper": paper, "identified": identified}
    pods = {f"pod_{name}": arm.replace(encoder="pod", modes=0) for name, arm in arms.items()}
    return arms | pods | {"free_field_identified": identified.replace(potential="none")}


def _book() -> Profile:
    films = CampaignSettings(anisotropy=_steps(1, 4, 0.1))
    held = Runs(anisotropy=(1.2, 1.7, 1.75, 2.2, 2.7, 3.2, 3.25, 3.7))
    return Profile(
        name="book",
        films=films,
        samples=films.replace(sample=(1, 2, 3, 4)),
        rates=films.replace(anisotropy=_steps(1, 4, 0.25), sweep_rate=(0.005, 0.007, 0.02)),
        held_rates=films.replace(anisotropy=_steps(1, 4, 0.25), sample=(0, 4), sweep_rate=(0.014,)),
        steps=_with_field(films, (0, 1.5), (20, 1.5), (20, 0.5), (120, 0.5), (120, 0), (220, 0)),
        holds=_with_field(films, (0, 1.5), (80, 0.4), (180, 0.4)),
        fine=films.replace(
            system=FilmSettings(box=32, coarsen=1),
            anisotropy=_steps(1, 4, 0.25),
            sweep_rate=(0.005, 0.01, 0.014, 0.02),
        ),
        quenches=_from_noise(films, 150),
        beyond=films.replace(anisotropy=(0.7, 0.8, 0.9, 4.25, 4.5, 4.75, 5.0)),
        beyond_rates=films.replace(anisotropy=_steps(1, 4, 0.5), sweep_rate=(0.04,)),
        loops=films.replace(
            anisotropy=_steps(1, 4, 1),
            sweep_rate=(0.01, 0.04),
            field_init=2.5,
            field_final=-2.5,
            field_loop=True,
            frames=201,
        ),
        bead=CampaignSettings(
            system=BeadSettings(),
            anisotropy=(1.0,),
            sample=tuple(range(60)),
            field_init=0.0,
            duration=6.0,
            frames=31,
            time_step=0.05,
        ),
        models={
            **_with_baselines(
                paper=ModelSettings(held=held),
                identified=ModelSettings(arm="identified", held=held, validation=Runs(sweep_rate=(0.007,))),
            ),
            "bead": ModelSettings(latent=2, epochs=800, held=Runs(sample=tuple(range(40, 60)))),
        },
        controls=(
            *_beads((_TILT, _TILTS[2], _TILTS[-3], _TILTS[-1]), range(2)),
            _hexagons(0),
            *(each for factor in (1, 4) for each in _mobile_films(films, factor, (0,))),
        ),
        variants=_variants(films),
        figure_anisotropy=(1.5, 3.5),
        solver_box=32.0,
        solver_samples=5,
    )


def _mini() -> Profile:
    film = FilmSettings(box=16, dx=0.5, coarsen=1)
    held = Runs(anisotropy=(1.5, 3.5))
    small = {"latent": 8, "width": 64, "batch": 50}
    films = CampaignSettings(system=film, anisotropy=_steps(1, 4, 0.25), sweep_rate=(0.02,), frames=31)
    return Profile(
        name="mini",
        films=films,
        samples=films.replace(sample=(1, 2)),
        rates=films.replace(anisotropy=_steps(1, 4, 0.5), sweep_rate=(0.015, 0.04)),
        held_rates=films.replace(anisotropy=_steps(1, 4, 0.5), sample=(0, 2), sweep_rate=(0.03,)),
        steps=_with_field(films, (0, 1.5), (5, 1.5), (5, 0.5), (40, 0.5), (40, 0), (70, 0)),
        holds=_with_field(films, (0, 1.5), (40, 0.4), (65, 0.4)),
        fine=films,
        quenches=_from_noise(films, 60),
        beyond=films.replace(anisotropy=(0.9, 4.5)),
        beyond_rates=films.replace(anisotropy=_steps(1, 4, 1), sweep_rate=(0.06,)),
        loops=films.replace(
            anisotropy=(1.0, 4.0), sweep_rate=(0.04,), field_init=2.5, field_final=-2.5, field_loop=True
        ),
        bead=CampaignSettings(
            system=BeadSettings(pixels=16),
            anisotropy=(1.0,),
            sample=tuple(range(20)),
            field_init=0.0,
            duration=6.0,
            frames=16,
            time_step=0.1,
        ),
        models={
            **_with_baselines(
                paper=ModelSettings(epochs=60, held=held, **small),
                identified=ModelSettings(arm="identified", modes=64, epochs=60, held=held, **small),
            ),
            "bead": ModelSettings(
                epochs=600, held=Runs(sample=tuple(range(14, 20))), **small | {"latent": 2}
            ),
        },
        controls=(
            *(_smaller(control, 0.25) for control in _beads((_TILT, _TILTS[-1]), (0,))),
            _smaller(_hexagons(0), 0.075, settled=300.0),
            *(each for factor in (1, 4) for each in _mobile_films(films, factor, (0,))),
        ),
        variants={
            name: variant.replace(
                system=variant.system.replace(box=tuple(side / 4 for side in variant.system.box)),
                sweep_rate=(0.02,),
            )
            for name, variant in _variants(films.replace(system=FilmSettings())).items()
        },
        figure_anisotropy=(2.0, 4.0),
        solver_box=8.0,
        solver_samples=2,
    )
