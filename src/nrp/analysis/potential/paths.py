"""Minimum-energy paths between two minima, and the saddle on them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nrp.analysis.potential.stationary import Derivatives, Points, Potential, stationary_points


def minimum_energy_path(
    potential: Potential,
    controls: Float[Tensor, " control"],
    start: Float[Tensor, " latent"],
    end: Float[Tensor, " latent"],
    *,
    points: int = 41,
    steps: int = 4000,
) -> tuple[Float[Tensor, "point latent"], Points]:
    """Return the path of steepest descent from a saddle to two minima, and its highest stationary point.

    By the simplified string method (E, Ren and Vanden-Eijnden, J. Chem. Phys. 126, 164103, 2007): all points
    go down the slope, and are then spread evenly along the curve again.

    Parameters
    ----------
    potential
        V, which must take double precision.
    controls
        (control).
    start, end
        The minima.
    points
        Number of points along the path.
    steps
        Number of steps at most; fewer where the path comes to rest.
    """
    at = Derivatives(potential, controls)
    start, end = start.double(), end.double()
    share = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    path = start + share * (end - start)
    apart = float((end - start).norm())
    for _ in range(steps):
        # No faster than the stiffest direction allows.
        stiffest = torch.linalg.eigvalsh(at.curvature(path)).abs().max().clamp(min=1e-12)
        moved = _even(path - 0.5 / stiffest * at.slope(path))
        change = float((moved - path).norm(dim=1).max())
        path = moved
        if change < 1e-7 * apart:
            break
    highest = path[int(at.value(path).argmax())]
    nearby = highest + 1e-3 * apart * torch.eye(len(highest), dtype=torch.float64)
    found = stationary_points(potential, controls, torch.cat([highest[None], nearby, path]))
    nearest = int((found.z - highest).norm(dim=1).argmin()) if len(found.z) else 0
    return path, Points(*(part[nearest : nearest + 1] for part in found))


def _even(path: Tensor) -> Tensor:
    """Return the same curve with its points at equal distances."""
    lengths = path.diff(dim=0).norm(dim=1).cumsum(dim=0).numpy()
    arc = np.concatenate([[0.0], lengths])
    even = np.linspace(0, arc[-1], len(path))
    columns = [np.interp(even, arc, column) for column in path.T.numpy()]
    return torch.from_numpy(np.stack(columns, axis=1))
