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

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.fft import irfft2, rfft2

from nrp.settings import FilmSettings


def wavenumbers(points: int, dx: float) -> Float[ndarray, "y kx"]:
    """Return the length of k for each mode of ``rfft2`` on a periodic ``points × points`` grid."""
    ky = 2 * np.pi * np.fft.fftfreq(points, dx)
    kx = 2 * np.pi * np.fft.rfftfreq(points, dx)
    return np.hypot(ky[:, None], kx[None, :])


def dispersion(wavenumber: ndarray | float, settings: FilmSettings) -> ndarray | float:
    """Return ``L(k) = βk² + γG_k``, the cost of a wave; 2(k − 1)² + 8/π − 2 with the defaults."""
    a0, a1 = 2 * np.pi / settings.cutoff, 2 * np.pi
    return settings.stiffness * wavenumber**2 + settings.dipolar * (a0 - a1 * wavenumber)


def draw_disorder(settings: FilmSettings, *, seed: int, sample: int) -> Float[ndarray, "y x"]:
    """Return λ(r) on the grid, constant over each unit cell of the plane.

    The same seed and sample give the same medium on every grid that fills the same box, so that
    refining the grid does not change the material.
    """
    points = settings.points
    if settings.disorder == "none":
        return np.ones((points, points))
    cells = round(settings.box)
    draws = np.random.default_rng([seed, sample]).normal(size=(cells, cells))
    mu = settings.disorder_strength * draws
    readings = {"quarter": 1 + mu / 4, "unit_mean": 1 + mu, "zero_mean": mu}
    refine = points // cells
    return readings[settings.disorder].repeat(refine, axis=0).repeat(refine, axis=1)


class Film:
    """The film at one anisotropy, on one grid, with one disorder.

    The right-hand side is split for exponential integrators: `linear`, diagonal in Fourier space,
    holds the dispersion and the slope −2α of the cubic at φ = ±1, where the film spends most of its
    time; `nonlinear` holds the rest.  Their sum is the force, and does not depend on the split.

    Parameters
    ----------
    settings
        Constants of the energy and the grid.
    anisotropy
        α.
    disorder
        λ(r), of shape (y, x).
    """

    field = "magnetization"

    def __init__(self, settings: FilmSettings, *, anisotropy: float, disorder: Float[ndarray, "y x"]) -> None:
        self.settings = settings
        self.anisotropy = anisotropy
        self.disorder = disorder
        self._local = anisotropy * disorder
        self._cost = dispersion(wavenumbers(settings.points, settings.dx), settings)
        self._slope = 2 * anisotropy
        self.linear: Float[ndarray, "y kx"] = -self._slope - self._cost

    def nonlinear(self, phi: Float[ndarray, "y x"], external_field: float) -> ndarray:
        """Return the part of ∂φ/∂t that `linear` leaves, in real space."""
        return self._local * phi * (1 - phi * phi) + self._slope * phi + external_field

    def rate(self, phi: Float[ndarray, "y x"], external_field: float) -> ndarray:
        """Return ∂φ/∂t = −δH/δφ, of the shape of φ."""
        linear = irfft2(self.linear * rfft2(phi), s=phi.shape)
        return linear + self.nonlinear(phi, external_field)

    def energy(self, phi: Float[ndarray, "y x"], external_field: float) -> float:
        """Return H per area."""
        local = self._local * (phi**4 / 4 - phi**2 / 2)
        waves = irfft2(self._cost * rfft2(phi), s=phi.shape)
        return float(np.mean(local + phi * waves / 2 - external_field * phi))
