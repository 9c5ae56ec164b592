"""Persistent homology of the level sets of a pattern in a periodic box."""

from __future__ import annotations

import numpy as np
from gudhi import PeriodicCubicalComplex
from jaxtyping import Float
from numpy import ndarray

from nrp.reduction.descriptors import COARSE

_SPAN = (-1.5, 1.5)
"""Of the births in persistence images."""
_FINE = (20, 20)
"""Pixels of persistence images, along the births and along the persistence."""
_BANDWIDTH = 0.1
"""Width of a spot in these."""
_COARSE_BANDWIDTH = 0.3
_STEP = 0.01
"""Largest change of a pixel from which the rate of a persistence image is taken."""


def persistence(image: Float[ndarray, "y x"], *, dimension: int) -> Float[ndarray, "interval 2"]:
    """Return the intervals (birth, death) of the sublevel sets φ ≤ s of an image on the torus.

    Those of the superlevel sets are ``-persistence(-image)``.  Classes of the torus itself never die (inf).
    Pixels are the squares of a cubical complex, so that they touch at corners, too.  The dimension is 0 for
    components, 1 for loops.
    """
    return _intervals(image)[dimension]


def persistence_image(intervals: Float[ndarray, "interval 2"]) -> Float[ndarray, "persistence birth"]:
    """Return a persistence diagram as an image: Gaussian spots at (birth, persistence), by their persistence.

    After Adams et al., J. Mach. Learn. Res. 18, 1 (2017).  Classes that never die are left out.
    """
    return _spots([intervals], pixels=_FINE, bandwidth=_BANDWIDTH)[0].reshape(_FINE[::-1])


def persistence_descriptors(
    images: Float[ndarray, "image y x"], rates: Float[ndarray, "image y x"]
) -> tuple[Float[ndarray, "image number"], Float[ndarray, "image number"]]:
    """Return coarse persistence images of components and of loops, by area in pixels, and their rates.

    Births and deaths are not smooth functions of the pixels, so that the rates are differences of the images
    a short way before and behind, X ± εẊ.
    """
    images, rates = images.astype(float), rates.astype(float)
    step = _STEP / np.maximum(np.abs(rates).max(axis=(1, 2)), 1e-12)
    moved = step[:, None, None] * rates
    values, after, before = (_coarse(each) for each in (images, images + moved, images - moved))
    return values, (after - before) / (2 * step[:, None])


def _intervals(image: ndarray) -> list[ndarray]:
    """Return those of components and of loops."""
    cells = PeriodicCubicalComplex(top_dimensional_cells=image, periodic_dimensions=[True, True])
    cells.compute_persistence()
    return [cells.persistence_intervals_in_dimension(dimension).reshape(-1, 2) for dimension in (0, 1)]


def _coarse(images: ndarray) -> ndarray:
    diagrams = [intervals for image in images for intervals in _intervals(image)]
    spots = _spots(diagrams, pixels=COARSE, bandwidth=_COARSE_BANDWIDTH)
    return spots.reshape(len(images), -1) / images[0].size


def _spots(diagrams: list[ndarray], *, pixels: tuple[int, int], bandwidth: float) -> ndarray:
    """Return the persistence images (diagram, pixel) of diagrams."""
    from gudhi.representations import PersistenceImage  # which takes half a second

    finite = [each[np.isfinite(each).all(axis=1)] for each in diagrams]
    lowest, highest = _SPAN
    width = highest - lowest
    image = PersistenceImage(
        bandwidth=bandwidth,
        weight=lambda point: point[1],
        resolution=list(pixels),
        im_range=[lowest, highest, 0.0, width],
    )
    found = np.zeros((len(finite), pixels[0] * pixels[1]))
    there = np.array([len(each) > 0 for each in finite])
    if there.any():
        found[there] = image.fit_transform([each for each in finite if len(each)])
    return found
