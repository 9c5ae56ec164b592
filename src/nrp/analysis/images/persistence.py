"""Persistent homology of the level sets of a pattern in a periodic box."""

from __future__ import annotations

import numpy as np
from gudhi import PeriodicCubicalComplex
from jaxtyping import Float
from numpy import ndarray

_SPAN = (-1.5, 1.5)
"""Of the births in persistence images."""
_PIXELS = 20
"""Of these along either axis."""


def persistence(image: Float[ndarray, "y x"], *, dimension: int) -> Float[ndarray, "interval 2"]:
    """Return the intervals (birth, death) of the sublevel sets φ ≤ s of an image on the torus.

    Those of the superlevel sets are ``-persistence(-image)``.  Classes of the torus itself never die (inf).
    Pixels are the squares of a cubical complex, so that they touch at corners, too.  The dimension is 0 for
    components, 1 for loops.
    """
    cells = PeriodicCubicalComplex(top_dimensional_cells=image, periodic_dimensions=[True, True])
    cells.compute_persistence()
    return cells.persistence_intervals_in_dimension(dimension).reshape(-1, 2)


def persistence_image(intervals: Float[ndarray, "interval 2"]) -> Float[ndarray, "persistence birth"]:
    """Return a persistence diagram as an image: Gaussian spots at (birth, persistence), by their persistence.

    After Adams et al., J. Mach. Learn. Res. 18, 1 (2017).  Classes that never die are left out.
    """
    finite = intervals[np.isfinite(intervals).all(axis=1)]
    if not len(finite):
        return np.zeros((_PIXELS, _PIXELS))
    from gudhi.representations import PersistenceImage  # which takes half a second

    lowest, highest = _SPAN
    width = highest - lowest
    image = PersistenceImage(
        bandwidth=width / 30,
        weight=lambda point: point[1],
        resolution=[_PIXELS, _PIXELS],
        im_range=[lowest, highest, 0.0, width],
    )
    return image.fit_transform([finite])[0].reshape(_PIXELS, _PIXELS)
