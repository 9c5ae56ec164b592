r"""What all fields in a periodic box share: a linear part in Fourier space and a cubic force in real space.

.. math::

    \frac{\partial\phi}{\partial t} = \mathcal L \phi + c\,(\phi - \phi^3) + q\,\phi^2 + h, \qquad
    H[\phi] = \int c\,\Big(\frac{\phi^4}{4} - \frac{\phi^2}{2}\Big) - \frac{q}{3}\phi^3
        - \frac12 \phi\,\mathcal L\phi - h\phi \; dr

A system states c, which may differ from place to place, q, and the symmetric operator L by its modes.
"""

from __future__ import annotations

from typing import ClassVar, no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit
from numpy import ndarray
from scipy.fft import irfft2, rfft2

from nrp.settings import PlaneSettings


def wavenumbers(shape: tuple[int, int], dx: float) -> Float[ndarray, "y kx"]:
    """Return the length of k for each mode of ``rfft2`` on a periodic grid of that shape (y, x)."""
    ky = 2 * np.pi * np.fft.fftfreq(shape[0], dx)
    kx = 2 * np.pi * np.fft.rfftfreq(shape[1], dx)
    return np.hypot(ky[:, None], kx[None, :])


def block_average(field: Float[ndarray, "fine_y fine_x"], factor: int) -> Float[ndarray, "y x"]:
    """Return the means over blocks of ``factor × factor`` points."""
    ny, nx = field.shape
    return field.reshape(ny // factor, factor, nx // factor, factor).mean(axis=(1, 3))


@njit(cache=True, nogil=True)
@no_type_check
def react(phi, local, quadratic, shift, external_field, out):
    """Write ``c(φ − φ³) + qφ² + Sφ + h``, all of ∂φ/∂t that is not diagonal in Fourier space, into `out`.

    The one definition of the force in real space.  `local` is c, `quadratic` is q, and `shift` is S, which an
    integrator may take away again in Fourier space.  Returns at how many points φ is negative.
    """
    negative = 0
    for i in range(phi.shape[0]):
        for j in range(phi.shape[1]):
            p = phi[i, j]
            out[i, j] = p * (local[i, j] * (1 - p * p) + quadratic * p + shift) + external_field
            negative += p < 0
    return negative


class Plane:
    """A scalar field φ in a periodic box.

    Parameters
    ----------
    settings
        The grid.
    anisotropy
        What tells one run from another; a system says what it stands for.
    local
        c(r), of shape (y, x).
    linear
        The operator L by its modes, of shape (y, kx).
    quadratic
        q.
    strength
        c of the clean medium.
    """

    field: ClassVar[str]

    def __init__(
        self,
        settings: PlaneSettings,
        *,
        anisotropy: float,
        local: Float[ndarray, "y x"],
        linear: Float[ndarray, "y kx"],
        quadratic: float = 0.0,
        strength: float = 1.0,
    ) -> None:
        self.settings, self.anisotropy = settings, anisotropy
        self.local, self.linear, self.quadratic, self.strength = local, linear, quadratic, strength

    @staticmethod
    def modes(settings: PlaneSettings) -> Float[ndarray, "y kx"]:
        """Return the linear operator by its modes."""
        raise NotImplementedError

    def rate(self, phi: Float[ndarray, "y x"], external_field: float) -> ndarray:
        """Return ∂φ/∂t = −δH/δφ, of the shape of φ."""
        rate = np.empty_like(phi)
        react(phi, self.local, self.quadratic, 0.0, external_field, rate)
        return rate + irfft2(self.linear * rfft2(phi), s=phi.shape)

    def energy(self, phi: Float[ndarray, "y x"], external_field: float) -> float:
        """Return H per area."""
        local = self.local * (phi**4 / 4 - phi**2 / 2) - self.quadratic * phi**3 / 3
        waves = irfft2(self.linear * rfft2(phi), s=phi.shape)
        return float(np.mean(local - phi * waves / 2 - external_field * phi))

    def uniform(self, external_field: float) -> float:
        """Return the uniform state at rest of a clean medium that lies furthest in the field's direction."""
        uniform_force = self.strength + float(self.linear[0, 0])
        roots = np.roots([-self.strength, self.quadratic, uniform_force, external_field])
        real = [root.real for root in roots if abs(root.imag) < 1e-9]
        return float(min(real) if external_field < 0 else max(real))

    def margin(self, phi: Float[ndarray, "y x"]) -> ndarray:
        """Return what is negative somewhere from the onset on: φ itself."""
        return phi

    def image(self, phi: Float[ndarray, "y x"]) -> ndarray:
        """Return a frame: averages over blocks of ``coarsen × coarsen`` points."""
        return block_average(phi, self.settings.coarsen)

    def image_rate(self, phi: Float[ndarray, "y x"], external_field: float) -> ndarray:
        """Return the time derivative of the frame."""
        return self.image(self.rate(phi, external_field))
