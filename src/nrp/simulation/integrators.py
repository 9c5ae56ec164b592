"""One-step integrators of fourth order for gradient flows driven by a uniform field h(t)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.fft import irfft2, rfft2

from nrp.systems import Bead, Film

_CONTOUR = np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 32)


class ETDRK4:
    """Exponential time differencing, Runge–Kutta of order four.

    The linear part is exact in Fourier space.  The scheme is that of Cox and Matthews
    (J. Comput. Phys. 176, 430, 2002, Eqs. 26–29); its coefficients are found by the contour
    integrals of Kassam and Trefethen (SIAM J. Sci. Comput. 26, 1214, 2005).

    Parameters
    ----------
    film
        Gives `linear`, the multiplier in Fourier space, and `nonlinear(field, h)` in real space.
    external_field
        h(t), called at the stages of a step.
    """

    def __init__(self, film: Film, external_field: Callable[[float], float]) -> None:
        self._film = film
        self._h = external_field
        self._coefficients = lru_cache(maxsize=8)(lambda dt: _coefficients(film.linear, dt))

    def step(self, phi: Float[ndarray, "y x"], time: float, dt: float) -> Float[ndarray, "y x"]:
        """Return the field at ``time + dt``; h must be smooth in between."""
        half, full, q, f1, f2, f3 = self._coefficients(dt)
        h0, h1, h2 = self._h(time), self._h(time + dt / 2), self._h(time + dt)
        start = rfft2(phi)
        n0 = rfft2(self._film.nonlinear(phi, h0))
        relaxed = half * start
        a = relaxed + q * n0
        na = self._nonlinear(a, h1)
        nb = self._nonlinear(relaxed + q * na, h1)
        nc = self._nonlinear(half * a + q * (2 * nb - n0), h2)
        return irfft2(full * start + f1 * n0 + f2 * (na + nb) + f3 * nc, s=phi.shape)

    def _nonlinear(self, stage: ndarray, h: float) -> ndarray:
        shape = self._film.disorder.shape
        return rfft2(self._film.nonlinear(irfft2(stage, s=shape), h))


def _coefficients(linear: Float[ndarray, "y kx"], dt: float) -> tuple[ndarray, ...]:
    # Means over a circle around L·dt replace quotients that cancel where L·dt is small.
    z = dt * linear[..., None] + _CONTOUR
    e = np.exp(z)
    q = dt * np.mean((np.exp(z / 2) - 1) / z, axis=-1).real
    f1 = dt * np.mean((-4 - z + e * (4 - 3 * z + z**2)) / z**3, axis=-1).real
    f2 = 2 * dt * np.mean((2 + z + e * (z - 2)) / z**3, axis=-1).real
    f3 = dt * np.mean((-4 - 3 * z - z**2 + e * (4 - z)) / z**3, axis=-1).real
    return np.exp(dt * linear / 2), np.exp(dt * linear), q, f1, f2, f3


class RK4:
    """The classical Runge–Kutta scheme, for systems with no stiff linear part (the bead)."""

    def __init__(self, bead: Bead, external_field: Callable[[float], float]) -> None:
        self._rate = bead.rate
        self._h = external_field

    def step(self, state: ndarray, time: float, dt: float) -> ndarray:
        """Return the state at ``time + dt``."""
        h0, h1, h2 = self._h(time), self._h(time + dt / 2), self._h(time + dt)
        k1 = self._rate(state, h0)
        k2 = self._rate(state + dt / 2 * k1, h1)
        k3 = self._rate(state + dt / 2 * k2, h1)
        k4 = self._rate(state + dt * k3, h2)
        return state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
