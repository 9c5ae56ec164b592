"""Eq. (2) to the letter, and the loss of the arm `identified` where all is known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nrp.reduction import FrameData, ModelSettings, ReducedModel, load_frames
from nrp.reduction.losses import TrainingFrames, identified_loss, paper_loss, whole_rollouts


class Bowl(torch.nn.Module):
    """V = |z|²/2·k + E₀, whose gradient flow is known."""

    def __init__(self, stiffness: float) -> None:
        super().__init__()
        self.stiffness = stiffness

    def magnetization(self, z, controls):
        return z.sum(-1)

    def forward(self, z, controls):
        return self.stiffness * z.square().sum(-1) / 2


PARTS = {
    "arm": "identified",
    "encoder": "pod",
    "modes": 0,
    "latent": 2,
    "rollout_frames": 0,
    "rollout_noise": 0.0,
}


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
    model = ReducedModel(ModelSettings.parse(PARTS), (4, 4), {})
    model.coordinates.mean, model.coordinates.basis = torch.zeros(16), basis
    model.potential_network = Bowl(stiffness)
    return model, data


def terms_of(model: ReducedModel, data: FrameData, seed: int = 0) -> dict[str, float]:
    frames, generator = TrainingFrames(model, [data]), torch.Generator().manual_seed(seed)
    batch = frames.batch(frames.first, generator)
    return {
        name: value.item() for name, (_, value) in identified_loss(model, frames, batch, generator).items()
    }


def test_loss_is_equation_two_to_the_letter(blob):
    model, data = ReducedModel(ModelSettings(latent=3, width=16), (6, 6), {}), load_frames(blob)
    frames = TrainingFrames(model, [data])
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
    whole = TrainingFrames(model, [data])
    scale = (whole.square[whole.first] + 0.3 * whole.mean_square).reciprocal().mean().item()
    assert found == pytest.approx(0.5**2 * noise**2 * scale, rel=0.1)


def test_frames_that_move_are_drawn_more_often():
    model, data = relaxation()
    frames = TrainingFrames(model, [data])
    drawn = torch.cat([frames.order(torch.Generator().manual_seed(seed)) for seed in range(50)])
    early, late = ((drawn % 21 == frame).sum().item() for frame in (0, 19))
    square = frames.square / frames.mean_square
    assert early / late == pytest.approx(((1 + square[0]) / (1 + square[19])).item(), rel=0.3)
    assert not (drawn % 21 == 20).any()  # the last frame has no next one


def followed(model: ReducedModel, data: FrameData, **changes: object) -> dict[str, float]:
    model.settings = model.settings.replace(rollout_frames=5, **changes)
    return terms_of(model, data)


def test_the_flow_of_the_true_energy_arrives(monkeypatch):
    model, data = relaxation()
    monkeypatch.setattr(Bowl, "gradient", lambda bowl, z, controls: bowl.stiffness * z, raising=False)
    assert followed(model, data)["rollout"] < 1e-5
    assert whole_rollouts(model, TrainingFrames(model, [data, data])) < 1e-3
    model.potential_network = Bowl(0.0)
    # A state that stays is as far off after n frames as the film has gone.
    frames = TrainingFrames(model, [data])
    whole = frames.x[frames.by_run[0]]
    apart = (whole[:, :1] - whole[:, 1:]).square().sum(dim=2)
    assert whole_rollouts(model, frames) == pytest.approx(
        (apart.sqrt().mean() / frames.variance.sqrt()).item(), rel=1e-5
    )
    assert followed(model, data)["rollout"] > 0.01


def test_noise_at_the_start_decays_in_a_bowl(monkeypatch):
    """A step σ off the state is off by σ exp(−k t) later, on average over the frames that count."""
    model, data = relaxation()
    monkeypatch.setattr(Bowl, "gradient", lambda bowl, z, controls: bowl.stiffness * z, raising=False)
    model.settings = model.settings.replace(rollout_frames=5, rollout_noise=0.1)
    found = np.mean([terms_of(model, data, seed)["rollout"] for seed in range(200)])
    variance = TrainingFrames(model, [data]).variance.item()
    decay = np.exp(-2 * 0.5 * 0.2 * np.arange(1, 6)).mean()
    assert found == pytest.approx(0.1**2 * decay / variance, rel=0.05)


def test_the_flow_sees_the_field_between_the_frames(monkeypatch):
    """Where ż = h and h is a straight line, z gains the mean field of each interval."""
    model, data = relaxation()
    field = data.time.square() + 1
    data.controls[..., 1] = field
    push = lambda bowl, z, controls: -controls[..., 1:2].expand_as(z)  # noqa: E731
    monkeypatch.setattr(Bowl, "gradient", push, raising=False)
    gain = torch.cumsum((field[:, 1:] + field[:, :-1]) / 2 * data.intervals, dim=1)[..., None]
    frames = TrainingFrames(model, [data])
    x = frames.x[frames.by_run[0]]
    z = model.autoencoder.encode(x)

    def error(gain: torch.Tensor) -> float:
        apart = (z[:, :1] + gain - z[:, 1:]).square().sum(dim=2).sqrt().mean()
        return (apart / frames.variance.sqrt()).item()

    found = whole_rollouts(model, frames)
    assert found == pytest.approx(error(gain), rel=5e-3)  # the rule begins with one step of Euler's
    # With the field of each frame for the whole interval it would be some per cent less.
    behind = torch.cumsum(field[:, :-1] * data.intervals, dim=1)[..., None]
    assert error(behind) < 0.97 * found


def test_the_equation_of_the_book_has_the_weights_of_the_loss():
    text = (Path(__file__).parents[1] / "chapters" / "05_reduced_potential.md").read_text(encoding="utf-8")
    equation = text[text.index(":label: eq-identified") :].partition(":::")[0]
    settings = ModelSettings(arm="identified")
    model, data = relaxation()
    frames, generator = TrainingFrames(model, [data]), torch.Generator().manual_seed(0)
    terms = identified_loss(model, frames, frames.batch(frames.first, generator), generator)
    assert r"250\,\big" in equation
    assert terms["reconstruction"][0] == 250
    assert rf"{settings.decoded_weight:g}\,\Big\langle \frac{{\|\dot x - J v\|^2}}" in equation
    assert equation.count(rf"{settings.energy_weight:g}\,\big") == 2
    assert rf"{settings.rollout_weight:g}\,\Big\langle \log" in equation
    assert rf"i \le {settings.rollout_frames}" in equation
    assert settings.dynamics_weight == settings.isometry_weight == 1  # which it does not print
