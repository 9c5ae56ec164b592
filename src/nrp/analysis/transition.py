"""The paper's Fig. 2C, and what stands beside it without a gauge."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from nrp.analysis.onset import onset_frame
from nrp.analysis.result import Result, mean_row, row
from nrp.reduction import FrameData, ReducedModel, load_frames, parted, separate_slopes
from nrp.store import Step

TRANSITION = Step("transition", 4)
_OFFSETS = {"10 before": -10.0, "10 after": 10.0}
"""Further moments at which the gradient is read, in time from T_init."""


def transition(*inputs: xr.Dataset | Result | ReducedModel) -> Result:
    """Return the gradient of V at T_init over anisotropy, and its gauge-free companions.

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

    Parameters
    ----------
    *inputs
        The films, one run per anisotropy, and those of other disorder; the results of
        `nrp.analysis.morphology.patterns` and `nrp.analysis.onset.onset`; and members of one arm.

    Raises
    ------
    ValueError
        If no negative pixel ever appears in a run, or if it is there from the start.
    """
    models, (films, samples) = parted(inputs)
    patterns, onsets = (each for each in inputs if isinstance(each, Result))
    films = films.sortby("anisotropy")
    frames = onset_frame(films.magnetization.values)
    if (frames < 1).any():
        wrong = films.anisotropy.values[frames < 1]
        raise ValueError(f"no onset between two frames at anisotropy {wrong.tolist()}")
    times, starts = films.time.values, films.onset_time.values
    lag = times[np.arange(len(frames)), frames] - starts
    data = load_frames(films)
    fastest = times[np.arange(len(frames)), data.rates.square().sum(dim=2).argmax(dim=1).numpy()]
    read = [Reading(model, data, times, starts) for model in models]
    every = [
        {
            "onset_gradient": each.norm_in(frames),
            **each.curves,
            "unstable_gradient": _unstable_part(model, each, data, frames),
            **{f"gradient {name}": each.norm_at(starts + shift) for name, shift in _OFFSETS.items()},
            "gradient at the fastest": each.norm_at(fastest),
        }
        for model, each in zip(models, read, strict=True)
    ]
    learned = {name: np.stack([each[name] for each in every]) for name in every[0]}
    parts = _by_sample(films, samples)
    elsewhere = {"gradient on other samples": np.stack([_gradients(models[0], part) for part in parts[1:]])}
    measured = {
        "onset_rate": np.stack([true_rates(part) for part in parts]),
        "onset_time": onsets.arrays["onset_times"],
        "negative_domains": patterns.arrays["negative_domains"],
    }
    alphas = films.anisotropy.values
    held = np.isin(alphas, models[0].settings.held.anisotropy)
    common = {"analysis": "transition", "system": "film"}
    arm = {"arm": models[0].settings.arm, "members": len(models)}
    rows = [row("onset_lag", late, anisotropy=a, **common) for late, a in zip(lag, alphas, strict=True)]
    splits = np.where(held, "new_anisotropy", "trained").tolist()
    unseen, none = ["new_disorder"] * len(alphas), [None] * len(alphas)
    for curves, of, split in (
        (learned, arm, splits),
        (elsewhere, arm | {"members": 1}, unseen),
        (measured, {}, none),
    ):
        for name, curve in curves.items():
            for i, alpha in enumerate(alphas):
                rows.append(mean_row(name, curve[:, i], anisotropy=alpha, split=split[i], **of, **common))
    gradient = learned["onset_gradient"].mean(axis=0)
    rough = np.median(np.abs(np.diff(gradient))) / np.ptp(gradient)
    rows.append(row("onset_gradient_roughness", rough, **arm, **common))
    return Result.of(rows, alphas=alphas, held=held, onset_lag=lag, **learned, **elsewhere, **measured)


class Reading:
    """What a model, and separate potentials in its latent space, say of the onset of each run.

    Parameters
    ----------
    model
        Of the joint potential, and of the encoder for all.
    data, times
        The runs, and when their frames are, of shape (run, frame).
    starts
        T_init of each run.
    """

    def __init__(self, model: ReducedModel, data: FrameData, times: ndarray, starts: ndarray) -> None:
        self._times = times
        # The run after the last onset says nothing of it, and costs time.
        early = int(np.argmax(times[0] > starts.max())) + 2
        with torch.no_grad():
            self.z = model.encode(data.images)
            self.slope = model.slope(self.z, data.controls)
            self.velocity = model.latent_rate(data.images, data.rates)
            separate = separate_slopes(model, data.until(early))
            decoded, decoded_separate = (
                _rms(model.image_rate(self.z[:, : each.shape[1]], each)) for each in (self.slope, separate)
            )
        self.curves: dict[str, ndarray] = {
            "onset_gradient_interpolated": self.norm_at(starts),
            "decoded_rate": self._at(starts, decoded),
            "separate_gradient": self._at(starts, _norms(separate)),
            "separate_rate": self._at(starts, decoded_separate),
        }

    def norm_at(self, moments: Float[ndarray, " run"]) -> Float[ndarray, " run"]:
        """Return ‖∂V/∂z‖ at one moment of each run."""
        return self._at(moments, _norms(self.slope))

    def norm_in(self, frames: Int[ndarray, " run"]) -> Float[ndarray, " run"]:
        """Return ‖∂V/∂z‖ in one frame of each run."""
        return _norms(self.slope)[np.arange(len(frames)), frames]

    @property
    def rate_error(self) -> float:
        """Relative rms error of −∂V/∂z for the exact ż, over all frames."""
        missed = (self.velocity + self.slope).square().sum() / self.velocity.square().sum()
        return float(missed.sqrt())

    def _at(self, moments: ndarray, curves: ndarray) -> ndarray:
        return interpolated(self._times[:, : curves.shape[1]], curves, moments)


def _unstable_part(model: ReducedModel, read: Reading, data: FrameData, frames: ndarray) -> ndarray:
    """Return the length of the part of ∂V/∂z along the directions in which V curves downwards."""
    here = np.arange(len(frames)), frames
    with torch.no_grad():
        values, vectors = torch.linalg.eigh(model.curvature(read.z[here], data.controls[here]))
    along = torch.einsum("rij,ri->rj", vectors, read.slope[here])
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


def onset_curve(model: ReducedModel, films: xr.Dataset) -> Float[ndarray, " run"]:
    """Return ‖∂V/∂z‖ in the first frame of each run with a negative pixel (the paper's Fig. 2C)."""
    frames, data = onset_frame(films.magnetization.values), load_frames(films)
    here = np.arange(len(frames)), frames
    with torch.no_grad():
        slope = model.slope(model.encode(data.images[here]), data.controls[here])
    return slope.norm(dim=1).double().numpy()


def _gradients(model: ReducedModel, films: xr.Dataset) -> ndarray:
    """Return ‖∂V/∂z‖ at T_init of each run."""
    data = load_frames(films)
    with torch.no_grad():
        slope = model.slope(model.encode(data.images), data.controls)
    return interpolated(films.time.values, _norms(slope), films.onset_time.values)


def _by_sample(films: xr.Dataset, samples: xr.Dataset) -> list[xr.Dataset]:
    """Return the runs of each disorder sample in order of the anisotropy."""
    others = [part.sortby("anisotropy") for _, part in samples.groupby("sample")]
    return [films, *others]


def _norms(vectors: Float[Tensor, "run frame latent"]) -> ndarray:
    return vectors.norm(dim=2).double().numpy()


def _rms(images: Float[Tensor, "run frame pixel"]) -> ndarray:
    return images.square().mean(dim=2).sqrt().double().numpy()
