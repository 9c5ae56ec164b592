"""Claims: the numbers that make the sentences of the book true.

A sentence is written by hand and true for the profile `book`.  Beside it stands a claim: a name, the row of
a result, and the bound within which the sentence is true.  All of them stand in ``claims.yml``.  At the end
of a section a chapter shows a table of its claims.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import yaml
from IPython.display import HTML
from pydantic import ConfigDict, Field, model_validator

from nrp.base import InvalidSetting, Settings
from nrp.book.report import number, rows
from nrp.pipeline import Study

_STRICT = ("book", "paper")
"""Profiles in which every claim must hold."""
_ENDS = {"low": "lower", "high": "upper"}


class ClaimFailed(AssertionError):
    """A claim that does not hold; the message is one line."""


class Row(Settings):
    """Where a number is found."""

    result: str
    """Name of a result; of a published one with ``published`` before it."""
    metric: str
    where: dict[str, Any] = Field(default_factory=dict)
    """Further columns of the row; one that is not named may have any value, null must be said.  A list allows
    each of its values."""
    column: Literal["value", "low", "high"] = "value"
    """The column that is read: the value, or an end of its interval."""
    pick: Literal["only", "smallest", "largest"] = "only"
    """Which number is read if there are several rows; there must be one if it is the only one."""

    def value(self, study: Study) -> float:
        """Return the number.

        Raises
        ------
        KeyError
            If there is no such row, none with one of the listed values, or more than one and none is picked.
        """
        kind, _, name = self.result.rpartition(" ")
        result = study.published(name) if kind == "published" else study.result(name)
        found = rows(result, self.metric, **self.where)
        for column, allowed in self.where.items():
            if isinstance(allowed, list) and (absent := set(allowed) - set(found[column])):
                raise KeyError(f"no row with metric {self.metric} and {column} in {sorted(absent)}")
        values = found[self.column].to_numpy()
        if self.pick == "only" and len(values) > 1:
            raise KeyError(f"{len(values)} rows with metric {self.metric} and {self.where}")
        return float(values.min() if self.pick == "smallest" else values.max())  # nan if any is

    def __str__(self) -> str:
        """Return the result, the metric, the further columns, and which number of the row is read."""
        parts = [self.metric]
        for value in self.where.values():
            some = value if isinstance(value, list) else [value]
            parts += [" or ".join(f"{each}" for each in some)] if value is not None else []
        parts += [self.pick] if self.pick != "only" else []
        parts += [f"{_ENDS[self.column]} end"] if self.column != "value" else []
        return f"{self.result}: {', '.join(parts)}"


class Bound(Settings):
    """What a number must be: above one value, below another, or both."""

    model_config = ConfigDict(allow_inf_nan=True)
    above: float = -np.inf
    below: float = np.inf

    def holds(self, value: float) -> bool:
        """Whether a number keeps the bound; nan never does."""
        return self.above <= value <= self.below

    def __str__(self) -> str:
        """Return the bound in words."""
        ends = [f"at least {self.above:g}"] if np.isfinite(self.above) else []
        ends += [f"at most {self.below:g}"] if np.isfinite(self.below) else []
        return " and ".join(ends)


class Claim(Settings):
    """A number, or the ratio or difference of two, and the bound that makes a sentence true."""

    row: Row
    over: Row | None = None
    """The number is divided by this one."""
    less: Row | None = None
    """This one is taken from the number."""
    book: Bound
    mini: Bound | None = None
    """A bound of the profile mini, which otherwise only shows the claim."""

    @property
    def is_published(self) -> bool:
        """Whether it speaks of published results alone, which are the same for every profile."""
        parts = filter(None, (self.row, self.over, self.less))
        return all(each.result.startswith("published ") for each in parts)

    def __str__(self) -> str:
        """Return what is measured, as rows and what is made of them."""
        text = f"{self.row}" if self.over is None else f"{self.row} ÷ {self.over}"
        return text if self.less is None else f"{text} − {self.less}"

    @model_validator(mode="after")
    def _shuts_something_out(self) -> Self:
        for bound in filter(None, (self.book, self.mini)):
            if not (np.isfinite(bound.above) or np.isfinite(bound.below)):
                raise ValueError(f"bound = {bound}: must shut something out")
        return self

    def measured(self, study: Study) -> float:
        """Return the number in a study.

        Raises
        ------
        KeyError
            If there is no such row, or more than one and none is picked.
        """
        value = self.row.value(study)
        if self.over is not None:
            value /= self.over.value(study)
        return value - self.less.value(study) if self.less is not None else value


@cache
def all_claims() -> dict[str, Claim]:
    """Return all claims by their names."""
    return parse_claims(files("nrp.book").joinpath("claims.yml").read_text(encoding="utf-8"))


def parse_claims(text: str) -> dict[str, Claim]:
    """Return the claims of a YAML text by their names.

    Raises
    ------
    InvalidSetting
        If two have one name, or an entry is no claim; the message names it.
    """
    found: dict[str, Claim] = {}
    for key, value in yaml.compose(text, Loader=yaml.SafeLoader).value:
        if key.value in found:
            raise InvalidSetting(
                f"claims.yml, line {key.start_mark.line + 1}: {key.value!r} is there already"
            )
        try:
            found[key.value] = Claim.parse(yaml.safe_load(yaml.serialize(value)))
        except InvalidSetting as error:
            raise InvalidSetting(f"claims.yml, {key.value!r}: {error}") from None
    return found


def claims(study: Study, *names: str) -> HTML:
    """Return a folded table of claims: what each says, what was measured, and whether it holds.

    Raises
    ------
    InvalidSetting
        If there is no such claim.
    ClaimFailed
        If a claim does not hold in the profile `book` or `paper` as it is, or in `mini` within its own bound;
        one of published results must hold in any case.
    """
    lines, failed = [], []
    for name in names:
        if name not in all_claims():
            raise InvalidSetting(f"claim = {name!r}: must be one of those in claims.yml")
        claim = all_claims()[name]
        own = claim.mini if study.profile.name == "mini" else None
        bound = own or claim.book
        try:
            value, why = claim.measured(study), ""
        except KeyError as error:
            value, why = np.nan, f" ({error.args[0]})"
        holds = bound.holds(value)
        strict = not study.is_changed and (own is not None or study.profile.name in _STRICT)
        if (strict or claim.is_published) and not holds:
            failed.append(f"{name}: {value:.6g} is not {bound}{why}")
        verdict = "✓ holds" if holds else f"✗ does not hold{why}"
        lines.append((name, str(claim), number(value), str(bound), verdict))
    if failed:
        raise ClaimFailed("; ".join(failed))
    table = pd.DataFrame(lines, columns=["claim", "what is measured", "value", "must be", "verdict"])
    held = f"{sum(line[-1].startswith('✓') for line in lines)} of {len(lines)} hold"
    style = table.style.hide(axis="index").set_caption(_caption(study))
    text = style.set_table_attributes('class="dataframe nrp-claims"').to_html()
    return HTML(f"<details><summary>Claims of this section: {held}</summary>{text}</details>")


def _caption(study: Study) -> str:
    what = "Each claim is a bound on a number, or on the ratio (÷) or difference (−) of two"
    if study.is_changed:
        return f"{what}. The text speaks of the profile book; here settings are changed."
    if study.profile.name in _STRICT:
        return what
    return f"{what}. The text speaks of the profile book; this is {study.profile.name}."
