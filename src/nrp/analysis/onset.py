"""T_init: when the first negative pixel appears, and what a model says of that moment."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import binomtest

from nrp.analysis.continuity import control_curves, jump_test
from nrp.analysis.result import Result, row
from nrp.reduction import FrameData, ReducedModel, load_frames
from nrp.simulation import settings_of
from nrp.store import Step
from nrp.systems.film_theory import critical_field

ONSET = Step("onset", 1)
TRANSITION = Step("transition", 2)
_WIDTHS = (0.0, 0.1, 0.2, 0.4, 0.8)
_CONTROL_NOISE, _CONTROLS = 0.02, 60


def onset_frame(images: Float[ndarray, "run frame y x"]) -> ndarray:
    """Return for each run the first frame with a negative pixel, −1 if there is none.

    This is the paper's ``T_init = min{t | min matrix(X_t) < 0}`` (section 4), read on the stored frames.
    """
    negative = images.min(axis=(2, 3)) < 0
    return np.where(negative.any(axis=1), negative.argmax(axis=1), -1)


def onset(films: xr.Dataset, samples: xr.Dataset) -> Result:
    """Return T_init over anisotropy, beside the loss of stability of the clean film.

    Rows: ``onset_time`` per anisotropy, mean over samples, with the smallest and largest sample as `low`
    and `high` in the case ``range``; ``late_onset_share``, the share of runs whose onset comes after the
    clean film would become unstable.
    Arrays: ``alphas``, ``onset_times`` (sample, anisotropy), ``critical_time``: when the clean film becomes
    unstable, nan where it never does during the sweep.
    """
    both = xr.concat([data[["onset_time"]] for data in (films, samples)], dim="run")
    both = both.sortby(["sample", "anisotropy"])
    alphas = np.unique(films.anisotropy.values)
    times = both.onset_time.values.reshape(-1, len(alphas))
    field_init = float(films.external_field[0, 0])
    rate = float(films.sweep_rate[0])
    system = settings_of(films).system
    h_c = critical_field(alphas, system)
    rows = [
        row(
            "onset_time",
            times[:, i].mean(),
            low=times[:, i].min(),
            high=times[:, i].max(),
            analysis="onset",
            case="range",
            system="film",
            anisotropy=alpha,
        )
        for i, alpha in enumerate(alphas)
    ]
    critical = np.where(h_c > 0, (field_init - h_c) / rate, np.nan)
    late = np.mean(times > np.where(h_c > 0, critical, np.inf))
    rows.append(row("late_onset_share", late, analysis="onset", system="film"))
    return Result.of(rows, alphas=alphas, onset_times=times, critical_time=critical)


def transition(films: xr.Dataset, patterns: Result, onsets: Result, model: ReducedModel) -> Result:
    """Return the paper's Fig. 2C, the gradient of V at T_init over anisotropy, and tests of the curve.

    The paper reads the first frame with a negative pixel (case ``frame``).  That frame comes up to one
    interval after T_init, and the film changes fast; so the same is also read at T_init itself, by
    interpolation of the logarithm between the frames around it (case ``interpolated``).

    Rows per anisotropy: ``onset_gradient``, ‖∂V/∂z‖ in the model's own units, ``onset_rate``, the rms
    of the true ∂φ/∂t, which no network has touched, and ``onset_lag``, from T_init to that frame.
    ``onset_gradient_roughness``: median difference of neighbours over the range.
    Rows per tested curve, named as case: ``jump_size`` and ``smallest_detectable_jump`` in units of the
    curve's range, ``jump_position`` in α, ``jump_p_value``, ``curve_noise`` and ``curve_degree``; see
    `nrp.analysis.continuity`.  ``false_alarm_rate`` of the test on smooth steps of several widths and
    ``detection_rate`` on true jumps, with noise of 2 % of the range and binomial intervals.
    Arrays: ``alphas``, ``held`` (whether the model has not seen that anisotropy) and the tested curves.

    Parameters
    ----------
    films
        One run per anisotropy.
    patterns, onsets
        The results of `nrp.analysis.morphology.patterns` and `onset`.
    model
        Trained on them.

    Raises
    ------
    ValueError
        If no negative pixel ever appears in a run, or if it is there from the start.
    """
    films = films.sortby("anisotropy")
    frames = onset_frame(films.magnetization.values)
    if (frames < 1).any():
        wrong = films.anisotropy.values[frames < 1]
        raise ValueError(f"no onset between two frames at anisotropy {wrong.tolist()}")
    data = load_frames(films)
    runs = np.arange(len(frames))
    times, onset_times = films.time.values, films.onset_time.values
    interval = times[runs, frames] - times[runs, frames - 1]
    lag = times[runs, frames] - onset_times
    # The coarse frames may turn negative an interval later than the fine grid.
    weight = np.clip(1 - lag / interval, 0, 1)

    def at_onset(norms: ndarray) -> ndarray:
        after, before = norms[runs, frames], norms[runs, frames - 1]
        return np.exp(weight * np.log(after) + (1 - weight) * np.log(before))

    norms = _gradient_norms(model, data)
    rate = data.rates.square().mean(dim=2).sqrt().double().numpy()
    alphas = films.anisotropy.values
    held = np.isin(alphas, model.settings.held.anisotropy)
    curves = {
        "onset_gradient": norms[runs, frames],
        "onset_gradient_interpolated": at_onset(norms),
        "onset_rate_interpolated": at_onset(rate),
        "onset_time": onsets.arrays["onset_times"].mean(axis=0),
        "negative_domains": patterns.arrays["negative_domains"].mean(axis=0),
    }
    common = {"analysis": "transition", "system": "film"}
    learned = {"arm": model.settings.arm, "members": 1}
    rows = []
    for i, alpha in enumerate(alphas):
        here = {"anisotropy": alpha, **common}
        columns = learned | {"split": "new_anisotropy" if held[i] else "trained"} | here
        rows += [
            row("onset_gradient", curves["onset_gradient"][i], case="frame", **columns),
            row("onset_gradient", curves["onset_gradient_interpolated"][i], case="interpolated", **columns),
            row("onset_rate", rate[i, frames[i]], case="frame", **here),
            row("onset_rate", curves["onset_rate_interpolated"][i], case="interpolated", **here),
            row("onset_lag", lag[i], **here),
        ]
    gradient = curves["onset_gradient"]
    rough = np.median(np.abs(np.diff(gradient))) / np.ptp(gradient)
    rows.append(row("onset_gradient_roughness", rough, **learned, **common))
    for name, curve in curves.items():
        rows += _test_rows(alphas, curve, case=name, **common)
    for width in _WIDTHS:
        rows.append(_control_row(alphas, width) | common)
    return Result.of(rows, alphas=alphas, held=held, onset_lag=lag, **curves)


def onset_curve(model: ReducedModel, films: xr.Dataset) -> Float[ndarray, " run"]:
    """Return ‖∂V/∂z‖ in the first frame of each run with a negative pixel (the paper's Fig. 2C)."""
    frames = onset_frame(films.magnetization.values)
    return _gradient_norms(model, load_frames(films))[np.arange(len(frames)), frames]


def _gradient_norms(model: ReducedModel, data: FrameData) -> ndarray:
    with torch.no_grad():
        return model.slope(model.encode(data.images), data.controls).norm(dim=2).double().numpy()


def _test_rows(alphas: ndarray, curve: ndarray, **columns: object) -> list[dict]:
    test = jump_test(alphas, curve)
    return [
        row("jump_size", test.jump, **columns),
        row("jump_position", test.position, **columns),
        row("jump_p_value", test.p_value, **columns),
        row("smallest_detectable_jump", test.detectable, **columns),
        row("curve_noise", test.noise, **columns),
        row("curve_degree", test.degree, **columns),
    ]


def _control_row(alphas: ndarray, width: float) -> dict:
    """Return how often the test rejects smooth steps of a width, or finds true jumps (width 0)."""
    found = [
        jump_test(alphas, curve, draws=200).p_value < 0.05
        for curve in control_curves(alphas, width, _CONTROL_NOISE, _CONTROLS)
    ]
    interval = binomtest(sum(found), len(found)).proportion_ci()
    metric = "false_alarm_rate" if width else "detection_rate"
    case = f"smooth step of width {width:g}" if width else "true jump"
    return row(metric, np.mean(found), low=interval.low, high=interval.high, case=case)
