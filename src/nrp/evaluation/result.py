"""The result of an analysis: one tidy table, and the arrays that its figures need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, SupportsFloat

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.stats import binomtest

from nrp.evaluation.intervals import student_interval
from nrp.store import write_text

WORDS = ("analysis", "metric", "case", "system", "arm", "split", "profile", "key")
NUMBERS = ("anisotropy", "lead_time", "value", "low", "high", "members")
COLUMNS = (*WORDS[:6], *NUMBERS, *WORDS[6:])
"""The columns of a table: text, or numbers; None, or nan, where a column does not apply."""
TABLE, ARRAYS = "table.json", "arrays.npz"


@dataclass(frozen=True)
class Result:
    """Rows with the columns `COLUMNS`, and named arrays."""

    table: pd.DataFrame
    arrays: dict[str, ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: list[dict], common: Mapping[str, object] | None = None, /, **arrays: ndarray) -> Self:
        """Build a result from rows made by `row`; `common` fills columns that a row leaves open."""
        filled = [
            {**entry, **{name: value for name, value in (common or {}).items() if entry[name] is None}}
            for entry in rows
        ]
        table = pd.DataFrame(filled, columns=list(COLUMNS), dtype=object)
        return cls(table.astype(dict.fromkeys(NUMBERS, float)), arrays)

    def select(self, **where: object) -> pd.DataFrame:
        """Return the rows whose columns have these values (None: are null).

        Raises
        ------
        KeyError
            If there is none.
        """
        keep = np.ones(len(self.table), dtype=bool)
        for column, value in where.items():
            found = self.table[column].isna() if value is None else self.table[column] == value
            keep &= found.to_numpy(dtype=bool)
        if not keep.any():
            raise KeyError(f"no row with {where}")
        return self.table[keep]

    def value(self, metric: str, *, column: str = "value", **where: object) -> float:
        """Return the value of the one row with this metric and these columns; nan if it is null.

        Raises
        ------
        KeyError
            If there is none, or more than one.
        """
        found = self.select(metric=metric, **where)
        if len(found) > 1:
            raise KeyError(f"{len(found)} rows with metric {metric} and {where}")
        return float(found[column].iloc[0])

    def records(self) -> list[dict]:
        """Return the rows as plain values: None where a column does not apply, whole numbers as such."""
        rows = json.loads(self.table.to_json(orient="records", double_precision=15))
        for entry in rows:
            entry |= {name: int(entry[name]) for name in ("lead_time", "members") if entry[name] is not None}
        return rows

    def save(self, folder: Path) -> None:
        """Write the table (JSON, one list of rows) and the arrays (npz) into a folder."""
        write_text(folder / TABLE, json.dumps(self.records(), indent=0))
        arrays: dict[str, Any] = self.arrays  # which are not among the options of numpy
        np.savez(folder / ARRAYS, **arrays)

    @classmethod
    def load(cls, folder: Path, **columns: object) -> Self:
        """Read a result; `columns` fill columns that only the reader knows (profile, key)."""
        rows = json.loads((folder / TABLE).read_text())
        with np.load(folder / ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return cls.of([entry | columns for entry in rows], **arrays)


def row(metric: str, value: SupportsFloat, **columns: object) -> dict:
    """Return one row of a table; columns that are not named are null.

    Raises
    ------
    KeyError
        If a column does not exist.
    """
    if unknown := set(columns) - set(COLUMNS):
        raise KeyError(f"no such column: {sorted(unknown)}")
    value = float(value)
    return {
        **dict.fromkeys(COLUMNS),
        **columns,
        "metric": metric,
        "value": value if np.isfinite(value) else None,
    }


def mean_row(metric: str, samples: Float[ndarray, " sample"], **columns: object) -> dict:
    """Return the row of a mean over samples, with its 95 % interval by Student's t if there are several."""
    low, high = student_interval(samples)
    interval = {"low": low, "high": high} if len(samples) > 1 else {}
    return row(metric, samples.mean(), **columns | interval)


def share_row(metric: str, hits: Bool[ndarray, " unit"], **columns: object) -> dict:
    """Return the row of a share, with its 95 % interval after Clopper and Pearson."""
    low, high = binomtest(int(hits.sum()), len(hits)).proportion_ci()
    return row(metric, hits.mean(), low=low, high=high, **columns)


def curve_rows(
    metric: str, curves: Float[ndarray, "unit a"], alphas: ndarray, **columns: object
) -> list[dict]:
    """Return a row for each anisotropy: the mean over units, with its interval."""
    return [
        mean_row(metric, column, anisotropy=alpha, **columns)
        for column, alpha in zip(curves.T, alphas, strict=True)
    ]
