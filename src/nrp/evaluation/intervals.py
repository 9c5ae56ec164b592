"""Intervals at 95 %: Student's t over members, the bootstrap over runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import bootstrap
from scipy.stats import t as student


def student_interval(values: Float[ndarray, " unit"]) -> tuple[float, float]:
    """Return the interval of the mean of some values by Student's t; nan for a single one."""
    if len(values) < 2:
        return np.nan, np.nan
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def bootstrap_interval(
    sums: Float[ndarray, "run part"], samples: ndarray, statistic: Callable[..., ndarray]
) -> tuple[float, float]:
    """Return the bootstrap interval of a statistic of sums; nan for fewer than five units.

    The units that are drawn are the disorder samples, with all their runs, if there are three or more, else
    the runs.  Runs that contribute nothing to the second sum are left out.
    """
    counts = sums[:, 1] > 0
    drawn, place = np.unique(samples[counts], return_inverse=True)
    if len(drawn) < 3:
        place = np.arange(counts.sum())
    units = [np.bincount(place, weights=part) for part in sums[counts].T]
    if len(units[0]) < 5:
        return np.nan, np.nan

    def of_units(*parts: ndarray, axis: int = -1) -> ndarray:
        return statistic(*(part.sum(axis=axis) for part in parts))

    draws = bootstrap(
        units, of_units, paired=True, vectorized=True, n_resamples=1000, method="percentile", rng=0
    )
    low, high = draws.confidence_interval
    return float(low), float(high)
