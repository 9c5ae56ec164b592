"""The reduced flow followed in time, from many states at once, driven by the field of their runs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from nrp.reduction import FrameData
from nrp.simulation import ExternalField, settings_of

Velocity = Callable[[Tensor, Tensor], Tensor]
"""ż of latent states (batch, latent) under controls (batch, control)."""


class Drive:
    """The controls of the runs of some datasets at any time, not only at their frames.

    Runs are counted through the datasets.  Where the settings of the campaign are not known, the field goes
    in straight lines from frame to frame.
    """

    def __init__(self, *parts: tuple[xr.Dataset, FrameData]) -> None:
        self._fields: list[ExternalField] = []
        numbers, controls = [], []
        for dataset, frames in parts:
            if "settings" in dataset.attrs:
                campaign = settings_of(dataset)
                rates, which = np.unique(dataset["sweep_rate"].values, return_inverse=True)
                fields = [ExternalField.of(campaign, float(rate)) for rate in rates]
            else:
                which = np.arange(dataset.sizes["run"])
                knots = np.stack([dataset["time"].values, dataset["external_field"].values], axis=2)
                fields = [ExternalField(*map(tuple, of_run.tolist())) for of_run in knots]
            numbers.append(which + len(self._fields))
            self._fields += fields
            controls.append(frames.controls[:, 0])
        self._numbers, self._controls = np.concatenate(numbers), torch.cat(controls)

    def __call__(self, runs: Int[ndarray, " start"], times: Float[ndarray, "moment start"]) -> Tensor:
        """Return the controls (moment, start, control) of these runs at these times."""
        controls, numbers = self._controls[torch.from_numpy(runs)], self._numbers[runs]
        controls = controls.repeat(len(times), 1, 1)
        for number in np.unique(numbers):
            here = numbers == number
            found = torch.from_numpy(self._fields[number].at(times[:, here])).float()
            controls[:, torch.from_numpy(here), 1] = found
        return controls


def follow(
    velocity: Velocity,
    z: Float[Tensor, "start latent"],
    drive: Drive,
    runs: Int[ndarray, " start"],
    times: Float[ndarray, "start frame"],
    *,
    longest: float,
) -> Float[Tensor, "start frame latent"]:
    """Integrate ż = velocity(z, α, h(t)) by the classical Runge–Kutta scheme.

    The states z are those at the first of the times; where a time is repeated the state stays.  No step is
    longer than `longest`, in units of time.  If that is infinite, one step of Euler's leads from each frame
    to the next, as in the paper's prediction of the next image.
    """
    step, states = _euler if math.isinf(longest) else _runge_kutta, [z]
    with torch.no_grad():
        for begin, end in zip(times.T, times.T[1:], strict=False):
            steps = max(1, math.ceil((end - begin).max() / longest - 1e-9))
            length = torch.from_numpy((end - begin) / steps).float()[:, None]
            at = drive(runs, np.linspace(begin, end, 2 * steps + 1))
            for i in range(steps):
                z = step(velocity, z, length, at[2 * i : 2 * i + 3])
            states.append(z)
    return torch.stack(states, dim=1)


def _euler(velocity: Velocity, z: Tensor, length: Tensor, at: Tensor) -> Tensor:
    return z + length * velocity(z, at[0])


def _runge_kutta(velocity: Velocity, z: Tensor, length: Tensor, at: Tensor) -> Tensor:
    first, middle, last = at
    a = velocity(z, first)
    b = velocity(z + length / 2 * a, middle)
    c = velocity(z + length / 2 * b, middle)
    d = velocity(z + length * c, last)
    return z + length / 6 * (a + 2 * b + 2 * c + d)
