"""Rivals that could win: laws of motion in the latent space of a model, made without training."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.interpolate import RegularGridInterpolator
from torch import Tensor

from nrp.evaluation.rollouts import Velocity
from nrp.evaluation.scene import STRIDE, Scene, rollouts

_THRESHOLD = 0.01
"""Smallest coefficient that is kept of a polynomial in states and rates of unit deviation."""
_COPIES = 4
_NOISES = (0.1, 0.2, 0.4)
"""Deviations of the steps off the states at which polynomials are fitted; the best of them is taken."""


class Law(NamedTuple):
    """A law of motion in the latent space of a model: the model's own, or a rival's."""

    name: str
    velocity: Velocity
    own: bool = False


def laws_of(scenes: Sequence[Scene], *, rivals: bool) -> list[Law]:
    """Return the law of the model and, if wanted, those made of the states of its training runs.

    These are ``lookup``, the mean exact ż of all training frames with the same (α, h), and, where the medium
    is disordered, the states move, and there are twice as many frames as terms, ``sindy``, a sparse
    polynomial fitted to the exact ż, with the noise whose flow keeps best to the training runs for ten
    frames.
    """
    model = scenes[0].o.model
    laws = [Law(model.settings.label, model.velocity, own=True)]
    seen = [scene for scene in scenes if scene.split == "trained"]
    if not rivals or not seen:
        return laws
    z, rate, controls = (
        np.concatenate([scene.o.flat(name) for scene in seen]) for name in ("z", "z_rate", "controls")
    )
    table = Lookup(controls[:, :2], rate)

    def looked_up(state: Tensor, at: Tensor) -> Tensor:
        known = table(at[..., :2].reshape(-1, 2).double().numpy())
        return torch.from_numpy(known).reshape(state.shape).float()

    laws.append(Law("lookup", looked_up))
    variables = z.shape[1] + controls.shape[1]
    terms = (variables + 1) * (variables + 2) // 2
    if "disorder" in seen[0].data and 2 * terms < len(z) and rate.any() and np.ptp(z, axis=0).any():
        flows = [Law("sindy", polynomial_flow(z, controls, rate, noise=noise)) for noise in _NOISES]
        laws.append(min(flows, key=lambda flow: _drift(flow, seen)))
    return laws


def _drift(law: Law, scenes: Sequence[Scene]) -> float:
    """Return the squared distance to the truth after ten frames, summed over all starts."""
    total = 0.0
    for scene, states in rollouts(law.velocity, scenes, "leads"):
        path = scene.paths["leads"]
        ahead = min(STRIDE, states.shape[1] - 1)
        truth = scene.o.z[path.runs, path.frames[:, ahead]]
        total += (states[:, ahead] - truth).double().square().sum().nan_to_num(nan=np.inf).item()
    return total


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
    from pysindy import STLSQ, PolynomialLibrary  # which takes half a second

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
    """A table of the mean of values over all frames with the same controls (α, h), which knows no state.

    Between its entries it is linear, first in h, then in α; beyond them it keeps its last value.
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
