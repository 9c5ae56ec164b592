"""Power spectrum and structure factor of a pattern in a periodic box."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.fft import rfft2

from nrp.systems.plane import wavenumbers


def mean_wavenumber(image: Float[ndarray, "y x"], pixel: float) -> float:
    """Return the mean wavenumber of the pattern, weighted by its power spectrum."""
    power, modes = _spectrum(image)
    total = (power * modes).sum()
    return float((wavenumbers(image.shape, pixel) * power * modes).sum() / total) if total else 0.0


def _spectrum(image: Float[ndarray, "y x"]) -> tuple[Float[ndarray, "y kx"], Float[ndarray, "y kx"]]:
    """Return the power of the modes of `rfft2`, without the mean, and for how many modes each stands."""
    power = np.abs(rfft2(image - image.mean())) ** 2
    # Modes with 0 < kx < Nyquist stand for themselves and their mirror image.
    modes = np.ones_like(power)
    modes[:, 1 : (image.shape[1] + 1) // 2] = 2
    return power, modes


def structure_factor(
    image: Float[ndarray, "y x"], pixel: float
) -> tuple[Float[ndarray, " ring"], Float[ndarray, " ring"]]:
    """Return the k of rings as wide as the finest k, and the mean square of φ_k over each ring."""
    power, modes = _spectrum(image)
    width = 2 * np.pi / (max(image.shape) * pixel)
    ring = np.rint(wavenumbers(image.shape, pixel) / width).astype(int).ravel()
    factor = np.bincount(ring, (power * modes).ravel()) / np.bincount(ring, modes.ravel())
    return width * np.arange(len(factor)), factor


def peak_wavenumber(image: Float[ndarray, "y x"], pixel: float) -> float:
    """Return where the structure factor is largest; 0 for an image without any pattern."""
    wavenumber, factor = structure_factor(image, pixel)
    return float(wavenumber[factor.argmax()]) if factor.any() else 0.0


def peak_width(image: Float[ndarray, "y x"], pixel: float) -> float:
    """Return the standard deviation of k over the structure factor, each ring with its weight ``S(k) k``.

    Rings from twice the peak on are left out: a pattern of one wavelength with sharp walls has its
    harmonics there.
    """
    wavenumber, factor = structure_factor(image, pixel)
    below = wavenumber < 2 * wavenumber[factor.argmax()] - wavenumber[1] / 2
    weight = factor * wavenumber * below
    if not weight.any():
        return 0.0
    mean = np.average(wavenumber, weights=weight)
    return float(np.sqrt(np.average((wavenumber - mean) ** 2, weights=weight)))
