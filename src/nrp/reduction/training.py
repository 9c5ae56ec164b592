"""Training of members: one loop for all arms, with a seed, checkpoints and a log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from nrp.base import InvalidSetting, reason
from nrp.parallel import map_tasks
from nrp.progress import progress, tell
from nrp.reduction.data import FrameData, load_frames
from nrp.reduction.losses import LOSSES, TrainingFrames
from nrp.reduction.model import ReducedModel
from nrp.reduction.muon import Muon
from nrp.reduction.settings import ModelSettings
from nrp.reduction.splits import coverage, runs_with, trained_runs
from nrp.simulation import open_dataset
from nrp.store import Step, Store, write_text

TRAIN = Step("train", 2)
LOG = "training.csv"
_CHECKPOINT = "checkpoint.safetensors"
_EPOCHS_BETWEEN_CHECKPOINTS = 10
_WARM_UP = 0.02
"""Share of the steps over which the learning rate of Muon rises; Adam begins with its full rate."""
_SMALLEST = 64
"""Matrices whose shorter side is smaller are left to Adam: there Muon costs more than it gains."""
_ALLOWED_RISE = 1e3
"""Factor over its smallest value so far at which a loss is said to diverge."""


class Diverged(ArithmeticError):
    """The loss is no longer a number, or far above what it was; the message is one line."""


def train(datasets: Sequence[xr.Dataset], settings: ModelSettings, store: Store) -> Path:
    """Return the folder of a trained model, training it if it is not in the store.

    The folder holds the weights, the settings and `training.csv` with one row per epoch: the terms of the
    loss, the latent scale (rms standard deviation of z over the training frames) and, every tenth epoch,
    the loss of the validation runs, if there are any.  Training that was interrupted continues from its last
    checkpoint, to the same weights.

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
    shapes = {(data.sizes["y"], data.sizes["x"]) for data in datasets}
    if len(shapes) > 1:
        raise InvalidSetting(f"data: have images of {sorted(shapes)} pixels; all must be of one size")
    if not any(trained_runs(data, settings).any() for data in datasets):
        raise InvalidSetting(f"held = {settings.held.model_dump()}: must leave a run to train on")

    def fit(folder: Path) -> None:
        parts = [load_frames(data, trained_runs(data, settings)) for data in datasets]
        parts = [part for part in parts if len(part.images)]
        if settings.loss == "identified" and not all(part.energy.isfinite().all() for part in parts):
            what = "the variable 'energy' is missing, or not finite"
            raise InvalidSetting(f"data: {what}; the loss 'identified' is tied to it")
        watched = [load_frames(data, runs_with(data, settings.validation)) for data in datasets]
        model = ReducedModel(
            settings,
            (datasets[0].sizes["y"], datasets[0].sizes["x"]),
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
    log = _resume(model, optimizers, folder)
    frames, others = TrainingFrames(model, parts), TrainingFrames(model, watched) if watched else None
    per_epoch = -(-len(frames.first) // settings.batch)
    done, total = len(log) * per_epoch, settings.epochs * per_epoch
    schedulers = _schedulers(optimizers, settings, done=done, total=total)
    epochs = range(len(log), settings.epochs)
    title = f"training arm {settings.arm}, member {settings.member}"
    for epoch in progress(epochs, total=len(epochs), title=title):
        generator = torch.Generator().manual_seed(settings.member * settings.epochs + epoch)
        order = frames.order(generator)
        smallest = min((row["loss"] for row in log), default=np.inf)
        sums: dict[str, float] = {}
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
            for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
                optimizer.step()
                scheduler.step()
            for name, value in {"loss": loss, **{name: value for name, (_, value) in terms.items()}}.items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(places) / len(order)
        check = (epoch + 1) % _EPOCHS_BETWEEN_CHECKPOINTS == 0 or epoch + 1 == settings.epochs
        validation = _validation(model, others) if check and others else np.nan
        scale = _latent_scale(model, frames)
        log.append({"epoch": epoch, **sums, "latent_scale": scale, "validation": validation})
        if check:
            _save_checkpoint(model, optimizers, log, folder)
    model.save(folder)
    (folder / _CHECKPOINT).unlink()


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
    optimizers: list[Optimizer], settings: ModelSettings, *, done: int, total: int
) -> list[LambdaLR]:
    """Return the schedules of the learning rates: a rise for Muon, and half a cosine down to zero for all."""
    rise = max(_WARM_UP * total, 1.0) if settings.optimizer == "muon" else 1.0

    def factor(further: int) -> float:
        step = done + further
        return min(1.0, (step + 1) / rise) * 0.5 * (1 + np.cos(np.pi * step / total))

    return [LambdaLR(optimizer, factor) for optimizer in optimizers]


def _latent_scale(model: ReducedModel, frames: TrainingFrames) -> float:
    with torch.no_grad():
        z = model.autoencoder.encode(frames.x[:: 10 if len(frames.x) > 10 else 1])
    return float(z.std(dim=0).square().mean().sqrt())


def _validation(model: ReducedModel, frames: TrainingFrames) -> float:
    generator = torch.Generator().manual_seed(0)
    terms = LOSSES[model.settings.loss](model, frames, frames.batch(frames.first, generator), generator)
    return sum(weight * value.item() for weight, value in terms.values())


def _save_checkpoint(model: ReducedModel, optimizers: list[Optimizer], log: list[dict], folder: Path) -> None:
    """Write weights and moments as tensors, the log beside them: no pickle."""
    tensors = {f"weights/{name}": value for name, value in model.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"moments/{number}/{index}/{name}": value for name, value in state.items()}
    temporary, told = folder / f".{_CHECKPOINT}", json.dumps(log)
    temporary.write_bytes(save(tensors, metadata={"log": told, "digest": _digest(tensors, told)}))
    temporary.replace(folder / _CHECKPOINT)
    write_text(folder / LOG, pd.DataFrame(log).to_csv(index=False))


def _resume(model: ReducedModel, optimizers: list[Optimizer], folder: Path) -> list[dict]:
    """Load the last checkpoint and return the log up to it; throw away one that is damaged."""
    path = folder / _CHECKPOINT
    if not path.exists():
        return []
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        if told is None or told["digest"] != _digest(tensors, told["log"]):
            raise ValueError("its content has changed")
        weights: dict[str, Tensor] = {}
        moments: list[dict] = [{} for _ in optimizers]
        for name, value in tensors.items():
            kind, _, rest = name.partition("/")
            if kind == "moments":
                number, index, moment = rest.split("/")
                moments[int(number)].setdefault(int(index), {})[moment] = value
            else:
                weights[rest] = value
        model.load_state_dict(weights)
        for optimizer, state in zip(optimizers, moments, strict=True):
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        return json.loads(told["log"])
    except (OSError, ValueError, LookupError, RuntimeError, SafetensorError) as error:
        tell(f"warning: {path}: the checkpoint is thrown away, training starts anew ({reason(error)})")
    path.unlink(missing_ok=True)
    model.load_state_dict(fresh)
    for optimizer in optimizers:
        optimizer.state.clear()
    return []


def _digest(tensors: dict[str, Tensor], log: str) -> str:
    """Return the SHA-256 of a checkpoint, which finds bits that have changed."""
    total = hashlib.sha256(log.encode())
    for name, value in sorted(tensors.items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().contiguous().numpy().tobytes())
    return total.hexdigest()
