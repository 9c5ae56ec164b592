r"""The magnetic film: a time-dependent Ginzburg–Landau equation with a dipolar term.

.. math::

    H[\phi] = \int \alpha\lambda\Big(-\frac{\phi^2}{2} + \frac{\phi^4}{4}\Big)
        + \frac{\beta}{2}|\nabla\phi|^2 - h\phi \; dr
        + \frac{\gamma}{2} \iint \phi(r)\, G(r - r')\, \phi(r')\, dr\, dr'

    \frac{\partial\phi}{\partial t} = -\frac{\delta H}{\delta\phi}
        = \alpha\lambda(\phi - \phi^3) + \beta\nabla^2\phi - \gamma\, G * \phi + h

The equation is that of section 3 of the paper, with the ½ in front of γ that makes one γ stand in
the equation of motion.  The kernel is ``G_k = a₀ − a₁ k`` in Fourier space, with ``a₀ = 2π/d`` and
``a₁ = 2π``: the long-wave form of 1/r³ with a cut-off at the distance d.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field, model_validator

from nrp.base import Values
from nrp.systems.plane import Plane, PlaneSettings, wavenumbers


class FilmSettings(PlaneSettings):
    """The magnetic film: constants of the energy and its disorder.

    Defaults are the paper's where it gives them.
    """

    system: Literal["film"] = "film"
    stiffness: Annotated[float, Field(gt=0, le=1e3)] = 2.0
    """β, the exchange between neighbouring spins."""
    dipolar: Annotated[float, Field(ge=0, le=1e3)] = 2 / math.pi
    """γ, the strength of the dipolar interaction."""
    cutoff: Annotated[float, Field(ge=1e-3, le=1e3)] = math.pi / 2
    """d, the short-distance cut-off of the dipolar kernel."""
    disorder: Literal["quarter", "unit_mean", "zero_mean", "none"] = "quarter"
    """Reading of λ(r): ``1 + μ/4``, ``1 + μ``, ``μ`` or ``1``, with ``μ ~ N(0, strength²)``."""
    disorder_strength: Annotated[float, Field(ge=0, le=100)] = 0.3
    """Standard deviation of μ."""

    def largest_step(self, anisotropy: float) -> None:
        """Return None: the step of a film comes from a calibration."""

    @model_validator(mode="after")
    def _cells_fit(self) -> Self:
        for side in self.box:
            if self.disorder != "none" and not math.isclose(side, round(side)):
                raise ValueError(f"box = {side}: must be a whole number, for disorder is drawn on unit cells")
        if self.disorder != "none" and not math.isclose(1 / self.dx, round(1 / self.dx)):
            raise ValueError(f"dx = {self.dx}: must divide 1, for disorder is drawn on unit cells")
        return self


def dispersion(wavenumber: Values, settings: FilmSettings) -> Values:
    """Return ``L(k) = βk² + γG_k``, the cost of a wave; 2(k − 1)² + 8/π − 2 with the defaults."""
    a0, a1 = 2 * np.pi / settings.cutoff, 2 * np.pi
    return settings.stiffness * wavenumber**2 + settings.dipolar * (a0 - a1 * wavenumber)


def draw_disorder(settings: FilmSettings, *, seed: int, sample: int) -> Float[ndarray, "y x"]:
    """Return λ(r) on the grid, constant over each unit cell of the plane.

    The same seed and sample give the same medium on every grid that fills the same box, so that
    refining the grid does not change the material.
    """
    if settings.disorder == "none":
        return np.ones(settings.shape)
    cells = tuple(round(side) for side in settings.box)
    mu = settings.disorder_strength * np.random.default_rng([seed, sample]).normal(size=cells)
    readings = {"quarter": 1 + mu / 4, "unit_mean": 1 + mu, "zero_mean": mu}
    refine = settings.shape[0] // cells[0]
    return readings[settings.disorder].repeat(refine, axis=0).repeat(refine, axis=1)


class Film(Plane):
    """The film at one anisotropy α, with one disorder λ(r)."""

    settings_type = FilmSettings
    field = "magnetization"
    disordered = True

    def __init__(self, settings: FilmSettings, *, anisotropy: float, disorder: Float[ndarray, "y x"]) -> None:
        self.disorder = disorder
        local = anisotropy * disorder
        super().__init__(settings, anisotropy=anisotropy, local=local, strength=anisotropy)

    @classmethod
    def draw(cls, settings: FilmSettings, *, anisotropy: float, seed: int, sample: int) -> Self:
        """Return the film with the disorder of a sample."""
        disorder = draw_disorder(settings, seed=seed, sample=sample)
        return cls(settings, anisotropy=anisotropy, disorder=disorder)

    @staticmethod
    def modes(settings: FilmSettings) -> Float[ndarray, "y kx"]:
        """Return the linear operator by its modes, −L(k)."""
        return -dispersion(wavenumbers(settings.shape, settings.dx), settings)

    @classmethod
    def saturation(cls, settings: FilmSettings, *, anisotropy: float, external_field: float) -> float:
        """Return the largest root of αφ³ − (α − L(0))φ = h: the saturated state of the clean film."""
        slope = float(dispersion(0.0, settings)) - anisotropy
        roots = np.roots([anisotropy, 0, slope, -external_field])
        return float(max(root.real for root in roots if abs(root.imag) < 1e-9))
