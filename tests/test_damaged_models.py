"""Models and checkpoints whose files are damaged: one line, and nothing that only seems right."""

import json
import shutil

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file, save_file

from nrp.base import InvalidSetting
from nrp.cli import main
from nrp.reduction import ModelSettings, ReducedModel, checkpoint, load_model, train
from nrp.reduction.model import SETTINGS, WEIGHTS
from nrp.store import PROVENANCE, Store

SMALL = ModelSettings(latent=2, width=8, epochs=3, batch=10)
LONGER = SMALL.replace(epochs=12)
FRAME = ("run", "frame")


@pytest.fixture(scope="module")
def dataset():
    """Two runs of a spot that fades, without a word about where they come from."""
    time, alpha = np.linspace(0, 5, 11), np.array([1.0, 2.0])
    y, x = np.mgrid[-1:1:6j, -1:1:6j]
    spot = np.exp(-(x**2 + y**2))
    height = np.exp(-time / alpha[:, None])[..., None, None]
    return xr.Dataset(
        {
            "intensity": ((*FRAME, "y", "x"), height * spot),
            "rate": ((*FRAME, "y", "x"), -height / alpha[:, None, None, None] * spot),
            "external_field": (FRAME, np.zeros((2, 11))),
        },
        {
            "time": (FRAME, np.tile(time, (2, 1))),
            "anisotropy": ("run", alpha),
            "sample": ("run", [0, 0]),
            "sweep_rate": ("run", [0.0, 0.0]),
        },
        {"key": "spot"},
    )


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """The folder of a trained model, in a store."""
    return train([dataset], SMALL, Store(tmp_path_factory.mktemp("runs")))


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    """A copy of it whose files may be changed: without the record of what they were."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, "model")
    (tmp_path / "model" / PROVENANCE).unlink()
    return tmp_path / "model"


def record_with(**changes):
    def change(folder):
        record = json.loads((folder / SETTINGS).read_text())
        (folder / SETTINGS).write_text(json.dumps(record | changes))

    return change


def weights_with(change):
    def rewrite(folder):
        weights = load_file(folder / WEIGHTS)
        save_file({name: change(value).contiguous() for name, value in weights.items()}, folder / WEIGHTS)

    return rewrite


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12345\n"
DAMAGED = {
    "weights cut": lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:1000]),
    "weights empty": lambda f: (f / WEIGHTS).write_bytes(b""),
    "weights a pointer": lambda f: (f / WEIGHTS).write_bytes(POINTER),
    "weights gone": lambda f: (f / WEIGHTS).unlink(),
    "weights of another size": weights_with(lambda value: value[:1]),
    "weights no numbers": weights_with(lambda value: value * torch.nan),
    "settings gone": lambda f: (f / SETTINGS).unlink(),
    "settings no text": lambda f: (f / SETTINGS).write_bytes(b"\xff\xfe"),
    **{
        f"settings {text}": lambda f, text=text: (f / SETTINGS).write_text(text)
        for text in ("", "{", "[]", "null", '"x"', "{}")
    },
    "shape in words": record_with(shape="6x6"),
    "shape of none": record_with(shape=[]),
    "shape of others": record_with(shape=[35]),
    "shape of nothing": record_with(shape=[0, 6]),
    "controls in words": record_with(controls="two"),
    "unknown part": record_with(model={"colour": 1}),
    "model a list": record_with(model=[]),
    "trained on null": record_with(trained_on=None),
    "trained on nothing": record_with(trained_on={}),
    "trained on no sample": record_with(trained_on={"anisotropy": [1.0], "sweep_rate": [0.0]}),
    "trained on empty": record_with(trained_on={"anisotropy": [], "sample": [0], "sweep_rate": [0.0]}),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_model_that_cannot_be_read_is_refused_in_one_line(case, folder, capsys):
    DAMAGED[case](folder)
    with pytest.raises(InvalidSetting, match=r"^model = '.*model': must be a folder with weights") as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    assert main(["evaluate", "--model", "model", "--data", "none"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("nrp evaluate: model = 'model': ")


def test_a_model_whose_weights_were_changed_is_told_from_the_one_that_was_stored(trained, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(trained, folder)
    assert load_model(folder).settings == SMALL
    (folder / ".DS_Store").write_bytes(b"a window was open")
    load_model(folder)
    weights_with(lambda value: value * 1.001)(folder)
    with pytest.raises(InvalidSetting, match="its files have changed since it was stored"):
        load_model(folder)
    # A record that belongs to something else says nothing about a model.
    (folder / PROVENANCE).write_text(json.dumps({"step": "simulate", "digest": "0"}))
    load_model(folder)


def test_large_numbers_of_samples_are_kept_to_the_last_digit(tmp_path):
    seen = {"anisotropy": [1.5], "sample": [2**63 - 1], "sweep_rate": [0.01]}
    ReducedModel(SMALL, (6, 6), seen).save(tmp_path)
    assert {name: list(values) for name, values in load_model(tmp_path).trained_on.items()} == seen


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def without_log(path):
    save_file(load_file(path), path)


SPOILT = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:500]),
    "empty": lambda path: path.write_bytes(b""),
    "no checkpoint": lambda path: path.write_bytes(POINTER),
    "a bit of a weight": lambda path: flip(path, -3),
    "a bit in the middle": lambda path: flip(path, path.stat().st_size // 2),
    "a bit of the header": lambda path: flip(path, 12),
    "without a log": without_log,
    "of another model": lambda path: save_file({"weights/a": torch.zeros(3)}, path, metadata={"log": "[]"}),
}


@pytest.fixture
def interrupted(dataset, tmp_path, monkeypatch):
    """Train until the first checkpoint is written; return the store and the path of the checkpoint."""

    def stop(*_):
        raise KeyboardInterrupt

    def train_a_while(settings):
        store = Store(tmp_path / f"latent_{settings.latent}")
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "write_text", stop)  # the log is written behind the checkpoint
            with pytest.raises(KeyboardInterrupt):
                train([dataset], settings, store)
        [path] = (store.root / "partial").glob("train-*/checkpoint.safetensors")
        return store, path

    return train_a_while


@pytest.fixture(scope="module")
def unbroken(dataset, tmp_path_factory):
    """The weights of training that nobody stopped."""
    return load_model(train([dataset], LONGER, Store(tmp_path_factory.mktemp("runs")))).state_dict()


@pytest.mark.parametrize("case", [None, *SPOILT])
def test_a_damaged_checkpoint_is_thrown_away_with_one_line(case, interrupted, unbroken, dataset, capsys):
    store, path = interrupted(LONGER)
    if case is not None:
        SPOILT[case](path)
    capsys.readouterr()
    weights = load_model(train([dataset], LONGER, store)).state_dict()
    told = [line for line in capsys.readouterr().err.splitlines() if "checkpoint" in line]
    assert len(told) == (case is not None)
    assert all(str(path) in line and "thrown away" in line for line in told)
    for name, values in unbroken.items():
        torch.testing.assert_close(weights[name], values, rtol=0, atol=0)


def test_the_checkpoint_of_another_model_is_thrown_away(interrupted, unbroken, dataset, capsys):
    (store, path), (_, other) = interrupted(LONGER), interrupted(LONGER.replace(latent=3))
    shutil.copy(other, path)
    weights = load_model(train([dataset], LONGER, store)).state_dict()
    assert "thrown away" in capsys.readouterr().err
    for name, values in unbroken.items():
        torch.testing.assert_close(weights[name], values, rtol=0, atol=0)
