"""How well a model reconstructs, explains and predicts, on the runs it has seen and on others."""

from __future__ import annotations

import warnings

import numpy as np
import torch
import xarray as xr
from numpy import ndarray
from torch import Tensor

from nrp.analysis.baselines import Lookup
from nrp.analysis.result import Result, row
from nrp.reduction import FrameData, ReducedModel, by_split, load_frames
from nrp.settings import InvalidSetting
from nrp.store import Step

FORECAST = Step("forecast", 2)
CURVES = Step("curves", 2)
_RATE_ROWS: dict[str, dict] = {
    "exact": {},
    "finite_difference": {"case": "finite_difference"},
    "decoded": {"case": "decoded"},
    "lookup": {"arm": "lookup"},
}


def forecast(model: ReducedModel, *datasets: xr.Dataset) -> Result:
    """Return the errors of a model on every split that the datasets hold.

    Squared errors are pooled over the runs, frames and pixels of a split; the case ``per_frame_mean`` is the
    mean of the errors of single frames instead.  Metrics:

    - ``reconstruction_rmse`` of D(E(X));
    - ``one_step_rmse`` of the next frame, in the paper's form D(z − Δt ∂V/∂z) and as ``increment``
      X + D(z − Δt ∂V/∂z) − D(z), ``one_step_skill`` = 1 − MSE/MSE of persistence, and
      ``persistence_rmse``, the error of the frame itself taken for the next one;
    - ``one_step_rmse`` also of two predictions without a model: the arm ``extrapolation``, the line through
      the last two frames, and the arm ``exact_rate``, one step along the true ∂φ/∂t;
    - ``rate_error``, √(Σ‖ż − v‖²/Σ‖ż‖²) with the exact ż = J_E ∂φ/∂t and the model's v = −K ∂V/∂z, in the
      case ``finite_difference`` with the difference of neighbouring frames that Eq. (2) is trained on, in the
      case ``decoded`` in the image, ∂φ/∂t against J_D v; also of the arm ``lookup``, the mean exact ż over
      all training frames with the same (α, h);
    - ``motion_share``, the share of the squared motion in the tenth of the frames that move most, and
      ``floor_share``, the share of the frames that move less than they are off in reconstruction;
    - ``image_deviation``, the standard deviation of all pixels, the scale to read the others against.

    Parameters
    ----------
    model
        Its splits are told by what it was trained on.
    *datasets
        Of one system.

    Raises
    ------
    InvalidSetting
        If the images are not of the size that the model takes, or no run belongs to a split.

    Warns
    -----
    UserWarning
        If an anisotropy lies outside those that the model was trained on.
    """
    for data in datasets:
        shape = (data.sizes["y"], data.sizes["x"])
        if shape != model.shape:
            raise InvalidSetting(f"data: has {shape} pixels, the model takes images of {model.shape}")
        seen = model.trained_on["anisotropy"]
        found = np.unique(data.anisotropy.values)
        if values := found[(found < min(seen)) | (found > max(seen))].tolist():
            warnings.warn(
                f"anisotropy = {values}: lies outside {min(seen):g} to {max(seen):g}, "
                "where the model was trained",
                stacklevel=2,
            )
    splits = by_split(datasets, model.settings, model.trained_on)
    if not splits:
        raise InvalidSetting("data: must have a run that is new in at most one thing, or in all three")
    rows, table = [], None
    system = "film" if "disorder" in datasets[0] else "bead"
    if "trained" in splits:
        parts = [load_frames(part) for part in splits["trained"]]
        rates = [model.latent_rate(part.images, part.rates).detach() for part in parts]
        controls = torch.cat([part.controls.flatten(0, 1) for part in parts])
        seen = torch.cat([rate.flatten(0, 1) for rate in rates])
        table = Lookup(controls[:, :2].double().numpy(), seen.double().numpy())
    for split, found in splits.items():
        rows += _errors(model, [load_frames(part) for part in found], table, split, system)
    return Result.of(rows)


def one_step(model: ReducedModel, data: FrameData) -> tuple[Tensor, Tensor]:
    """Return the next frame of each but the last, in the paper's form and in the increment form."""
    images = data.images[:, :-1]
    with torch.no_grad():
        z = model.encode(images)
        ahead = model.decode(model.step(z, data.controls[:, :-1], data.intervals))
        return ahead, images + ahead - model.decode(z)


def _image_errors(model: ReducedModel, data: FrameData) -> dict[str, Tensor]:
    """Return the mean squared error of each frame (flattened) for every way to guess it."""
    images, truth = data.images, data.images[:, 1:]
    paper, increment = one_step(model, data)
    with torch.no_grad():
        rebuilt = model.decode(model.encode(images))
    pairs = {
        "reconstruction": (rebuilt, images),
        "floor": (rebuilt[:, :-1], images[:, :-1]),
        "paper_form": (paper, truth),
        "increment": (increment, truth),
        "persistence": (images[:, :-1], truth),
        "extrapolation": (torch.cat([images[:, :1], 2 * images[:, 1:-1] - images[:, :-2]], dim=1), truth),
        "exact_rate": (images[:, :-1] + data.intervals[..., None] * data.rates[:, :-1], truth),
    }
    return {name: (guess - aim).square().mean(-1).flatten().double() for name, (guess, aim) in pairs.items()}


