"""Whether films that are held in a field have come to rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy import ndarray

from nrp.analysis.potential.held import in_pairs, rms
from nrp.analysis.registry import Dataset, Needs, analysis
from nrp.evaluation import Result
from nrp.evaluation.result import mean_row
from nrp.simulation import settings_of

_LATE = 0.25
"""Share of the time for which a field is held that is late."""
_APART = 0.1
"""Distance, in deviations, below which films from above and from below end in one state."""


def _needs(profile) -> Needs | None:
    if not profile.held_higher:
        return None
    return {"films": tuple(Dataset(name) for name in in_pairs(profile, profile.held_higher))}


@analysis("late_motion", version=2, needs=_needs, publish=True)
def late_motion(films: Sequence[xr.Dataset]) -> Result:
    """Return how far described films still move at the end of the time for which their field is held.

    The datasets come in pairs for each field, reached from above and from below, with the same runs.
    Distances are rms over the descriptors, in units of their deviations over all films.  Rows, by field (as
    case) and anisotropy, means over samples with their 95 % interval (Student's t): ``late_share``, the
    distance that a film reached from below covers in the last quarter of that time, over the distance of its
    end from that of the film reached from above, and ``earlier_share`` for the quarter before; no row where
    the two end in one state.
    """
    everything = np.concatenate([_numbers(each).reshape(-1, each.sizes["number"]) for each in films])
    scale = everything.std(axis=0)
    rows = []
    for above, below in zip(films[::2], films[1::2], strict=True):
        (arrived, level), (end, _) = settings_of(below).field_table[-2:]
        states = _numbers(below) / scale
        earlier, late, last = (
            states[np.arange(len(states)), _frame(below, end - quarters * _LATE * (end - arrived))]
            for quarters in (2, 1, 0)
        )
        moved = {"late_share": rms(last - late), "earlier_share": rms(late - earlier)}
        apart = rms(last - _numbers(above)[:, -1] / scale)
        for alpha in np.unique(below["anisotropy"].values):
            here = below["anisotropy"].values == alpha
            if apart[here].min() > _APART:
                for metric, distance in moved.items():
                    share = distance[here] / apart[here]
                    rows.append(mean_row(metric, share, case=f"h = {level:g}", anisotropy=alpha))
    return Result.of(rows)


def _frame(films: xr.Dataset, time: float) -> ndarray:
    return np.abs(films["time"].values - time).argmin(axis=1)


def _numbers(films: xr.Dataset) -> ndarray:
    return films[films.attrs["field"]].values
