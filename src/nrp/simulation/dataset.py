"""Datasets of runs on disk: the one door through which they come in, whoever made them.

A dataset is a Zarr store with images (run, frame, y, x), their ``rate`` ∂φ/∂t, ``time`` and
``external_field`` (run, frame), and ``anisotropy`` (run).  All else may be absent.  In place of an image may
stand numbers that describe it (run, frame, number).
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy import ndarray

from nrp.base import InvalidSetting, reason
from nrp.progress import tell_once
from nrp.simulation.external_field import ExternalField
from nrp.simulation.settings import CampaignSettings
from nrp.store import PROVENANCE, digest
from nrp.systems import SYSTEMS, System

_FRAME, _IMAGE, _NUMBERS = ("run", "frame"), ("run", "frame", "y", "x"), ("run", "frame", "number")
_LAYOUT = {
    "rate": _IMAGE,
    **dict.fromkeys(("time", "external_field", "energy"), _FRAME),
    **dict.fromkeys(("anisotropy", "sample", "sweep_rate", "onset_time"), ("run",)),
    "disorder": ("run", "y", "x"),
    "final_state": ("run", "fine_y", "fine_x"),
    **{axis: (axis,) for axis in "yx"},
}
_NEEDED = ("rate", "time", "external_field", "anisotropy")
_MAY_BE_NAN = ("energy", "onset_time")
_LARGEST = 1e12
"""Largest number that is let in: networks sum squares in single precision."""


def open_dataset(path: Path | str) -> xr.Dataset:
    """Open a dataset of runs; images, rates and states are read when they are asked for.

    Another order of dimensions is turned round, and what all runs or frames share is repeated for each.  A
    missing `sample` or `sweep_rate` is taken for one value, with a line on standard error.  The attribute
    `field` names the images.  The attribute `key` names what is in the dataset: in a store that is what the
    runs were made from, elsewhere, where anybody may have changed it, the digest of its files.

    Raises
    ------
    InvalidSetting
        If there is no dataset of runs at that path.
    """
    try:
        if not Path(path).is_dir():
            raise NotADirectoryError("there is no such folder")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that other things lie in the folder, too
            data = xr.open_zarr(path, consolidated=False, chunks=None, decode_timedelta=False)
    except Exception as error:  # files that are no metadata raise errors of any type
        wanted = f"data = {str(path)!r}: must be a Zarr store that holds runs"
        raise InvalidSetting(f"{wanted}; it cannot be read ({reason(error)})") from None
    data.encoding["named"] = str(path)
    data.attrs["field"] = field_of(data)
    further = data.attrs.get("controls", [])
    if not isinstance(further, list) or not all(isinstance(name, str) for name in further):
        raise fault(data, f"controls = {further!r}: must be a list of names of variables")
    image = _NUMBERS if "number" in data.dims else _IMAGE
    layout = _LAYOUT | dict.fromkeys(further, _FRAME) | dict.fromkeys(("rate", data.attrs["field"]), image)
    for name in (*_NEEDED, *further):
        if name not in data.variables:
            what = f"{_listed(layout[name])}{', the time derivative of the images' * (name == 'rate')}"
            raise fault(data, f"the variable {name!r} is missing; must be there, with dimensions {what}")
    present = [name for name in layout if name in data.variables]
    data = data.assign({name: _arranged(data, name, layout[name]) for name in present})
    for dimension, least in zip(image, (1, 2, 1, 1), strict=False):
        if (size := data.sizes[dimension]) < least:
            raise fault(data, f"the dimension {dimension!r} has the length {size}; must be at least {least}")
    for name in present:
        if set(layout[name]) <= set(_FRAME):
            data[name] = data[name].copy(data=values_of(data, name))
    # Networks see single precision.
    if not (np.diff(data["time"].values.astype(np.float32)) > 0).all():
        raise fault(data, "the variable 'time' must rise from each frame to the next, in single precision")
    data = _completed(data)
    if not _is_stored(Path(path), data.attrs.get("key")):
        data.attrs["key"] = digest(Path(path))[:16]
    return data


def field_of(data: xr.Dataset) -> str:
    """Return the name of the images: the attribute `field`, or the one variable that can only be images."""
    field = data.attrs.get("field")
    if field is None:
        images = [name for name in data.data_vars if name != "rate" and set(data[name].dims) == set(_IMAGE)]
        if len(images) != 1:
            wanted = f"must be a Zarr store that holds runs, as images {_listed(_IMAGE)}, of several those"
            raise fault(data, f"{wanted} that the attribute 'field' names; has {len(images)}")
        return str(images[0])
    if not isinstance(field, str) or field not in data:
        raise fault(data, f"field = {field!r}: must name the variable with the images")
    return field


def shape_of(data: xr.Dataset) -> tuple[int, ...]:
    """Return the shape of an image, (y, x), or of what describes it, (number)."""
    return tuple(data.sizes[name] for name in data[field_of(data)].dims if name not in _FRAME)


def values_of(data: xr.Dataset, name: str) -> ndarray:
    """Return the values of a variable; those that cannot be read or are not finite are refused."""
    try:
        values = data[name].values
    except Exception as error:  # damaged chunks raise errors of any type
        raise fault(data, f"the variable {name!r} cannot be read ({reason(error)})") from None
    checked = values.dtype.kind == "f" and name not in _MAY_BE_NAN
    if checked and (count := np.count_nonzero(~(np.abs(values) <= _LARGEST))):
        found = f"holds values that are not finite, or exceed {_LARGEST:g}: {count} of {values.size}"
        raise fault(data, f"the variable {name!r} {found}; none may")
    return values


def settings_of(data: xr.Dataset) -> CampaignSettings:
    """Return the settings that a dataset was made with; data from elsewhere, which have none, are refused."""
    settings = data.attrs.get("settings")
    if settings is None:
        raise fault(data, "the attribute 'settings' is missing; needs data that nrp simulate has made")
    try:
        return CampaignSettings.parse(settings if isinstance(settings, dict) else json.loads(settings))
    except (TypeError, ValueError) as error:
        raise fault(data, f"settings: must be those of a campaign, as JSON ({reason(error)})") from None


def system_of(data: xr.Dataset, run: int) -> System:
    """Return the system of a run, on the grid that its frames show, with the disorder that they show."""
    settings = settings_of(data).system
    if getattr(settings, "coarsen", 1) > 1:
        # Such a grid need not be one that may be simulated.
        settings = settings.model_copy(update={"dx": settings.dx * settings.coarsen, "coarsen": 1})
    kind: Any = SYSTEMS[settings.system]  # which takes a disorder if it has one
    disorder = {}
    if kind.disordered:
        if "disorder" not in data:
            raise fault(data, f"the variable 'disorder' is missing; the system {settings.system!r} needs it")
        disorder = {"disorder": data["disorder"].values[run].astype(float)}
    return kind(settings, anisotropy=float(data["anisotropy"][run]), **disorder)


def check_final_state(data: xr.Dataset, run: int) -> None:
    """Make sure that the stored last state of a run is what its last frame shows, so that it can go on."""
    last = data[["final_state", field_of(data)]].isel(run=run, frame=-1)
    last.encoding = data.encoding
    state, image = values_of(last, "final_state"), values_of(last, field_of(data))
    (rows, columns), blocks = image.shape, np.floor_divide(state.shape, image.shape)
    fits = state.shape == (rows * blocks[0], columns * blocks[1])
    means = state.reshape(rows, blocks[0], columns, blocks[1]).mean(axis=(1, 3)) if fits else np.nan
    if not np.allclose(means, image, rtol=1e-5, atol=1e-5):
        found = f"of run {run} is not the state that its last frame shows; must be"
        raise fault(data, f"the variable 'final_state' {found}")


def fault(data: xr.Dataset, text: str) -> InvalidSetting:
    """Return the error that says what is wrong with a dataset; it names the path, if that is known."""
    named = data.encoding.get("named")
    return InvalidSetting(f"data: {text}" if named is None else f"data = {named!r}: {text}")


def _arranged(data: xr.Dataset, name: str, dims: tuple[str, ...]) -> xr.Variable:
    """Return a variable with these dimensions, and of images floating-point numbers, without reading it."""
    variable = data.variables[name]
    of_frames = dims in (_IMAGE, _NUMBERS)
    absent = set(dims) - set(variable.dims if of_frames else data.sizes)
    if absent or not set(variable.dims) <= set(dims):
        found = f"has the dimensions {_listed(variable.dims)}; must have {_listed(dims)}"
        raise fault(data, f"the variable {name!r} {found}")
    if variable.dtype.kind not in "biuf":
        raise fault(data, f"the variable {name!r} holds values of the type {variable.dtype}; must be numbers")
    if of_frames and variable.dtype.kind != "f":
        variable = variable.copy(deep=False)
        variable.attrs["scale_factor"] = 1.0  # which makes of them floating-point numbers, when they are read
        variable = xr.conventions.decode_cf_variable(name, variable)
    if set(variable.dims) != set(dims):
        variable = variable.set_dims({dimension: data.sizes[dimension] for dimension in dims})
    return variable if variable.dims == dims else variable.transpose(*dims)


def _completed(data: xr.Dataset) -> xr.Dataset:
    """Return the dataset with what may be absent, if its settings are those that it was made with."""
    campaign = settings_of(data) if "settings" in data.attrs else None
    runs, taken = data.sizes["run"], []
    for name in ("sample", "sweep_rate"):
        if name not in data.variables:
            known: tuple = () if campaign is None else getattr(campaign, name)
            value = known[0] if len(known) == 1 else 0
            data = data.assign_coords({name: ("run", np.full(runs, value))})
            taken.append(f"{name} = {value}")
    if taken:
        missing = f"{' and '.join(taken)} is taken for all runs, for want of such a variable"
        tell_once(f"warning: {fault(data, missing)}")
    if "onset_time" not in data:
        data["onset_time"] = ("run", np.full(runs, np.nan))
    for axis in (set("yx") & set(data.sizes)) - data.variables.keys():
        data = data.assign_coords({axis: np.arange(data.sizes[axis])})
    if campaign is not None:
        data.attrs["settings"] = campaign.model_dump_json()
        shape, images = tuple(len(axis) for axis in campaign.system.axes), shape_of(data)
        if shape != images and "number" not in data.dims:
            wanted = f"must be {shape}, as in its attribute 'settings'"
            raise fault(data, f"has images of {images} pixels; {wanted}")
        for run, rate in enumerate(data["sweep_rate"].values):
            field = ExternalField.of(campaign, float(rate)).at(data["time"].values[run])
            if not np.allclose(field, data["external_field"].values[run], rtol=1e-5, atol=1e-5):
                found = "the variable 'external_field' is not what the attribute 'settings' says"
                raise fault(data, f"{found}; must be, where there is that attribute")
    return data


def _is_stored(path: Path, key: object) -> bool:
    """Return whether the dataset is a result with this key, in a store."""
    entry = path.resolve().parent
    try:
        record = json.loads((entry / PROVENANCE).read_text())
        return entry.parts[-3:] == ("store", record["step"], record["key"]) == ("store", record["step"], key)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _listed(dims: tuple) -> str:
    return f"({', '.join(map(str, dims))})"
