r"""Fields in a periodic box: a linear part in Fourier space, a cubic force in real space, and a mobility.

.. math::

    \frac{\partial\phi}{\partial t} = -K\,\frac{\delta H}{\delta\phi}, \qquad
    -\frac{\delta H}{\delta\phi} = \mathcal L \phi + c\,(\phi - \phi^3) + q\,\phi^2 + h, \qquad
    H[\phi] = \int c\,\Big(\frac{\phi^4}{4} - \frac{\phi^2}{2}\Big) - \frac{q}{3}\phi^3
        - \frac12 \phi\,\mathcal L\phi - h\phi \; dr

A system states c, which may differ from place to place, q, and the symmetric operators L and K by their
modes; K is the identity, or k² for a field whose mean is conserved.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self, no_type_check

import numpy as np
from jaxtyping import Float
from numba import njit
from numpy import ndarray
from pydantic import Field, model_validator
from scipy.fft import irfft2, rfft2

from nrp.base import Count, Pair, Positive
from nrp.systems.base import System, SystemSettings

MAX_POINTS = 2**15
"""Longest side of a simulated grid, in points."""


class PlaneSettings(SystemSettings):
    """The periodic box that a field fills, its grid, and how a run begins.

    Lengths are in the units of the equation, in which the fastest-growing pattern has wavenumber 1.
    """

    box: Pair = (64.0, 64.0)
    """Sides (y, x) of the periodic box; one number means a square."""
    dx: Positive = 0.5
    """Spacing of the grid, in units of length."""
    coarsen: Count = 2
    """Stored frames are averages over blocks of ``coarsen × coarsen`` grid points."""
    start: Literal["equilibrium", "uniform", "random"] = "equilibrium"
    """The state a run begins with: saturated in the first field, ``start_level`` everywhere, or drawn
    for each grid point between plus and minus ``start_level``."""
    start_level: Annotated[float, Field(ge=-10, le=10)] = 1.0
    """The level of a uniform start, and the bound of a random one."""
    noise: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Standard deviation of the seeded noise added to that state."""

    @property
    def shape(self) -> tuple[int, int]:
        """Grid points (y, x)."""
        height, width = (round(side / self.dx) for side in self.box)
        return height, width

    @property
    def axes(self) -> tuple[Float[ndarray, " y"], Float[ndarray, " x"]]:
        """Coordinates (y, x) of the pixels of a frame."""
        pixel = self.dx * self.coarsen
        height, width = ((np.arange(points // self.coarsen) + 0.5) * pixel for points in self.shape)
        return height, width

    @property
    def frames_are(self) -> str:
        """What a frame shows, in words."""
        return "block averages of the simulated grid" if self.coarsen > 1 else super().frames_are

    @model_validator(mode="after")
    def _grid_fits(self) -> Self:
        if max(self.box) / self.dx > MAX_POINTS:
            raise ValueError(
                f"box = {max(self.box)}: with dx = {self.dx} at most {MAX_POINTS * self.dx:g} is allowed"
            )
        for side, points in zip(self.box, self.shape, strict=True):
            if points < 4 or not math.isclose(points * self.dx, side):
                raise ValueError(f"dx = {self.dx}: must divide box = {side} into at least 4 whole points")
            if points % self.coarsen:
                raise ValueError(f"coarsen = {self.coarsen}: must divide the {points} points of a side")
        return self


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
    """Write ``c(φ − φ³) + qφ² + Sφ + h``, the part of the force that is not diagonal in Fourier space.

    The one definition of the force in real space, written into `out`.  `local` is c, `quadratic` is q, and
    `shift` is S, which an integrator may take away again in Fourier space.  Returns the number of points at
    which φ is negative.
    """
    negative = 0
    for i in range(phi.shape[0]):
        for j in range(phi.shape[1]):
            p = phi[i, j]
            out[i, j] = p * (local[i, j] * (1 - p * p) + quadratic * p + shift) + external_field
            negative += p < 0
    return negative


class Plane(System):
    """A scalar field φ in a periodic box; `local` is c(r), `quadratic` q, `strength` c if it is clean."""

    spectral = True

    def __init__(
        self,
        settings: PlaneSettings,
        *,
        anisotropy: float,
        local: Float[ndarray, "y x"],
        quadratic: float = 0.0,
        strength: float = 1.0,
    ) -> None:
        self.settings, self.anisotropy = settings, anisotropy
        self.local, self.quadratic, self.strength = local, quadratic, strength
        self.linear = self.modes(settings)

    @staticmethod
    def modes(settings: PlaneSettings) -> Float[ndarray, "y kx"]:
        """Return the linear operator L by its modes."""
        raise NotImplementedError

    @staticmethod
    def mobility(settings: PlaneSettings) -> Float[ndarray, "y kx"] | None:
        """Return the mobility operator K by its modes; None for the identity."""
        return None

    def start(self, external_field: float, *, seed: int, sample: int) -> Float[ndarray, "y x"]:
        """Return the field with which a run begins: uniform or random, with noise if there is any."""
        settings = self.settings
        draws = np.random.default_rng([seed, sample, 1])
        noise = settings.noise * draws.normal(size=settings.shape)
        if settings.start == "uniform":
            return settings.start_level + noise
        if settings.start == "random":
            return settings.start_level * draws.uniform(-1, 1, size=settings.shape) + noise
        return self.uniform(external_field) + noise

    def force(self, phi: Float[ndarray, "y x"], external_field: float) -> ndarray:
        """Return −δH/δφ, of the shape of φ."""
        force = np.empty_like(phi)
        react(phi, self.local, self.quadratic, 0.0, external_field, force)
        return force + irfft2(self.linear * rfft2(phi), s=phi.shape)

    def rate(self, phi: Float[ndarray, "y x"], external_field: float) -> ndarray:
        """Return ∂φ/∂t = −K δH/δφ, of the shape of φ."""
        force, mobility = self.force(phi, external_field), self.mobility(self.settings)
        return force if mobility is None else irfft2(mobility * rfft2(force), s=phi.shape)

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
        level = float(min(real) if external_field < 0 else max(real))
        return level if abs(level) > 1e-9 else 0.0

    def margin(self, phi: Float[ndarray, "y x"]) -> ndarray:
        """Return φ itself, which is negative somewhere from the onset on."""
        return phi

    def image(self, phi: Float[ndarray, "y x"]) -> ndarray:
        """Return a frame: averages over blocks of ``coarsen × coarsen`` points."""
        return block_average(phi, self.settings.coarsen)

    def image_rate(self, phi: Float[ndarray, "y x"], external_field: float) -> ndarray:
        """Return the time derivative of the frame."""
        return self.image(self.rate(phi, external_field))
