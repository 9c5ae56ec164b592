"""Checkpoints of a training: weights and moments as tensors, the log beside them, and no pickle."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim import Optimizer

from nrp.base import reason
from nrp.progress import tell
from nrp.reduction.model import ReducedModel
from nrp.store import write_text

LOG, CHECKPOINT = "training.csv", "checkpoint.safetensors"
Weights = dict[str, Tensor]


def save_checkpoint(
    model: ReducedModel, optimizers: list[Optimizer], log: list[dict], best: Weights, folder: Path
) -> None:
    """Write what training needs to go on: weights, moments, the log, and the best weights so far."""
    tensors = {f"weights/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in best.items()}
    for number, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"moments/{number}/{index}/{name}": value for name, value in state.items()}
    temporary, told = folder / f".{CHECKPOINT}", json.dumps(log)
    temporary.write_bytes(save(tensors, metadata={"log": told, "digest": _digest(tensors, told)}))
    temporary.replace(folder / CHECKPOINT)
    write_text(folder / LOG, pd.DataFrame(log).to_csv(index=False))


def resume(model: ReducedModel, optimizers: list[Optimizer], folder: Path) -> tuple[list[dict], Weights]:
    """Load the last checkpoint and return its log and best weights; throw away one that is damaged."""
    path = folder / CHECKPOINT
    if not path.exists():
        return [], {}
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        if told is None or told["digest"] != _digest(tensors, told["log"]):
            raise ValueError("its content has changed")
        kinds: dict[str, Weights] = {"weights": {}, "best": {}}
        moments: list[dict] = [{} for _ in optimizers]
        for name, value in tensors.items():
            kind, _, rest = name.partition("/")
            if kind == "moments":
                number, index, moment = rest.split("/")
                moments[int(number)].setdefault(int(index), {})[moment] = value
            else:
                kinds[kind][rest] = value
        model.load_state_dict(kinds["weights"])
        for optimizer, state in zip(optimizers, moments, strict=True):
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        return json.loads(told["log"]), kinds["best"]
    except (OSError, ValueError, LookupError, RuntimeError, SafetensorError) as error:
        tell(f"warning: {path}: the checkpoint is thrown away, training starts anew ({reason(error)})")
    path.unlink(missing_ok=True)
    model.load_state_dict(fresh)
    for optimizer in optimizers:
        optimizer.state.clear()
    return [], {}


def _digest(tensors: dict[str, Tensor], log: str) -> str:
    """Return the SHA-256 of a checkpoint, which finds bits that have changed."""
    total = hashlib.sha256(log.encode())
    for name, value in sorted(tensors.items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().contiguous().numpy().tobytes())
    return total.hexdigest()
