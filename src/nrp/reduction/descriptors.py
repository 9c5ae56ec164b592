"""Descriptors: statistics of an image that do not depend on where its domains lie.

They are smooth functions of the pixels, so that their exact rate along a film, ẋ = ∂x/∂φ · ∂φ/∂t, is one
forward-mode product.  All are those of an image in a periodic box.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nrp.base import InvalidSetting

WALL = 0.5
"""Values of φ on either side of 0 between which a pixel passes from one phase to the other."""
_QUANTILES = 10
"""Equal shares of the sorted pixels whose means are taken."""
_RINGS = 19
"""Rings of the structure factor, each as wide as the finest wavenumber of the box."""
_AT_ONCE = 64
"""Images at a time, which stay in the caches of a processor."""
_TINY = 1e-6
"""Added under square roots: what is uniform has no direction, and its root no slope."""
COARSE = (7, 5)
"""Pixels of the persistence images that are descriptors, along the births and along the persistence."""
Family = Literal["statistics", "structure_factor", "persistence"]


class Descriptors(NamedTuple):
    """Descriptors of images, and their rates."""

    values: Float[Tensor, "image number"]
    rates: Float[Tensor, "image number"]


def names(families: tuple[Family, ...] = ("statistics", "structure_factor")) -> tuple[str, ...]:
    """Return the names of the descriptors of some families, in their order.

    ``persistence`` are coarse persistence images (`nrp.reduction.persistence`), which are no smooth functions
    of the pixels and take a hundred times as long; ``statistics`` and ``structure_factor`` are those of
    `describe`.
    """
    moments = ("mean", "deviation", "third_moment")
    phase = ("negative_fraction", "euler_density", "wall_density")
    quantiles = (f"quantile_{number}" for number in range(_QUANTILES))
    rings = (f"ring_{number}" for number in range(1, _RINGS + 1))
    births, lengths = COARSE
    persistence = (
        f"{kind}_{length}_{birth}"
        for kind in ("components", "loops")
        for length in range(lengths)
        for birth in range(births)
    )
    of_family: dict[Family, tuple[str, ...]] = {
        "statistics": (*moments, *phase, *quantiles),
        "structure_factor": tuple(rings),
        "persistence": tuple(persistence),
    }
    return tuple(name for family, found in of_family.items() if family in families for name in found)


def columns(families: tuple[Family, ...]) -> list[int]:
    """Return the places of some families among the descriptors of all."""
    everything = names(get_args(Family))
    return [everything.index(name) for name in names(families)]


def describe(
    images: Float[Tensor, "image y x"], rates: Float[Tensor, "image y x"], *, pixel: float
) -> Descriptors:
    """Return the descriptors of images and, by a forward-mode product, their rates along those of the images.

    - ``mean``, ``deviation`` and ``third_moment`` of the pixels, the third about the mean;
    - ``negative_fraction``, the mean of a smooth indicator s of the negative phase, 1 below −w and 0 above w,
      and between them 3u² − 2u³ with u = (1 − φ/w)/2; ``euler_density``, its Euler number per area, counted
      as pixels − pairs of neighbours + squares of four of s; ``wall_density``, the length of wall per area,
      the mean length of ∇s;
    - the means of ten equal shares of the sorted pixels;
    - the rms amplitude of the modes in rings of the wavenumber, a root of the structure factor.

    Parameters
    ----------
    images, rates
        φ and ∂φ/∂t.
    pixel
        Side of a pixel, in units of length.

    Raises
    ------
    InvalidSetting
        If the images are too small for the rings.
    """
    if min(images.shape[1:]) < 2 * (_RINGS + 1):
        size = tuple(images.shape[1:])
        raise InvalidSetting(f"images = {size}: must have at least {2 * (_RINGS + 1)} pixels on each side")
    parts = [
        torch.func.jvp(lambda each: _values(each, pixel), (image,), (rate,))[:2]
        for image, rate in zip(images.split(_AT_ONCE), rates.split(_AT_ONCE), strict=True)
    ]
    return Descriptors(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _values(images: Tensor, pixel: float) -> Tensor:
    flat = images.flatten(1)
    mean = flat.mean(dim=1, keepdim=True)
    apart = flat - mean
    moments = [mean[:, 0], (apart.square().mean(dim=1) + _TINY).sqrt(), (apart**3).mean(dim=1)]
    shares = [share.mean(dim=1) for share in flat.sort(dim=1).values.tensor_split(_QUANTILES, dim=1)]
    power = torch.fft.rfft2(images - mean[..., None], norm="forward").abs().square().flatten(1)
    rings = (power @ _ring_weights(images.shape[1], images.shape[2]) + _TINY).sqrt()
    return torch.cat([torch.stack([*moments, *_phase(images, pixel), *shares], dim=1), rings], dim=1)


def _phase(images: Tensor, pixel: float) -> list[Tensor]:
    """Return fraction, Euler density and wall density of the negative phase."""
    share = ((1 - images / WALL) / 2).clamp(0, 1)
    inside = share.square() * (3 - 2 * share)
    right, below = inside.roll(-1, -1), inside.roll(-1, -2)
    pairs, squares = inside * right + inside * below, inside * right * below * below.roll(-1, -1)
    along_x, along_y = (right - inside.roll(1, -1)) / 2, (below - inside.roll(1, -2)) / 2
    steep = (along_x.square() + along_y.square() + _TINY).sqrt() - _TINY**0.5
    fraction = inside.mean(dim=(1, 2))
    euler = fraction + (squares - pairs).mean(dim=(1, 2))
    return [fraction, euler / pixel**2, steep.mean(dim=(1, 2)) / pixel]


@cache
def _ring_weights(rows: int, columns: int) -> Float[Tensor, "mode ring"]:
    """Return how much the modes of `rfft2` add to the square of each ring; every amplitude counts once."""
    wavenumber = np.hypot(*np.meshgrid(np.fft.fftfreq(rows), np.fft.rfftfreq(columns), indexing="ij"))
    number = np.rint(wavenumber * max(rows, columns)).astype(int)
    # Modes with 0 < kx < Nyquist stand for themselves and their mirror image.
    modes = np.ones_like(wavenumber)
    modes[:, 1 : (columns + 1) // 2] = 2
    weights = [np.where(number == ring, modes, 0).ravel() for ring in range(1, _RINGS + 1)]
    return torch.from_numpy(np.stack(weights, axis=1)).float()
