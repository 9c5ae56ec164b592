"""Analyses register themselves: name, version and needs stand beside the function that computes the result.

::

    @analysis("patterns", version=3, needs={"films": Dataset("films"), "samples": Dataset("samples")})
    def patterns(films, samples): ...

The graph in `nrp.pipeline` gives the function what it needs, under the names of its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any, Literal

from nrp.base import InvalidSetting
from nrp.store import Step


@dataclass(frozen=True)
class _Named:
    name: str


class Dataset(_Named):
    """A dataset of the profile."""


@dataclass(frozen=True)
class Model:
    """A member of a model of the profile."""

    name: str
    member: int = 0


class Log(_Named):
    """The log of the training of a model of the profile: one row per epoch."""


@dataclass(frozen=True)
class Observed:
    """What a member says of datasets of the profile: one `Observation` for each."""

    model: Model
    datasets: tuple[str, ...]


class Outcome(_Named):
    """The result of another analysis."""


class Published(_Named):
    """A result that lies in the repository."""


@dataclass(frozen=True)
class Control:
    """The result of a control of the profile, by its number."""

    number: int


Single = Dataset | Model | Log | Outcome | Published | Control
"""What has a key of its own; an observation has those of what it is made of."""
Reference = Single | Observed
Needs = Mapping[str, Reference | tuple[Reference, ...]]


@dataclass(frozen=True)
class Request:
    """One result that can be asked for: an analysis, what it is given, and its options."""

    step: Step
    compute: Callable[..., Any]
    needs: Needs
    options: Mapping[str, Any] = field(default_factory=dict)
    publish: bool = False

    def replaced(self, changes: Mapping[str, Any]) -> Request:
        """Return the request with some options replaced.

        Raises
        ------
        InvalidSetting
            If the analysis has no such option.
        """
        known = set(signature(self.compute).parameters) - set(self.needs)
        if unknown := [name for name in changes if name not in known]:
            raise InvalidSetting(f"{unknown[0]}: there is no such setting")
        return replace(self, options={**self.options, **changes})


_ANALYSES: list[Callable[[Any], dict[str, Request | None]]] = []
"""Functions of a profile, one for each analysis: its results by their names."""


def analysis(
    name: str,
    *,
    version: int,
    needs: Needs | Callable[..., Needs | None],
    options: Callable[..., Mapping[str, Any]] = lambda *_: {},
    each: Literal["", "arm"] = "",
    publish: bool = False,
) -> Callable[[Callable], Callable]:
    """Register a function as an analysis.

    Parameters
    ----------
    name
        Of its result; with ``each="arm"`` the name of the arm follows.
    version
        Raise it whenever the same needs give another result.
    needs
        References by the names of the function's arguments, or a function of the profile (and the arm) that
        returns them; None for a result that this profile does not have.
    options
        Further arguments, by a function of the profile (and the arm).
    each
        Whether there is one result, or one for each arm.
    publish
        Whether the result of the profile `paper` is published.
    """

    def register(compute: Callable) -> Callable:
        def request(profile: Any, *arm: str) -> Request | None:
            wanted = needs(profile, *arm) if callable(needs) else needs
            if wanted is None:
                return None
            return Request(Step(name, version), compute, wanted, options(profile, *arm), publish)

        def by_name(profile: Any) -> dict[str, Request | None]:
            if each:
                return {f"{name}_{arm}": request(profile, arm) for arm in profile.arms}
            return {name: request(profile)}

        _ANALYSES.append(by_name)
        return compute

    return register


def requests(profile: Any) -> dict[str, Request]:
    """Return every result that a profile has, by its name."""
    return {
        name: request
        for by_name in _ANALYSES
        for name, request in by_name(profile).items()
        if request is not None
    }


def members_of(profile: Any, name: str) -> tuple[Model, ...]:
    """Return all members of a model of a profile."""
    return tuple(Model(name, member) for member in range(profile.models[name].members))
