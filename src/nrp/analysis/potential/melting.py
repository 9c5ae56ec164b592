"""Where a pattern is gone while the field falls, and whether it comes back there: folds of the films."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from nrp.analysis.registry import Dataset, Needs, analysis
from nrp.evaluation import Result
from nrp.evaluation.result import mean_row, row
from nrp.simulation import CampaignSettings

_GONE = 0.5
"""Share of its largest deviation at which a pattern is said to be gone."""


def _needs(profile) -> Needs | None:
    if "hexagons" not in profile.models:
        return None
    films = {name: profile.datasets[name] for name in profile.models["hexagons"].data}
    whole = _swept(next(iter(films.values())))
    return {"sweeps": tuple(Dataset(name) for name, campaign in films.items() if _swept(campaign) == whole)}


def _swept(campaign: CampaignSettings) -> tuple[float, tuple[int, ...]]:
    """Return where the field ends, and the samples: whole sweeps share them with the first of the films."""
    return campaign.field_table[-1][1], campaign.sample


@analysis("melting", version=1, needs=_needs, publish=True)
def melting(sweeps: Sequence[xr.Dataset]) -> Result:
    """Return the field at which the pattern of described films is gone, for sweeps of several rates.

    Rows: ``melting_field`` by anisotropy, in cases of the rate, means over samples with their 95 % interval:
    where the deviation of the pixels falls below half of its largest value; and in the case ``slow``, its
    limit for slow sweeps from the two slowest rates v, as a straight line in v^(2/3), by which a state leaves
    a fold late.  Films in which the deviation never exceeds a tenth of the largest of all have no pattern.
    """
    fields: dict[tuple[float, float], list[float]] = {}
    largest = max(float(_deviation(films).max()) for films in sweeps)
    for films in sweeps:
        for run in range(films.sizes["run"]):
            one = films.isel(run=run)
            deviation, h = _deviation(one).values, one["external_field"].values
            top = int(deviation.argmax())
            gone = np.flatnonzero(deviation[top:] < _GONE * deviation[top])
            if deviation[top] > 0.1 * largest and len(gone):
                rate = float(np.abs(np.diff(h) / np.diff(one["time"].values)).max())
                fields.setdefault((float(one["anisotropy"]), round(rate, 6)), []).append(
                    float(h[top + gone[0]])
                )
    rows = []
    for (alpha, rate), found in sorted(fields.items()):
        rows.append(mean_row("melting_field", np.array(found), case=f"v = {rate:g}", anisotropy=alpha))
    for alpha in sorted({alpha for alpha, _ in fields}):
        rates = sorted(rate for at, rate in fields if at == alpha)[:2]
        if len(rates) == 2:
            late = np.array(rates) ** (2 / 3)
            means = [np.mean(fields[alpha, rate]) for rate in rates]
            limit = np.polyfit(late, means, 1)[1]
            rows.append(row("melting_field", limit, case="slow", anisotropy=alpha))
    return Result.of(rows)


def _needs_loops(profile) -> Needs | None:
    name = "narrow_loops"
    return {"films": Dataset(name)} if name in profile.datasets else None


@analysis("slow_loops", version=1, needs=_needs_loops, publish=True)
def slow_loops(films: xr.Dataset) -> Result:
    """Return how far a pattern differs between the ways down and up of described films whose field loops.

    Rows: ``loop_gap`` by anisotropy, in cases of the rate, means over samples with their 95 % interval: the
    largest difference of the deviation of the pixels at one field, but for the first and last twentieth of
    the way.  Where it vanishes with the rate there is one state in each field.
    """
    seen = _deviation(films).values
    half = seen.shape[1] // 2
    inner = slice(half // 20, half + 1 - half // 20)
    gaps = np.abs(seen[:, : half + 1] - seen[:, : half - 1 : -1])[:, inner].max(axis=1)
    runs, rows = films[["anisotropy", "sweep_rate"]], []
    for alpha in np.unique(runs["anisotropy"].values):
        for rate in np.unique(runs["sweep_rate"].values):
            here = (runs["anisotropy"].values == alpha) & (runs["sweep_rate"].values == rate)
            rows.append(mean_row("loop_gap", gaps[here], case=f"v = {rate:g}", anisotropy=alpha))
    return Result.of(rows)


def _deviation(films: xr.Dataset) -> xr.DataArray:
    return films[films.attrs["field"]].sel(number="deviation")
