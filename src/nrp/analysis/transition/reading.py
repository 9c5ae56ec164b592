"""The paper's Fig. 2C, and what stands beside it without a gauge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from nrp.analysis.film.onset import onset_frame
from nrp.analysis.registry import Needs, Observed, Outcome, analysis, members_of
from nrp.base import InvalidSetting
from nrp.evaluation import Observation, Result, row
from nrp.evaluation.observation import Observations
from nrp.evaluation.result import curve_rows
from nrp.reduction import images_of, separate_slopes

_OFFSETS = {"10 before": -10.0, "10 after": 10.0}
"""Further moments at which the gradient is read, in time from T_init."""


def _needs(profile, arm: str) -> Needs:
    members = members_of(profile, arm)
    return {
        "arm": tuple(Observed(model, ("films",)) for model in members),
        "elsewhere": Observed(members[0], ("samples",)),
        "patterns": Outcome("patterns"),
        "onsets": Outcome("onset"),
    }


@analysis("transition", version=5, needs=_needs, each="arm", publish=True)
def transition(
    arm: Sequence[Observations], elsewhere: Observations, patterns: Result, onsets: Result
) -> Result:
    """Return the gradient of V at T_init over anisotropy, and its gauge-free companions.

    The arm is observed by its members, on films with one run per anisotropy; the first of them also looks
    `elsewhere`, on films with other disorder.

    The paper reads ‖∂V/∂z‖ in the first frame with a negative pixel (``onset_gradient``).  That frame comes
    up to one interval after T_init, and the film changes fast; so everything else is read at T_init itself,
    by interpolation of the logarithm between frames.  The curves, each per anisotropy:

    - ``onset_gradient`` and ``onset_gradient_interpolated``, in the model's own units;
    - ``decoded_rate``, the rms of J_D ∂V/∂z, which is in units of the image, and ``onset_rate``, the rms of
      the true ∂φ/∂t, which no network has touched, over the samples;
    - ``separate_gradient`` and ``separate_rate``, the same two from potentials of which each has seen one
      anisotropy alone (`nrp.reduction.separate_slopes`), so that nothing makes them smooth in α;
    - ``unstable_gradient``, the part of ∂V/∂z along directions in which V curves downwards;
    - the gradient 10 units of time before and after T_init, and where the film moves fastest;
    - ``gradient on other samples``, at T_init, of the first member on films of disorder that it has not seen;
    - ``onset_time`` and ``negative_domains``, of the final state, over the samples.

    Rows per anisotropy: each curve, with the 95 % interval over members or samples if there are several, and
    ``onset_lag``, from T_init to the frame of the paper's reading.
    ``onset_gradient_roughness``: median difference of neighbours over the range.
    Arrays: ``alphas``, ``held`` (whether the models have not seen that anisotropy), ``onset_lag``, and each
    curve by member or sample.

    Raises
    ------
    InvalidSetting
        If no negative pixel ever appears in a run, or if it is there from the start.
    """
    films = [_in_order(observations[0]) for observations in arm]
    first, (others,) = films[0], elsewhere
    alphas, starts = first.data["anisotropy"].values, first.data["onset_time"].values
    frames = onset_frame(images_of(first.data).values)
    if (frames < 1).any():
        wrong = alphas[frames < 1].tolist()
        raise InvalidSetting(f"anisotropy = {wrong}: must have its onset between two frames")
    runs = np.arange(len(frames))
    lag = first.times[runs, frames] - starts
    fastest = first.times[runs, first.frames.rates.square().sum(dim=2).argmax(dim=1).numpy()]
    every = [
        {
            "onset_gradient": gradients_in(o, frames),
            **companions(o, starts),
            "unstable_gradient": _unstable_part(o, frames),
            **{f"gradient {name}": _gradients_at(o, starts + shift) for name, shift in _OFFSETS.items()},
            "gradient at the fastest": _gradients_at(o, fastest),
        }
        for o in films
    ]
    learned = {name: np.stack([each[name] for each in every]) for name in every[0]}
    parts = [
        _in_order(others.isel(run=np.flatnonzero(others.samples == sample)))
        for sample in np.unique(others.samples)
    ]
    others_read = np.stack([_gradients_at(part, part.data["onset_time"].values) for part in parts])
    measured = {
        "onset_rate": np.stack([true_rates(part.data) for part in (first, *parts)]),
        "onset_time": onsets.arrays["onset_times"],
        "negative_domains": patterns.arrays["negative_domains"],
    }
    held = np.isin(alphas, first.model.settings.held.anisotropy)
    of = {"arm": first.arm, "members": len(films)}
    rows = curve_rows("onset_lag", lag[None], alphas)
    for name, curve in learned.items():
        found = curve_rows(name, curve, alphas, **of)
        splits = np.where(held, "new_anisotropy", "trained").tolist()
        rows += [entry | {"split": split} for entry, split in zip(found, splits, strict=True)]
    unseen = {"gradient on other samples": others_read}
    for name, curve in unseen.items():
        rows += curve_rows(name, curve, alphas, **of | {"members": 1, "split": "new_disorder"})
    for name, curve in measured.items():
        rows += curve_rows(name, curve, alphas)
    gradient = learned["onset_gradient"].mean(axis=0)
    rough = np.median(np.abs(np.diff(gradient))) / np.ptp(gradient)
    rows.append(row("onset_gradient_roughness", rough, **of))
    return Result.of(rows, alphas=alphas, held=held, onset_lag=lag, **learned, **unseen, **measured)


def companions(o: Observation, starts: Float[ndarray, " run"]) -> dict[str, Float[ndarray, " run"]]:
    """Return what a model, and separate potentials in its latent space, tell of T_init of each run.

    By name: ``onset_gradient_interpolated``, ``decoded_rate``, ``separate_gradient`` and ``separate_rate``.
    """
    # The run after the last onset says nothing of it, and costs time.
    early = int(np.argmax(o.times[0] > starts.max())) + 2
    separate = separate_slopes(o.z[:, :early], o.z_rate[:, :early], o.controls[:, :early, 1])
    with torch.no_grad():
        decoded, decoded_separate = (
            _rms(o.model.image_rate(o.z[:, : slope.shape[1]], slope)) for slope in (o.slope, separate)
        )
    return {
        "onset_gradient_interpolated": _gradients_at(o, starts),
        "decoded_rate": interpolated(o.times, decoded, starts),
        "separate_gradient": interpolated(o.times[:, :early], _norms(separate), starts),
        "separate_rate": interpolated(o.times[:, :early], decoded_separate, starts),
    }


def _gradients_at(o: Observation, moments: Float[ndarray, " run"]) -> Float[ndarray, " run"]:
    """Return ‖∂V/∂z‖ at one moment of each run."""
    return interpolated(o.times, _norms(o.slope), moments)


def gradients_in(o: Observation, frames: Int[ndarray, " run"]) -> Float[ndarray, " run"]:
    """Return ‖∂V/∂z‖ in one frame of each run."""
    return _norms(o.slope)[np.arange(len(frames)), frames]


def rate_error(o: Observation) -> float:
    """Return the relative rms error of −∂V/∂z for the exact ż, over all frames."""
    missed = (o.z_rate + o.slope).square().sum() / o.z_rate.square().sum()
    return float(missed.sqrt())


def _in_order(o: Observation) -> Observation:
    return o.isel(run=np.argsort(o.data["anisotropy"].values, kind="stable"))


def _unstable_part(o: Observation, frames: Int[ndarray, " run"]) -> Float[ndarray, " run"]:
    """Return the length of the part of ∂V/∂z along the directions in which V curves downwards."""
    here = np.arange(len(frames)), frames
    with torch.no_grad():
        values, vectors = torch.linalg.eigh(o.model.curvature(o.z[here], o.controls[here]))
    along = torch.einsum("rij,ri->rj", vectors, o.slope[here])
    return (along * (values < 0)).norm(dim=1).double().numpy()


def interpolated(
    times: Float[ndarray, "run frame"], values: Float[ndarray, "run frame"], moments: Float[ndarray, " run"]
) -> Float[ndarray, " run"]:
    """Return positive values at one moment of each run, straight lines joining their logarithms."""
    pairs = zip(moments, times, np.log(np.maximum(values, np.finfo(np.float32).tiny)), strict=True)
    return np.exp([np.interp(moment, *curve) for moment, *curve in pairs])


def image_rates(films: xr.Dataset) -> Float[ndarray, "run frame"]:
    """Return the rms of the true ∂φ/∂t in each frame."""
    return np.sqrt(np.mean(films["rate"].values.astype(float) ** 2, axis=(2, 3)))


def true_rates(films: xr.Dataset) -> Float[ndarray, " run"]:
    """Return the rms of the true ∂φ/∂t at T_init of each run."""
    return interpolated(films.time.values, image_rates(films), films.onset_time.values)


def onset_curve(o: Observation) -> Float[ndarray, " run"]:
    """Return ‖∂V/∂z‖ in the first frame of each run with a negative pixel (the paper's Fig. 2C)."""
    return gradients_in(o, onset_frame(images_of(o.data).values))


def _norms(vectors: Float[Tensor, "run frame latent"]) -> ndarray:
    return vectors.norm(dim=2).double().numpy()


def _rms(images: Float[Tensor, "run frame pixel"]) -> ndarray:
    return images.square().mean(dim=2).sqrt().double().numpy()
