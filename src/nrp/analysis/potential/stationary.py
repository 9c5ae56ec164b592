"""Stationary points of a potential, their curvatures, and the basins of its minima."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

Potential = Callable[[Tensor, Tensor], Tensor]
"""V of states (batch, latent) under controls (batch, control)."""
_STEPS = 200
_RESOLUTION = 1e-3
"""Points closer than this, in units of the spread of the starts, are one."""


class Points(NamedTuple):
    """Stationary points, the lowest first."""

    z: Float[Tensor, "point latent"]
    value: Float[Tensor, " point"]
    curvatures: Float[Tensor, "point latent"]
    """Eigenvalues of ∂²V/∂z², in rising order."""

    @property
    def minima(self) -> Points:
        """Those whose curvatures are all positive."""
        here = self.curvatures[:, 0] > 0
        return Points(self.z[here], self.value[here], self.curvatures[here])


@dataclass(frozen=True)
class Landscape:
    """A potential whose slope is known in closed form, which is looked at many times faster."""

    potential: Potential
    slope: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, z: Tensor, controls: Tensor) -> Tensor:
        """Return V."""
        return self.potential(z, controls)


SHIFT = 1e-5
"""Of central differences of a slope in double precision, which leave an error of its square."""


class Derivatives:
    """Value, slope and curvature of a potential at fixed controls, in double precision.

    Parameters
    ----------
    potential
        V.
    controls
        (control), the same for all states.
    """

    def __init__(self, potential: Potential, controls: Float[Tensor, " control"]) -> None:
        self.potential, self.controls = potential, controls.double()

    def value(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, " batch"]:
        """Return V."""
        with torch.no_grad():
            return self.potential(z, self.controls.expand(len(z), -1))

    def slope(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch latent"]:
        """Return ∂V/∂z."""
        return self.both(z, curvature=False)[0]

    def curvature(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch latent latent"]:
        """Return ∂²V/∂z²."""
        return self.both(z)[1]

    def both(self, z: Float[Tensor, "batch latent"], *, curvature: bool = True) -> tuple[Tensor, Tensor]:
        """Return ∂V/∂z and, if wanted, ∂²V/∂z²."""
        if isinstance(self.potential, Landscape):
            with torch.no_grad():
                slope = self.potential.slope(z, self.controls.expand(len(z), -1))
                return slope, self._by_differences(z) if curvature else torch.empty(0)
        controls, state = self.controls.expand(len(z), -1), z.detach().clone().requires_grad_()
        total = self.potential(state, controls).sum()
        (slope,) = torch.autograd.grad(total, state, create_graph=curvature)
        # States do not see each other, so the gradient of a sum holds the gradient of each.
        if not curvature:
            return slope.detach(), torch.empty(0)
        rows = [
            torch.autograd.grad(part.sum(), state, retain_graph=True, materialize_grads=True)[0]
            for part in slope.T
        ]
        return slope.detach(), torch.stack(rows, dim=1)

    def _by_differences(self, z: Tensor) -> Tensor:
        assert isinstance(self.potential, Landscape)
        steps = SHIFT * torch.eye(z.shape[1], dtype=z.dtype)
        beside = torch.stack([z[:, None] + steps, z[:, None] - steps])
        slope = self.potential.slope(beside, self.controls.expand(*beside.shape[:-1], -1))
        rows = (slope[0] - slope[1]) / (2 * SHIFT)
        return (rows + rows.mT) / 2


def stationary_points(
    potential: Potential,
    controls: Float[Tensor, " control"],
    starts: Float[Tensor, "start latent"],
    *,
    tolerance: float = 1e-8,
) -> Points:
    """Return the stationary points of any kind that are found from some starts.

    By Levenberg and Marquardt's method on ‖∂V/∂z‖², which is drawn to saddles and maxima as well as to
    minima.

    Parameters
    ----------
    potential
        V, which must take double precision.
    controls
        (control).
    starts
        States to start from.  What lies further from all of them than they are spread is left out.
    tolerance
        Largest slope at a point, in units of the median slope at the starts.
    """
    at, z = Derivatives(potential, controls), starts.double()
    slope, curvature = at.both(z)
    limit = tolerance * float(slope.norm(dim=1).median().clamp(min=1e-30))
    damping, one = torch.full((len(z),), 1e-2, dtype=z.dtype), torch.eye(z.shape[1], dtype=z.dtype)
    for _ in range(_STEPS):
        if (slope.norm(dim=1) <= limit).all():
            break
        normal = curvature @ curvature
        scale = normal.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1e-30)
        push = (curvature @ slope[..., None])[..., 0]
        trial = z - torch.linalg.solve(normal + (damping * scale)[:, None, None] * one, push)
        there, bent = at.both(trial)
        better = there.norm(dim=1) < slope.norm(dim=1)
        z, slope = torch.where(better[:, None], trial, z), torch.where(better[:, None], there, slope)
        curvature = torch.where(better[:, None, None], bent, curvature)
        damping = torch.where(better, damping / 5, damping * 4).clamp(1e-14, 1e8)
    spread = float((starts - starts.mean(dim=0)).norm(dim=1).max()) or 1.0
    near = torch.cdist(z, starts.double()).min(dim=1).values <= spread
    return _distinct(at, z[near & (slope.norm(dim=1) <= limit)], _RESOLUTION * spread)


def _distinct(at: Derivatives, z: Tensor, resolution: float) -> Points:
    kept: list[int] = []
    for number in range(len(z)):
        if all((z[number] - z[other]).norm() > resolution for other in kept):
            kept.append(number)
    z = z[kept]
    if not len(z):
        return Points(z, z[:, 0], z)
    value = at.value(z)
    order = value.argsort()
    return Points(z[order], value[order], torch.linalg.eigvalsh(at.curvature(z))[order])


def descended(
    potential: Potential,
    controls: Float[Tensor, " control"],
    starts: Float[Tensor, "start latent"],
    *,
    longest: float,
    steps: int = 2000,
) -> Float[Tensor, "start latent"]:
    """Return where the flow ż = −∂V/∂z carries states.

    Each step is the exact one of the flow about its state, to first order in the state (the exponential
    scheme of Rosenbrock and Euler), so that narrow valleys do not slow it down.  Its time is halved where it
    would be longer than `longest`, or not lead downhill, and doubled otherwise: about a minimum the last
    steps are Newton's.
    """
    at, z = Derivatives(potential, controls), starts.double()
    value, (slope, curvature) = at.value(z), at.both(z)
    time = longest / slope.norm(dim=1, keepdim=True).clamp(min=1e-30)
    for _ in range(steps):
        bend, axes = torch.linalg.eigh(curvature)
        along = (axes.mT @ slope[..., None])[..., 0]
        flat = bend.abs() < 1e-12
        span = torch.where(flat, time, -torch.expm1(-time * bend) / torch.where(flat, 1.0, bend))
        change = -(axes @ (span * along)[..., None])[..., 0]
        trial = z + change
        lower = at.value(trial)
        taken = ((change.norm(dim=1) <= longest) & (lower <= value))[:, None]
        z, value = torch.where(taken, trial, z), torch.where(taken[:, 0], lower, value)
        time = torch.where(taken, 2 * time, time / 2)
        if ((bend[:, 0] > 0) & ((along / bend).norm(dim=1) < 1e-6 * longest)).all():
            break
        slope, curvature = at.both(z)
    return z


def basins(
    potential: Potential,
    controls: Float[Tensor, " control"],
    starts: Float[Tensor, "start latent"],
    minima: Float[Tensor, "minimum latent"],
) -> Int[Tensor, " start"]:
    """Return the number of the minimum into which the flow carries each start; −1 for none of them."""
    spread = float((starts - starts.mean(dim=0)).norm(dim=1).max()) or 1.0
    z = descended(potential, controls, starts, longest=0.01 * spread)
    distance, number = torch.cdist(z, minima.double()).min(dim=1)
    return torch.where(distance < 0.02 * spread, number, -1)
