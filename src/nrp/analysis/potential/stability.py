"""Where the medium itself loses its stability, and where its films have their onset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy import ndarray
from scipy.fft import rfft2
from scipy.optimize import brentq

from nrp.evaluation.result import mean_row, row
from nrp.simulation import ExternalField, settings_of, system_of

_PULSE = 1e-4
"""Height of the pulse that tells which waves grow in a uniform state."""


def stability_rows(films: xr.Dataset, alphas: ndarray, limits: tuple[float, float]) -> list[dict]:
    """Return the fields at which the clean medium loses its stability, and the film has its onset."""
    rows, clean = [], films.isel(run=[0])
    if "disorder" in films:
        clean = clean.assign(disorder=xr.ones_like(clean["disorder"]))
    for alpha in alphas:
        system = system_of(clean.assign_coords(anisotropy=("run", [alpha])), 0)
        for field in _stability_field(system, limits) if system.spectral else ():
            rows.append(row("stability_field", field, arm="exact", anisotropy=alpha))
    if "onset_time" in films:
        rate = float(films["sweep_rate"].min())
        slow = films.isel(run=(films["sweep_rate"].values == rate) & films["onset_time"].notnull().values)
        onsets = ExternalField.of(settings_of(films), rate).at(slow["onset_time"].values)
        for alpha in np.unique(slow["anisotropy"].values):
            of_samples = onsets[slow["anisotropy"].values == alpha]
            rows.append(mean_row("stability_field", of_samples, arm="films", anisotropy=alpha))
    return rows


def _stability_field(system: Any, limits: tuple[float, float]) -> Iterator[float]:
    """Yield the field, if any, at which the first wave begins to grow in the saturated state."""
    pulse = np.zeros(system.settings.shape)
    pulse[0, 0] = _PULSE

    def growth(field: float) -> float:
        level = system.saturation(system.settings, anisotropy=system.anisotropy, external_field=field)
        change = system.rate(level + pulse, field) - system.rate(level - pulse, field)
        return float(rfft2(change).real.max() / (2 * _PULSE))

    if growth(limits[0]) * growth(limits[1]) < 0:
        yield float(brentq(growth, *limits))
