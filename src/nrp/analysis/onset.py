"""T_init: when the first negative pixel appears, and what a model says of that moment."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from nrp.analysis.continuity import jump_test
from nrp.analysis.result import Result, row
from nrp.reduction import FrameData, ReducedModel, load_frames
from nrp.store import Step
from nrp.systems.film_theory import critical_field

ONSET = Step("onset", 1)
TRANSITION = Step("transition", 1)


def onset_frame(images: Float[ndarray, "run frame y x"]) -> ndarray:
    """Return for each run the first frame with a negative pixel, −1 if there is none.

    This is the paper's ``T_init = min{t | min matrix(X_t) < 0}`` (section 4), read on the stored frames.
    """
    negative = images.min(axis=(2, 3)) < 0
    return np.where(negative.any(axis=1), negative.argmax(axis=1), -1)


def onset(films: xr.Dataset, samples: xr.Dataset) -> Result:
    """Return T_init over anisotropy, beside the loss of stability of the clean film.

    Rows: ``onset_time`` per anisotropy, mean over samples, with the smallest and largest sample as `low`
    and `high` in the case ``range``.  Arrays: ``alphas``, ``onset_times`` (sample, anisotropy),
    ``critical_time``: when the clean film becomes unstable, nan where it never does during the sweep.
    """
    both = xr.concat([data[["onset_time"]] for data in (films, samples)], dim="run")
    both = both.sortby(["sample", "anisotropy"])
    alphas = np.unique(films.anisotropy.values)
    times = both.onset_time.values.reshape(-1, len(alphas))
    field_init = float(films.external_field[0, 0])
    rate = float(films.sweep_rate[0])
    h_c = critical_field(alphas)
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
    return Result.of(rows, alphas=alphas, onset_times=times, critical_time=critical)


def transition(films: xr.Dataset, model: ReducedModel, patterns: Result, onsets: Result) -> Result:
    """Return the paper's Fig. 2C, the gradient of V at T_init over anisotropy, and tests for a jump.

    Rows per anisotropy: ``onset_gradient``, ‖∂V/∂z‖ in the model's own units, and ``onset_rate``, the rms
    of the true ∂φ/∂t in the same frame, which no network has touched.
    Rows per curve, named as case: ``jump_size`` and ``smallest_detectable_jump`` in units of the curve's
    range, ``jump_position`` in α, ``jump_p_value``, ``curve_noise`` and ``curve_degree``; see
    `nrp.analysis.continuity`.  The curves are those two, ``onset_time`` and ``negative_domains`` (the
    number in the final state, means over samples).
    Arrays: ``alphas``, ``held`` (whether the model has not seen that anisotropy) and the four curves.

    Parameters
    ----------
    films
        One run per anisotropy.
    model
        Trained on them.
    patterns, onsets
        The results of `nrp.analysis.morphology.patterns` and `onset`.

    Raises
    ------
    ValueError
        If no negative pixel ever appears in a run.
    """
    films = films.sortby("anisotropy")
    frames = onset_frame(films.magnetization.values)
    if (frames < 0).any():
        never = films.anisotropy.values[frames < 0]
        raise ValueError(f"no negative pixel ever appears at anisotropy {never.tolist()}")
    gradient, rate = _at(load_frames(films), model, frames)
    alphas = films.anisotropy.values
    held = np.isin(alphas, model.settings.held_anisotropy)
    common = {"analysis": "transition", "system": "film"}
    learned = {"arm": model.settings.arm, "members": 1}
    rows = []
    for i, alpha in enumerate(alphas):
        split = "new_anisotropy" if held[i] else "trained"
        rows += [
            row("onset_gradient", gradient[i], split=split, anisotropy=alpha, **learned, **common),
            row("onset_rate", rate[i], anisotropy=alpha, **common),
        ]
    curves = {
        "onset_gradient": gradient,
        "onset_rate": rate,
        "onset_time": onsets.arrays["onset_times"].mean(axis=0),
        "negative_domains": patterns.arrays["negative_domains"].mean(axis=0),
    }
    for name, curve in curves.items():
        test = jump_test(alphas, curve)
        here = common | {"case": name} | (learned if name == "onset_gradient" else {})
        rows += [
            row("jump_size", test.jump, **here),
            row("jump_position", test.position, **here),
            row("jump_p_value", test.p_value, **here),
            row("smallest_detectable_jump", test.detectable, **here),
            row("curve_noise", test.noise, **here),
            row("curve_degree", test.degree, **here),
        ]
    return Result.of(rows, alphas=alphas, held=held, **curves)


def _at(data: FrameData, model: ReducedModel, frames: ndarray) -> tuple[ndarray, ndarray]:
    runs = torch.arange(len(frames))
    chosen = torch.from_numpy(frames)
    with torch.no_grad():
        z = model.encode(data.images[runs, chosen])
        gradient = model.force(z, data.controls[runs, chosen]).norm(dim=1)
    rate = data.rates[runs, chosen].square().mean(dim=1).sqrt()
    return gradient.double().numpy(), rate.double().numpy()
