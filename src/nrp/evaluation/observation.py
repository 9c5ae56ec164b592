"""A model looks at runs once: every analysis takes what it needs from the same observation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Self

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from nrp.base import InvalidSetting
from nrp.reduction import FrameData, ReducedModel, load_frames
from nrp.reduction.splits import by_split, split_names
from nrp.simulation.dataset import shape_of

_RUNS_AT_ONCE = 64


class Observation:
    """What a model says of the runs of a dataset, of which the frames may be in memory already.

    Each quantity is computed when it is first asked for, and kept.

    Raises
    ------
    InvalidSetting
        If the images are not of the size that the model takes.
    """

    _whole: Observation | None = None
    _runs: ndarray  # of the whole

    def __init__(self, model: ReducedModel, data: xr.Dataset, frames: FrameData | None = None) -> None:
        shape = shape_of(data)
        if shape != model.shape:
            raise InvalidSetting(f"data: has {shape} pixels, the model takes images of {model.shape}")
        self.model, self.data = model, data
        if frames is not None:
            self.stored = frames

    def isel(self, *, run: ndarray) -> Self:
        """Return the observation of some of the runs, given by their places."""
        part = type(self)(self.model, self.data.isel(run=run))
        # A part of a part takes from the whole, so that no copy is made on the way.
        part._whole = self._whole or self
        part._runs = run if self._whole is None else self._runs[run]
        return part

    @property
    def arm(self) -> str:
        """Name of the model in tables."""
        return self.model.settings.label

    @property
    def samples(self) -> ndarray:
        """The disorder sample of each run."""
        return self.data["sample"].values

    @property
    def times(self) -> Float[ndarray, "run frame"]:
        """When the frames are."""
        return self.data["time"].values

    @cached_property
    def stored(self) -> FrameData:
        """Images, rates, controls and energies as tensors."""
        return load_frames(self.data) if self._whole is None else self._whole.stored.take(self._runs)

    @cached_property
    def frames(self) -> FrameData:
        """The same as the model sees them."""
        return self.model.seen(self.stored)

    @property
    def controls(self) -> Float[Tensor, "run frame control"]:
        """The anisotropy α, the field h, and further controls."""
        return self.frames.controls

    @cached_property
    def x(self) -> Float[Tensor, "run frame coordinate"]:
        """The coordinates of the images."""
        return self.model.coordinates.of(self.frames.images)

    @cached_property
    def x_rate(self) -> Float[Tensor, "run frame coordinate"]:
        """The true rates of the coordinates."""
        return self.model.coordinates.of_rate(self.frames.rates)

    @cached_property
    def z(self) -> Float[Tensor, "run frame latent"]:
        """The latent states E(X)."""
        return self._each("z", lambda run: self.model.encode(self.frames.images[run]))

    @cached_property
    def z_rate(self) -> Float[Tensor, "run frame latent"]:
        """The exact ż = J_E ∂φ/∂t."""
        images, rates = self.frames.images, self.frames.rates
        return self._each("z_rate", lambda run: self.model.latent_rate(images[run], rates[run]))

    @cached_property
    def slope(self) -> Float[Tensor, "run frame latent"]:
        """∂V/∂z."""
        return self._each("slope", lambda run: self.model.slope(self.z[run], self.controls[run]))

    @cached_property
    def velocity(self) -> Float[Tensor, "run frame latent"]:
        """The model's ż: −∂V/∂z, with its mobility if it has one, or its free field."""
        if self.model.settings.potential != "none" and self.model.settings.mobility == "unit":
            return -self.slope
        return self._each("velocity", lambda run: self.model.velocity(self.z[run], self.controls[run]))

    @cached_property
    def potential(self) -> Float[Tensor, "run frame"]:
        """V."""
        return self._each("potential", lambda run: self.model.potential(self.z[run], self.controls[run]))

    @cached_property
    def moment(self) -> Float[Tensor, "run frame"]:
        """−∂V/∂h, which is the mean magnetization if V is the energy per area."""

        def of(run: slice) -> Tensor:
            z = self.z[run]
            return -torch.func.grad(lambda c: self.model.potential(z, c).sum())(self.controls[run])[..., 1]

        return self._each("moment", of)

    @cached_property
    def mean(self) -> Float[Tensor, "run frame"]:
        """The mean of each image: of a film, the mean magnetization."""
        return self._each("mean", lambda run: self.frames.images[run].mean(dim=2))

    @cached_property
    def rebuilt(self) -> Float[Tensor, "run frame coordinate"]:
        """The coordinates of the rebuilt images D(E(X))."""
        with torch.no_grad():
            return self.model.autoencoder.decode(self.z)

    @cached_property
    def at_rest(self) -> ndarray:
        """Whether the field keeps its value from each frame to the next: bool (run, interval)."""
        return np.diff(self.data["external_field"].values, axis=1) == 0

    def flat(self, name: str) -> ndarray:
        """Return one of the quantities over all frames of all runs, in double precision."""
        return getattr(self, name).flatten(0, 1).double().numpy()

    def _each(self, name: str, of: Callable[[slice], Tensor]) -> Tensor:
        if self._whole is not None:
            return getattr(self._whole, name)[torch.from_numpy(self._runs)]
        count = self.data.sizes["run"]
        with torch.no_grad():
            parts = [of(slice(i, i + _RUNS_AT_ONCE)) for i in range(0, count, _RUNS_AT_ONCE)]
        return torch.cat(parts).detach()


Observations = Sequence[Observation]
"""What one member says of several datasets."""


def split(observations: Observations) -> dict[str, list[Observation]]:
    """Return the runs of each split that occurs, a part of each observation that has some.

    Raises
    ------
    InvalidSetting
        If no run belongs to a split.
    """
    names = [split_names(o.data, o.model.settings, o.model.trained_on) for o in observations]
    found = by_split(observations, names)
    if not found:
        raise InvalidSetting("data: must have a run that is new in at most one thing, or in all three")
    return found
