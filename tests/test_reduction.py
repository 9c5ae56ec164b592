"""The networks, Eq. (2), and training that can be interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from nrp.base import InvalidSetting
from nrp.reduction import (
    FrameData,
    ModelSettings,
    ReducedModel,
    Runs,
    load_frames,
    load_model,
    train,
    train_members,
)
from nrp.reduction.coordinates import Coordinates, leading_modes
from nrp.reduction.losses import LOSSES, Frames, identified_loss, paper_loss
from nrp.reduction.splits import coverage, split_names, trained_runs
from nrp.reduction.training import LOG, Diverged, _validation
from nrp.simulation import open_dataset
from nrp.store import Store

PIXELS, LATENT = 36, 3
SMALL = ModelSettings(latent=LATENT, width=16, epochs=8, batch=20, held=Runs(anisotropy=(2.0,)))
IDENTIFIED = ModelSettings.parse(
    SMALL.model_dump(include={"latent", "epochs", "batch", "held"})
    | {"arm": "identified", "modes": 12, "width": 64}
)


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
            "energy": (frames, (images**2).mean(axis=(2, 3))),
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
    folder = train([dataset], SMALL.replace(epochs=200), Store(tmp_path))
    log = pd.read_csv(folder / LOG)
    assert len(log) == 200
    assert log.reconstruction.iloc[-1] < 0.2 * log.reconstruction.iloc[0]
    assert log.dynamics.iloc[-1] < 0.9 * log.dynamics.max()


@pytest.mark.parametrize("settings", [SMALL, IDENTIFIED], ids=["paper", "identified"])
def test_killed_training_goes_on_to_the_same_weights(dataset, tmp_path, settings):
    settings = settings.replace(epochs=1000, width=64)
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
    broken.magnetization[0, 3] = 1e30  # its square is not finite
    with pytest.raises(Diverged, match=r"learning_rate = 0\.001: the loss is (inf|nan) in epoch 0") as e:
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


def test_values_that_are_not_finite_are_named(dataset):
    broken = dataset.copy(deep=True)
    broken.rate[1, 2, 3, 4] = np.nan
    with pytest.raises(InvalidSetting, match="the variable 'rate' holds values that are not finite"):
        load_frames(broken)
    assert load_frames(broken, np.array([True, False, True])).images.shape[0] == 2


def test_images_of_two_sizes_are_refused(dataset, tmp_path):
    small = dataset.isel(x=slice(0, 4)).assign_attrs(key="small")
    with pytest.raises(InvalidSetting, match=r"have images of \[\(6, 4\), \(6, 6\)\] pixels"):
        train([dataset.assign_attrs(key="whole"), small], SMALL, Store(tmp_path))


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


# Parts


COMBINATIONS = [
    {"encoder": "dense"},
    {"encoder": "dense", "modes": 12},
    {"encoder": "pod"},
    {"encoder": "convolutional", "width": 8},
    {"potential": "energy", "mobility": "pullback", "modes": 12},
    {"potential": "energy", "mobility": "learned", "encoder": "convolutional", "width": 8},
]


def built(parts: dict, images: torch.Tensor, **options) -> ReducedModel:
    settings = ModelSettings(latent=LATENT, **{"width": 16} | parts)
    model = ReducedModel(settings, (8, 8), {}, **options)
    model.fit(images)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return model.double()


@pytest.fixture
def images() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(20, 64) @ torch.randn(64, 64) / 8


@pytest.mark.parametrize("parts", COMBINATIONS, ids=lambda parts: "-".join(map(str, parts.values())))
def test_parts_compose_and_rates_are_derivatives(images, parts):
    model, x = built(parts, images), images[:5].double()
    rate, step = torch.randn(5, 64, dtype=torch.float64), 1e-6
    controls = torch.rand(5, 2, dtype=torch.float64)
    z = model.encode(x)
    assert z.shape == (5, LATENT)
    assert model.decode(z).shape == (5, 64)
    slope = (model.encode(x + step * rate) - model.encode(x - step * rate)) / (2 * step)
    torch.testing.assert_close(model.latent_rate(x, rate), slope, atol=1e-6, rtol=1e-5)
    motion = torch.randn(5, LATENT, dtype=torch.float64)
    moved = (model.decode(z + step * motion) - model.decode(z - step * motion)) / (2 * step)
    torch.testing.assert_close(model.image_rate(z, motion), moved, atol=1e-6, rtol=1e-5)
    # Whatever the mobility, the flow runs down the potential.
    descent = (model.velocity(z, controls) * model.slope(z, controls)).sum(-1)
    assert (descent < 0).all()


def test_curvature_is_the_derivative_of_the_slope(images):
    model = built({"potential": "energy"}, images)
    z, controls = torch.randn(4, LATENT).double(), torch.rand(4, 2).double()
    found = model.curvature(z, controls)
    shift = torch.zeros(LATENT, dtype=torch.float64)
    shift[1] = 1e-5
    column = (model.slope(z + shift, controls) - model.slope(z - shift, controls)) / 2e-5
    torch.testing.assert_close(found[:, :, 1], column, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found, found.mT)


def test_metric_is_one_where_the_decoder_keeps_lengths(images):
    model = built({"encoder": "pod"}, images)
    z = model.encode(images[:3].double())
    torch.testing.assert_close(model.metric(z), torch.eye(LATENT, dtype=torch.float64).expand(3, -1, -1))
    # A step of z is then the rms change of the image.
    step = torch.tensor([0.3, 0.0, 0.4], dtype=torch.float64)
    change = model.decode(z + step) - model.decode(z)
    assert change.square().mean(-1).sqrt().tolist() == pytest.approx([0.5] * 3)


def test_pullback_undoes_a_stretched_decoder(images):
    model = built({"mobility": "pullback", "encoder": "pod"}, images)
    plain = model.autoencoder.decode
    model.autoencoder.decode = lambda z: 2 * plain(z)  # G = 4
    z, controls = torch.randn(4, LATENT).double(), torch.rand(4, 2).double()
    torch.testing.assert_close(model.velocity(z, controls), -model.slope(z, controls) / 4)


def test_learned_mobility_is_symmetric_and_positive(images):
    model = built({"mobility": "learned"}, images)
    z = torch.randn(LATENT).double().expand(LATENT, -1)
    matrix = model.mobility(z, torch.eye(LATENT, dtype=torch.float64))
    torch.testing.assert_close(matrix, matrix.mT)
    assert (torch.linalg.eigvalsh(matrix) > 0).all()


def test_energy_potential_is_linear_in_the_field_and_grows(images):
    model = built({"potential": "energy"}, images, controls=3)
    z, alpha, further = torch.randn(6, LATENT).double(), torch.full((6, 1), 2.0), torch.rand(6, 1)
    values = [
        model.potential(z, torch.cat([alpha, torch.full((6, 1), h), further], 1).double())
        for h in (0.0, 1.0, 3.0)
    ]
    torch.testing.assert_close(values[2] - values[0], 3 * (values[1] - values[0]))
    torch.testing.assert_close(values[0] - values[1], model.potential_network.magnetization(z))
    other = model.potential(z, torch.cat([alpha, torch.zeros(6, 1), further + 1], 1).double())
    assert not torch.allclose(other, values[0])
    far = model.potential(1e4 * z, torch.cat([alpha, torch.ones(6, 1), further], 1).double())
    assert (far > 1e4).all()


def test_leading_modes_are_those_of_the_singular_value_decomposition(images):
    mean, basis = leading_modes(images, 5)
    exact = torch.linalg.svd(images - images.mean(0)).Vh[:5]
    torch.testing.assert_close(mean, images.mean(0))
    torch.testing.assert_close((exact @ basis).abs(), torch.eye(5), atol=1e-3, rtol=0)
    with pytest.raises(InvalidSetting, match="modes = 21: must be at most 20"):
        leading_modes(images, 21)


@pytest.mark.parametrize("kept", [0, 6])
def test_coordinates_measure_in_rms(images, kept):
    coordinates = Coordinates(64, kept)
    coordinates.fit(images)
    x = coordinates.of(images)
    back = coordinates.images(x)
    assert torch.allclose(coordinates.of(back), x, atol=1e-5)
    change = (back[1] - back[0]).square().mean().sqrt()
    assert (x[1] - x[0]).norm().item() == pytest.approx(change.item(), rel=1e-4)


def test_an_encoder_that_does_not_fit_is_refused():
    with pytest.raises(InvalidSetting, match="the sides 6 × 6 of an image must divide by 8"):
        ReducedModel(SMALL.replace(encoder="convolutional"), (6, 6), {})


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({"encoder": "convolutional", "modes": 40}, "modes = 40: must be 0 with a convolutional"),
        ({"modes": 8}, "latent = 32: must be at most modes = 8"),
        ({"loss": "identified"}, "potential = 'free': must be 'energy' or 'none' with the loss identified"),
        ({"arm": "best"}, "arm = 'best': input should be 'paper' or 'identified'"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(parts, line):
    with pytest.raises(InvalidSetting, match=line):
        ModelSettings.parse(parts)


def test_an_arm_is_a_choice_of_parts_that_can_be_changed():
    arm = ModelSettings(arm="identified")
    assert (arm.loss, arm.potential, arm.optimizer) == ("identified", "energy", "muon")
    assert ModelSettings(arm="identified", optimizer="adam").optimizer == "adam"


# The loss of the arm `identified`


class Bowl(torch.nn.Module):
    """V = |z|²/2·k + E₀, whose gradient flow is known."""

    def __init__(self, stiffness: float) -> None:
        super().__init__()
        self.stiffness = stiffness

    def magnetization(self, z):
        return z.sum(-1)

    def forward(self, z, controls):
        return self.stiffness * z.square().sum(-1) / 2


def relaxation(stiffness: float = 0.5) -> tuple[ReducedModel, FrameData]:
    """Films that relax in a bowl, and a model that knows their coordinates."""
    time_ = torch.linspace(0, 4, 21)
    start = torch.tensor([[1.0, 0.5], [-0.6, 0.8]])
    z = start[:, None] * torch.exp(-stiffness * time_)[None, :, None]
    basis = torch.linalg.qr(torch.randn(16, 2, generator=torch.Generator().manual_seed(0)))[0]
    images = 4 * z @ basis.T
    data = FrameData(
        images=images,
        rates=-stiffness * images,
        controls=torch.ones(2, 21, 2),
        time=time_.expand(2, -1),
        energy=stiffness * z.square().sum(-1) / 2,
    )
    model = ReducedModel(ModelSettings(arm="identified", encoder="pod", modes=0, latent=2), (4, 4), {})
    model.coordinates.mean, model.coordinates.basis = torch.zeros(16), basis
    model.potential_network = Bowl(stiffness)
    return model, data


def terms_of(model: ReducedModel, data: FrameData, seed: int = 0) -> dict[str, float]:
    frames, generator = Frames(model, [data]), torch.Generator().manual_seed(seed)
    batch = frames.batch(frames.first, generator)
    return {
        name: value.item() for name, (_, value) in identified_loss(model, frames, batch, generator).items()
    }


def test_identified_loss_vanishes_for_the_true_energy():
    model, data = relaxation()
    model.settings = model.settings.replace(state_noise=0.0)
    terms = terms_of(model, data)
    for name in ("reconstruction", "dynamics", "decoded", "isometry", "reference"):
        assert terms[name] < 1e-9, name


def test_identified_loss_sees_what_equation_two_leaves_free():
    model, data = relaxation()
    model.settings = model.settings.replace(state_noise=0.0)
    model.potential_network.forward = lambda z, controls: 0.25 * z.square().sum(-1) + 1.0
    assert terms_of(model, data)["reference"] == pytest.approx(1.0)  # the zero
    model.potential_network = Bowl(0.5)
    encode, decode = model.autoencoder.encode, model.autoencoder.decode
    model.autoencoder.encode, model.autoencoder.decode = lambda x: 2 * encode(x), lambda z: decode(z) / 2
    stretched = terms_of(model, data)
    assert stretched["isometry"] == pytest.approx((1 / 4 - 1) ** 2)  # the unit
    assert stretched["dynamics"] < 1e-9
    model, data = relaxation()
    model.potential_network = Bowl(-0.5)
    uphill = terms_of(model, data)
    assert min(uphill["dynamics"], uphill["decoded"]) > 1


def test_moment_is_held_to_the_mean_of_the_image():
    model, data = relaxation()
    z = model.encode(data.images)[:, :-1]
    expected = (z.sum(-1) - data.images.mean(-1)[:, :-1]).square().mean().item()
    assert expected > 0.01
    assert terms_of(model, data)["moment"] == pytest.approx(expected, rel=1e-4)


def test_noise_takes_the_slope_beside_the_state():
    """In a bowl the slope at a step ε off is off by k·ε, so the residual gains k²σ²."""
    model, data = relaxation()
    noise = 0.1
    model.settings = model.settings.replace(state_noise=noise)
    found = np.mean([terms_of(model, data, seed)["dynamics"] for seed in range(200)])
    whole = Frames(model, [data])
    scale = (whole.square[whole.first] + 0.3 * whole.mean_square).reciprocal().mean().item()
    assert found == pytest.approx(0.5**2 * noise**2 * scale, rel=0.1)


def test_frames_that_move_are_drawn_more_often():
    model, data = relaxation()
    frames = Frames(model, [data])
    drawn = torch.cat([frames.order(torch.Generator().manual_seed(seed)) for seed in range(50)])
    early, late = ((drawn % 21 == frame).sum().item() for frame in (0, 19))
    square = frames.square / frames.mean_square
    assert early / late == pytest.approx(((1 + square[0]) / (1 + square[19])).item(), rel=0.3)
    assert not (drawn % 21 == 20).any()  # the last frame has no next one


# Training


def test_training_stops_when_validation_no_longer_improves(dataset, tmp_path):
    settings = SMALL.replace(epochs=2000, patience=30, held={}, validation={"anisotropy": (2.0,)})
    log = pd.read_csv(train([dataset], settings, Store(tmp_path)) / LOG)
    checked = log.dropna(subset="validation")
    best = checked.epoch[checked.validation.idxmin()]
    assert len(log) < 2000
    assert log.epoch.iloc[-1] - best >= 30
    # What is kept are the weights of the best epoch: trained no further than that, they are the same.
    kept = load_model(train([dataset], settings, Store(tmp_path)))
    frames = Frames(kept, [load_frames(dataset, np.array([False, True, False]))])
    assert _validation(kept, frames) == pytest.approx(checked.validation.min(), rel=1e-6)


def test_a_loss_that_rises_a_thousandfold_stops_and_keeps_the_checkpoint(dataset, tmp_path, monkeypatch):
    plain, calls = LOSSES["paper"], []

    def rising(*arguments):
        calls.append(1)
        factor = 1e6 if len(calls) > 23 else 1.0
        return {name: (factor * weight, term) for name, (weight, term) in plain(*arguments).items()}

    monkeypatch.setitem(LOSSES, "paper", rising)
    with pytest.raises(Diverged, match=r"the loss is \d.* in epoch 23; a smaller rate is needed"):
        train([dataset], SMALL.replace(epochs=40), Store(tmp_path))
    assert not list(tmp_path.glob("store/train/*"))
    kept = pd.read_csv(next(tmp_path.glob("partial/*/training.csv")))
    assert len(kept) == 20
    # The checkpoint is good: with a loss that behaves, training goes on from it to the end.
    monkeypatch.setitem(LOSSES, "paper", plain)
    assert len(pd.read_csv(train([dataset], SMALL.replace(epochs=40), Store(tmp_path)) / LOG)) == 40


def test_members_differ_in_their_seed_alone(dataset, tmp_path):
    path, store = tmp_path / "data.zarr", Store(tmp_path / "runs")
    dataset.to_zarr(path, consolidated=False)
    folders = train_members([path], SMALL, 2, store, workers=2)
    models = [load_model(folder) for folder in folders]
    assert [model.settings.member for model in models] == [0, 1]
    alone = load_model(train_members([path], SMALL.replace(member=1), 1, Store(tmp_path / "alone"))[0])
    for name, weight in models[1].state_dict().items():
        torch.testing.assert_close(weight, alone.state_dict()[name], atol=1e-4, rtol=1e-3)


def test_the_identified_arm_needs_the_energy(dataset, tmp_path):
    with pytest.raises(InvalidSetting, match="the variable 'energy' is missing"):
        train([dataset.drop_vars("energy")], IDENTIFIED, Store(tmp_path))


def test_further_controls_are_read(dataset):
    heated = dataset.assign(temperature=("run", [0.1, 0.2, 0.3])).assign_attrs(controls=["temperature"])
    controls = load_frames(heated).controls
    assert controls.shape == (3, 11, 3)
    assert controls[1, :, 2].tolist() == pytest.approx([0.2] * 11)


def test_splits_know_fields_that_are_no_sweep_and_ranges(dataset):
    seen = {"anisotropy": [1.0, 3.0], "sample": [0], "sweep_rate": [0.1, 0.3]}

    def names(table=None, **changes):
        data = dataset.assign_coords({k: ("run", v) for k, v in changes.items()})
        if table:
            data = data.assign_attrs(settings=json.dumps({"field_table": table}))
        return split_names(data, SMALL, seen).tolist()

    assert names(sweep_rate=[0.1] * 3, anisotropy=[0.5, 2.0, 4.0]) == [
        "beyond_anisotropy",
        "new_anisotropy",
        "beyond_anisotropy",
    ]
    assert names(anisotropy=[1.0] * 3, sweep_rate=[0.05, 0.2, 0.4]) == [
        "beyond_sweep_rate",
        "new_sweep_rate",
        "beyond_sweep_rate",
    ]
    assert names([[0, 1], [5, 1], [5, 0], [9, 0]], sweep_rate=[0.0] * 3) == ["field_step", "", "field_step"]
    assert names([[0, 1], [5, 0.4], [9, 0.4]], sweep_rate=[0.0] * 3) == ["field_hold", "", "field_hold"]
    noisy = json.dumps({"field_table": [[0, 0], [9, 0]], "system": {"start": "random"}})
    films = dataset.assign_attrs(settings=noisy).assign_coords(sweep_rate=("run", [0.0] * 3))
    assert split_names(films, SMALL, seen).tolist() == ["random_start", "", "random_start"]
