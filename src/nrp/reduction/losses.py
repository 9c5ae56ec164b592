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
from nrp.reduction.networks import EnergyPotential

_REFERENCES = 16
"""Saturated states that each batch is tied to."""
_PRECISION = 250.0
"""Weight of the squared error of an image: an rms of 0.02 weighs 0.1, as a relative residual of 0.3 does."""
_EXACT = 1000.0
"""Weight of squared errors of V at saturation and of M, which are known."""
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

        self.settings = model.settings
        self.x = flat(lambda part: model.coordinates.of(part.images))
        self.rate = flat(lambda part: model.coordinates.of_rate(part.rates))
        self.mean = flat(lambda part: part.images.mean(dim=2))
        self.controls = flat(lambda part: part.controls)
        self.energy = flat(lambda part: part.energy)
        self.interval = flat(lambda part: functional.pad(part.intervals, (0, 1)))
        self.first = self.interval.nonzero().squeeze(1)
        """Places of the frames with a next one."""
        number = flat(lambda part: torch.arange(part.time.shape[1]).expand(part.time.shape))
        self.begin = (number == 0).nonzero().squeeze(1)
        """Places of the first frame of each run, where the film is saturated."""
        self.square = self.rate.square().sum(dim=1)
        self.mean_square = self.square.mean()

    def order(self, generator: torch.Generator) -> Int[Tensor, " frame"]:
        """Return the places of an epoch: each once, or as many drawn by how much moves there."""
        if not self.settings.by_motion:
            return self.first[torch.randperm(len(self.first), generator=generator)]
        weight = 1 + (self.square[self.first] / self.mean_square).clamp(max=_LONGEST)
        return self.first[torch.multinomial(weight, len(weight), replacement=True, generator=generator)]

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
    if settings.potential == "none":
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
    }


def _down_the_potential(model: ReducedModel, z: Tensor, noise: Tensor, batch: Batch) -> tuple[Tensor, Terms]:
    """Return −∂V/∂z in the states of a batch, and the terms that tie V to what is known of the energy."""
    count = len(batch.x)
    controls = torch.cat([batch.controls, batch.reference_controls])

    def value(state: Tensor) -> tuple[Tensor, Tensor]:
        potential = model.potential(state, controls)
        return potential.sum(), potential

    slope, potential = torch.func.grad(value, has_aux=True)(z + noise)
    error = potential[count:] - batch.reference_energy
    network = cast(EnergyPotential, model.potential_network)  # this loss goes with no other
    moment = network.magnetization(z[:count]) - batch.mean
    known = {"reference": (_EXACT, error.square().mean()), "moment": (_EXACT, moment.square().mean())}
    return -slope[:count], known


LOSSES: dict[str, Callable[[ReducedModel, TrainingFrames, Batch, torch.Generator], Terms]] = {
    "paper": paper_loss,
    "identified": identified_loss,
}
