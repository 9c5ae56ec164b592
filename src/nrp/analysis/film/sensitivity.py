"""What onset and final pattern owe to the box, the grid, and the reading of the disorder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from nrp.analysis.images.domains import describe, domain_stretch
from nrp.analysis.registry import Dataset, Needs, analysis
from nrp.evaluation import Result
from nrp.evaluation.result import mean_row
from nrp.reduction import images_of
from nrp.simulation import settings_of

_BOX = 64.0
"""Numbers of domains are given for a square of this side."""


def _needs(profile) -> Needs:
    return {"films": tuple(Dataset(name) for name in profile.variants)}


@analysis(
    "sensitivity", version=3, needs=_needs, options=lambda profile: {"names": profile.variants}, publish=True
)
def sensitivity(films: Sequence[xr.Dataset], *, names: Sequence[str]) -> Result:
    """Return onset times and final patterns of several films of one kind.

    Rows per film (as case) and anisotropy, mean over its samples with the 95 % interval of the mean
    (Student's t): ``onset_time``, over the runs that have an onset, ``onset_share``, the share of those, and
    the descriptors of `nrp.analysis.images.domains.describe` and ``domain_stretch`` in the final states,
    ``negative_domains`` for a square of side 64.
    Arrays: ``final_0``, ``final_1``, …, the final states of the first sample of each film, to three digits.
    """
    alphas = np.unique(films[0].anisotropy.values)
    rows, finals = [], {}
    for number, (name, film) in enumerate(zip(names, films, strict=True)):
        runs = film.sortby(["anisotropy", "sample"])
        final = images_of(runs).isel(frame=-1).values
        first = runs["sample"].values == runs["sample"].values.min()
        finals[f"final_{number}"] = final[first].astype(np.float16)
        height, width = settings_of(film).system.box
        pixel = float(film.x[1] - film.x[0])
        found = describe(final, pixel)
        found["negative_domains"] = found["negative_domains"] * _BOX**2 / (height * width)
        found["domain_stretch"] = np.array([domain_stretch(image, pixel) for image in final])
        found["onset_share"] = np.isfinite(runs["onset_time"].values).astype(float)
        found["onset_time"] = runs["onset_time"].values
        for metric, values in found.items():
            for alpha in alphas:
                here = values[runs.anisotropy.values == alpha].astype(float)
                here = here[np.isfinite(here)]
                if len(here):
                    rows.append(mean_row(metric, here, case=name, anisotropy=alpha, members=len(here)))
    return Result.of(rows, alphas=alphas, **finals)
