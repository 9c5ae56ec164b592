"""Domains and walls of a pattern in a periodic box."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label, regionprops

from nrp.analysis.images.spectrum import mean_wavenumber


def label_domains(phase: Bool[ndarray, "y x"]) -> tuple[Int[ndarray, "y x"], int]:
    """Return the numbers, from 1, of the connected domains of a phase, and how many there are; 0 elsewhere.

    Pixels touch along edges, also round the box.
    """
    labels, count = label(phase, connectivity=1, return_num=True)
    if not count:
        return labels, 0
    seams = np.concatenate(
        [np.stack([labels[0], labels[-1]], axis=1), np.stack([labels[:, 0], labels[:, -1]], axis=1)]
    )
    pairs = seams[(seams > 0).all(axis=1)] - 1
    joined = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    number, names = connected_components(joined, directed=False)
    return np.concatenate([[0], names + 1])[labels], int(number)


def count_domains(phase: Bool[ndarray, "y x"]) -> int:
    """Return the number of connected domains of a phase; pixels touch along edges, also round the box."""
    return label_domains(phase)[1]


class Domains(NamedTuple):
    """The domains of a phase, one number each."""

    area: Float[ndarray, " domain"]
    elongation: Float[ndarray, " domain"]
    """Length over width of the ellipse with the same second moments; nan for a domain round the box."""


def measure_domains(phase: Bool[ndarray, "y x"], pixel: float) -> Domains:
    """Return area and elongation of every connected domain of a phase.

    A domain that crosses the seam is measured whole.  One that goes round the box has no length.
    """
    labels, count = label_domains(phase)
    names, first, pixels = np.unique(labels, return_index=True, return_counts=True)
    first, pixels = first[names > 0], pixels[names > 0]
    # Of three boxes side by side, the copies that hold that pixel of the middle one.
    tiled = label(np.tile(phase, (3, 3)), connectivity=1)
    y, x = np.unravel_index(first, phase.shape)
    copies = tiled[y + phase.shape[0], x + phase.shape[1]]
    chosen = np.zeros(tiled.max() + 1, int)
    chosen[copies] = np.arange(1, count + 1)
    elongation = np.full(count, np.nan)
    for region in regionprops(chosen[tiled]):
        if region.num_pixels == pixels[region.label - 1]:
            # A pixel is a square, not a point: it adds 1/12 to the second moments.
            major, minor = (axis**2 + 4 / 3 for axis in (region.axis_major_length, region.axis_minor_length))
            elongation[region.label - 1] = np.sqrt(major / minor)
    return Domains(pixels * pixel**2, elongation)


def euler_number(phase: Bool[ndarray, "y x"]) -> int:
    """Return the Euler number of a phase on the torus: 1 for a disc, 0 for a stripe round the box or a ring.

    Counted as pixels − pairs of neighbours + squares of four.
    """
    down, right = np.roll(phase, -1, 0), np.roll(phase, -1, 1)
    squares = phase & down & right & np.roll(down, -1, 1)
    return int(phase.sum()) - int((phase & down).sum() + (phase & right).sum()) + int(squares.sum())


def wall_length(image: Float[ndarray, "y x"], pixel: float) -> float:
    """Return the length of the level line φ = 0.

    Uses ``∫ |∇ sign φ| / 2``, estimated by Crofton's formula in four directions, which is free of the
    staircase of a pixel count (for straight walls it is right within 6 % in any direction).
    """
    down = image < 0
    axes = sum(np.sum(down != np.roll(down, 1, axis)) for axis in (0, 1))
    diagonals = sum(np.sum(down != np.roll(down, (1, step), (0, 1))) for step in (1, -1))
    return float(np.pi / 8 * pixel * (axes + diagonals / np.sqrt(2)))


def domain_stretch(image: Float[ndarray, "y x"], pixel: float) -> float:
    """Return ``L²/(4πnA)`` of the n domains of φ < 0, with walls of length L and area A together.

    It is 1 for equal discs, where there is no wall by definition, and large for long domains, however they
    are bent.
    """
    length, phase = wall_length(image, pixel), image < 0
    return length**2 / (4 * np.pi * count_domains(phase) * phase.sum() * pixel**2) if length else 1.0


def describe(images: Float[ndarray, "image y x"], pixel: float) -> dict[str, ndarray]:
    """Return the descriptors of each image under their names, one array over the images each.

    ``negative_domains`` (number in the box), ``negative_fraction`` (share of the area), ``wall_density``
    (length per area) and ``pattern_wavenumber``.
    """
    area = images[0].size * pixel**2
    return {
        "negative_domains": np.array([count_domains(image < 0) for image in images]),
        "negative_fraction": (images < 0).mean(axis=(1, 2)),
        "wall_density": np.array([wall_length(image, pixel) for image in images]) / area,
        "pattern_wavenumber": np.array([mean_wavenumber(image, pixel) for image in images]),
    }
