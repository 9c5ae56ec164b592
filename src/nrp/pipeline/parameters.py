"""The parameters of the chapters: names that a reader sets, and the settings that they replace."""

from __future__ import annotations

import ast
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field, TypeAdapter

from nrp.base import InvalidSetting, Settings
from nrp.evaluation.scene import LEADS
from nrp.pipeline.profiles import Profile
from nrp.reduction.settings import ModelSettings
from nrp.simulation.settings import Anisotropy
from nrp.systems.bead import BeadSettings
from nrp.systems.film import FilmSettings


@dataclass(frozen=True)
class Parameter:
    """A parameter of chapters.  Its value None stands for that of the profile."""

    text: str
    """What it is, in a few words."""
    allowed: Any
    """The type of its values, with their range."""
    targets: tuple[str, ...] = ()
    """The datasets, models or results of which it replaces a setting."""
    setting: str = ""
    """The name of that setting, or option."""
    unit: str = "1"
    factor: float | None = None
    """The setting is so many times the parameter."""
    default: Any = None
    """Its usual value, where no setting of the profile holds it."""

    def parse(self, name: str, value: object) -> Any:
        """Return a value of the right type, from text or from a value.

        Raises
        ------
        InvalidSetting
            If it is not allowed.
        """
        if isinstance(value, str):
            with suppress(ValueError, SyntaxError):
                value = ast.literal_eval(value)
        if value is None:
            return None
        try:
            return TypeAdapter(self.allowed).validate_python(value)
        except pydantic.ValidationError:
            raise InvalidSetting(f"{name} = {value!r}: must be {self.range}") from None

    @property
    def range(self) -> str:
        """The allowed values, in words."""
        return _words(TypeAdapter(self.allowed).json_schema())

    def usual(self, profile: Profile, target: str = "") -> Any:
        """Return the value in a profile, of one of the targets; by default of the first."""
        target = target or next(iter(self.targets), "")
        if target in profile.models:
            return getattr(profile.models[target].settings, self.setting)
        if target in profile.datasets:
            campaign = profile.datasets[target]
            value = getattr(campaign if hasattr(campaign, self.setting) else campaign.system, self.setting)
            if isinstance(value, tuple) and len(value) == 1:
                value = value[0]
            return value if self.factor is None else value / self.factor
        return getattr(profile, self.default) if isinstance(self.default, str) else self.default

    def line(self, name: str, profile: Profile) -> str:
        """Return what a reader needs to know of it, in one line."""
        unit = "no unit" if self.unit == "1" else f"unit {self.unit}"
        values = {target: self.usual(profile, target) for target in self.targets or ("",)}
        if len(set(values.values())) == 1:
            usual = repr(self.usual(profile))
        else:
            usual = ", ".join(f"{value!r} ({target})" for target, value in values.items())
        return f"{name}: {self.text}; {unit}; {self.range}; in this profile {usual}"


def _words(schema: dict[str, Any]) -> str:
    if choices := schema.get("enum"):
        return f"one of {', '.join(map(str, choices))}"
    if options := schema.get("anyOf"):
        return " or ".join(_words(each) for each in options)
    if schema["type"] == "array":
        return f"{schema.get('minItems', 'some')} numbers, each {_words(schema['prefixItems'][0])}"
    kind = {"integer": "a whole number", "number": "a number"}[schema["type"]]
    limits = [
        f"{word} {schema[key]:g}"
        for key, word in (("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"))
        if key in schema
    ]
    return " ".join([kind, " and ".join(limits)]) if limits else kind


def _field(settings: type[Settings], name: str) -> Any:
    field = settings.model_fields[name]
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


_FILMS = ("films", "samples")
_ARMS = ("paper", "identified")
_TESTS = ("continuity_paper", "continuity_identified", "power")
PARAMETERS: dict[str, Parameter] = {
    "barrier": Parameter(
        "height of the barrier between the wells of the bead",
        Annotated[float, Field(ge=0.01, le=5)],
        ("beads",),
        "anisotropy",
        "energy",
        factor=4,
    ),
    "stiffness": Parameter(
        "stiffness of the bead's landscape across the valley",
        _field(BeadSettings, "transverse"),
        ("beads",),
        "transverse",
        "energy / length²",
    ),
    "anisotropy": Parameter("anisotropy α of the hysteresis loops", Anisotropy, ("loops",), "anisotropy"),
    "sweep_rate": Parameter(
        "rate v at which the field is swept",
        Annotated[float, Field(ge=1e-4, le=1)],
        (*_FILMS, "loops"),
        "sweep_rate",
        "field / time",
    ),
    "dx": Parameter("grid spacing", _field(FilmSettings, "dx"), (*_FILMS, "loops"), "dx", "length"),
    "disorder": Parameter(
        "λ(r) of the medium: 1 + μ/4 (quarter), 1 + μ (unit_mean), μ (zero_mean) or 1 (none)",
        _field(FilmSettings, "disorder"),
        _FILMS,
        "disorder",
    ),
    "disorder_strength": Parameter(
        "standard deviation of μ", _field(FilmSettings, "disorder_strength"), _FILMS, "disorder_strength"
    ),
    "latent": Parameter("dimension of the latent state", _field(ModelSettings, "latent"), _ARMS, "latent"),
    "dynamics_weight": Parameter(
        "λ of Eq. (2), in the arm paper",
        _field(ModelSettings, "dynamics_weight"),
        _ARMS[:1],
        "dynamics_weight",
    ),
    "epochs": Parameter("epochs of training", _field(ModelSettings, "epochs"), _ARMS, "epochs"),
    "anisotropies": Parameter(
        "the two anisotropies of Fig. 2A",
        tuple[Anisotropy, Anisotropy],
        ("curves",),
        "alphas",
        default="figure_anisotropy",
    ),
    "lead_time": Parameter("lead time of the tables", Literal[LEADS], unit="frames", default=10),
    "level": Parameter(
        "p value below which a curve is said to jump",
        Annotated[float, Field(ge=0.002, le=0.5)],
        _TESTS,
        "level",
        default=0.01,
    ),
    "every": Parameter(
        "step between the anisotropies of the tested curves",
        Literal[1, 2],
        _TESTS[:2],
        "every",
        "0.1 in α",
        default=1,
    ),
}
"""All parameters of the chapters; a name means the same in every chapter."""


def overrides(**parameters: Any) -> dict[str, dict[str, Any]]:
    """Return what parameters replace, for `nrp.pipeline.Study`.

    Raises
    ------
    InvalidSetting
        If there is no such parameter, or its value is not allowed.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, given in parameters.items():
        if name not in PARAMETERS:
            raise InvalidSetting(f"{name}: there is no such parameter; there are {', '.join(PARAMETERS)}")
        parameter = PARAMETERS[name]
        value = parameter.parse(name, given)
        if value is not None and parameter.factor is not None:
            value = parameter.factor * value
        for target in parameter.targets:
            found.setdefault(target, {})[parameter.setting] = value
    return found
