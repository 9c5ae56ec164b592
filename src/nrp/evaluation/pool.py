"""Errors pooled over runs, with intervals over runs and members."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nrp.base import Values
from nrp.evaluation.intervals import bootstrap_interval, student_interval
from nrp.evaluation.result import row


class Form(Enum):
    """How a metric is made of the sums of its numerators a and denominators b."""

    ROOT = "√(Σa/Σb), an rms or a relative error"
    RATIO = "Σa/Σb, a mean"
    SHARE = "Σa/Σb, a share, which is at most 1"
    SKILL = "1 − Σa/Σb: 1 is perfect, 0 as good as the denominators"

    def of(self, above: Values, below: Values) -> Values:
        """Return the metric for sums of numerators and denominators."""
        quotient = above / below
        if self is Form.ROOT:
            return np.sqrt(quotient)
        return 1 - quotient if self is Form.SKILL else quotient

    def averaged(self, values: Values) -> Values:
        """Return the values on the scale on which members are averaged.

        Skills s have no lower bound, so −log(1 − s) is averaged: a member that runs away does not hide the
        others, and higher stays higher.
        """
        return -np.log(np.maximum(1 - values, np.finfo(float).tiny)) if self is Form.SKILL else values

    def restored(self, values: Values) -> Values:
        """Return values from that scale."""
        return 1 - np.exp(-values) if self is Form.SKILL else values

    def clipped(self, low: float, high: float) -> tuple[float, float]:
        """Return an interval, cut where no value can lie."""
        if self is Form.SKILL:
            return low, high
        return max(low, 0.0), min(high, 1.0) if self is Form.SHARE else high


class Label(NamedTuple):
    """The columns that tell one pooled metric from another."""

    metric: str
    split: str
    arm: str | None = None
    case: str | None = None
    lead_time: int | None = None


class Pool:
    """Numerators and denominators of metrics, run by run and member by member.

    All members add the same metrics over the same runs.
    """

    def __init__(self) -> None:
        self._forms: dict[Label, Form] = {}
        self._parts: dict[Label, dict[int, list[ndarray]]] = {}
        self._samples: dict[Label, list[ndarray]] = {}

    def add(
        self, label: Label, form: Form, above: ndarray, below: ndarray, samples: ndarray, *, member: int = 0
    ) -> None:
        """Add the contribution of some runs, of these disorder samples, to a metric.

        `above` and `below` are its numerators and denominators (run), `member` is a number.
        """
        self._forms[label] = form
        members = self._parts.setdefault(label, {})
        members.setdefault(member, []).append(np.stack([above, below], axis=1).astype(float))
        if member == min(members):
            self._samples.setdefault(label, []).append(samples)

    def __iter__(self) -> Iterator[Label]:
        return iter(self._parts)

    def sums(self, label: Label) -> Float[ndarray, "member run 2"]:
        """Return the sums of every run, for every member."""
        return np.stack([np.concatenate(parts) for parts in self._parts[label].values()])

    def rows(self, **common: object) -> list[dict]:
        """Return a row for each metric to which a run contributes.

        The value is the mean over members.  The interval is that of Student's t over members, widened where
        the bootstrap over disorder samples or runs reaches further (see `nrp.evaluation.intervals`), and cut
        where no value can lie.
        """
        return [
            self._row(self._forms[label], sums, label, label, **common)
            for label in self
            if (sums := self.sums(label))[..., 1].any()
        ]

    def advantages(self, arm: str, **common: object) -> list[dict]:
        """Return how much smaller an arm's errors are than a rival's: ``advantage``, 1 − Σ(ours)/Σ(theirs).

        Of the errors by lead time, in the increment form, and of rollouts, over the same runs.
        """
        entries = []
        for theirs in self:
            ours = theirs._replace(arm=arm)
            by_lead = theirs.metric == "skill" and theirs.case == "increment"
            if theirs.arm == arm or ours not in self._parts:
                continue
            if by_lead or theirs.metric == "rollout_error":
                pairs = zip(self.sums(ours), self.sums(theirs), strict=False)
                sums = np.stack([np.stack([a[:, 0], b[:, 0]], axis=1) for a, b in pairs])
                case = f"over {theirs.arm}" + ("" if by_lead else f", {theirs.case}")
                if sums[..., 1].any():
                    named = ours._replace(metric="advantage", case=case)
                    entries.append(self._row(Form.SKILL, sums, named, ours, **common))
        return entries

    def _row(
        self, form: Form, sums: Float[ndarray, "member run 2"], named: Label, of: Label, **common: object
    ) -> dict:
        def over_members(*parts: Values) -> Values:
            pairs = zip(parts[::2], parts[1::2], strict=True)
            return form.restored(np.mean([form.averaged(form.of(*pair)) for pair in pairs], axis=0))

        each = form.averaged(form.of(*sums.sum(axis=1).T))
        by_members = [float(form.restored(np.float64(end))) for end in student_interval(each)]
        samples = np.concatenate(self._samples[of])
        by_runs = bootstrap_interval(np.concatenate(sums, axis=1), samples, over_members)
        ends = np.array([by_members, by_runs]).T
        interval = {}
        if np.isfinite(ends).any():
            low, high = form.clipped(float(np.nanmin(ends[0])), float(np.nanmax(ends[1])))
            interval = {"low": low, "high": high}
        columns = {name: value for name, value in named._asdict().items() if name != "metric"}
        members = {} if named.arm is None else {"members": len(each)}
        value = form.restored(each.mean())
        return row(named.metric, value, **columns, **interval, **members, **common)
