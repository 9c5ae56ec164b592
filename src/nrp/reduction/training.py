"""Training of members: one loop for all arms, with a seed, checkpoints and a log."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from nrp.base import InvalidSetting
from nrp.parallel import map_tasks
from nrp.progress import progress
from nrp.reduction.checkpoint import CHECKPOINT, resume, save_checkpoint
from nrp.reduction.data import FrameData, load_frames
from nrp.reduction.losses import LOSSES, TrainingFrames, whole_rollouts
from nrp.reduction.model import ReducedModel
from nrp.reduction.muon import Muon
from nrp.reduction.settings import ModelSettings
from nrp.reduction.splits import coverage, runs_with, trained_runs
from nrp.simulation import open_dataset
from nrp.simulation.dataset import shape_of
from nrp.store import Step, Store

TRAIN = Step("train", 2)
_EPOCHS_BETWEEN_CHECKPOINTS = 10
"""Where the flow is followed, epochs are few and long, and there is a checkpoint after each."""
_WARM_UP = 0.02
"""Share of the steps over which the learning rate rises, of Muon and where the flow is followed."""
_LONGEST_GRADIENT = 1.0
"""Norm to which gradients are cut where the flow is followed: a flow that runs away has very long ones."""
_ATTEMPTS = 3
"""Times that an epoch is tried where the flow is followed, if the loss rises in it."""
_RISE_OF_AN_EPOCH = 2.0
"""Factor by which the loss may rise from the first tenth of such an epoch to the last."""
_ATTEMPT_SEED = 2**40
_SMALLEST = 64
"""Matrices whose shorter side is smaller are left to Adam: there Muon costs more than it gains."""
_ALLOWED_RISE = 1e3
"""Factor over its smallest value so far at which a loss is said to diverge."""


class Diverged(ArithmeticError):
    """The loss is no longer a number, or far above what it was; the message is one line."""


def train(datasets: Sequence[xr.Dataset], settings: ModelSettings, store: Store) -> Path:
    """Return the folder of a trained model, training it if it is not in the store.

    The folder holds the weights, the settings and `training.csv` with one row per epoch: the terms of the
    loss, the latent scale (rms standard deviation of z over the training frames) and, after some epochs, the
    loss of the validation runs, if there are any.  Where the flow is followed in training, the error of whole
    rollouts on these runs stands there instead, and the weights of the epoch with the smallest one are kept.
    Training that was interrupted continues from its last checkpoint, to the same weights.

    Of the datasets, which hold one system, the runs that the settings hold back are left out.  Their
    attribute `key` must name their content, as that of one from `nrp.simulation.open_dataset` does.

    Raises
    ------
    InvalidSetting
        If no run is left to train on, a variable is missing, or the datasets differ in the size of their
        images.
    Diverged
        If the loss leaves the finite numbers, or rises a thousandfold.
    """
    shapes = {shape_of(data) for data in datasets}
    if len(shapes) > 1:
        raise InvalidSetting(f"data: have images of {sorted(shapes)} pixels; all must be of one size")
    if not any(trained_runs(data, settings).any() for data in datasets):
        raise InvalidSetting(f"held = {settings.held.model_dump()}: must leave a run to train on")

    def fit(folder: Path) -> None:
        parts = [load_frames(data, trained_runs(data, settings)) for data in datasets]
        parts = [part for part in parts if len(part.images)]
        if (longest := max(part.time.shape[1] for part in parts)) <= settings.rollout_frames:
            wanted = f"must be less than {longest}, the frames of the longest run"
            raise InvalidSetting(f"rollout_frames = {settings.rollout_frames}: {wanted}")
        if settings.loss == "identified" and not all(part.energy.isfinite().all() for part in parts):
            what = "the variable 'energy' is missing, or not finite"
            raise InvalidSetting(f"data: {what}; the loss 'identified' is tied to it")
        watched = [load_frames(data, runs_with(data, settings.validation)) for data in datasets]
        model = ReducedModel(
            settings,
            shape_of(datasets[0]),
            coverage(datasets, settings),
            controls=parts[0].controls.shape[-1],
        )
        _fit(model, parts, [part for part in watched if len(part.images)], folder)

    return store.get(TRAIN, settings, fit, inputs=tuple(data.attrs["key"] for data in datasets))


def train_many(
    models: Sequence[tuple[Sequence[Path], ModelSettings]], store: Store, *, workers: int | None = None
) -> list[Path]:
    """Return the folders of several models, given by their datasets and settings, trained in parallel.

    A single worker trains one after the other with all cores; several, by default one per core, have a
    thread each.
    """
    tasks = [(paths, settings, store.root) for paths, settings in models]
    # Processes with one thread each finish more models than one process with all threads.
    return map_tasks(_train_one, tasks, workers=workers, title=f"training {len(tasks)} models")


def _train_one(paths: Sequence[Path], settings: ModelSettings, root: Path) -> Path:
    return train([open_dataset(path) for path in paths], settings, Store(root))


def _fit(model: ReducedModel, parts: list[FrameData], watched: list[FrameData], folder: Path) -> None:
    settings = model.settings
    model.fit(torch.cat([part.images.flatten(0, 1) for part in parts]))
    optimizers = _optimizers(model)
    log, best = resume(model, optimizers, folder)
    frames, others = TrainingFrames(model, parts), TrainingFrames(model, watched) if watched else None
    epochs, between = range(len(log), settings.epochs), _EPOCHS_BETWEEN_CHECKPOINTS
    if settings.rollout_frames:
        between = 1
    title = f"training arm {settings.arm}, member {settings.member}"
    for epoch in progress(epochs, total=len(epochs), title=title):
        smallest = min((row["loss"] for row in log), default=np.inf)
        attempts = _ATTEMPTS if settings.rollout_frames else 1
        begin = _state_of(model, optimizers) if attempts > 1 else None
        for attempt in range(attempts):
            if begin and attempt:
                _restore(model, optimizers, begin)
            last = attempt + 1 == attempts
            with nullcontext() if last else suppress(Diverged):
                sums, rise = _epoch(
                    model, frames, optimizers, epoch=epoch, attempt=attempt, smallest=smallest
                )
                if rise <= _RISE_OF_AN_EPOCH:
                    break
        check = (epoch + 1) % between == 0 or epoch + 1 == settings.epochs
        validation = _validation(model, others) if check and others else np.nan
        if settings.rollout_frames and validation <= min((row["validation"] for row in log), default=np.inf):
            best = {name: value.clone() for name, value in model.state_dict().items()}
        scale = _latent_scale(model, frames)
        log.append({"epoch": epoch, **sums, "latent_scale": scale, "validation": validation})
        if check:
            save_checkpoint(model, optimizers, log, best, folder)
    if best:
        model.load_state_dict(best)
    model.save(folder)
    (folder / CHECKPOINT).unlink()


def _epoch(
    model: ReducedModel,
    frames: TrainingFrames,
    optimizers: list[Optimizer],
    *,
    epoch: int,
    attempt: int,
    smallest: float,
) -> tuple[dict[str, float], float]:
    """Train for an epoch; return the means of the terms, and the factor by which the loss has risen in it.

    Each attempt has half the learning rate of the one before, and another order of the frames.
    """
    settings = model.settings
    per_epoch = -(-len(frames.first) // settings.batch)
    done, total = epoch * per_epoch, settings.epochs * per_epoch
    schedulers = _schedulers(optimizers, settings, done=done, total=total, share=0.5**attempt)
    seed = settings.member * settings.epochs + epoch + attempt * _ATTEMPT_SEED
    generator = torch.Generator().manual_seed(seed)
    order = frames.order(generator)
    sums: dict[str, float] = {}
    losses = []
    for places in order.tensor_split(per_epoch):
        terms = LOSSES[settings.loss](model, frames, frames.batch(places, generator), generator)
        loss = sum((weight * value for weight, value in terms.values()), start=torch.zeros(()))
        if not loss.item() <= _ALLOWED_RISE * smallest or not torch.isfinite(loss):
            raise Diverged(
                f"learning_rate = {settings.learning_rate}: the loss is {loss.item():.3g} in epoch "
                f"{epoch}; a smaller rate is needed (the last checkpoint, if any, is kept)"
            )
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        if settings.rollout_frames:
            torch.nn.utils.clip_grad_norm_(model.parameters(), _LONGEST_GRADIENT)
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
        losses.append(loss.item())
        for name, value in {"loss": loss, **{name: value for name, (_, value) in terms.items()}}.items():
            sums[name] = sums.get(name, 0.0) + value.item() * len(places) / len(order)
    tenth = -(-len(losses) // 10)
    return sums, sum(losses[-tenth:]) / sum(losses[:tenth])


def _state_of(model: ReducedModel, optimizers: list[Optimizer]) -> tuple[dict, list[dict]]:
    return copy.deepcopy((model.state_dict(), [optimizer.state_dict() for optimizer in optimizers]))


def _restore(model: ReducedModel, optimizers: list[Optimizer], state: tuple[dict, list[dict]]) -> None:
    weights, moments = copy.deepcopy(state)
    model.load_state_dict(weights)
    for optimizer, moment in zip(optimizers, moments, strict=True):
        optimizer.load_state_dict(moment)


def _optimizers(model: ReducedModel) -> list[Optimizer]:
    """Return Adam for all weights, or Muon for the matrices of the networks and Adam for the others."""
    rate = model.settings.learning_rate
    if model.settings.optimizer == "adam":
        return [Adam(model.parameters(), lr=rate, fused=True)]
    weights = dict(model.named_parameters())
    matrices = [name for name, w in weights.items() if w.ndim == 2 and min(w.shape) >= _SMALLEST]
    others = [weight for name, weight in weights.items() if name not in matrices]
    adam = Adam(others, lr=0.1 * rate, fused=True)
    if not matrices:
        return [adam]
    return [Muon([weights[name] for name in matrices], lr=rate), adam]


def _schedulers(
    optimizers: list[Optimizer], settings: ModelSettings, *, done: int, total: int, share: float
) -> list[LambdaLR]:
    """Return the schedules of the learning rates: a rise, if any, and half a cosine down to zero."""
    rises = settings.optimizer == "muon" or settings.rollout_frames
    rise = max(_WARM_UP * total, 1.0) if rises else 1.0

    def factor(further: int) -> float:
        step = done + further
        return share * min(1.0, (step + 1) / rise) * 0.5 * (1 + np.cos(np.pi * step / total))

    return [LambdaLR(optimizer, factor) for optimizer in optimizers]


def _latent_scale(model: ReducedModel, frames: TrainingFrames) -> float:
    with torch.no_grad():
        z = model.autoencoder.encode(frames.x[:: 10 if len(frames.x) > 10 else 1])
    return float(z.std(dim=0).square().mean().sqrt())


def _validation(model: ReducedModel, frames: TrainingFrames) -> float:
    if model.settings.rollout_frames:
        return whole_rollouts(model, frames)
    generator = torch.Generator().manual_seed(0)
    terms = LOSSES[model.settings.loss](model, frames, frames.batch(frames.first, generator), generator)
    return sum(weight * value.item() for weight, value in terms.values())
