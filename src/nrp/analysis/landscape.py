"""A learned landscape against a known one: the bead."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from nrp.analysis.result import Result, row
from nrp.reduction import ReducedModel
from nrp.settings import BeadSettings, CampaignSettings
from nrp.store import Step
from nrp.systems import Bead

LANDSCAPE = Step("landscape", 1)
_RANGE = 1.3
"""Half-width of the square on which landscapes are compared; the bead's starts cover it."""


def landscape(model: ReducedModel, films: xr.Dataset) -> Result:
    """Hold the potential learned from the bead's films against the landscape it slid in.

    The bead is put on a grid of places, each picture is encoded, and V is read off.
    A potential learned by Eq. (2) has neither zero nor unit, so V is first mapped to U by the straight
    line that fits best; what is measured is the shape.

    Rows: ``energy_r2`` of that fit (case ``affine_fit``), ``barrier_error``, the relative error of the
    barrier between the wells after it, and ``minimum_position_error``, the mean distance between the minima
    of V along x and the true wells.  Arrays: ``axis``, ``truth`` and ``learned`` (y, x), in units of U.
    """
    settings = CampaignSettings.model_validate_json(films.attrs["settings"])
    system = settings.system
    if not isinstance(system, BeadSettings):
        raise ValueError("the landscape is known for the bead only")
    alpha = settings.anisotropy[0]
    bead = Bead(system, anisotropy=alpha)
    axis = np.linspace(-_RANGE, _RANGE, 53)
    places = np.stack(np.meshgrid(axis, axis), axis=-1)
    truth = bead.energy(places, 0.0)
    pictures = np.array([bead.image(place) for place in places.reshape(-1, 2)])
    with torch.no_grad():
        z = model.encode(torch.tensor(pictures, dtype=torch.float32).flatten(1))
        controls = torch.tensor([alpha, 0.0]).expand(len(z), 2)
        potential = model.potential(z, controls).double().numpy().reshape(truth.shape)
    slope, offset = np.polyfit(potential.ravel(), truth.ravel(), 1)
    learned = slope * potential + offset
    r2 = 1 - np.sum((learned - truth) ** 2) / np.sum((truth - truth.mean()) ** 2)
    middle = len(axis) // 2
    valley = learned[middle]
    wells = [np.argmin(valley[:middle]), middle + np.argmin(valley[middle:])]
    depth = valley[middle] - valley[wells].mean()
    barrier = alpha / 4
    common = {
        "analysis": "landscape",
        "system": "bead",
        "arm": model.settings.arm,
        "case": "affine_fit",
        "anisotropy": alpha,
        "members": 1,
    }
    rows = [
        row("energy_r2", r2, **common),
        row("barrier_error", abs(depth - barrier) / barrier, **common),
        row("minimum_position_error", np.mean(np.abs(np.abs(axis[wells]) - 1)), **common),
    ]
    return Result.of(rows, axis=axis, truth=truth, learned=learned)
