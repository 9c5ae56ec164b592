r"""The Swift–Hohenberg equation with a quadratic term: a gradient system with a first-order transition.

.. math::

    \frac{\partial\phi}{\partial t} = r\phi - (1 + \nabla^2)^2\phi + g\phi^2 - \phi^3 + h, \qquad
    H[\phi] = \int \frac12\big((1 + \nabla^2)\phi\big)^2 - \frac r2 \phi^2 - \frac g3 \phi^3
        + \frac14\phi^4 - h\phi \; dr

After Swift and Hohenberg, Phys. Rev. A 15, 319 (1977).  The quadratic term takes the place of the anisotropy.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nrp.systems.plane import Plane, PlaneSettings, wavenumbers


class SwiftHohenbergSettings(PlaneSettings):
    """The Swift–Hohenberg equation with a quadratic term, whose strength stands in the place of α."""

    system: Literal["swift_hohenberg"] = "swift_hohenberg"
    drive: float = 0.2
    """r, by which the uniform state φ = 0 is unstable at h = 0."""


class SwiftHohenberg(Plane):
    """The field at one anisotropy, which is g, the strength of the quadratic term."""

    settings_type = SwiftHohenbergSettings
    field = "order"

    def __init__(self, settings: SwiftHohenbergSettings, *, anisotropy: float) -> None:
        local = np.ones(settings.shape)
        super().__init__(settings, anisotropy=anisotropy, local=local, quadratic=anisotropy)

    @staticmethod
    def modes(settings: SwiftHohenbergSettings) -> Float[ndarray, "y kx"]:
        """Return the linear operator by its modes, ``r − 1 − (1 − k²)²``; the cubic force has the other 1."""
        wavenumber = wavenumbers(settings.shape, settings.dx)
        return settings.drive - 1 - (1 - wavenumber**2) ** 2


def stripes_end(drive: float) -> float:
    """Return the g above which stripes are unstable to hexagons, ``√(3r/4)``, to leading order in r."""
    return float(np.sqrt(3 * drive / 4))


def stability_fields(
    quadratic: Float[ndarray, "*g"] | float, drive: float
) -> tuple[Float[ndarray, "*g"] | float, Float[ndarray, "*g"] | float]:
    """Return the two fields between which the uniform state is unstable; nan where it is stable in any field.

    A wave about the uniform state φ₀ grows at the rate σ(k) = r − (1 − k²)² + 2gφ₀ − 3φ₀², most at k = 1.
    It neither grows nor decays at φ₀ = (g ± √(g² + 3r))/3, where the field is h = (1 − r)φ₀ − gφ₀² + φ₀³, for
    there the uniform state is at rest.  That state is the only one as long as g² < 3(1 − r).

    Parameters
    ----------
    quadratic
        g.
    drive
        r.
    """
    g = np.asarray(quadratic, dtype=float)
    square = g**2 + 3 * drive
    root = np.sqrt(np.where(square > 0, square, np.nan))
    lower, upper = ((1 - drive) * phi - g * phi**2 + phi**3 for phi in ((g - root) / 3, (g + root) / 3))
    return lower, upper
