"""Training of one member: a plain loop with a seed, a checkpoint and a log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from safetensors.torch import load_file, save_file

from nrp.progress import progress
from nrp.reduction.data import FrameData, load_frames
from nrp.reduction.losses import paper_loss
from nrp.reduction.model import ReducedModel
from nrp.reduction.splits import Coverage, coverage, trained_runs
from nrp.settings import InvalidSetting, ModelSettings
from nrp.store import Step, Store, write_text

TRAIN = Step("train", 1)
LOG = "training.csv"
_CHECKPOINT = "checkpoint.safetensors"
_EPOCHS_BETWEEN_CHECKPOINTS = 20


class Diverged(ArithmeticError):
    """The loss is no longer a number; the message is one line."""


def train(dataset: xr.Dataset, settings: ModelSettings, store: Store) -> Path:
    """Return the folder of a trained model, training it if it is not in the store.

    The folder holds the weights, the settings and `training.csv` with one row per epoch: both terms of
    the loss and the latent scale (standard deviation of z over all training frames of the epoch).
    Training that was interrupted goes on from its last checkpoint, to the same weights on a CPU.

    Raises
    ------
    InvalidSetting
        If no run is left to train on, or a variable is missing.
    Diverged
        If the loss leaves the finite numbers.
    """
    runs = trained_runs(dataset, settings)
    if not runs.any():
        raise InvalidSetting(
            f"held_anisotropy = {list(settings.held_anisotropy)}: must leave a run to train on"
        )
    return store.get(
        TRAIN,
        settings,
        lambda folder: _fit(load_frames(dataset, runs), settings, folder, coverage(dataset, settings)),
        inputs=(dataset.attrs["key"],),
    )


def _fit(frames: FrameData, settings: ModelSettings, folder: Path, trained_on: Coverage) -> None:
    model = ReducedModel(settings, frames.images.shape[-1], trained_on)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)
    images, controls = frames.images, frames.controls
    # All frames but the last of a run have a next one; the pair is named by its first frame.
    count, steps = images.shape[0], images.shape[1] - 1
    log, first = _resume(model, optimizer, folder)
    per_epoch = -(-count * steps // settings.batch)
    schedule = _half_cosine(settings.epochs * per_epoch)
    epochs = range(first, settings.epochs)
    title = f"training arm {settings.arm}, member {settings.member}"
    for epoch in progress(epochs, total=len(epochs), title=title):
        order = np.random.default_rng([settings.member, epoch]).permutation(count * steps)
        totals = np.zeros(2)
        for i, batch in enumerate(np.array_split(order, per_epoch)):
            run, frame = torch.from_numpy(batch // steps), torch.from_numpy(batch % steps)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * schedule(epoch * per_epoch + i)
            terms = paper_loss(
                model,
                images[run, frame],
                images[run, frame + 1],
                controls[run, frame],
                frames.intervals[run, frame],
            )
            loss = terms.reconstruction + settings.dynamics_weight * terms.dynamics
            if not torch.isfinite(loss):
                raise Diverged(
                    f"learning_rate = {settings.learning_rate}: the loss is no longer finite in epoch "
                    f"{epoch}; a smaller rate is needed (the last checkpoint is kept)"
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            totals += [term.item() * len(batch) for term in terms]
        reconstruction, dynamics = totals / len(order)
        log.append([epoch, reconstruction, dynamics, _latent_scale(model, frames)])
        if (epoch + 1) % _EPOCHS_BETWEEN_CHECKPOINTS == 0 or epoch + 1 == settings.epochs:
            _save_checkpoint(model, optimizer, log, folder)
    model.save(folder)
    (folder / _CHECKPOINT).unlink()


def _half_cosine(total: int):
    return lambda step: 0.5 * (1 + np.cos(np.pi * step / total))


def _latent_scale(model: ReducedModel, frames: FrameData) -> float:
    with torch.no_grad():
        z = model.encode(frames.images[:, ::10]).flatten(0, 1)
    return float(z.std(dim=0).square().mean().sqrt())


def _save_checkpoint(model, optimizer, log: list, folder: Path) -> None:
    """Write weights, Adam's moments and the log as tensors: no pickle."""
    tensors = {f"weights.{name}": value for name, value in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": value for name, value in state.items()}
    tensors["log"] = torch.tensor(np.array(log), dtype=torch.float64)
    temporary = folder / f".{_CHECKPOINT}"
    save_file(tensors, temporary)
    temporary.replace(folder / _CHECKPOINT)
    table = pd.DataFrame(log, columns=["epoch", "reconstruction", "dynamics", "latent_scale"])
    write_text(folder / LOG, table.to_csv(index=False))


def _resume(model, optimizer, folder: Path) -> tuple[list, int]:
    """Load the last checkpoint, if there is one; return the log and the first epoch to do."""
    if not (folder / _CHECKPOINT).exists():
        return [], 0
    tensors = load_file(folder / _CHECKPOINT)
    log = tensors.pop("log").tolist()
    weights, moments = {}, {}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "weights":
            weights[rest] = value
        else:
            index, _, moment = rest.partition(".")
            moments.setdefault(int(index), {})[moment] = value
    model.load_state_dict(weights)
    optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
    return log, len(log)
