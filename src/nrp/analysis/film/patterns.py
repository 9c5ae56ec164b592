"""The final patterns over anisotropy and disorder: labyrinth, islands, labyrinth."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from nrp.analysis.film.runs import by_sample, rises
from nrp.analysis.images.domains import describe, domain_stretch, euler_number, measure_domains
from nrp.analysis.images.spectrum import peak_wavenumber, peak_width
from nrp.analysis.registry import Dataset, analysis
from nrp.evaluation import Result, row
from nrp.evaluation.result import curve_rows, share_row
from nrp.reduction import images_of
from nrp.reduction.persistence import persistence, persistence_image

LASTING = 0.5
"""Difference in φ over which a component or hole must last to count."""
LABYRINTH = 2.0
"""Domains stretched further than this make a labyrinth: stripes four times as long as wide are at it."""
_DRAWS = 1000
"""Of the bootstrap over samples."""


def morphology(image: Float[ndarray, "y x"], pixel: float) -> dict[str, float]:
    """Return all descriptors of one image under their names.

    Those of `describe`, and of φ < 0 the

    - ``domain_area``, mean, in units of area;
    - ``domain_elongation``, median of those that do not go round the box, 1 without any;
    - ``domain_stretch`` (`nrp.analysis.images.domains.domain_stretch`);
    - ``largest_domain``, its share of the negative area, and ``round_the_box``, that of domains without end;
    - ``euler_number``;

    ``peak_wavenumber`` and ``peak_width`` of the structure factor; and, of the sublevel sets,
    ``lasting_components`` and ``lasting_holes``, and ``lasting_peaks``, components of the superlevel sets:
    how many last over more than `LASTING` in φ, those of the torus itself included.
    """
    phase = image < 0
    domains = measure_domains(phase, pixel)
    ends = domains.elongation[np.isfinite(domains.elongation)]
    total = domains.area.sum() or 1.0
    known = {name: float(values[0]) for name, values in describe(image[None], pixel).items()}

    def lasting(field: ndarray, dimension: int) -> float:
        intervals = persistence(field, dimension=dimension)
        return float((intervals[:, 1] - intervals[:, 0] > LASTING).sum())

    return known | {
        "domain_area": float(domains.area.mean()) if len(domains.area) else 0.0,
        "domain_elongation": float(np.median(ends)) if len(ends) else 1.0,
        "domain_stretch": domain_stretch(image, pixel),
        "largest_domain": float(domains.area.max(initial=0.0) / total),
        "round_the_box": float(domains.area[np.isnan(domains.elongation)].sum() / total),
        "euler_number": float(euler_number(phase)),
        "peak_wavenumber": peak_wavenumber(image, pixel),
        "peak_width": peak_width(image, pixel),
        "lasting_components": lasting(image, 0),
        "lasting_holes": lasting(image, 1),
        "lasting_peaks": lasting(-image, 0),
    }


@analysis("patterns", version=5, needs={"films": Dataset("films"), "samples": Dataset("samples")})
def patterns(films: xr.Dataset, samples: xr.Dataset) -> Result:
    """Return the morphology of the final states, over anisotropy and disorder.

    Rows: every descriptor of `morphology` per anisotropy, mean over the samples with the 95 % interval
    of the mean (Student's t); of the mean number of domains also ``domain_peak``, its largest value, and
    ``domain_rise`` and ``domain_fall``, its largest changes from one anisotropy to the next, with the
    anisotropies in ``domain_peak_place``, ``domain_rise_place`` and ``domain_fall_place``.
    ``labyrinth_share``, the share of the samples that are a labyrinth, stretched by more than `LABYRINTH`,
    with its 95 % interval (Clopper and Pearson); ``labyrinth_end`` and ``labyrinth_return``, between which
    anisotropies the mean stretch is below that, with intervals by a bootstrap over the samples.
    ``topology_change``, by how much the mean persistence images of the components change from one anisotropy
    to the next, over their mean size, at the middle of the two; the largest, ``topology_peak``, and where it
    is, ``topology_peak_place``; and, as shares of the largest, ``topology_return_share``, the change
    nearest the return of the labyrinth, and ``topology_noise_share``, by how much they would change if only
    the samples were others; the latter itself is ``topology_noise``.
    Arrays: ``alphas``, each descriptor per (sample, anisotropy), ``persistence_images`` (anisotropy, sense,
    persistence, birth) of the components of sub- and superlevel sets, mean over samples; and of the first
    sample ``final_states`` (anisotropy, y, x) and ``persistence_pairs``, see `persistence_pairs`.
    """
    pixel = float(films.x[1] - films.x[0])
    runs, alphas = by_sample(films, samples)
    images = np.stack([images_of(run).isel(frame=-1).values for run in runs])
    found = [[morphology(image, pixel) for image in sample] for sample in images]
    grid = {name: np.array([[each[name] for each in sample] for sample in found]) for name in found[0][0]}
    rows = [each for name, table in grid.items() for each in curve_rows(name, table, alphas, case="final")]
    counts = grid["negative_domains"].mean(axis=0)
    steps, middles = np.diff(counts), (alphas[1:] + alphas[:-1]) / 2
    for name, values, places in (
        ("domain_peak", counts, alphas),
        ("domain_rise", steps, middles),
        ("domain_fall", -steps, middles),
    ):
        best = values.argmax()
        rows += [row(name, values[best]), row(f"{name}_place", places[best])]
    rows += _class_rows(alphas, grid["domain_stretch"])
    means, topology = _topology(alphas, images, back=Result.of(rows).value("labyrinth_return"))
    return Result.of(
        rows + topology,
        alphas=alphas,
        persistence_images=means,
        final_states=images[0],
        persistence_pairs=persistence_pairs(images[0], alphas),
        **grid,
    )


def persistence_pairs(images: Float[ndarray, "a y x"], alphas: ndarray) -> Float[ndarray, "pair 4"]:
    """Return (anisotropy, sense, birth, death) of the components of level sets that die.

    Their sense is 1 where the level rises, so that components are dark, and −1 where it falls.
    """
    found = [np.empty((0, 4))]
    for alpha, image in zip(alphas, images, strict=True):
        for sense in (1, -1):
            ends = sense * persistence(sense * image, dimension=0)
            ends = ends[np.isfinite(ends).all(axis=1)]
            found.append(np.column_stack([np.full((len(ends), 2), (alpha, sense)), ends]))
    return np.concatenate(found)


def _topology(
    alphas: ndarray, images: Float[ndarray, "sample a y x"], *, back: float
) -> tuple[Float[ndarray, "a sense persistence birth"], list[dict]]:
    """Return the mean persistence images, and the rows of how they change over the anisotropy.

    `back` is where the labyrinth returns, nan if it does not.
    """
    both = [
        persistence_image(persistence(sign * image, dimension=0))
        for column in images.swapaxes(0, 1)
        for image in column
        for sign in (1, -1)
    ]
    every = np.reshape(both, (len(alphas), len(images), 2, *both[0].shape))
    means = every.mean(axis=1)
    size = np.linalg.norm(means, axis=(2, 3)).mean()
    changes = np.linalg.norm(np.diff(means, axis=0), axis=(2, 3)).mean(axis=1) / size
    middles, largest = (alphas[1:] + alphas[:-1]) / 2, changes.max()
    unit = largest or np.nan  # where nothing changes there are no shares
    there = changes[np.abs(middles - back).argmin()] if np.isfinite(back) else np.nan
    rows = [
        *curve_rows("topology_change", changes[None], middles),
        row("topology_peak", largest),
        row("topology_peak_place", middles[changes.argmax()]),
        row("topology_return_share", there / unit),
    ]
    if len(images) > 1:
        variance = every.var(axis=1, ddof=1).sum(axis=(2, 3)) / len(images)
        noise = np.sqrt(2 * variance).mean() / size
        rows += [row("topology_noise", noise), row("topology_noise_share", noise / unit)]
    return means, rows


def _class_rows(alphas: ndarray, stretch: Float[ndarray, "sample a"]) -> list[dict]:
    """Return the rows that tell labyrinths from islands."""
    rows = [
        share_row("labyrinth_share", column > LABYRINTH, anisotropy=alpha)
        for alpha, column in zip(alphas, stretch.T, strict=True)
    ]
    draws = np.random.default_rng(0).integers(len(stretch), size=(_DRAWS, len(stretch)))
    ends = np.array([_crossings(alphas, stretch[chosen].mean(axis=0)) for chosen in draws])
    names, values = ("labyrinth_end", "labyrinth_return"), _crossings(alphas, stretch.mean(axis=0))
    for name, value, drawn in zip(names, values, ends.T, strict=True):
        drawn = drawn[np.isfinite(drawn)]
        low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (None, None)
        rows.append(row(name, value, low=low, high=high))
    return rows


def _crossings(alphas: ndarray, stretch: Float[ndarray, " a"]) -> tuple[float, float]:
    """Return where a curve first falls below `LABYRINTH`, and where it last rises above it; nan for never."""
    excess = np.log(stretch / LABYRINTH)
    return min(rises(alphas, -excess), default=np.nan), max(rises(alphas, excess), default=np.nan)
