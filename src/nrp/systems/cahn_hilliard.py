r"""The Cahn–Hilliard equation: a mixture that parts into two phases and keeps its mean composition.

.. math::

    \frac{\partial\phi}{\partial t} = \nabla^2 \frac{\delta H}{\delta\phi}
        = \nabla^2\big(a(\phi^3 - \phi) - \kappa\nabla^2\phi\big), \qquad
    H[\phi] = \int a\Big(\frac{\phi^4}{4} - \frac{\phi^2}{2}\Big)
        + \frac{\kappa}{2}|\nabla\phi|^2 - h\phi \; dr

With the free energy of Cahn and Hilliard, J. Chem. Phys. 28, 258 (1958).  The anisotropy stands for a.
The mobility is −∇², in Fourier space k², which vanishes at k = 0: the mean of φ never changes, and a field h
shifts the energy but moves nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field

from nrp.systems.plane import Plane, PlaneSettings, wavenumbers


class CahnHilliardSettings(PlaneSettings):
    """The Cahn–Hilliard equation: the cost of walls, and the mixture with which a run begins."""

    system: Literal["cahn_hilliard"] = "cahn_hilliard"
    stiffness: Annotated[float, Field(ge=1e-3, le=1e3)] = 0.5
    """κ, the cost of gradients; with ½ and a = 1, walls have the width 1."""
    start: Literal["uniform"] = "uniform"
    """A run begins mixed: with a mean that never changes, no field could prepare another state."""
    start_level: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """The composition, which is the mean of φ at all times; ±1 are the pure phases."""
    noise: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Standard deviation of the seeded noise, without which a mixture would stay as it is."""

    def largest_step(self, anisotropy: float) -> float:
        """Return 0.1 κ/a²; by linear analysis SBDF4 is stable up to 0.125 κ/a², for φ from −1 to 1."""
        return 0.1 * self.stiffness / anisotropy**2


class CahnHilliard(Plane):
    """The mixture at one anisotropy, which is a, the depth of the double well."""

    settings_type = CahnHilliardSettings
    field = "concentration"

    def __init__(self, settings: CahnHilliardSettings, *, anisotropy: float) -> None:
        local = np.full(settings.shape, anisotropy)
        super().__init__(settings, anisotropy=anisotropy, local=local, strength=anisotropy)

    @staticmethod
    def modes(settings: CahnHilliardSettings) -> Float[ndarray, "y kx"]:
        """Return the linear operator by its modes, −κk²."""
        return -settings.stiffness * wavenumbers(settings.shape, settings.dx) ** 2

    @staticmethod
    def mobility(settings: CahnHilliardSettings) -> Float[ndarray, "y kx"]:
        """Return the mobility −∇² by its modes, k²."""
        return wavenumbers(settings.shape, settings.dx) ** 2

    def start(self, external_field: float, *, seed: int, sample: int) -> Float[ndarray, "y x"]:
        """Return the mixture with its noise, whose mean is the composition to rounding."""
        phi = super().start(external_field, seed=seed, sample=sample)
        return phi + (self.settings.start_level - phi.mean())
