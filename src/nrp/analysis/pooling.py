"""Errors pooled over runs, with intervals over runs and members."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nrp.analysis.result import bootstrap_interval, mean_row

Form = Callable[[ndarray, ndarray], ndarray]
"""How a metric is made of the sums of its numerators and denominators."""


def root(above: ndarray, below: ndarray) -> ndarray:
    """Return √(Σa/Σb), the form of an rms or of a relative error."""
    return np.sqrt(above / below)


def ratio(above: ndarray, below: ndarray) -> ndarray:
    """Return Σa/Σb, the form of a mean."""
    return above / below


def share(above: ndarray, below: ndarray) -> ndarray:
    """Return Σa/Σb, the form of a share, which is at most 1."""
    return above / below


def skill(above: ndarray, below: ndarray) -> ndarray:
    """Return 1 − Σa/Σb: 1 is perfect, 0 as good as what stands below."""
    return 1 - above / below


# The logarithm is turned round, so that what is higher stays higher.
_LOGARITHMS = (
    lambda value: -np.log(np.maximum(1 - value, np.finfo(float).tiny)),
    lambda value: 1 - np.exp(-value),
)


class Label(NamedTuple):
    """What a metric is of."""

    metric: str
    split: str
    arm: str | None = None
    case: str | None = None
    lead_time: int | None = None


class Sums:
    """Numerators and denominators of metrics, run by run: what is pooled, and what is drawn for intervals."""

    def __init__(self) -> None:
        self._parts: dict[Label, list[ndarray]] = {}
        self._forms: dict[Label, Form] = {}

    def add(self, form: Form, above: ndarray, below: ndarray, label: Label) -> None:
        """Add what some runs contribute to a metric: two arrays (run)."""
        self._forms[label] = form
        self._parts.setdefault(label, []).append(np.stack([above, below], axis=1).astype(float))

    def __iter__(self) -> Iterator[Label]:
        return iter(self._parts)

    def __contains__(self, label: Label) -> bool:
        return label in self._parts

    def form(self, label: Label) -> Form:
        """Return the form of a metric."""
        return self._forms[label]

    def of(self, label: Label) -> Float[ndarray, "run 2"]:
        """Return the sums of every run."""
        return np.concatenate(self._parts[label])


def rows(members: list[Sums], samples: dict[str, ndarray], **common: object) -> list[dict]:
    """Return a row for each metric of some members, but for those to which no run contributes.

    The value is the mean over members; of skills s, which have no lower bound, log(1 − s) is averaged, so
    that a member that runs away does not hide the others.  The interval is that of Student's t over members,
    widened where the bootstrap over disorder samples or runs (see
    `nrp.analysis.result.bootstrap_interval`) reaches further, and cut where no value can lie.

    Parameters
    ----------
    members
        Over the same runs.
    samples
        By split, the disorder sample of each run.
    **common
        Further columns.
    """
    entries = []
    for label in members[0]:
        sums = np.stack([each.of(label) for each in members])
        if sums[..., 1].any():
            entries.append(_row(members[0].form(label), sums, samples, label, **common))
    return entries


def advantages(
    ours: list[Sums], theirs: list[Sums], samples: dict[str, ndarray], *, rival: str, **common: object
) -> list[dict]:
    """Return how much smaller our errors are than a rival's: ``advantage``, 1 − Σ(ours)/Σ(theirs).

    Of the errors by lead time, in the increment form, and of rollouts, over the same runs.
    """
    entries = []
    for label in ours[0]:
        other = label._replace(arm=rival)
        by_lead = label.metric == "skill" and label.case == "increment"
        if other in theirs[0] and (by_lead or label.metric == "rollout_error"):
            pairs = zip(ours, theirs, strict=False)
            sums = np.stack([np.stack([a.of(label)[:, 0], b.of(other)[:, 0]], axis=1) for a, b in pairs])
            case = f"over {rival}" + ("" if by_lead else f", {label.case}")
            if sums[..., 1].any():
                named = label._replace(metric="advantage", case=case)
                entries.append(_row(skill, sums, samples, named, **common))
    return entries


def _row(
    form: Form,
    sums: Float[ndarray, "member run 2"],
    samples: dict[str, ndarray],
    label: Label,
    **common: object,
) -> dict:
    onto, back = _LOGARITHMS if form is skill else (lambda value: value, lambda value: value)

    def over_members(*parts: ndarray) -> ndarray:
        return np.mean([onto(form(*pair)) for pair in zip(parts[::2], parts[1::2], strict=True)], axis=0)

    each = onto(form(*sums.sum(axis=1).T))
    members = {} if label.arm is None else {"members": len(each)}
    columns = {name: value for name, value in label._asdict().items() if name != "metric"}
    entry = mean_row(label.metric, each, **columns, **members, **common)
    for name in ("value", "low", "high"):
        entry[name] = None if entry[name] is None else float(back(entry[name]))
    of_runs = np.concatenate(sums, axis=1)
    over_runs = bootstrap_interval(of_runs, samples[label.split], lambda *parts: back(over_members(*parts)))
    if over_runs is not None:
        low, high = over_runs if entry["low"] is None else (entry["low"], entry["high"])
        entry["low"], entry["high"] = min(over_runs[0], low), max(over_runs[1], high)
    if entry["low"] is not None and form is not skill:
        entry["low"] = max(entry["low"], 0.0)
        entry["high"] = min(entry["high"], 1.0) if form is share else entry["high"]
    return entry
