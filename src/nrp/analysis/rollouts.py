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

from nrp.analysis.morphology import describe, peak_wavenumber
from nrp.reduction import FrameData
from nrp.simulation import settings_of
from nrp.simulation.external_field import ExternalField
from nrp.systems import Film

Velocity = Callable[[Tensor, Tensor], Tensor]
"""ż of latent states (batch, latent) under controls (batch, control)."""


class Drive:
    """The controls of the runs of some datasets at any time, not only at their frames.

    Runs are counted through the datasets.
    """

    def __init__(self, *parts: tuple[xr.Dataset, FrameData]) -> None:
        self._fields: list[ExternalField] = []
        numbers, controls = [], []
        for dataset, frames in parts:
            rates, which = np.unique(dataset["sweep_rate"].values, return_inverse=True)
            numbers.append(which + len(self._fields))
            campaign = settings_of(dataset)
            self._fields += [ExternalField.of(campaign, float(rate)) for rate in rates]
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

    Parameters
    ----------
    velocity
        Of a model or of a rival.
    z
        States at the first of the times.
    drive, runs
        What the field of each state's run is.
    times
        When the states are wanted; where a time is repeated the state stays.
    longest
        Longest step, in units of time.
    """
    states = [z]
    with torch.no_grad():
        for begin, end in zip(times.T, times.T[1:], strict=False):
            steps = max(1, math.ceil((end - begin).max() / longest - 1e-9))
            length = torch.from_numpy((end - begin) / steps).float()[:, None]
            at = drive(runs, np.linspace(begin, end, 2 * steps + 1))
            for i in range(steps):
                first, middle, last = at[2 * i : 2 * i + 3]
                a = velocity(z, first)
                b = velocity(z + length / 2 * a, middle)
                c = velocity(z + length / 2 * b, middle)
                d = velocity(z + length * c, last)
                z = z + length / 6 * (a + 2 * b + 2 * c + d)
            states.append(z)
    return torch.stack(states, dim=1)


def readouts(images: Float[ndarray, "run frame y x"], dataset: xr.Dataset, frames: Int[ndarray, " frame"]):
    """Return what a physicist reads off images of films: arrays (run, frame) under their names.

    ``mean_magnetization``, ``wall_density``, ``negative_domains``, ``peak_wavenumber`` of the structure
    factor, and ``energy``, H per area of the image itself, on the grid of its pixels.

    Parameters
    ----------
    images
        Not necessarily those of the dataset.
    dataset
        The runs, for their field, disorder and pixels.
    frames
        Which frames of the runs the images are to be.
    """
    system = settings_of(dataset).system
    pixel = system.dx * system.coarsen
    # A grid of such pixels need not be one that may be simulated.
    coarse = system.model_copy(update={"dx": pixel, "coarsen": 1})
    flat = images.reshape(-1, *images.shape[2:])
    found = describe(flat, pixel)
    values = {name: found[name].astype(float) for name in ("wall_density", "negative_domains")}
    values["mean_magnetization"] = flat.mean(axis=(1, 2))
    values["peak_wavenumber"] = np.array([peak_wavenumber(image, pixel) for image in flat])
    energy = []
    for run, states in enumerate(images):
        alpha, disorder = float(dataset.anisotropy[run]), dataset.disorder.values[run]
        film = Film(coarse, anisotropy=alpha, disorder=disorder)
        fields = dataset.external_field.values[run, frames]
        energy += [film.energy(state, h) for state, h in zip(states, fields, strict=True)]
    values["energy"] = np.array(energy)
    return {name: array.reshape(images.shape[:2]) for name, array in values.items()}
