"""Runs of several datasets put in order, and places between two of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray


def by_sample(films: xr.Dataset, samples: xr.Dataset) -> tuple[list[xr.Dataset], Float[ndarray, " a"]]:
    """Return the runs of each disorder sample in order of the anisotropy, and the anisotropies.

    `films` have one run per anisotropy, `samples` have one per anisotropy and further sample.
    """
    others = [part for _, part in samples.groupby("sample")]
    runs = [part.sortby("anisotropy") for part in (films, *others)]
    return runs, runs[0]["anisotropy"].values


def nearest(values: Float[ndarray, " n"], wanted: Sequence[float]) -> Int[ndarray, " wanted"]:
    """Return the place of the value nearest each that is wanted, the first of several."""
    return np.array([np.abs(values - each).argmin() for each in wanted])


def rises(x: Float[ndarray, " n"], y: Float[ndarray, " n"]) -> Float[ndarray, " rise"]:
    """Return every place where straight lines between the points become positive."""
    i = np.flatnonzero((y[:-1] <= 0) & (y[1:] > 0))
    return x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i])
