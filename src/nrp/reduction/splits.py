"""Which runs a model was trained on, and in what the others are new to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from numpy import ndarray

from nrp.base import InvalidSetting
from nrp.reduction.settings import ModelSettings, Runs

_COORDINATES = ("anisotropy", "sample", "sweep_rate")
_SPLITS = {
    frozenset(): "trained",
    frozenset({"anisotropy"}): "new_anisotropy",
    frozenset({"sample"}): "new_disorder",
    frozenset({"sweep_rate"}): "new_sweep_rate",
    frozenset({"anisotropy", "sample", "sweep_rate"}): "new_all",
}
SPLITS = (
    "trained",
    "new_anisotropy",
    "new_disorder",
    "new_sweep_rate",
    "new_all",
    "beyond_anisotropy",
    "beyond_sweep_rate",
    "field_step",
    "field_hold",
    "random_start",
)

Runnable = TypeVar("Runnable", bound=Any)  # which gives a part of its runs, like a dataset
Coverage = Mapping[str, Sequence]
"""What a model was trained on: the values of each coordinate in `_COORDINATES`, sweep rates of sweeps alone;
and the keys of the datasets whose field is no sweep, as ``protocols``."""


def runs_with(dataset: xr.Dataset, named: Runs) -> ndarray:
    """Return for each run whether one of its coordinates is named."""
    return np.any([np.isin(dataset[name].values, getattr(named, name)) for name in _COORDINATES], axis=0)


def check_anisotropies(datasets: Sequence[xr.Dataset], setting: str, named: Sequence[float]) -> None:
    """Make sure that there are runs with each of the anisotropies that a setting names.

    Raises
    ------
    InvalidSetting
        If there are none.
    """
    there = sorted({float(value) for data in datasets for value in data["anisotropy"].values})
    if absent := [value for value in named if value not in there]:
        raise InvalidSetting(f"{setting} = {absent}: must be anisotropies of the data, which are {there}")


def trained_runs(dataset: xr.Dataset, settings: ModelSettings) -> ndarray:
    """Return for each run of the training data whether the model is trained on it."""
    return ~(runs_with(dataset, settings.held) | runs_with(dataset, settings.validation))


def coverage(datasets: Sequence[xr.Dataset], settings: ModelSettings) -> Coverage:
    """Return what a model with these settings sees of the datasets that it is trained on."""
    known = [data.isel(run=trained_runs(data, settings)) for data in datasets]
    tables = [data for data in known if _has_table(data)]
    sweeps = [data for data in known if not _has_table(data)] or known
    parts = {name: sweeps if name == "sweep_rate" else known for name in _COORDINATES}
    seen = {name: np.concatenate([data[name].values for data in part]) for name, part in parts.items()}
    found: dict[str, list] = {name: np.unique(values).tolist() for name, values in seen.items()}
    if tables:
        found["protocols"] = [str(data.attrs["key"]) for data in tables]
    return found


def split_names(dataset: xr.Dataset, settings: ModelSettings, trained_on: Coverage) -> ndarray:
    """Return the name of the split of each run, by what of it does not occur in the training runs.

    It is ``trained``, ``validation``, ``new_anisotropy``, ``new_disorder``, ``new_sweep_rate``, ``new_all``,
    ``random_start`` where samples differ in the start alone, and for films that begin with noise;
    ``beyond_anisotropy`` and ``beyond_sweep_rate`` outside the range of those seen, if there are several;
    where a table makes the field, ``field_step`` if it jumps and else ``field_hold``, unless the model was
    trained on these very runs.  An empty name where some things are new, but neither one nor all, or where
    all is and one of them lies outside its range.
    """
    new = {name: ~np.isin(dataset[name].values, trained_on[name]) for name in _COORDINATES}
    protocol = _protocol(dataset)
    if protocol:
        if dataset.attrs.get("key") in trained_on.get("protocols", ()):
            return np.where(new["anisotropy"] | new["sample"], "", "trained")
        return np.where(new["anisotropy"] ^ new["sample"], "", protocol)
    names = [
        _SPLITS.get(frozenset(name for name in new if new[name][run]), "")
        for run in range(dataset.sizes["run"])
    ]
    for name in ("anisotropy", "sweep_rate"):
        seen = trained_on[name]
        for run in np.flatnonzero(outside(dataset[name].values, seen) & (len(seen) > 1)):
            names[run] = names[run].replace(f"new_{name}", f"beyond_{name}").replace("new_all", "")
    if "disorder" not in dataset:
        names = ["random_start" if name == "new_disorder" else name for name in names]
    return np.where(runs_with(dataset, settings.validation), "validation", names)


def by_split(items: Sequence[Runnable], names: Sequence[ndarray]) -> dict[str, list[Runnable]]:
    """Return the runs of each of `SPLITS` that occurs, a part of each item that has some.

    Items are datasets, or anything else that gives a part of its runs by ``isel(run=places)``; for each the
    names are those of `split_names`.
    """
    parts = {
        split: [
            item.isel(run=np.flatnonzero(of_run == split))
            for item, of_run in zip(items, names, strict=True)
            if split in of_run
        ]
        for split in SPLITS
    }
    return {split: found for split, found in parts.items() if found}


def outside(values: ndarray, seen: Sequence[float]) -> ndarray:
    """Return which values lie outside the range of those seen, even if there is only one."""
    return (values < min(seen)) | (values > max(seen))


def _has_table(dataset: xr.Dataset) -> bool:
    return _protocol(dataset).startswith("field")


def _protocol(dataset: xr.Dataset) -> str:
    """Return the split of runs that are no sweep from the saturated state; empty for such a sweep."""
    settings = json.loads(dataset.attrs.get("settings", "{}"))
    table = settings.get("field_table")
    if settings.get("system", {}).get("start") == "random":
        return "random_start"
    if not table:
        return ""
    jumps = any(time == later and h != then for (time, h), (later, then) in pairwise(table))
    return "field_step" if jumps else "field_hold"
