"""Which runs a model was trained on, and in what the others are new to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy import ndarray

from nrp.settings import ModelSettings

_COORDINATES = ("anisotropy", "sample", "sweep_rate")
_SPLITS = {
    frozenset(): "trained",
    frozenset({"anisotropy"}): "new_anisotropy",
    frozenset({"sample"}): "new_disorder",
    frozenset({"sweep_rate"}): "new_sweep_rate",
    frozenset({"anisotropy", "sample", "sweep_rate"}): "new_all",
}


Coverage = Mapping[str, Sequence[float]]
"""What a model was trained on: the values of each coordinate in `_COORDINATES`."""


def trained_runs(dataset: xr.Dataset, settings: ModelSettings) -> ndarray:
    """Return for each run of the training data whether the model is trained on it."""
    held = np.isin(dataset.anisotropy.values, settings.held_anisotropy)
    return ~(held | np.isin(dataset["sample"].values, settings.held_sample))


def coverage(dataset: xr.Dataset, settings: ModelSettings) -> Coverage:
    """Return what a model with these settings sees of a dataset that it is trained on."""
    known = dataset.isel(run=trained_runs(dataset, settings))
    return {name: np.unique(known[name].values).tolist() for name in _COORDINATES}


def split_names(dataset: xr.Dataset, trained_on: Coverage) -> ndarray:
    """Return the name of the split of each run, by what of it does not occur in the training runs.

    Parameters
    ----------
    dataset
        The runs to name.
    trained_on
        The anisotropies, samples and sweep rates that the model has seen.

    Returns
    -------
    ndarray of str
        ``trained``, ``new_anisotropy``, ``new_disorder``, ``new_sweep_rate``, ``new_all``, for the bead
        ``random_start``; an empty name where two of three things are new.
    """
    new = {name: ~np.isin(dataset[name].values, trained_on[name]) for name in _COORDINATES}
    names = [
        _SPLITS.get(frozenset(name for name in new if new[name][run]), "")
        for run in range(dataset.sizes["run"])
    ]
    if "disorder" not in dataset:
        names = ["random_start" if name == "new_disorder" else name for name in names]
    return np.array(names)
