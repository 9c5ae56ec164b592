"""Datasets of descriptors: films of which only the numbers that describe each image are kept."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import get_args

import numpy as np
import torch
import xarray as xr
from numpy import ndarray

from nrp.parallel import map_tasks
from nrp.reduction.data import load_frames
from nrp.reduction.descriptors import Family, describe, names
from nrp.simulation import CampaignSettings, open_dataset, simulate
from nrp.simulation.campaign import DATA
from nrp.store import Step, Store, content_key, remove

DESCRIBE, DESCRIBE_PERSISTENCE = Step("describe", 1), Step("describe_persistence", 1)
FIELD = "descriptors"
_KEPT = ("disorder", "energy", "external_field", "onset_time")
_FILMS = "films"
_AT_ONCE = 12
"""Runs that are read together: to open a dataset takes longer than to describe a run."""


def described_films(
    campaign: CampaignSettings, store: Store, *, persistent: bool = False, workers: int | None = None
) -> Path:
    """Return the Zarr store with the runs of a campaign, described (see `nrp.reduction.descriptors`).

    If `persistent`, persistence images are among the descriptors.  The films themselves are not kept.  An
    interrupted call goes on with the runs that it had not finished.

    Raises
    ------
    InvalidSetting
        If a run does not fit the memory, or its images are too small.
    NotFinite
        If a run leaves the finite numbers.
    """
    step = DESCRIBE_PERSISTENCE if persistent else DESCRIBE

    def compute(folder: Path) -> None:
        films = simulate(campaign, Store(folder / _FILMS), workers=workers)
        data = describe_dataset(films, persistent=persistent, workers=workers)
        data.attrs["key"] = content_key(step, campaign)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr has no type of its own for names
            data.to_zarr(folder / DATA, mode="w", consolidated=True)
        remove(folder / _FILMS)

    return store.get(step, campaign, compute) / DATA


def describe_dataset(path: Path, *, persistent: bool = False, workers: int | None = None) -> xr.Dataset:
    """Return the runs of a dataset with descriptors (run, frame, number) and their rates for images.

    Raises
    ------
    InvalidSetting
        If there is no dataset of images at that path, or they are too small.
    """
    films = open_dataset(path)
    count = films.sizes["run"]
    groups = [np.arange(first, min(first + _AT_ONCE, count)) for first in range(0, count, _AT_ONCE)]
    tasks = [(path, runs, persistent) for runs in groups]
    parts = map_tasks(_described_runs, tasks, workers=workers, title=f"describing {count} runs")
    values, rates = (np.concatenate(part) for part in zip(*parts, strict=True))
    frame = ("run", "frame", "number")
    data = xr.Dataset(
        {FIELD: (frame, values), "rate": (frame, rates)}
        | {name: films[name].load() for name in _KEPT if name in films},
        coords={name: films[name] for name in ("time", "anisotropy", "sample", "sweep_rate")}
        | {"number": list(names(get_args(Family)) if persistent else names())},
        attrs=films.attrs | {"field": FIELD},
    )
    for variable in data.variables.values():
        variable.encoding.clear()
    return data


def _described_runs(path: Path, runs: ndarray, persistent: bool) -> tuple[ndarray, ndarray]:
    films = open_dataset(path)
    frames = load_frames(films, runs)
    shape = (films.sizes["y"], films.sizes["x"])
    images, rates = (each.flatten(0, 1).unflatten(1, shape) for each in (frames.images, frames.rates))
    with torch.no_grad():
        found = describe(images, rates, pixel=float(films["x"][1] - films["x"][0]))
    parts = [tuple(part.numpy() for part in found)]
    if persistent:
        from nrp.reduction.persistence import persistence_descriptors  # which needs gudhi

        parts.append(persistence_descriptors(images.numpy(), rates.numpy()))
    values, moved = (
        np.concatenate(each, axis=1).astype(np.float32).reshape(*frames.time.shape, -1)
        for each in zip(*parts, strict=True)
    )
    return values, moved
