"""Datasets of runs on disk: the one door through which they come in."""

from __future__ import annotations

import json
from pathlib import Path

import xarray as xr

from nrp.base import InvalidSetting
from nrp.simulation.settings import CampaignSettings
from nrp.store import PROVENANCE, digest
from nrp.systems import SYSTEMS, System


def open_dataset(path: Path | str) -> xr.Dataset:
    """Open a dataset of runs lazily.

    Its attribute `key` names what is in it: in a store that is what the runs were made from, elsewhere, where
    anybody may have changed it, the digest of its files.

    Raises
    ------
    InvalidSetting
        If there is no dataset of runs at that path.
    """
    wanted = f"data = {str(path)!r}: must be a Zarr store that holds runs"
    try:
        data = xr.open_zarr(path, consolidated=False, chunks=None)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidSetting(f"{wanted}; it cannot be read ({reason})") from None
    if "key" not in data.attrs:
        raise InvalidSetting(f"{wanted}; its attribute 'key' is missing")
    if not (Path(path).parent / PROVENANCE).is_file():
        data.attrs["key"] = digest(Path(path))[:16]
    return data


def settings_of(data: xr.Dataset) -> CampaignSettings:
    """Return the settings that a dataset was made with."""
    return CampaignSettings.parse(json.loads(data.attrs["settings"]))


def system_of(data: xr.Dataset, run: int) -> System:
    """Return the system of a run, on the grid that its frames show, with the disorder that they show."""
    settings = settings_of(data).system
    if getattr(settings, "coarsen", 1) > 1:
        # Such a grid need not be one that may be simulated.
        settings = settings.model_copy(update={"dx": settings.dx * settings.coarsen, "coarsen": 1})
    disorder = {"disorder": data["disorder"].values[run].astype(float)} if "disorder" in data else {}
    return SYSTEMS[settings.system](settings, anisotropy=float(data["anisotropy"][run]), **disorder)
