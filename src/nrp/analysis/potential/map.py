"""A learned potential in two coordinates with films in it: the data of a map that a page draws itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr

from nrp.analysis.registry import Dataset, Model, Needs, analysis
from nrp.base import InvalidSetting
from nrp.evaluation import Result
from nrp.reduction import ReducedModel, load_frames

_SAMPLES = 3
"""Disorder samples whose films are drawn."""
_MARGIN = 0.35
"""Of the map around the films, in units of z."""


def _needs(profile) -> Needs | None:
    if "descriptors_two" not in profile.models:
        return None
    films, *others = profile.models["descriptors_two"].data
    held = tuple(Dataset(name) for name in others if profile.datasets[name].held_from)
    return {"model": Model("descriptors_two"), "films": Dataset(films), "held": held}


@analysis("map", version=1, needs=_needs, publish=True)
def potential_map(model: ReducedModel, films: xr.Dataset, held: Sequence[xr.Dataset]) -> Result:
    """Return what a page needs to draw V(z, α, h) of a model with two coordinates, and films in it.

    There are no rows.  Arrays: every weight of the potential, as ``weight NAME``; of the films with the
    lowest three disorder samples and the middle sweep rate ``z`` (run, frame, 2), ``field`` (run, frame),
    ``alphas``, ``samples``, ``rates`` and ``intervals`` (run); of films that are held, ``end_z`` (end, 2),
    ``end_alphas``, ``end_fields`` and ``end_above`` (whether the field was reached from above); ``extent``
    (2, 2), the smallest and largest z of the map.

    Raises
    ------
    InvalidSetting
        If the model has no potential that is linear in the field, or not two coordinates.
    """
    settings = model.settings
    if settings.potential != "linear" or settings.latent != 2 or settings.mobility != "unit":
        raise InvalidSetting(
            f"model = {settings.arm!r}: must have two coordinates and V = U − h·M, no mobility"
        )
    rates = np.unique(films["sweep_rate"].values)
    chosen = (films["sample"].values < _SAMPLES) & (films["sweep_rate"].values == rates[len(rates) // 2])
    films = films.isel(run=np.flatnonzero(chosen))
    films = films.isel(run=np.argsort(films["sample"].values, kind="stable"))
    frames, z = _encoded(model, films)
    ends = [(*_encoded(model, each), each) for each in held]
    arrays = {f"weight {name}": value.numpy() for name, value in model.potential_network.state_dict().items()}
    return Result.of(
        [],
        **arrays,
        z=z,
        field=frames.controls[..., 1].numpy(),
        alphas=films["anisotropy"].values,
        samples=films["sample"].values,
        rates=films["sweep_rate"].values,
        intervals=frames.intervals[:, 0].numpy(),
        end_z=np.concatenate([states[:, -1] for _, states, _ in ends]),
        end_alphas=np.concatenate([each["anisotropy"].values for *_, each in ends]),
        end_fields=np.concatenate([last.controls[:, -1, 1].numpy() for last, *_ in ends]),
        end_above=np.concatenate(
            [np.full(len(states), each["external_field"].values.min() > 0) for _, states, each in ends]
        ),
        extent=np.stack([z.min(axis=(0, 1)) - _MARGIN, z.max(axis=(0, 1)) + _MARGIN], axis=1),
    )


def _encoded(model: ReducedModel, data: xr.Dataset):
    frames = load_frames(data)
    with torch.no_grad():
        return frames, model.encode(model.seen(frames).images).numpy()
