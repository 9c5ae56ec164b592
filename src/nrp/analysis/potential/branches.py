"""Branches of stationary points over a control, by pseudo-arclength continuation, with the folds on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from nrp.analysis.potential.stationary import SHIFT, Landscape, Potential, descended

_HALVINGS = 12
"""Of the step in which a fold lies, which is quadratic in the arc about it."""


class Branch(NamedTuple):
    """Stationary points along a branch, in the order in which they were followed."""

    control: Float[ndarray, " point"]
    """The control that varies."""
    z: Float[ndarray, "point latent"]
    curvatures: Float[ndarray, "point latent"]
    """Eigenvalues of ∂²V/∂z², in rising order."""
    folds: Float[ndarray, " fold"]
    """Where the branch turns back."""
    fold_states: Float[ndarray, "fold latent"]


def follow_branch(
    potential: Potential,
    controls: Float[Tensor, " control"],
    start: Float[Tensor, " latent"],
    *,
    along: int,
    limits: tuple[float, float],
    step: float,
    rising: bool,
    most: int = 2000,
) -> Branch:
    """Follow a stationary point while one control varies, round its folds.

    Predictor along the tangent, corrector by Newton's method in the plane across it (Keller, Numerical
    solution of bifurcation and nonlinear eigenvalue problems, 1977).  A fold is where the tangent has no part
    along the control; it is found by bisection of the arc between two points.

    Parameters
    ----------
    potential
        V, which must take double precision.
    controls
        (control), where `start` is stationary, or nearly so.
    start
        The first point.
    along
        Number of the control that varies.
    limits
        Between which values of it the branch is followed.
    step
        Length of the longest step, of z and the control together.
    rising
        Whether the control rises at first.
    most
        Number of points at which the branch is broken off.

    Raises
    ------
    ValueError
        If no stationary point lies near `start`.
    """
    system = _System(potential, controls.double(), along)
    found = system.corrected(np.append(start.double().numpy(), float(controls[along])), None)
    if found is None:
        raise ValueError(f"start = {start.tolist()}: there is no stationary point near it")
    x: ndarray = found
    ahead = np.zeros(len(x))
    ahead[-1] = 1.0 if rising else -1.0
    tangent = system.tangent(x, ahead)
    points, folds, length = [x], [], step
    while len(points) < most and limits[0] <= x[-1] <= limits[1] and length > 1e-6 * step:
        trial = system.corrected(x + length * tangent, tangent)
        if trial is None or (turned := system.tangent(trial, tangent)) @ tangent < 0.9:
            length /= 2
            continue
        if turned[-1] * tangent[-1] < 0:
            folds.append(_fold(system, x, tangent, length))
        x, tangent, length = trial, turned, min(1.5 * length, step)
        points.append(x)
    all_points, at_folds = np.array(points), np.array(folds).reshape(-1, len(x))
    inside = (all_points[:, -1] >= limits[0]) & (all_points[:, -1] <= limits[1])
    all_points = all_points[inside]
    curvatures = np.array([np.linalg.eigvalsh(system.derivatives(x)[1][:, :-1]) for x in all_points])
    return Branch(all_points[:, -1], all_points[:, :-1], curvatures, at_folds[:, -1], at_folds[:, :-1])


class Track(NamedTuple):
    """A minimum that a state occupies while a control passes from one value to another."""

    control: Float[ndarray, " point"]
    z: Float[ndarray, "point latent"]
    softest: Float[ndarray, " point"]
    """The smallest eigenvalue of ∂²V/∂z²."""
    folds: Float[ndarray, " fold"]
    """Values of the control at which the minimum vanishes."""
    jumps: Float[ndarray, " fold"]
    """How far the state slides there, in z."""


def occupied_minimum(
    potential: Potential,
    controls: Float[Tensor, " control"],
    start: Float[Tensor, " latent"],
    *,
    along: int,
    until: float,
    step: float,
) -> Track:
    """Follow the minimum that a state occupies while one control passes slowly to a value.

    Where the minimum vanishes in a fold, the state slides down to another one, and that is followed.

    Parameters
    ----------
    potential
        V, which must take double precision.
    controls
        (control), at the beginning.
    start
        A state in the basin of the first minimum.
    along
        Number of the control that varies.
    until
        Its last value.
    step
        Length of the longest step, of z and the control together.

    Raises
    ------
    ValueError
        If a state slides to no minimum.
    """
    controls, rising = controls.double().clone(), until > float(controls[along])
    limits = min(float(controls[along]), until), max(float(controls[along]), until)
    parts, z = [], start.double()
    folds: list[float] = []
    jumps: list[float] = []
    while True:
        minimum = descended(potential, controls, z[None], longest=step)[0]
        if folds:
            jumps.append(float((minimum - z).norm()))
        branch = follow_branch(
            potential, controls, minimum, along=along, limits=limits, step=step, rising=rising
        )
        soft = np.flatnonzero(branch.curvatures[:, 0] <= 0)
        end = int(soft[0]) if len(branch.folds) and len(soft) else len(branch.control)
        parts.append((branch.control[:end], branch.z[:end], branch.curvatures[:end, 0]))
        if not len(branch.folds):
            break
        folds.append(float(branch.folds[0]))
        beyond = folds[-1] + (1e-3 if rising else -1e-3) * (limits[1] - limits[0])
        if not limits[0] < beyond < limits[1]:
            jumps.append(np.nan)  # the control ends at the fold
            break
        controls[along], z = beyond, torch.from_numpy(branch.fold_states[0])
    control, states, softest = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Track(control, states, softest, np.array(folds), np.array(jumps))


def _fold(system: _System, x: ndarray, tangent: ndarray, length: float) -> ndarray:
    """Return the point within a step where the control turns back."""
    low, high, found = 0.0, length, x
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        point = system.corrected(x + middle * tangent, tangent)
        if point is None:
            return found
        found = point
        if system.tangent(point, tangent)[-1] * tangent[-1] > 0:
            low = middle
        else:
            high = middle
    return found


class _System:
    """∂V/∂z = 0 as equations for the state and the control together."""

    def __init__(self, potential: Potential, controls: Tensor, along: int) -> None:
        self._potential, self._controls, self._along = potential, controls, along

    def derivatives(self, x: ndarray) -> tuple[ndarray, ndarray]:
        """Return ∂V/∂z, and its derivatives by the state and, in the last column, by the control."""
        if isinstance(self._potential, Landscape):
            return self._by_differences(self._potential, x)
        # One copy of the point for each row of the derivative; copies do not see each other.
        latent = len(x) - 1
        at = torch.from_numpy(x).repeat(latent, 1).requires_grad_()
        controls = self._controls.repeat(latent, 1)
        before, behind = controls[:, : self._along], controls[:, self._along + 1 :]
        value = self._potential(at[:, :-1], torch.cat([before, at[:, -1:], behind], dim=1)).sum()
        slope = torch.autograd.grad(value, at, create_graph=True)[0][:, :-1]
        rows = torch.autograd.grad(slope.diagonal().sum(), at, materialize_grads=True)[0]
        return slope[0].detach().numpy(), rows.numpy()

    def _by_differences(self, landscape: Landscape, x: ndarray) -> tuple[ndarray, ndarray]:
        steps = SHIFT * np.eye(len(x))
        points = torch.from_numpy(np.vstack([x, x + steps, x - steps]))
        controls = self._controls.repeat(len(points), 1)
        controls[:, self._along] = points[:, -1]
        with torch.no_grad():
            slope = landscape.slope(points[:, :-1], controls).numpy()
        above, below = np.split(slope[1:], 2)
        return slope[0], (above - below).T / (2 * SHIFT)

    def tangent(self, x: ndarray, like: ndarray) -> ndarray:
        """Return the direction of the branch, of unit length, on the side of another one."""
        tangent = np.linalg.svd(self.derivatives(x)[1])[2][-1]
        return tangent if tangent @ like >= 0 else -tangent

    def corrected(self, x: ndarray, tangent: ndarray | None) -> ndarray | None:
        """Return the stationary point in the plane across the tangent, or at this control; None if none."""
        plane = np.eye(len(x))[-1] if tangent is None else tangent
        begin = x
        for _ in range(12):
            value, jacobian = self.derivatives(x)
            residual = np.append(value, plane @ (x - begin))
            try:
                change = np.linalg.solve(np.vstack([jacobian, plane]), residual)
            except np.linalg.LinAlgError:
                return None
            x = x - change
            if not np.isfinite(x).all():
                return None
            if np.abs(change).max() < 1e-10 * (1 + np.abs(x).max()):
                return x
        return None