def _rate_errors(model: ReducedModel, data: FrameData, table: Lookup | None) -> dict[str, ndarray]:
    """Return squared error and square of the rate, summed over frames, by the names of `_RATE_ROWS`."""
    with torch.no_grad():
        z = model.encode(data.images)
        exact, velocity = model.latent_rate(data.images, data.rates), model.velocity(z, data.controls)
        pairs = {
            "exact": (exact, velocity),
            "finite_difference": (z.diff(dim=1) / data.intervals[..., None], velocity[:, :-1]),
            "decoded": (data.rates, model.image_rate(z, velocity)),
        }
    if table is not None:
        known = table(data.controls[..., :2].flatten(0, 1).double().numpy())
        pairs["lookup"] = (exact, torch.from_numpy(known).reshape(exact.shape))
    return {
        name: np.array([(true - guess).square().sum().item(), true.square().sum().item()])
        for name, (true, guess) in pairs.items()
    }


def _errors(
    model: ReducedModel, parts: list[FrameData], table: Lookup | None, split: str, system: str
) -> list[dict]:
    images = [_image_errors(model, data) for data in parts]
    frames = {name: torch.cat([errors[name] for errors in images]) for name in images[0]}
    rates = [_rate_errors(model, data, table) for data in parts]
    missed = {name: sum(errors[name] for errors in rates) for name in rates[0]}
    common = {
        "analysis": "forecast",
        "system": system,
        "arm": model.settings.arm,
        "split": split,
        "members": 1,
    }
    rows = [
        row("reconstruction_rmse", _pooled(frames["reconstruction"]), **common),
        *(
            row("rate_error", np.sqrt(missed[name][0] / missed[name][1]), **common | columns)
            for name, columns in _RATE_ROWS.items()
            if name in missed
        ),
        row("image_deviation", torch.cat([d.images.flatten() for d in parts]).std().item(), **common),
    ]
    common["lead_time"] = 1
    still = frames["persistence"]
    for case, means in (("", _pooled), ("per_frame_mean", _per_frame)):
        rows.append(row("persistence_rmse", means(still), case=case or None, **common))
        rows.append(row("one_step_rmse", means(frames["paper_form"]), case=case or "paper_form", **common))
    rows.append(row("one_step_rmse", _pooled(frames["increment"]), case="increment", **common))
    for name in ("extrapolation", "exact_rate"):
        for case, means in ((None, _pooled), ("per_frame_mean", _per_frame)):
            rows.append(row("one_step_rmse", means(frames[name]), **common | {"case": case, "arm": name}))
    most = still.sort(descending=True).values[: max(1, len(still) // 10)]
    rows += [
        row("motion_share", (most.sum() / still.sum()).item(), **common),
        row("floor_share", (frames["floor"] > still).double().mean().item(), **common),
    ]
    for case in ("paper_form", "increment"):
        skill = 1 - (frames[case].mean() / still.mean()).item()
        rows.append(row("one_step_skill", skill, case=case, **common))
    return rows


def _pooled(squares: Tensor) -> float:
    return squares.mean().sqrt().item()


def _per_frame(squares: Tensor) -> float:
    return squares.sqrt().mean().item()


def sweep_curves(model: ReducedModel, films: xr.Dataset, alphas: tuple[float, ...]) -> Result:
    """Return what Fig. 2A and 2B show, for single runs: V, errors and predicted frames in time.

    Arrays, with the runs in the order of `alphas`: ``time`` (run, frame), ``potential`` V(t), ``energy``,
    the true H per area, ``one_step`` and ``persistence`` rms errors per frame (nan in the first), ``truth``
    and ``prediction`` (run, frame, y, x; the first predicted frame is nan), ``onset_time`` (run).
    """
    order = [int(np.flatnonzero(films.anisotropy.values == alpha)[0]) for alpha in alphas]
    chosen = films.isel(run=order)
    data = load_frames(chosen)
    ahead, _ = one_step(model, data)
    with torch.no_grad():
        z = model.encode(data.images)
        potential = model.potential(z, data.controls)

    def rms(guess: Tensor, target: Tensor) -> ndarray:
        return (guess - target).square().mean(-1).sqrt().double().numpy()

    def from_second(values: ndarray) -> ndarray:
        return np.concatenate([np.full_like(values[:, :1], np.nan), values], axis=1)

    truth = chosen.magnetization.values
    return Result.of(
        [],
        time=chosen.time.values,
        potential=potential.double().numpy(),
        one_step=from_second(rms(ahead, data.images[:, 1:])),
        persistence=from_second(rms(data.images[:, :-1], data.images[:, 1:])),
        truth=truth,
        prediction=from_second(ahead.numpy()).reshape(truth.shape),
        energy=chosen.energy.values,
        onset_time=chosen.onset_time.values,
    )
