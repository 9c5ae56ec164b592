"""Baselines that could win."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from pysindy import STLSQ, PolynomialLibrary
from scipy.interpolate import RegularGridInterpolator
from torch import Tensor

from nrp.analysis.result import Result, row
from nrp.reduction import by_split, coverage, load_frames
from nrp.reduction.coordinates import leading_modes
from nrp.reduction.splits import trained_runs
from nrp.settings import ModelSettings
from nrp.store import Step

POD = Step("pod", 2)
_THRESHOLD = 0.01
"""Smallest coefficient that is kept of a polynomial in states and rates of unit deviation."""
_COPIES = 4


def pod_reconstruction(
    training: xr.Dataset, *others: xr.Dataset, settings: ModelSettings, modes: tuple[int, ...]
) -> Result:
    """Return how well the leading modes of a proper orthogonal decomposition rebuild each split.

    The modes come from the frames that a model with these settings is trained on, about their mean.

    Rows: ``reconstruction_rmse`` of the arm ``pod`` per split, with the number of modes as case.
    """
    trained_on = coverage([training], settings)
    seen = load_frames(training, trained_runs(training, settings)).images.flatten(0, 1)
    counts = [count for count in modes if count <= min(seen.shape)]
    mean, basis = leading_modes(seen, max(counts))
    totals: dict[str, list[ndarray]] = {}
    for split, found in by_split((training, *others), settings, trained_on).items():
        for part in found:
            images = load_frames(part).images.flatten(0, 1) - mean
            # The modes are orthonormal, so what they miss is what is not in their coefficients.
            squares = (images @ basis).square().sum(dim=0).double().cumsum(0).numpy()
            whole = images.double().square().sum().item()
            missed = [max(whole - squares[count - 1], 0.0) for count in counts]
            totals.setdefault(split, []).append(np.array([*missed, images.numel()]))
    system = "film" if "disorder" in training else "bead"
    common = {"analysis": "pod", "metric": "reconstruction_rmse", "system": system, "arm": "pod"}
    rows = [
        row(value=np.sqrt(missed / sums[-1]), split=split, case=f"{count} modes", **common)
        for split, parts in totals.items()
        for sums in [np.sum(parts, axis=0)]
        for count, missed in zip(counts, sums, strict=False)
    ]
    return Result.of(rows)


def polynomial_flow(
    z: Float[ndarray, "frame latent"],
    controls: Float[ndarray, "frame control"],
    z_rate: Float[ndarray, "frame latent"],
    *,
    noise: float,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return ż(z, α, h) as a sparse polynomial of the second degree, fitted by PySINDy.

    (Brunton, Proctor and Kutz, Discovering governing equations from data by sparse identification of
    nonlinear dynamical systems, 2016.)  States and rates are scaled to unit deviation.  The polynomial is
    fitted to each state four times, with random steps off it, whose deviation in these units is `noise`:
    without them it explodes beside the data.  A state that runs away counts as one half beyond the largest
    that was seen.
    """
    unit, speed = z.std(axis=0).mean(), np.sqrt(np.mean(z_rate**2))
    draws = noise * np.random.default_rng(0).normal(size=(_COPIES, *z.shape))
    states = np.concatenate([np.concatenate([part, controls], axis=1) for part in z / unit + draws])
    library = PolynomialLibrary(2)
    # The triangular factor stands for all frames: squared errors differ by what no polynomial explains.
    basis, triangle = np.linalg.qr(np.asarray(library.fit_transform(states)))
    optimizer = STLSQ(threshold=_THRESHOLD, alpha=1e-3, unbias=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it may leave no term, or have more than a fit can tell apart
        found = optimizer.fit(triangle, basis.T @ np.tile(z_rate / speed, (_COPIES, 1))).coef_
    far = 1.5 * float(np.abs(z / unit).max())
    coefficients = torch.from_numpy(speed * found).float()
    # Each term is the product of two of (1, z, controls).
    powers = library.powers_
    orders = np.concatenate([2 - powers.sum(axis=1, keepdims=True), powers], axis=1)
    left, right = np.array([np.repeat(np.arange(len(order)), order) for order in orders]).T

    def velocity(state: Tensor, at: Tensor) -> Tensor:
        held = (state / unit).nan_to_num().clamp(-far, far)
        factors = torch.cat([torch.ones_like(held[..., :1]), held, at], dim=-1)
        return (factors[..., left] * factors[..., right]) @ coefficients.T

    return velocity


class Lookup:
    """A table of the mean over all frames with the same (α, h), which knows no state.

    Between its entries it is linear, first in h, then in α; beyond them it keeps its last value.

    Parameters
    ----------
    controls
        (frame, 2), α and h.
    values
        (frame, value), what to look up.
    """

    def __init__(self, controls: Float[ndarray, "frame 2"], values: Float[ndarray, "frame value"]) -> None:
        controls = np.round(controls.astype(float), 5)
        self.alphas, self.levels = (np.unique(controls[:, i]) for i in range(2))
        entry, place = np.unique(controls, axis=0, return_inverse=True)
        sums = np.zeros((len(entry), values.shape[1]))
        np.add.at(sums, place, values)
        means = sums / np.bincount(place)[:, None]
        table = np.empty((len(self.alphas), len(self.levels), values.shape[1]))
        for i, alpha in enumerate(self.alphas):
            here = entry[:, 0] == alpha
            for j in range(values.shape[1]):
                table[i, :, j] = np.interp(self.levels, entry[here, 1], means[here, j])
        axes = [np.append(axis, axis[-1] + 1) for axis in (self.alphas, self.levels)]
        self._table = RegularGridInterpolator(axes, np.pad(table, ((0, 1), (0, 1), (0, 0)), mode="edge"))

    def __call__(self, controls: Float[ndarray, "frame 2"]) -> Float[ndarray, "frame value"]:
        """Return what the table says of these controls."""
        return self._table(
            np.column_stack(
                [np.clip(controls[:, i], *axis[[0, -1]]) for i, axis in enumerate((self.alphas, self.levels))]
            )
        )
