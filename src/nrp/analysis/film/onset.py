"""T_init: when the first negative pixel appears."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from nrp.analysis.film.runs import by_sample
from nrp.analysis.registry import Dataset, analysis
from nrp.evaluation import Result, row
from nrp.evaluation.result import curve_rows
from nrp.simulation import settings_of
from nrp.systems.film_theory import critical_field, pattern_cost, uniform_cost


def onset_frame(images: Float[ndarray, "run frame y x"]) -> ndarray:
    """Return for each run the first frame with a negative pixel, −1 if there is none.

    This is the paper's ``T_init = min{t | min matrix(X_t) < 0}`` (section 4), read on the stored frames.
    """
    negative = images.min(axis=(2, 3)) < 0
    return np.where(negative.any(axis=1), negative.argmax(axis=1), -1)


@analysis("onset", version=3, needs={"films": Dataset("films"), "samples": Dataset("samples")})
def onset(films: xr.Dataset, samples: xr.Dataset) -> Result:
    """Return T_init over anisotropy, beside the loss of stability of the clean film.

    Rows: ``onset_time`` per anisotropy, mean over samples, with its 95 % interval (Student's t) in the case
    ``mean``, and with the smallest and largest sample as `low` and `high` in the case ``range``;
    ``onset_spread``, the standard deviation over the samples; ``onset_lead``, by how much the mean comes
    before the clean film becomes unstable; ``late_onset_share``, the share of runs whose onset comes after
    that.
    Arrays: ``alphas``, ``onset_times`` (sample, anisotropy), ``critical_time``: when the clean film becomes
    unstable, nan where it never does during the sweep; ``thresholds``, L(0) = 8/π, above which a uniform film
    has two states at h = 0, and (3L(0) − Δ)/2 = 1 + 8/π, above which the
    saturated one never becomes unstable.
    """
    runs, alphas = by_sample(films, samples)
    times = np.stack([run["onset_time"].values for run in runs])
    field_init, rate = float(films.external_field[0, 0]), float(films.sweep_rate[0])
    system = settings_of(films).system
    h_c = critical_field(alphas, system)
    critical = np.where(h_c > 0, (field_init - h_c) / rate, np.nan)
    rows = curve_rows("onset_time", times, alphas, case="mean")
    for alpha, column, clean in zip(alphas, times.T, critical, strict=True):
        extremes = {"low": column.min(), "high": column.max(), "case": "range", "anisotropy": alpha}
        rows.append(row("onset_time", column.mean(), **extremes))
        if len(column) > 1:
            rows.append(row("onset_spread", column.std(ddof=1), anisotropy=alpha))
        if np.isfinite(clean):
            rows.append(row("onset_lead", clean - column.mean(), anisotropy=alpha))
    rows.append(row("late_onset_share", np.mean(times > np.where(h_c > 0, critical, np.inf))))
    cost = uniform_cost(system)
    thresholds = np.array([cost, (3 * cost - pattern_cost(system)) / 2])
    return Result.of(rows, alphas=alphas, onset_times=times, critical_time=critical, thresholds=thresholds)
