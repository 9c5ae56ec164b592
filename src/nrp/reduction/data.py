"""Frames of many runs as tensors that stay in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor

from nrp.settings import InvalidSetting

FIELDS = ("magnetization", "intensity")


@dataclass(frozen=True)
class FrameData:
    """The frames of several runs, flattened to vectors of pixels.

    The controls are, in this order, the anisotropy α and the external field h.
    """

    images: Float[Tensor, "run frame pixel"]
    rates: Float[Tensor, "run frame pixel"]
    controls: Float[Tensor, "run frame 2"]
    time: Float[Tensor, "run frame"]

    @property
    def intervals(self) -> Float[Tensor, "run interval"]:
        """Time from each frame to the next."""
        return self.time.diff(dim=1)


def field_name(dataset: xr.Dataset) -> str:
    """Return the name of the variable that holds the images.

    Raises
    ------
    InvalidSetting
        If the dataset has none.
    """
    for name in FIELDS:
        if name in dataset:
            return name
    raise InvalidSetting(f"data: must hold one of the variables {', '.join(FIELDS)}")


def load_frames(dataset: xr.Dataset, runs: np.ndarray | None = None) -> FrameData:
    """Return the frames of a dataset, or of those runs that a mask or a list of indices names.

    Raises
    ------
    InvalidSetting
        If a variable is missing.
    """
    field = field_name(dataset)
    for name in ("rate", "external_field", "anisotropy", "time"):
        if name not in dataset:
            raise InvalidSetting(f"data: the variable {name!r} is missing; it must be there")
    if runs is not None:
        runs = np.flatnonzero(runs) if runs.dtype == bool else runs
        dataset = dataset.isel(run=runs)
    field_h = dataset.external_field.values
    alpha = np.broadcast_to(dataset.anisotropy.values[:, None], field_h.shape)
    return FrameData(
        images=_tensor(dataset[field]).flatten(2),
        rates=_tensor(dataset["rate"]).flatten(2),
        controls=torch.tensor(np.stack([alpha, field_h], axis=-1), dtype=torch.float32),
        time=torch.tensor(dataset.time.values, dtype=torch.float32),
    )


def _tensor(array: xr.DataArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.values, dtype=np.float32))
