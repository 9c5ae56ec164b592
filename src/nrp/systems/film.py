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

from typing import no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit
from numpy import ndarray
from scipy.fft import irfft2, rfft2

from nrp.settings import FilmSettings


def wavenumbers(shape: tuple[int, int], dx: float) -> Float[ndarray, "y kx"]:
    """Return the length of k for each mode of ``rfft2`` on a periodic grid of that shape (y, x)."""
    ky = 2 * np.pi * np.fft.fftfreq(shape[0], dx)
    kx = 2 * np.pi * np.fft.rfftfreq(shape[1], dx)
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
    if settings.disorder == "none":
        return np.ones(settings.shape)
    cells = tuple(round(side) for side in settings.box)
    mu = settings.disorder_strength * np.random.default_rng([seed, sample]).normal(size=cells)
    readings = {"quarter": 1 + mu / 4, "unit_mean": 1 + mu, "zero_mean": mu}
    refine = settings.shape[0] // cells[0]
    return readings[settings.disorder].repeat(refine, axis=0).repeat(refine, axis=1)


def block_average(field: Float[ndarray, "fine_y fine_x"], factor: int) -> Float[ndarray, "y x"]:
    """Return the means over blocks of ``factor × factor`` points."""
    ny, nx = field.shape
    return field.reshape(ny // factor, factor, nx // factor, factor).mean(axis=(1, 3))


@njit(cache=True, nogil=True)
@no_type_check
def react(phi, local, shift, external_field, out):
    """Write ``αλ(φ − φ³) + Sφ + h``, all of ∂φ/∂t that is not diagonal in Fourier space, into `out`.

    The one definition of the force in real space.  `local` is αλ and `shift` is S, which an integrator
    may take away again in Fourier space.  Returns at how many points φ is negative.
    """
    negative = 0
    for i in range(phi.shape[0]):
        for j in range(phi.shape[1]):
            p = phi[i, j]
            out[i, j] = p * (local[i, j] * (1 - p * p) + shift) + external_field
            negative += p < 0
    return negative


class Film:
    """The film at one anisotropy, on one grid, with one disorder.

    ``∂φ/∂t = linear · φ + react(φ)``: `linear`, diagonal in Fourier space, is −L(k), and `react` the rest.

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
        self.local: Float[ndarray, "y x"] = anisotropy * disorder
        self.linear: Float[ndarray, "y kx"] = -dispersion(wavenumbers(settings.shape, settings.dx), settings)

    def rate(self, phi: Float[ndarray, "y x"], external_field: float) -> ndarray:
        """Return ∂φ/∂t = −δH/δφ, of the shape of φ."""
        rate = np.empty_like(phi)
        react(phi, self.local, 0.0, external_field, rate)
        return rate + irfft2(self.linear * rfft2(phi), s=phi.shape)

    def energy(self, phi: Float[ndarray, "y x"], external_field: float) -> float:
        """Return H per area."""
        local = self.local * (phi**4 / 4 - phi**2 / 2)
        waves = irfft2(self.linear * rfft2(phi), s=phi.shape)
        return float(np.mean(local - phi * waves / 2 - external_field * phi))

    def image(self, phi: Float[ndarray, "y x"]) -> ndarray:
        """Return a frame: averages over blocks of ``coarsen × coarsen`` points."""
        return block_average(phi, self.settings.coarsen)

    def image_rate(self, phi: Float[ndarray, "y x"], external_field: float) -> ndarray:
        """Return the time derivative of the frame."""
        return self.image(self.rate(phi, external_field))
