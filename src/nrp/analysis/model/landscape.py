"""A learned landscape against a known one: the bead."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy import ndarray

from nrp.analysis.registry import Dataset, Model, analysis
from nrp.base import InvalidSetting
from nrp.evaluation import Result, row
from nrp.reduction import ReducedModel
from nrp.simulation import system_of

_RANGE = 1.3
"""Half-width of the square on which landscapes are compared, inside the square of the starts."""


@analysis("landscape", version=4, needs={"model": Model("bead"), "films": Dataset("beads")})
def landscape(model: ReducedModel, films: xr.Dataset) -> Result:
    """Hold the potential learned from the bead's films against the landscape it slid in.

    The bead is put on a grid of places, each picture is encoded, and V is read off.
    A potential learned by Eq. (2) has neither zero nor unit, so V is first mapped to U by the straight
    line that fits best; what is measured is the shape.

    Rows: ``energy_r2`` of that fit (case ``affine_fit``), ``barrier_error``, the relative error of the
    barrier after it, seen from the worse of the two wells, ``minimum_position_error``, the mean distance
    between the minima of V along x and the true wells, and ``isometry_error``, the rms deviation of the
    eigenvalues of JᵀJ from their mean, over their mean, where J is the derivative of the latent state by the
    place of the bead; it vanishes where the encoder keeps all distances up to one factor.
    Arrays: ``axis``, ``truth`` and ``learned`` (y, x), in units of U.

    Raises
    ------
    InvalidSetting
        If the films are those of a field, whose landscape is not known.
    """
    bead: Any = system_of(films, 0)
    if bead.spectral:
        raise InvalidSetting(f"data: the landscape of the system {bead.settings.system!r} is not known")
    alpha = bead.anisotropy
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
    wells = [_minimum(axis[part], valley[part]) for part in (slice(0, middle), slice(middle, None))]
    depths = np.array([valley[middle] - lowest for _, lowest in wells])
    positions = np.array([place for place, _ in wells])
    barrier = bead.barrier
    stretch = _stretch(model, bead, places.reshape(-1, 2), pictures)
    common = {"arm": model.settings.arm, "case": "affine_fit", "members": 1}
    rows = [
        row("energy_r2", r2, **common),
        row("barrier_error", np.max(np.abs(depths - barrier)) / barrier, **common),
        row("minimum_position_error", np.mean(np.abs(np.abs(positions) - 1)), **common),
        row("isometry_error", stretch.std() / stretch.mean(), **common | {"case": None}),
    ]
    return Result.of(rows, axis=axis, truth=truth, learned=learned)


def _minimum(axis: ndarray, values: ndarray) -> tuple[float, float]:
    """Return place and value of the minimum of the parabola through the three lowest neighbours."""
    lowest = int(np.clip(values.argmin(), 1, len(values) - 2))
    near = slice(lowest - 1, lowest + 2)
    a, b, c = np.polyfit(axis[near] - axis[lowest], values[near], 2)
    shift = -b / (2 * a) if a > 0 else 0.0
    return axis[lowest] + shift, c + b * shift + a * shift**2


def _stretch(model: ReducedModel, bead: Any, places: ndarray, pictures: ndarray) -> ndarray:
    """Return both eigenvalues of JᵀJ at each place of the bead."""
    columns = []
    for direction in np.eye(2):
        rates = np.array([bead.image_motion(place, direction) for place in places])
        pair = [torch.tensor(x, dtype=torch.float32).flatten(1) for x in (pictures, rates)]
        columns.append(model.latent_rate(*pair).detach().double().numpy())
    jacobian = np.stack(columns, axis=-1)
    return np.linalg.eigvalsh(np.swapaxes(jacobian, 1, 2) @ jacobian)
