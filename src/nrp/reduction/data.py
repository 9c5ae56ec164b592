"""Frames of many runs as tensors that stay in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from nrp.simulation.dataset import fault, field_of, values_of


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

    def take(self, runs: np.ndarray) -> FrameData:
        """Return the frames of some runs, given by their places."""
        return FrameData(**{name: values[torch.from_numpy(runs)] for name, values in vars(self).items()})


def images_of(dataset: xr.Dataset) -> xr.DataArray:
    """Return the images of a dataset, the variable that its attribute ``field`` names.

    Raises
    ------
    InvalidSetting
        If neither that attribute nor their dimensions tell which variable it is.
    """
    return dataset[field_of(dataset)]


def load_frames(dataset: xr.Dataset, runs: np.ndarray | None = None) -> FrameData:
    """Return the frames of a dataset, or of those runs that a mask or a list of indices names.

    Raises
    ------
    InvalidSetting
        If a variable is missing, cannot be read, or is not finite.
    """
    field, further = field_of(dataset), dataset.attrs.get("controls", ())
    for name in ("rate", "external_field", "anisotropy", "time", *further):
        if name not in dataset:
            raise fault(dataset, f"the variable {name!r} is missing; it must be there")
    if runs is not None:
        # The encoding tells errors where the data came from.
        named, runs = dataset.encoding, np.flatnonzero(runs) if runs.dtype == bool else runs
        dataset = dataset.isel(run=runs)
        dataset.encoding = named
    steering = ("anisotropy", "external_field", *further)
    values = {name: values_of(dataset, name) for name in (field, "rate", "time", *steering)}
    shape = values["external_field"].shape
    controls = [values[name] if values[name].ndim == 2 else values[name][:, None] for name in steering]
    return FrameData(
        images=_tensor(values[field]).flatten(2),
        rates=_tensor(values["rate"]).flatten(2),
        controls=_tensor(np.stack([np.broadcast_to(each, shape) for each in controls], axis=-1)),
        time=_tensor(values["time"]),
        energy=_tensor(values_of(dataset, "energy") if "energy" in dataset else np.full(shape, np.nan)),
    )


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
