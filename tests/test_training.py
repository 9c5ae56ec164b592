"""Training: seeds, threads, interruption, divergence, members."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nrp.base import InvalidSetting
from nrp.reduction import ModelSettings, Runs, load_frames, load_model, train, train_many, training
from nrp.reduction.checkpoint import LOG
from nrp.reduction.losses import LOSSES
from nrp.reduction.splits import trained_runs
from nrp.reduction.training import Diverged
from nrp.simulation import open_dataset
from nrp.store import Store

SMALL = ModelSettings(latent=3, width=16, epochs=8, batch=20, held=Runs(anisotropy=(2.0,)))

IDENTIFIED = ModelSettings.parse(
    SMALL.model_dump(include={"latent", "epochs", "batch", "held"})
    | {"arm": "identified", "modes": 12, "width": 64, "rollout_frames": 0}
)


FOLLOWED = IDENTIFIED.replace(
    held=Runs(), validation=Runs(anisotropy=(2.0,)), rollout_frames=3, rollout_noise=0.05
)

CHILD = """
import sys
from nrp.reduction import ModelSettings, train
from nrp.simulation import open_dataset
from nrp.store import Store
train([open_dataset(sys.argv[1])], ModelSettings.model_validate_json(sys.argv[2]), Store(sys.argv[3]))
"""


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many threads for torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_weights_follow_from_the_seed_alone(blob, tmp_path):
    torch.manual_seed(1)
    first = load_model(train([blob], SMALL, Store(tmp_path / "a"))).state_dict()
    torch.manual_seed(2)
    second = load_model(train([blob], SMALL, Store(tmp_path / "b"))).state_dict()
    other = load_model(train([blob], SMALL.replace(member=1), Store(tmp_path / "a"))).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(
        first["autoencoder.encoder.first.weight"], other["autoencoder.encoder.first.weight"]
    )


@pytest.mark.parametrize("settings", [SMALL, IDENTIFIED], ids=["paper", "identified"])
def test_weights_do_not_depend_on_the_number_of_threads(blob, tmp_path, settings):
    """Where matrices are large enough to be shared among threads."""
    large = blob.isel({axis: np.repeat(np.arange(6), 4) for axis in "yx"})
    weights = []
    for number in (1, 2):
        with threads(number):
            folder = train([large], settings.replace(epochs=3, width=200), Store(tmp_path / str(number)))
        weights.append(load_model(folder).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_training_finds_images_and_their_motion(blob, tmp_path):
    """Against what is wrong if nothing is learned: a mean image, and states that do not move."""
    folder = train([blob], SMALL.replace(epochs=400), Store(tmp_path))
    log, model = pd.read_csv(folder / LOG), load_model(folder)
    data = load_frames(blob, trained_runs(blob, SMALL))
    spread = (data.images - data.images.mean(dim=(0, 1))).norm(dim=2).mean().item()
    z = model.encode(data.images).detach()
    speed = (z.diff(dim=1) / data.intervals[..., None]).norm(dim=2).mean().item()
    assert len(log) == 400
    assert log.reconstruction.iloc[-1] < 0.4 * spread
    assert log.dynamics.iloc[-1] < 0.4 * speed


@pytest.mark.parametrize("settings", [SMALL, IDENTIFIED, FOLLOWED], ids=["paper", "identified", "followed"])
def test_killed_training_goes_on_to_the_same_weights(blob, tmp_path, settings):
    # Where the flow is followed there is a checkpoint after every epoch.
    settings = settings.replace(epochs=20 if settings.rollout_frames else 200, width=64)
    data = tmp_path / "data.zarr"
    blob.to_zarr(data, consolidated=False)
    killed = tmp_path / "killed"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(data), settings.model_dump_json(), str(killed)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    end = time.monotonic() + 300
    while not list(killed.glob("partial/*/checkpoint.safetensors")):
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not list(killed.glob("store/train/*")), "training ended before it was killed"

    with threads(1):
        resumed = load_model(train([open_dataset(data)], settings, Store(killed))).state_dict()
        unbroken = load_model(train([open_dataset(data)], settings, Store(tmp_path / "whole"))).state_dict()
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)


def test_the_epoch_with_the_best_rollouts_is_kept(blob, tmp_path, monkeypatch):
    errors, weights = iter([5.0, 1.0, 2.0, 3.0]), []

    def known(model, frames):
        weights.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(errors)

    monkeypatch.setattr(training, "whole_rollouts", known)
    folder = train([blob], FOLLOWED.replace(epochs=4), Store(tmp_path))
    assert pd.read_csv(folder / LOG).validation.tolist() == [5.0, 1.0, 2.0, 3.0]
    kept = load_model(folder).state_dict()
    assert all(torch.equal(kept[name], weights[1][name]) for name in kept)
    assert any(not torch.equal(kept[name], weights[3][name]) for name in kept)


@pytest.mark.parametrize("rises", ["loss", "to nothing finite"])
def test_an_epoch_that_runs_away_is_taken_back(blob, tmp_path, monkeypatch, rises):
    """It is tried again from where it began, with half the rate; a third time is the last."""
    once, begun, tried = training._epoch, [], []

    def runs_away(model, frames, optimizers, *, epoch: int, attempt: int, smallest: float):
        begun.append({name: value.clone() for name, value in model.state_dict().items()})
        tried.append((epoch, attempt))
        found, rise = once(model, frames, optimizers, epoch=epoch, attempt=attempt, smallest=smallest)
        if epoch == 1 and attempt < 2:
            if rises != "loss":
                raise Diverged("the loss is inf")
            return found, 3.0
        return found, rise

    monkeypatch.setattr(training, "_epoch", runs_away)
    settings = FOLLOWED.replace(epochs=3)
    train([blob], settings, Store(tmp_path / "a"))
    assert tried == [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0)]
    for name, value in begun[1].items():
        assert torch.equal(begun[2][name], value)
        assert torch.equal(begun[3][name], value)
    assert any(not torch.equal(begun[4][name], value) for name, value in begun[1].items())
    # The last attempt stands, whatever its loss, unless it is no number.
    monkeypatch.setattr(training, "_ATTEMPTS", 2)
    if rises == "loss":
        train([blob], settings, Store(tmp_path / "b"))
    else:
        with pytest.raises(Diverged):
            train([blob], settings, Store(tmp_path / "b"))


def test_a_second_attempt_has_half_the_rate(blob):
    rates = []
    for share in (1.0, 0.5):
        model = training.ReducedModel(FOLLOWED, (6, 6), {})
        optimizers = training._optimizers(model)
        training._schedulers(optimizers, FOLLOWED, done=40, total=80, share=share)
        rates.append([optimizer.param_groups[0]["lr"] for optimizer in optimizers])
    assert rates[1] == pytest.approx([rate / 2 for rate in rates[0]])
    assert min(rates[1]) > 0


def test_a_flow_is_followed_no_further_than_the_runs_go(blob, tmp_path):
    with pytest.raises(InvalidSetting, match="rollout_frames = 11: must be less than 11, the frames of the"):
        train([blob], FOLLOWED.replace(rollout_frames=11), Store(tmp_path))
    with pytest.raises(InvalidSetting, match="rollout_frames = 3: must be 0 with the loss paper"):
        SMALL.replace(rollout_frames=3)


def test_diverging_loss_says_so_and_publishes_nothing(blob, tmp_path):
    far = SMALL.replace(learning_rate=1e3)
    with pytest.raises(Diverged, match=r"learning_rate = 1000\.0: the loss is \S+ in epoch 1") as e:
        train([blob], far, Store(tmp_path))
    assert "\n" not in str(e.value)
    assert not list(tmp_path.glob("store/train/*"))


def test_images_of_two_sizes_are_refused(blob, tmp_path):
    small = blob.isel(x=slice(0, 4)).assign_attrs(key="small")
    with pytest.raises(InvalidSetting, match=r"have images of \[\(6, 4\), \(6, 6\)\] pixels"):
        train([blob.assign_attrs(key="whole"), small], SMALL, Store(tmp_path))


def test_nothing_left_to_train_on_is_refused(blob, tmp_path):
    with pytest.raises(InvalidSetting, match="must leave a run to train on"):
        train([blob], SMALL.replace(held={"anisotropy": (1.0, 2.0, 3.0)}), Store(tmp_path))


def test_no_pickle_is_written(blob, tmp_path):
    folder = train([blob], SMALL, Store(tmp_path))
    kinds = {path.suffix for path in Path(folder).iterdir()}
    assert kinds == {".safetensors", ".json", ".csv"}


def test_a_loss_that_rises_a_thousandfold_stops_and_keeps_the_checkpoint(blob, tmp_path, monkeypatch):
    plain, calls = LOSSES["paper"], []

    def rising(*arguments):
        calls.append(1)
        factor = 1e6 if len(calls) > 23 else 1.0
        return {name: (factor * weight, term) for name, (weight, term) in plain(*arguments).items()}

    monkeypatch.setitem(LOSSES, "paper", rising)
    with pytest.raises(Diverged, match=r"the loss is \d.* in epoch 23; a smaller rate is needed"):
        train([blob], SMALL.replace(epochs=40), Store(tmp_path))
    assert not list(tmp_path.glob("store/train/*"))
    kept = pd.read_csv(next(tmp_path.glob("partial/*/training.csv")))
    assert len(kept) == 20
    # The checkpoint is good: with a loss that behaves, training goes on from it to the end.
    monkeypatch.setitem(LOSSES, "paper", plain)
    assert len(pd.read_csv(train([blob], SMALL.replace(epochs=40), Store(tmp_path)) / LOG)) == 40


def test_members_differ_in_their_seed_alone(blob, tmp_path):
    path, store = tmp_path / "data.zarr", Store(tmp_path / "runs")
    blob.to_zarr(path, consolidated=False)
    folders = train_many([([path], SMALL.replace(member=i)) for i in range(2)], store, workers=2)
    models = [load_model(folder) for folder in folders]
    assert [model.settings.member for model in models] == [0, 1]
    alone = load_model(train_many([([path], SMALL.replace(member=1))], Store(tmp_path / "alone"))[0])
    for name, weight in models[1].state_dict().items():
        assert torch.equal(weight, alone.state_dict()[name])
    first = "autoencoder.encoder.first.weight"
    assert not torch.equal(models[0].state_dict()[first], models[1].state_dict()[first])


def test_the_identified_arm_needs_the_energy(blob, tmp_path):
    with pytest.raises(InvalidSetting, match="the variable 'energy' is missing"):
        train([blob.drop_vars("energy")], IDENTIFIED, Store(tmp_path))
