"""Runs of several datasets put in order, and places between two of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray


def by_sample(films: xr.Dataset, samples: xr.Dataset) -> tuple[list[xr.Dataset], Float[ndarray, " a"]]:
    """Return the runs of each disorder sample in order of the anisotropy, and the anisotropies.

    Parameters
    ----------
    films
        One run per anisotropy.
    samples
        The same with other disorder, one run per anisotropy and sample.
    """
    others = [part for _, part in samples.groupby("sample")]
    runs = [part.sortby("anisotropy") for part in (films, *others)]
    return runs, runs[0]["anisotropy"].values


def nearest(values: Float[ndarray, " n"], wanted: Sequence[float]) -> Int[ndarray, " wanted"]:
    """Return the place of the value nearest each that is wanted, the first of several."""
    return np.array([np.abs(values - each).argmin() for each in wanted])


def zero_crossing(x: Float[ndarray, " n"], y: Float[ndarray, " n"], i: int) -> float:
    """Return where the straight line from point i to the next is zero."""
    return float(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i]))
