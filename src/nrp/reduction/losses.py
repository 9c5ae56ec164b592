"""Losses: the paper's Eq. (2), and one that leaves less free."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from nrp.reduction.data import FrameData
from nrp.reduction.model import ReducedModel
from nrp.reduction.potentials import GrowingPotential

_REFERENCES = 16
"""Saturated states that each batch is tied to."""
_PRECISION = 250.0
"""Weight of the squared error of an image: an rms of 0.02 weighs 0.1, as a relative residual of 0.3 does."""
_LONGEST = 10.0
"""Cap on the squared rate, in units of its mean, where frames are drawn by their motion."""


class Batch(NamedTuple):
    """Frames by their coordinates, and saturated states of known energy."""

    x: Float[Tensor, "batch coordinate"]
    following: Float[Tensor, "batch coordinate"]
    rate: Float[Tensor, "batch coordinate"]
    interval: Float[Tensor, " batch"]
    controls: Float[Tensor, "batch control"]
    mean: Float[Tensor, " batch"]
    reference: Float[Tensor, "reference coordinate"]
    reference_controls: Float[Tensor, "reference control"]
    reference_energy: Float[Tensor, " reference"]


class TrainingFrames:
    """All frames of some runs as tensors that stay in memory, in the fitted coordinates of a model.

    Every frame but the last of a run is one of them; the last has no next one.
    """

    def __init__(self, model: ReducedModel, parts: list[FrameData]) -> None:
        def flat(values: Callable[[FrameData], Tensor]) -> Tensor:
            return torch.cat([values(part).flatten(0, 1) for part in parts])

        self.settings, parts = model.settings, [model.seen(part) for part in parts]
        self.x = flat(lambda part: model.coordinates.of(part.images))
        self.rate = flat(lambda part: model.coordinates.of_rate(part.rates))
        self.mean = flat(lambda part: part.images.mean(dim=2))
        self.controls = flat(lambda part: part.controls)
        self.energy = flat(lambda part: part.energy)
        self.interval = flat(lambda part: functional.pad(part.intervals, (0, 1)))
        self.first = self.interval.nonzero().squeeze(1)
        """Places of the frames with a next one."""
        sizes = [part.time.shape for part in parts]
        places = torch.arange(len(self.x)).split([math.prod(size) for size in sizes])
        self.by_run = [place.reshape(size) for place, size in zip(places, sizes, strict=True)]
        """Places of the frames (run, frame), for each part."""
        self.begin = torch.cat([runs[:, 0] for runs in self.by_run])
        """Places of the first frame of each run, where the film is saturated."""
        far = self.settings.rollout_frames
        self.starts = torch.cat([runs[:, : max(runs.shape[1] - far, 0)].flatten() for runs in self.by_run])
        """Places of the frames from which the flow can be followed far enough."""
        self.square = self.rate.square().sum(dim=1)
        self.mean_square = self.square.mean()
        self.variance = (self.x - self.x.mean(dim=0)).square().sum(dim=1).mean()

    def order(self, generator: torch.Generator) -> Int[Tensor, " frame"]:
        """Return the places of an epoch: each once, or as many drawn by how much moves there."""
        if not self.settings.by_motion:
            return self.first[torch.randperm(len(self.first), generator=generator)]
        return self.drawn(self.first, len(self.first), generator)

    def drawn(
        self, places: Int[Tensor, " place"], count: int, generator: torch.Generator
    ) -> Int[Tensor, " draw"]:
        """Return some of these places, more often those where more moves if frames are drawn by motion."""
        if not self.settings.by_motion:
            return places[torch.randint(len(places), (count,), generator=generator)]
        weight = 1 + (self.square[places] / self.mean_square).clamp(max=_LONGEST)
        return places[torch.multinomial(weight, count, replacement=True, generator=generator)]

    def batch(self, places: Int[Tensor, " batch"], generator: torch.Generator) -> Batch:
        """Return the frames at these places, and saturated states drawn at random."""
        some = self.begin[torch.randint(len(self.begin), (_REFERENCES,), generator=generator)]
        return Batch(
            self.x[places],
            self.x[places + 1],
            self.rate[places],
            self.interval[places],
            self.controls[places],
            self.mean[places],
            self.x[some],
            self.controls[some],
            self.energy[some],
        )


Terms = dict[str, tuple[float, Tensor]]
"""The terms of a loss by name, each with its weight and its mean over a batch."""


def paper_loss(
    model: ReducedModel, frames: TrainingFrames, batch: Batch, generator: torch.Generator
) -> Terms:
    """Return ‖X − X̂‖₂ and ‖dz/dt + ∂V/∂z‖₂ of Eq. (2), Euclidean norms that are not squared.

    dz/dt is the difference of the encodings of two neighbouring frames over the time between them.
    """
    autoencoder = model.autoencoder
    z, z_next = autoencoder.encode(torch.stack([batch.x, batch.following]))
    z_rate = (z_next - z) / batch.interval[:, None]
    reconstruction = model.coordinates.unit * (batch.x - autoencoder.decode(z)).norm(dim=1).mean()
    dynamics = (z_rate - model.velocity(z, batch.controls)).norm(dim=1).mean()
    return {"reconstruction": (1.0, reconstruction), "dynamics": (model.settings.dynamics_weight, dynamics)}


def identified_loss(
    model: ReducedModel, frames: TrainingFrames, batch: Batch, generator: torch.Generator
) -> Terms:
    """Return the terms of a loss in units of the image and of its energy per area.

    With the exact ż = J_E φ_t, by a forward-mode product:

    - ``reconstruction``: ‖x − x̂‖², in rms image units;
    - ``dynamics``: the residual ‖ż − v‖² of the model's v = −∂V/∂z, relative to the squared rate;
    - ``decoded``: the same in image units, ‖φ_t − J_D v‖²; it does not change when z is rescaled;
    - ``isometry``: (‖J_D u‖² − 1)² for unit vectors u, random and along ż, which makes a step in z an rms
      image change (Gropp, Atzmon and Lipman, Isometric autoencoders, 2020);
    - ``reference``: the error of V in the saturated state in which the run begins, whose energy per area is
      known;
    - ``moment``: the error of M(z) = −∂V/∂h against the mean magnetization of the image.

    A free field, which has no V, goes without the last two.

    With `state_noise` the slope is taken at random steps off the state, and still held to the rate at the
    state.  That flattens V across the trajectories, of which the data say nothing: a choice, no finding.

    Relative means over ‖φ_t‖² plus 0.3 times its mean over all frames, so that neither rest nor bursts decide
    alone.
    """
    settings, count = model.settings, len(batch.x)
    at_rest = torch.zeros_like(batch.reference)
    z, z_rate = model.autoencoder.push_encode(
        torch.cat([batch.x, batch.reference]), torch.cat([batch.rate, at_rest])
    )
    noise = settings.state_noise / math.sqrt(z.shape[1]) * torch.randn(z.shape, generator=generator)
    noise[count:] = 0.0
    known: Terms = {}
    if settings.potential != "energy" or not settings.energy_weight:
        velocity = model.velocity((z + noise)[:count], batch.controls)
    else:
        velocity, known = _down_the_potential(model, z, noise, batch)
    z, z_rate = z[:count], z_rate[:count]
    some = z[: -(-count // 4)]
    # Half of the directions are those of the motion, in which the length matters most.
    direction = torch.randn(some.shape, generator=generator)
    half = len(some) // 2
    direction = torch.cat([z_rate[:half].detach(), direction[half:]])
    direction = direction / direction.norm(dim=1, keepdim=True).clamp(min=1e-6)
    decoded, moved = model.autoencoder.push_decode(torch.cat([z, some]), torch.cat([velocity, direction]))
    scale = batch.rate.square().sum(dim=1) + 0.3 * frames.mean_square
    stretch, off = moved[count:].square().sum(dim=1), batch.rate - moved[:count]
    return {
        "reconstruction": (_PRECISION, (batch.x - decoded[:count]).square().sum(dim=1).mean()),
        "dynamics": (settings.dynamics_weight, ((z_rate - velocity).square().sum(dim=1) / scale).mean()),
        "decoded": (settings.decoded_weight, (off.square().sum(dim=1) / scale).mean()),
        "isometry": (settings.isometry_weight, (stretch - 1).square().mean()),
        **known,
        **(_followed(model, frames, generator) if settings.rollout_frames else {}),
    }


def _followed(model: ReducedModel, frames: TrainingFrames, generator: torch.Generator) -> Terms:
    """Return the term of the flow that is followed over some frames from states beside the runs.

    The squared errors of the images at all frames are relative to the variance of all training frames.
    """
    settings, length = model.settings, model.settings.rollout_frames
    # Drawn by what moves half-way, where most of it lies behind the start.
    middle = length // 2
    chosen = frames.drawn(frames.starts + middle, settings.rollout_starts, generator) - middle
    window = chosen[:, None] + torch.arange(length + 1)
    truth = frames.x[window]
    z = model.autoencoder.encode(truth[:, 0])
    z = z + settings.rollout_noise / math.sqrt(z.shape[1]) * torch.randn(z.shape, generator=generator)
    states = _flow(model, z, frames.controls[window], frames.interval[window])
    missed = model.autoencoder.decode(states) - truth[:, 1:]
    # By the logarithm one flow that runs away does not push the weights further than many that do not.
    error = (missed.square().sum(dim=2) / frames.variance).log1p().mean()
    return {"rollout": (settings.rollout_weight, error)}


def whole_rollouts(model: ReducedModel, frames: TrainingFrames) -> float:
    """Return the error of the flow followed through whole runs from their first frames.

    It is the mean over frames of the rms error of the image, in units of the deviation of these images.
    """
    errors = []
    for runs in frames.by_run:
        truth = frames.x[runs]
        with torch.no_grad():
            z = model.autoencoder.encode(truth[:, 0])
            guess = model.autoencoder.decode(_flow(model, z, frames.controls[runs], frames.interval[runs]))
        errors.append((guess - truth[:, 1:]).square().sum(dim=2).sqrt().flatten())
    return float(torch.cat(errors).nan_to_num(nan=torch.inf).mean() / frames.variance.sqrt())


def _flow(
    model: ReducedModel,
    z: Float[Tensor, "start latent"],
    controls: Float[Tensor, "start frame control"],
    interval: Float[Tensor, "start frame"],
) -> Float[Tensor, "start later latent"]:
    """Follow ż = −∂V/∂z from the first frames on, and return the states at the later ones.

    By two steps of the Adams–Bashforth rule of second order from frame to frame, which look at the slope once
    each, with controls in straight lines between them.
    """
    states, before = [], None
    for frame in range(controls.shape[1] - 1):
        half = interval[:, frame, None] / 2
        for share in (0.0, 0.5):
            slope = model.velocity(z, torch.lerp(controls[:, frame], controls[:, frame + 1], share))
            z = z + half * (slope if before is None else 1.5 * slope - 0.5 * before)
            before = slope
        states.append(z)
    return torch.stack(states, dim=1)


def _down_the_potential(model: ReducedModel, z: Tensor, noise: Tensor, batch: Batch) -> tuple[Tensor, Terms]:
    """Return −∂V/∂z in the states of a batch, and the terms that tie V to what is known of the energy."""
    count = len(batch.x)
    controls = torch.cat([batch.controls, batch.reference_controls])

    def value(state: Tensor) -> tuple[Tensor, Tensor]:
        potential = model.potential(state, controls)
        return potential.sum(), potential

    slope, potential = torch.func.grad(value, has_aux=True)(z + noise)
    error = potential[count:] - batch.reference_energy
    network = cast(GrowingPotential, model.potential_network)  # this loss goes with no other
    moment = network.magnetization(z[:count], batch.controls) - batch.mean
    errors = {"reference": error, "moment": moment}
    weight = model.settings.energy_weight
    return -slope[:count], {name: (weight, each.square().mean()) for name, each in errors.items()}


LOSSES: dict[str, Callable[[ReducedModel, TrainingFrames, Batch, torch.Generator], Terms]] = {
    "paper": paper_loss,
    "identified": identified_loss,
}
