r"""Time steppers: two of fourth order for fields in the plane, and a classical one for all else.

All have ``step(state, field, time, dt)``, where `field` is h(t), smooth through the step, and
`negative`, the number of points at which the margin of the last state is negative.  A field is defined
once, in `nrp.systems.plane`, which its two schemes share.  SBDF4 takes its first steps by ETDRK4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import no_type_check

import numpy as np
import pyfftw
from jaxtyping import Float
from numba import njit
from numpy import ndarray
from scipy.fft import irfft2, rfft2

from nrp.systems import System
from nrp.systems.plane import Plane, PlaneSettings, react

# Plans that every process measured for itself would differ, and so would the roundings.  These were
# measured once (``benchmarks/calibrate.py --plans``); other shapes of the grid get estimated plans.
pyfftw.import_wisdom((files("nrp.simulation").joinpath("fftw_wisdom.txt").read_bytes(), b"", b""))
_CONTOUR = np.exp(1j * np.pi * (np.arange(1, 17) - 0.5) / 16)


class SBDF4:
    r"""The implicit–explicit backward differentiation formula of order four, stabilized.

    .. math::

        \frac{1}{\Delta t}\Big(\tfrac{25}{12}u_1 - 4u_0 + 3u_{-1} - \tfrac43 u_{-2}
            + \tfrac14 u_{-3}\Big)
        = (\mathcal L - S)\, u_1 + 4N_0 - 6N_{-1} + 4N_{-2} - N_{-3}

    Here ℒ, S and N all stand behind the mobility K, the identity or a function of k.
    The linear part is implicit and diagonal in Fourier space; the rest N, with +Sφ in it, is
    extrapolated (Ascher, Ruuth & Wetton, SIAM J. Numer. Anal. 32, 797, 1995).  A step takes two FFTs.
    S damps the fast modes and leaves the order as it is.

    A step that goes on from the last one uses its history.  Any other begins anew: a time `settle`, and
    three more steps, are covered by `ETDRK4`, each in `substeps` parts.

    At equal steps the errors of the two schemes are of one size, so three whole steps will do where all is
    smooth in time.  After a jump, or from a state that is no equilibrium, the formula needs some units of
    time until what it looks back to is smooth.  `shift` is S, by default the strength of the cubic.
    """

    def __init__(
        self, film: Plane, *, shift: float | None = None, settle: float = 0.0, substeps: int = 1
    ) -> None:
        self.film, self.negative = film, 0
        self._shift = film.strength if shift is None else shift
        self._mobility = film.mobility(film.settings)
        self._settle, self._substeps, self._starter = settle, substeps, ETDRK4(film)
        real, spectral = film.local.shape, film.linear.shape
        self._phi, self._rest = (pyfftw.empty_aligned(real, "float64") for _ in range(2))
        spectra = pyfftw.zeros_aligned((6, *spectral), "complex128")
        self._spectra, self._rest_modes, self._u = spectra.view(float).reshape(6, -1), spectra[1], spectra[2]
        plan = {"axes": (0, 1), "flags": ("FFTW_ESTIMATE", "FFTW_DESTROY_INPUT")}
        self._forward = pyfftw.FFTW(self._rest, spectra[1], **plan).execute
        self._backward = pyfftw.FFTW(spectra[0], self._phi, direction="FFTW_BACKWARD", **plan).execute
        self._state = self._phi.view()
        self._state.flags.writeable = False

    def step(
        self, state: Float[ndarray, "y x"], field: Callable[[float], float], time: float, dt: float
    ) -> Float[ndarray, "y x"]:
        """Return φ at ``time + dt``, in an array that the next step overwrites."""
        if not self._continues(state, field, time, dt):
            self._begin(state, field, time, dt)
        _extrapolate(self._spectra, dt / state.size, self._inverse)
        if self._start_steps > 0:
            part = dt / self._substeps
            for i in range(self._substeps):
                state = self._starter.step(state, field, time + i * part, part)
            self._take(state)
        else:
            self._backward()
        self._react(field(time + dt))
        self._start_steps, self._time = self._start_steps - 1, time + dt
        return self._state

    def _continues(self, state: ndarray, field: Callable[[float], float], time: float, dt: float) -> bool:
        same = state is self._state and self._smooth == (field, dt)
        return same and math.isclose(time, self._time, abs_tol=1e-6 * dt)

    def _begin(self, state: ndarray, field: Callable[[float], float], time: float, dt: float) -> None:
        self._start_steps, self._smooth = 3 + math.ceil(self._settle / dt), (field, dt)
        linear = self.film.linear - self._shift
        inverse = 1 / (25 / 12 - dt * (linear if self._mobility is None else self._mobility * linear))
        self._inverse = inverse.repeat(2, axis=1).ravel()
        self._take(state)
        self._react(field(time))

    def _take(self, state: ndarray) -> None:
        self._phi[:] = state
        # FFTW does not normalize.  The modes of φ carry the factor, so that it costs nothing.
        self._u[:] = rfft2(state, norm="forward")

    def _react(self, external_field: float) -> None:
        film = self.film
        self.negative = react(self._phi, film.local, film.quadratic, self._shift, external_field, self._rest)
        self._forward()
        if self._mobility is not None:
            self._rest_modes *= self._mobility


@njit(cache=True, nogil=True)
@no_type_check
def _extrapolate(s, dt, inverse):
    """Find the next modes u, and the sums that later steps will need of the older levels.

    The rows of `s` hold real and imaginary parts in turn: a copy of u to be transformed, N, u, three sums.
    """
    for i in range(inverse.size):
        u, n = s[2, i], dt * s[1, i]
        new = (s[3, i] + 4 * (u + n)) * inverse[i]
        s[3, i] = s[4, i] - 3 * u - 6 * n
        s[4, i] = s[5, i] + 4 / 3 * u + 4 * n
        s[5, i] = -u / 4 - n
        s[2, i] = s[0, i] = new


class ETDRK4:
    """Exponential time differencing, Runge–Kutta of order four.

    The linear part is exact in Fourier space.  The scheme is that of Cox and Matthews (J. Comput. Phys.
    176, 430, 2002, Eqs. 26–29); its coefficients are found by the contour integrals of Kassam and
    Trefethen (SIAM J. Sci. Comput. 26, 1214, 2005).
    """

    def __init__(self, film: Plane) -> None:
        self.film, self.negative = film, 0
        self._mobility = film.mobility(film.settings)

    def step(
        self, state: Float[ndarray, "y x"], field: Callable[[float], float], time: float, dt: float
    ) -> Float[ndarray, "y x"]:
        """Return φ at ``time + dt``."""
        half, full, q, f1, f2, f3 = _coefficients(type(self.film), self.film.settings, dt)
        h0, h1, h2 = field(time), field(time + dt / 2), field(time + dt)
        start, n0 = rfft2(state), self._rest(state, h0)
        relaxed = half * start
        a = relaxed + q * n0
        na = self._rest(irfft2(a, s=state.shape), h1)
        nb = self._rest(irfft2(relaxed + q * na, s=state.shape), h1)
        nc = self._rest(irfft2(half * a + q * (2 * nb - n0), s=state.shape), h2)
        phi = irfft2(full * start + f1 * n0 + f2 * (na + nb) + f3 * nc, s=state.shape)
        self.negative = int(np.count_nonzero(phi < 0))
        return phi

    def _rest(self, phi: ndarray, external_field: float) -> ndarray:
        rest = np.empty_like(phi)
        react(phi, self.film.local, self.film.quadratic, 0.0, external_field, rest)
        return rfft2(rest) if self._mobility is None else self._mobility * rfft2(rest)


@lru_cache(maxsize=2)
def _coefficients(system: type[Plane], settings: PlaneSettings, dt: float) -> tuple[ndarray, ...]:
    linear, mobility = system.modes(settings), system.mobility(settings)
    linear = linear if mobility is None else mobility * linear
    # Means over a circle around L·dt replace quotients that cancel where L·dt is small.  Waves of one
    # length share theirs; half of the circle will do, for the other half is its mirror image.
    distinct, place = np.unique(linear, return_inverse=True)
    q, f1, f2, f3 = np.zeros((4, distinct.size))
    for point in _CONTOUR:
        z = dt * distinct + point
        e = np.exp(z)
        q += ((np.exp(z / 2) - 1) / z).real
        f1 += ((-4 - z + e * (4 - 3 * z + z**2)) / z**3).real
        f2 += 2 * ((2 + z + e * (z - 2)) / z**3).real
        f3 += ((-4 - 3 * z - z**2 + e * (4 - z)) / z**3).real
    means = (x[place] * (dt / _CONTOUR.size) for x in (q, f1, f2, f3))
    return np.exp(dt * linear / 2), np.exp(dt * linear), *means


class RK4:
    """The classical Runge–Kutta scheme, for systems with no stiff linear part."""

    def __init__(self, system: System) -> None:
        self._rate, self._margin, self.negative = system.rate, system.margin, 0

    def step(self, state: ndarray, field: Callable[[float], float], time: float, dt: float) -> ndarray:
        """Return the state at ``time + dt``."""
        h0, h1, h2 = field(time), field(time + dt / 2), field(time + dt)
        k1 = self._rate(state, h0)
        k2 = self._rate(state + dt / 2 * k1, h1)
        k3 = self._rate(state + dt / 2 * k2, h1)
        k4 = self._rate(state + dt * k3, h2)
        ahead = state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        self.negative = int(np.count_nonzero(self._margin(ahead) < 0))
        return ahead
