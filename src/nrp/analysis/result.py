"""The result of an analysis: one tidy table, and the arrays that its figures need."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import SupportsFloat

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import bootstrap
from scipy.stats import t as student

from nrp.store import write_text

COLUMNS = (
    "analysis",
    "metric",
    "case",
    "system",
    "arm",
    "split",
    "anisotropy",
    "lead_time",
    "value",
    "low",
    "high",
    "members",
    "profile",
    "key",
)
TABLE, ARRAYS = "table.json", "arrays.npz"


@dataclass(frozen=True)
class Result:
    """Rows with the columns `COLUMNS` (null where one does not apply), and named arrays."""

    table: pd.DataFrame
    arrays: dict[str, ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: list[dict], **arrays: ndarray) -> Result:
        """Build a result from rows made by `row`."""
        return cls(pd.DataFrame(rows, columns=list(COLUMNS), dtype=object), arrays)

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

    def value(self, metric: str, **where: object) -> float:
        """Return the value of the one row with this metric and these columns; nan if it is null.

        Raises
        ------
        KeyError
            If there is none, or more than one.
        """
        found = self.select(metric=metric, **where)
        if len(found) > 1:
            raise KeyError(f"{len(found)} rows with metric {metric} and {where}")
        value = found["value"].iloc[0]
        return np.nan if value is None else float(value)

    def save(self, folder: Path) -> None:
        """Write the table (JSON, one list of rows) and the arrays (npz) into a folder."""
        rows = self.table.to_json(orient="records", double_precision=15)
        write_text(folder / TABLE, json.dumps(json.loads(rows), indent=0))
        np.savez(folder / ARRAYS, **self.arrays)

    @classmethod
    def load(cls, folder: Path, **columns: object) -> Result:
        """Read a result; `columns` fill columns that only the reader knows (profile, key)."""
        rows = json.loads((folder / TABLE).read_text())
        with np.load(folder / ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return cls.of([entry | columns for entry in rows], **arrays)


def mean_row(metric: str, samples: Float[ndarray, " sample"], **columns: object) -> dict:
    """Return the row of a mean over samples, with its 95 % interval by Student's t if there are several."""
    mean, count = samples.mean(), len(samples)
    if count > 1:
        half = student.ppf(0.975, count - 1) * samples.std(ddof=1) / np.sqrt(count)
        columns |= {"low": float(mean - half), "high": float(mean + half)}
    return row(metric, mean, **columns)


def bootstrap_interval(
    sums: Float[ndarray, "run part"], samples: ndarray, statistic: Callable[..., ndarray]
) -> tuple[float, float] | None:
    """Return the 95 % bootstrap interval of a statistic of sums, or None for fewer than five units.

    What is drawn are the disorder samples, with all their runs, if there are three or more, else the runs.

    Parameters
    ----------
    sums
        What each run contributes to each sum; runs with nothing in the second are left out.
    samples
        The disorder sample of each run.
    statistic
        Of all sums, or of arrays of them.
    """
    counts = sums[:, 1] > 0
    drawn, place = np.unique(samples[counts], return_inverse=True)
    if len(drawn) < 3:
        place = np.arange(counts.sum())
    units = [np.bincount(place, weights=part) for part in sums[counts].T]
    if len(units[0]) < 5:
        return None

    def of_units(*parts: ndarray, axis: int = -1) -> ndarray:
        return statistic(*(part.sum(axis=axis) for part in parts))

    draws = bootstrap(
        units, of_units, paired=True, vectorized=True, n_resamples=1000, method="percentile", rng=0
    )
    low, high = draws.confidence_interval
    return float(low), float(high)


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
