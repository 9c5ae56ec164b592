"""How the domains appear, grow and merge in time."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from nrp.analysis.film.runs import by_sample
from nrp.analysis.images.domains import count_domains
from nrp.analysis.registry import Dataset, analysis
from nrp.evaluation import Result
from nrp.evaluation.result import curve_rows
from nrp.reduction import images_of


@analysis("formation", version=2, needs={"films": Dataset("films"), "samples": Dataset("samples")})
def formation(films: xr.Dataset, samples: xr.Dataset) -> Result:
    """Return how the domains appear, grow and merge in time, over anisotropy and disorder.

    Rows per anisotropy, mean over the samples with the 95 % interval of the mean (Student's t):
    ``most_domains``, the largest number in time; ``merged_share``, by which share of it the number is smaller
    at the end; ``domain_time``, from T_init until half of that number is there; ``filling_time``, from
    T_init until the negative area is half of what it is at the end.
    Arrays: ``alphas``, ``time``, ``domains_in_time`` and ``fraction_in_time`` (sample, anisotropy, frame).
    """
    runs, alphas = by_sample(films, samples)
    time = runs[0].time.values
    counts, shares, starts = [], [], []
    for part in runs:
        phases = images_of(part).values < 0
        counts.append([[count_domains(phase) for phase in run] for run in phases])
        shares.append(phases.mean(axis=(2, 3)))
        starts.append(part.onset_time.values)
    domains, fractions = np.array(counts, dtype=float), np.array(shares)
    most = domains.max(axis=2)
    rise = _first_time(time, domains, most / 2) - starts
    fill = _first_time(time, fractions, fractions[..., -1] / 2) - starts
    grid = {
        "most_domains": most,
        "merged_share": 1 - domains[..., -1] / most,
        "domain_time": rise,
        "filling_time": fill,
    }
    rows = [each for name, table in grid.items() for each in curve_rows(name, table, alphas)]
    return Result.of(
        rows, alphas=alphas, time=time, domains_in_time=domains, fraction_in_time=fractions, **grid
    )


def _first_time(
    time: Float[ndarray, "a frame"],
    curves: Float[ndarray, "sample a frame"],
    levels: Float[ndarray, "sample a"],
) -> Float[ndarray, "sample a"]:
    """Return when each curve first reaches its level, by a straight line from the frame before."""
    after = (curves >= levels[..., None]).argmax(axis=2)
    before = np.maximum(after - 1, 0)

    def at(values: ndarray, frames: ndarray) -> ndarray:
        return np.take_along_axis(values, frames[..., None], axis=2)[..., 0]

    times = np.broadcast_to(time, curves.shape)
    rise = at(curves, after) - at(curves, before)
    share = np.divide(levels - at(curves, before), rise, out=np.zeros_like(levels), where=rise > 0)
    return at(times, before) + share * (at(times, after) - at(times, before))
