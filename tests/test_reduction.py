"""The networks, Eq. (2), and training that can be interrupted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from nrp.reduction import ReducedModel, load_frames, load_model, split_names, train
from nrp.reduction.losses import Frames, paper_loss
from nrp.reduction.splits import coverage, trained_runs
from nrp.reduction.training import LOG, Diverged
from nrp.settings import InvalidSetting, ModelSettings, Runs
from nrp.simulation import open_dataset
from nrp.store import Store

PIXELS, LATENT = 36, 3
SMALL = ModelSettings(latent=LATENT, width=16, epochs=8, batch=20, held=Runs(anisotropy=(2.0,)))


@pytest.fixture
def model() -> ReducedModel:
    return ReducedModel(SMALL, (6, 6), {})


@pytest.fixture
def dataset() -> xr.Dataset:
    """Three runs of 11 frames of a blob that shrinks, in the layout of all datasets."""
    time_, alpha = np.linspace(0, 5, 11), np.array([1.0, 2.0, 3.0])
    y, x = np.mgrid[-1:1:6j, -1:1:6j]
    size = 1 + np.exp(-time_[None] / alpha[:, None])[..., None, None]
    images = np.exp(-(x**2 + y**2) * size)
    rate = np.gradient(images, time_, axis=1)
    frames = ("run", "frame")
    return xr.Dataset(
        {
            "magnetization": ((*frames, "y", "x"), images.astype(np.float32)),
            "rate": ((*frames, "y", "x"), rate.astype(np.float32)),
            "external_field": (frames, np.broadcast_to(1 - time_ / 5, (3, 11))),
            "disorder": (("run", "y", "x"), np.ones((3, 6, 6))),
        },
        coords={
            "time": (frames, np.broadcast_to(time_, (3, 11))),
            "anisotropy": ("run", alpha),
            "sample": ("run", [0, 0, 0]),
            "sweep_rate": ("run", [0.2, 0.2, 0.2]),
        },
        attrs={"key": "blob"},
    )


def test_force_is_minus_the_gradient_of_the_potential(model):
    model = model.double()
    z, controls = torch.randn(5, LATENT, dtype=torch.float64), torch.rand(5, 2, dtype=torch.float64)
    step = 1e-5
    for axis in range(LATENT):
        shift = torch.zeros(LATENT, dtype=torch.float64)
        shift[axis] = step
        slope = (model.potential(z + shift, controls) - model.potential(z - shift, controls)) / (2 * step)
        torch.testing.assert_close(model.velocity(z, controls)[:, axis], -slope, atol=1e-8, rtol=1e-6)


def test_latent_rate_is_the_derivative_along_the_image_rate(model):
    model = model.double()
    images, rates = torch.randn(2, 4, PIXELS, dtype=torch.float64)
    step = 1e-6
    slope = (model.encode(images + step * rates) - model.encode(images - step * rates)) / (2 * step)
    torch.testing.assert_close(model.latent_rate(images, rates), slope, atol=1e-7, rtol=1e-6)


def test_step_moves_down_the_potential(model):
    z, controls = torch.randn(20, LATENT), torch.rand(20, 2)
    moved = model.step(z, controls, torch.full((20,), 1e-3))
    assert (model.potential(moved, controls) < model.potential(z, controls)).all()


def test_loss_is_equation_two_to_the_letter(model, dataset):
    data = load_frames(dataset)
    frames = Frames(model, [data])
    places, generator = frames.first[[0, 4, 9, 12]], torch.Generator()
    terms = paper_loss(model, frames, frames.batch(places, generator), generator)
    images, misfits = [], []
    for run, frame in [(0, 0), (0, 4), (0, 9), (1, 2)]:  # the last frame of a run has no next one
        image, following = data.images[run, frame], data.images[run, frame + 1]
        z = model.encode(image)
        images.append((image - model.decode(z)).norm().item())
        velocity = (model.encode(following) - z) / 0.5
        misfits.append((velocity - model.velocity(z, data.controls[run, frame])).norm().item())
    assert terms["reconstruction"][1].item() == pytest.approx(np.mean(images), rel=1e-5)
    assert terms["dynamics"][1].item() == pytest.approx(np.mean(misfits), rel=1e-5)
    assert [weight for weight, _ in terms.values()] == [1.0, 0.1]


def test_weights_follow_from_the_seed_alone(dataset, tmp_path):
    torch.manual_seed(1)
    first = load_model(train([dataset], SMALL, Store(tmp_path / "a"))).state_dict()
    torch.manual_seed(2)
    second = load_model(train([dataset], SMALL, Store(tmp_path / "b"))).state_dict()
    other = load_model(train([dataset], SMALL.replace(member=1), Store(tmp_path / "a"))).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(
        first["autoencoder.encoder.first.weight"], other["autoencoder.encoder.first.weight"]
    )


def test_training_lowers_both_terms_of_the_loss(dataset, tmp_path):
    import pandas as pd

    folder = train([dataset], SMALL.replace(epochs=200), Store(tmp_path))
    log = pd.read_csv(folder / LOG)
    assert len(log) == 200
    assert log.reconstruction.iloc[-1] < 0.2 * log.reconstruction.iloc[0]
    assert log.dynamics.iloc[-1] < log.dynamics.max()


def test_killed_training_goes_on_to_the_same_weights(dataset, tmp_path):
    settings = SMALL.replace(epochs=1000, width=32)
    data = tmp_path / "data.zarr"
    dataset.to_zarr(data, consolidated=False)
    script = (
        "import sys; from nrp.reduction import train; from nrp.simulation import open_dataset\n"
        "from nrp.settings import ModelSettings; from nrp.store import Store\n"
        "train([open_dataset(sys.argv[1])], ModelSettings.model_validate_json(sys.argv[2]),"
        " Store(sys.argv[3]))\n"
    )
    killed = tmp_path / "killed"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(data), settings.model_dump_json(), str(killed)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    end = time.monotonic() + 60
    while not list(killed.glob("partial/*/checkpoint.safetensors")):
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not list(killed.glob("store/train/*")), "training ended before it was killed"

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        resumed = load_model(train([open_dataset(data)], settings, Store(killed))).state_dict()
        unbroken = load_model(train([open_dataset(data)], settings, Store(tmp_path / "whole"))).state_dict()
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)


def test_diverging_loss_says_so_and_publishes_nothing(dataset, tmp_path):
    broken = dataset.copy(deep=True)
    broken.magnetization[0, 3] = np.nan
    with pytest.raises(Diverged, match=r"learning_rate = 0\.001: the loss is nan in epoch 0") as e:
        train([broken], SMALL, Store(tmp_path))
    assert "\n" not in str(e.value)
    assert not list(tmp_path.glob("store/train/*"))


def test_stored_model_is_the_model(dataset, tmp_path):
    model = ReducedModel(SMALL, (6, 6), coverage([dataset], SMALL))
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    images = load_frames(dataset).images
    assert torch.equal(loaded.encode(images), model.encode(images))
    assert loaded.settings == SMALL
    assert loaded.trained_on == {"anisotropy": [1.0, 3.0], "sample": [0], "sweep_rate": [0.2]}


@pytest.mark.parametrize("content", [None, "{", '{"pixels": 3}'])
def test_what_is_no_model_is_refused_in_one_line(tmp_path, content):
    if content:
        (tmp_path / "settings.json").write_text(content)
    with pytest.raises(InvalidSetting, match="model = ") as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


def test_missing_variable_is_named(dataset):
    with pytest.raises(InvalidSetting, match="'rate' is missing"):
        load_frames(dataset.drop_vars("rate"))
    with pytest.raises(InvalidSetting, match="magnetization"):
        load_frames(dataset.drop_vars("magnetization"))


def test_nothing_left_to_train_on_is_refused(dataset, tmp_path):
    with pytest.raises(InvalidSetting, match="must leave a run to train on"):
        train([dataset], SMALL.replace(held={"anisotropy": (1.0, 2.0, 3.0)}), Store(tmp_path))


def test_splits_tell_what_is_new(dataset):
    seen = coverage([dataset], SMALL)
    assert trained_runs(dataset, SMALL).tolist() == [True, False, True]
    assert split_names(dataset, SMALL, seen).tolist() == ["trained", "new_anisotropy", "trained"]

    def names(**changes):
        return split_names(dataset.assign_coords({k: ("run", v) for k, v in changes.items()}), SMALL, seen)[0]

    assert names(sample=[1, 1, 1]) == "new_disorder"
    assert names(sweep_rate=[0.1] * 3) == "new_sweep_rate"
    assert names(sweep_rate=[0.1] * 3, sample=[1] * 3, anisotropy=[1.5, 2.5, 3.5]) == "new_all"
    assert names(sweep_rate=[0.1] * 3, sample=[1] * 3) == ""
    bead = dataset.drop_vars("disorder").assign_coords(sample=("run", [1, 1, 1]))
    assert split_names(bead, SMALL, seen)[0] == "random_start"


def test_no_pickle_is_written(dataset, tmp_path):
    folder = train([dataset], SMALL, Store(tmp_path))
    kinds = {path.suffix for path in Path(folder).iterdir()}
    assert kinds == {".safetensors", ".json", ".csv"}
