"""What a physicist reads off a domain pattern: domains, walls, wavelength.  All in a periodic box."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.fft import rfft2
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nrp.analysis.result import Result, mean_row, row
from nrp.store import Step
from nrp.systems.film import wavenumbers

PATTERNS = Step("patterns", 1)


def count_domains(phase: Bool[ndarray, "y x"]) -> int:
    """Return the number of connected domains of a phase; pixels touch along edges, also round the box."""
    labels, count = label(phase)
    if not count:
        return 0
    seams = np.concatenate(
        [np.stack([labels[0], labels[-1]], axis=1), np.stack([labels[:, 0], labels[:, -1]], axis=1)]
    )
    pairs = seams[(seams > 0).all(axis=1)] - 1
    joined = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return int(connected_components(joined, directed=False)[0])


def wall_length(image: Float[ndarray, "y x"], pixel: float) -> float:
    """Return the length of the level line φ = 0.

    Uses ``∫ |∇ sign φ| / 2``, estimated by Crofton's formula in four directions, which is free of the
    staircase of a pixel count (for straight walls it is right within 6 % in any direction).
    """
    down = image < 0
    axes = sum(np.sum(down != np.roll(down, 1, axis)) for axis in (0, 1))
    diagonals = sum(np.sum(down != np.roll(down, (1, step), (0, 1))) for step in (1, -1))
    return float(np.pi / 8 * pixel * (axes + diagonals / np.sqrt(2)))


def mean_wavenumber(image: Float[ndarray, "y x"], pixel: float) -> float:
    """Return the mean wavenumber of the pattern, weighted by its power spectrum."""
    power = np.abs(rfft2(image - image.mean())) ** 2
    # Modes with 0 < kx < Nyquist stand for themselves and their mirror image.
    power[:, 1 : (image.shape[1] + 1) // 2] *= 2
    total = power.sum()
    if total == 0:
        return 0.0
    return float((wavenumbers(image.shape, pixel) * power).sum() / total)


def peak_wavenumber(image: Float[ndarray, "y x"], pixel: float) -> float:
    """Return where the structure factor is largest: mean square of φ_k over rings as wide as the finest k.

    0 for an image without any pattern.
    """
    power = np.abs(rfft2(image - image.mean())) ** 2
    power[:, 1 : (image.shape[1] + 1) // 2] *= 2
    width = 2 * np.pi / (max(image.shape) * pixel)
    ring = np.rint(wavenumbers(image.shape, pixel) / width).astype(int).ravel()
    modes = np.ones_like(power)
    modes[:, 1 : (image.shape[1] + 1) // 2] = 2
    factor = np.bincount(ring, power.ravel()) / np.bincount(ring, modes.ravel())
    return float(factor.argmax() * width) if power.any() else 0.0


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


def patterns(films: xr.Dataset, samples: xr.Dataset) -> Result:
    """Return the morphology of the final states, over anisotropy and disorder.

    Rows: every descriptor of `describe` per anisotropy, mean over the samples with the 95 % interval
    of the mean (Student's t); of the mean number of domains also ``domain_peak`` (its largest value and
    where), ``domain_rise`` and ``domain_fall`` (the largest from one anisotropy to the next, and the middle
    of the two).  Arrays: ``alphas``, each descriptor per (sample, anisotropy), and
    ``domains_in_time`` (anisotropy, frame) of the first sample.
    """
    pixel = float(films.x[1] - films.x[0])
    alphas = np.unique(films.anisotropy.values)
    runs = xr.concat([data[["magnetization"]].isel(frame=-1) for data in (films, samples)], dim="run").sortby(
        ["sample", "anisotropy"]
    )
    values = describe(runs.magnetization.values, pixel)
    grid = {name: array.reshape(-1, len(alphas)).astype(float) for name, array in values.items()}
    rows = []
    for name, table in grid.items():
        rows += [
            mean_row(name, column, analysis="patterns", case="final", system="film", anisotropy=alpha)
            for column, alpha in zip(table.T, alphas, strict=True)
        ]
    counts = grid["negative_domains"].mean(axis=0)
    steps, middles = np.diff(counts), (alphas[1:] + alphas[:-1]) / 2
    for name, values, places in (
        ("domain_peak", counts, alphas),
        ("domain_rise", steps, middles),
        ("domain_fall", -steps, middles),
    ):
        best = values.argmax()
        rows.append(row(name, values[best], analysis="patterns", system="film", anisotropy=places[best]))
    films = films.sortby("anisotropy")
    in_time = [describe(film.values, pixel)["negative_domains"] for film in films.magnetization]
    return Result.of(rows, alphas=alphas, time=films.time.values, domains_in_time=np.array(in_time), **grid)
