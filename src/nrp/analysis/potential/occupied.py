"""The minimum that a state occupies, followed from the saturated film on, and what is read off it."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from nrp.analysis.potential.branches import Track, follow_branch, occupied_minimum
from nrp.analysis.potential.stationary import Potential
from nrp.base import InvalidSetting
from nrp.reduction import ReducedModel, load_frames

READ = ("mean", "negative_fraction")
"""Descriptors that are read off states."""
MEMBERS = 5
"""Members whose landscapes are looked at."""
_STEP = 0.05
"""Longest step along a branch, of z and the control together."""


class Sweep(NamedTuple):
    """The minima that a state occupies while the field falls, and rises again; None once it is lost."""

    falling: Track | None
    rising: Track | None


def in_double(model: ReducedModel) -> ReducedModel:
    """Return a copy of a model in double precision, as those who follow minima need it.

    Raises
    ------
    InvalidSetting
        If it has no potential.
    """
    if model.settings.potential == "none":
        raise InvalidSetting("potential = 'none': must be one, for its minima are followed")
    return copy.deepcopy(model).double().requires_grad_(False)


def saturated_states(
    model: ReducedModel, films: xr.Dataset, alphas: Float[ndarray, " a"]
) -> Float[Tensor, "a latent"]:
    """Return the encoded mean of the first frames at each anisotropy, for a model in double precision."""
    first = model.seen(load_frames(films.isel(frame=[0]))).images[:, 0].double()
    means = [first[torch.from_numpy(films["anisotropy"].values == alpha)].mean(dim=0) for alpha in alphas]
    return model.encode(torch.stack(means))


def read_off(
    model: ReducedModel, z: Float[Tensor, "*batch latent"], films: xr.Dataset
) -> Float[ndarray, "*batch read"]:
    """Return what decoded states have of the descriptors `READ` of some films, in their own units."""
    values = model.decode(z) if model.scale is None else model.decode(z) * model.scale
    return values[..., places_read(films)].numpy()


def places_read(films: xr.Dataset) -> list[int]:
    """Return the places of `READ` among the descriptors of films.

    Raises
    ------
    InvalidSetting
        If the films are not described by these numbers.
    """
    numbers = films["number"].values.tolist() if "number" in films else []
    if missing := [name for name in READ if name not in numbers]:
        raise InvalidSetting(f"data: the descriptor {missing[0]!r} is missing; it must be there")
    return [numbers.index(name) for name in READ]


def swept(
    potential: Potential, alpha: float, start: Float[Tensor, " latent"], fields: tuple[float, float]
) -> Sweep:
    """Follow the occupied minimum from the first field to the last, and back."""
    begin, until = fields
    falling = followed(potential, (alpha, begin), start, along=1, until=until)
    if falling is None:
        return Sweep(None, None)
    last = torch.from_numpy(falling.z[-1])
    return Sweep(falling, followed(potential, (alpha, until), last, along=1, until=begin))


def followed(
    potential: Potential,
    controls: tuple[float, ...],
    start: Float[Tensor, " latent"],
    *,
    along: int,
    until: float,
) -> Track | None:
    """Follow the occupied minimum to a value of a control, that value itself; None where the state is lost.

    It is lost where it finds no minimum, or the branch breaks off.
    """
    limits = min(controls[along], until), max(controls[along], until)
    last = (*controls[:along], until, *controls[along + 1 :])
    begin, end = (torch.tensor(each, dtype=torch.float64) for each in (controls, last))
    try:
        track = occupied_minimum(potential, begin, start, along=along, until=until, step=_STEP)
        if not len(track.control) or abs(track.control[-1] - until) > 1.1 * _STEP:
            return None
        near = torch.from_numpy(track.z[-1])
        # A branch of a single point: the stationary one at the end itself.
        point = follow_branch(
            potential, end, near, along=along, limits=(until, until), step=_STEP, rising=True, most=1
        )
    except ValueError:
        return None
    softest = np.append(track.softest, point.curvatures[0, 0])
    if softest.min() <= 0 or np.linalg.norm(point.z[0] - track.z[-1]) > 4 * _STEP:
        return None
    before = np.abs(track.control - until) > 1e-6
    inside = (track.folds >= limits[0]) & (track.folds <= limits[1])
    return Track(
        np.append(track.control[before], until),
        np.concatenate([track.z[before], point.z]),
        softest[np.append(before, True)],
        track.folds[inside],
        track.jumps[inside],
    )


def resampled(
    track: Track | None, at: Float[ndarray, " value"], *, latent: int
) -> Float[Tensor, "value latent"]:
    """Return the states of a track at values of the control, in straight lines between its points.

    Without a track they are nan.
    """
    if track is None:
        return torch.full((len(at), latent), torch.nan, dtype=torch.float64)
    order = np.argsort(track.control, kind="stable")
    parts = [np.interp(at, track.control[order], column[order]) for column in track.z.T]
    return torch.from_numpy(np.stack(parts, axis=1))
