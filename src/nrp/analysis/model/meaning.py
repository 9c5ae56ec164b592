"""What the coordinates of a model of descriptors mean: what is read off them, and the images near them."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from numpy import ndarray
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from nrp.analysis.registry import Dataset, Model, Needs, Observed, analysis
from nrp.evaluation import Result, row, split
from nrp.evaluation.observation import Observations
from nrp.reduction import load_frames
from nrp.reduction.descriptors import describe, names

READ = ("mean", "negative_fraction", "wall_density", "euler_density")
"""Descriptors that are read off z; the energy per area comes besides."""
_DEGREES = (1, 2, 3)
_SIDE = 5
"""Images along each side of the map."""


def _needs(profile) -> Needs | None:
    trained = profile.models["descriptors"].data
    return {"arm": Observed(Model("descriptors"), (*trained, *profile.unseen)), "films": Dataset("pictures")}


@analysis("meaning", version=1, needs=_needs)
def meaning(arm: Observations, films: xr.Dataset) -> Result:
    """Return what can be read off the coordinates z, and the images that lie at points of them.

    Polynomials in z are fitted on the training runs and judged on the runs in which all is new.  Rows, with
    the degree of the polynomial in their cases: ``readout_r2``, the share of the variance that
    they explain, of the magnetization, the share of the negative phase, the lengths of wall and the Euler
    number per area, and the energy per area; and ``slope_r2`` of a polynomial in (z, α, h) for
    ∂V/∂z, with ``slope_terms``, the number of its terms.

    Arrays: ``images`` (row, column, y, x), frames of the films whose first two coordinates are nearest to the
    points of a grid, nan where none is near, and their ``places`` (row, column, 2) and ``anisotropy``.
    """
    model, parts = arm[0].model, split(arm)
    data = {}
    for name in ("trained", "new_all"):
        seen = parts[name]
        z, controls, slope = (np.concatenate([o.flat(of) for o in seen]) for of in ("z", "controls", "slope"))
        numbers = np.concatenate([o.stored.images.flatten(0, 1).double().numpy() for o in seen])
        energy = np.concatenate([o.frames.energy.flatten().double().numpy() for o in seen])
        targets = {each: numbers[:, names().index(each)] for each in READ} | {"energy": energy}
        data[name] = (z, np.concatenate([z, controls], axis=1), slope, targets)
    (z, states, slope, targets), (z_new, states_new, slope_new, targets_new) = data.values()
    rows, common = [], {"arm": model.settings.label, "split": "new_all", "members": 1}
    for degree in _DEGREES:
        for name, values in targets.items():
            r2 = _fit(z, values, degree).score(z_new, targets_new[name])
            rows.append(row("readout_r2", r2, case=f"{name}, degree {degree}", **common))
        fitted = _fit(states, slope, degree)
        case = f"degree {degree}"
        rows.append(row("slope_r2", fitted.score(states_new, slope_new), case=case, **common))
        rows.append(row("slope_terms", fitted[0].n_output_features_, case=case, **common))
    return Result.of(rows, **_map(arm, films))


def _fit(states: ndarray, values: ndarray, degree: int):
    return make_pipeline(PolynomialFeatures(degree), LinearRegression()).fit(states, values)


def _map(arm: Observations, films: xr.Dataset) -> dict[str, ndarray]:
    """Return the images of films nearest to the points of a grid over the first two coordinates."""
    model, frames = arm[0].model, load_frames(films)
    shape = films.sizes["y"], films.sizes["x"]
    images, rates = (each.flatten(0, 1).unflatten(1, shape) for each in (frames.images, frames.rates))
    with torch.no_grad():
        numbers = describe(images, rates, pixel=float(films["x"][1] - films["x"][0])).values
        z = model.encode(numbers / model.scale)[:, :2].double().numpy()
    low, high = np.quantile(z, 0.01, axis=0), np.quantile(z, 0.99, axis=0)
    axes = [np.linspace(low[i], high[i], _SIDE) for i in range(2)]
    places = np.stack(np.meshgrid(*axes), axis=-1)[::-1]
    spacing = (high - low) / (_SIDE - 1)
    apart = np.abs((places[..., None, :] - z) / spacing).max(axis=-1)
    nearest = apart.argmin(axis=-1)
    shown = np.where((apart.min(axis=-1) < 0.5)[..., None, None], images.numpy()[nearest], np.float32(np.nan))
    alphas = np.repeat(films["anisotropy"].values, films.sizes["frame"])
    return {"images": shown.astype(np.float16), "places": places, "anisotropy": alphas[nearest]}
