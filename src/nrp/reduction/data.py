"""Frames of many runs as tensors that stay in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from nrp.base import InvalidSetting


@dataclass(frozen=True)
class FrameData:
    """The frames of several runs, flattened to vectors of pixels.

    The controls are, in this order, the anisotropy α, the external field h, and those that the attribute
    ``controls`` of the dataset names.
    """

    images: Float[Tensor, "run frame pixel"]
    rates: Float[Tensor, "run frame pixel"]
    controls: Float[Tensor, "run frame control"]
    time: Float[Tensor, "run frame"]
    energy: Float[Tensor, "run frame"]
    """Nothing but nan where the system has none."""

    @property
    def intervals(self) -> Float[Tensor, "run interval"]:
        """Time from each frame to the next."""
        return self.time.diff(dim=1)

    def until(self, frame: int) -> FrameData:
        """Return the frames before one."""
        return FrameData(**{name: values[:, :frame] for name, values in vars(self).items()})

    def take(self, runs: np.ndarray) -> FrameData:
        """Return the frames of some runs, given by their places."""
        return FrameData(**{name: values[torch.from_numpy(runs)] for name, values in vars(self).items()})


def images_of(dataset: xr.Dataset) -> xr.DataArray:
    """Return the images of a dataset, the variable that its attribute ``field`` names.

    Raises
    ------
    InvalidSetting
        If there is no such attribute, or no such variable.
    """
    name = dataset.attrs.get("field")
    if name not in dataset:
        raise InvalidSetting(f"data: the attribute field = {name!r} must name the variable with the images")
    return dataset[name]


def load_frames(dataset: xr.Dataset, runs: np.ndarray | None = None) -> FrameData:
    """Return the frames of a dataset, or of those runs that a mask or a list of indices names.

    Raises
    ------
    InvalidSetting
        If a variable is missing, or not finite.
    """
    field, further = images_of(dataset).name, dataset.attrs.get("controls", ())
    for name in ("rate", "external_field", "anisotropy", "time", *further):
        if name not in dataset:
            raise InvalidSetting(f"data: the variable {name!r} is missing; it must be there")
    if runs is not None:
        runs = np.flatnonzero(runs) if runs.dtype == bool else runs
        dataset = dataset.isel(run=runs)
    frame = dataset["external_field"].dims
    values = [
        dataset[name].broadcast_like(dataset["external_field"]).transpose(*frame).values
        for name in ("anisotropy", "external_field", *further)
    ]
    for name in (field, "rate", "external_field"):
        if not np.isfinite(dataset[name].values).all():
            raise InvalidSetting(f"data: the variable {name!r} holds values that are not finite; none may")
    energy = dataset["energy"].values if "energy" in dataset else np.full(values[0].shape, np.nan)
    return FrameData(
        images=_tensor(dataset[field].values).flatten(2),
        rates=_tensor(dataset["rate"].values).flatten(2),
        controls=_tensor(np.stack(values, axis=-1)),
        time=_tensor(dataset["time"].values),
        energy=_tensor(energy),
    )


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
