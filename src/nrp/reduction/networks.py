"""The parts of a model: maps between image and latent state, potentials, and a free field.

The dense networks are residual with orthogonal weights at the start, in the manner of the pixel Hamiltonian
network (Greydanus, Dzamba and Yosinski, Hamiltonian neural networks, 2019).  The paper says nothing of its
layers; these are the closest public relatives.

An image enters by its coordinates x, whose Euclidean norm is the rms of the pixels (see
`nrp.reduction.coordinates`).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from nrp.reduction.coordinates import one_thread

GAIN = 3.0
"""Latent states in rms image units are small; networks see them so many times larger."""


class ResidualMLP(nn.Module):
    """Three hidden tanh layers, the second and third residual, and a linear output."""

    def __init__(self, inputs: int, width: int, outputs: int, *, last: float = 1.0) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, width)
        self.last = nn.Linear(width, outputs)
        _orthogonal(self)
        with torch.no_grad():
            self.last.weight *= last

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Map the last axis from inputs to outputs."""
        hidden = torch.tanh(self.first(x))
        hidden = hidden + torch.tanh(self.second(hidden))
        hidden = hidden + torch.tanh(self.third(hidden))
        return self.last(hidden)

    def push(
        self, x: Float[Tensor, "*batch inputs"], rate: Float[Tensor, "*batch inputs"]
    ) -> tuple[Float[Tensor, "*batch outputs"], Float[Tensor, "*batch outputs"]]:
        """Return the output and its derivative along a rate of the input.

        The same as `torch.func.jvp`, and 1.6 times faster with its backward pass.
        """
        hidden = torch.tanh(self.first(x))
        moved = (1 - hidden.square()) * functional.linear(rate, self.first.weight)
        for layer in (self.second, self.third):
            added = torch.tanh(layer(hidden))
            moved = moved + (1 - added.square()) * functional.linear(moved, layer.weight)
            hidden = hidden + added
        return self.last(hidden), functional.linear(moved, self.last.weight)

    def gradient(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch inputs"]:
        """Return the gradient of the single output, as a forward pass; the same as by a backward pass."""
        first = torch.tanh(self.first(x))
        second = torch.tanh(self.second(first))
        third = torch.tanh(self.third(first + second))
        back = self.last.weight[0].expand_as(first)
        for layer, hidden in ((self.third, third), (self.second, second)):
            back = back + ((1 - hidden.square()) * back) @ layer.weight
        return ((1 - first.square()) * back) @ self.first.weight


class Autoencoder(nn.Module):
    """Coordinates x of an image ↔ latent states z; as it is, z is x: POD with as many modes."""

    def fit(self, x: Float[Tensor, "image coordinate"]) -> None:
        """Take what is fixed before training from the coordinates of the training images."""

    def encode(self, x: Float[Tensor, "*batch coordinate"]) -> Float[Tensor, "*batch latent"]:
        """Return z = E(x)."""
        return x

    def decode(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch coordinate"]:
        """Return x̂ = D(z)."""
        return z

    def push_encode(self, x: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and ż = J_E ẋ."""
        return torch.func.jvp(self.encode, (x,), (rate,))[:2]

    def push_decode(self, z: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Return x̂ and its rate J_D ż."""
        return torch.func.jvp(self.decode, (z,), (rate,))[:2]


class DenseAutoencoder(Autoencoder):
    """Two dense networks, that see the pixels (the paper's arm) or POD coefficients.

    Coefficients come in order of their importance; there the networks have a linear part besides, which
    begins as the leading modes, so that the map begins isometric, and each coefficient is scaled by a power
    of its deviation, so that the small ones are neither lost nor drowned in steps meant for the large.
    """

    def __init__(self, coordinates: int, latent: int, width: int, *, pixels: bool) -> None:
        super().__init__()
        last = 1.0 if pixels else 0.1
        self.encoder = ResidualMLP(coordinates, width, latent, last=last)
        self.decoder = ResidualMLP(latent, width, coordinates, last=last)
        # Pixels reach the network as they are.
        self.register_buffer("inner", torch.full((coordinates,), math.sqrt(coordinates)))
        self.register_buffer("outer", 1 / self.inner)
        self.register_buffer("state", torch.ones(latent))
        self.to_latent = None if pixels else nn.Parameter(torch.eye(latent, coordinates))
        self.from_latent = None if pixels else nn.Parameter(torch.eye(coordinates, latent))

    def fit(self, x: Float[Tensor, "image coordinate"]) -> None:
        """Take the scales of the coefficients from these."""
        if self.to_latent is not None:
            deviation = x.square().mean(dim=0).sqrt()
            self.outer = (deviation / deviation[0]).sqrt()
            self.inner = GAIN / self.outer
            self.state = self.inner[: len(self.state)].clone()

    def encode(self, x: Float[Tensor, "*batch coordinate"]) -> Float[Tensor, "*batch latent"]:
        """Return z = E(x)."""
        return _plus_linear(self.encoder(self.inner * x), x, self.to_latent)

    def decode(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch coordinate"]:
        """Return x̂ = D(z)."""
        return _plus_linear(self.outer * self.decoder(self.state * z), z, self.from_latent)

    def push_encode(self, x: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and ż = J_E ẋ."""
        z, moved = self.encoder.push(self.inner * x, self.inner * rate)
        return _plus_linear(z, x, self.to_latent), _plus_linear(moved, rate, self.to_latent)

    def push_decode(self, z: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Return x̂ and its rate J_D ż."""
        x, moved = (self.outer * part for part in self.decoder.push(self.state * z, self.state * rate))
        return _plus_linear(x, z, self.from_latent), _plus_linear(moved, rate, self.from_latent)


def _plus_linear(output: Tensor, of: Tensor, matrix: Tensor | None) -> Tensor:
    """Return the output of a network with the linear part of its input, if there is such a part."""
    return output if matrix is None else output + functional.linear(of, matrix)


class FreePotential(nn.Module):
    """V(z, α, h): two hidden tanh layers and a sum without constant, which no gradient could fix."""

    def __init__(self, latent: int, controls: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(latent + controls, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 1, bias=False)
        _orthogonal(self)

    def forward(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch"]:
        """Return V for each state."""
        hidden = torch.tanh(self.first(torch.cat([z, controls], dim=-1)))
        return self.last(torch.tanh(self.second(hidden))).squeeze(-1)

    def gradient(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return ∂V/∂z, as a forward pass."""
        first = torch.tanh(self.first(torch.cat([z, controls], dim=-1)))
        second = torch.tanh(self.second(first))
        back = ((1 - second.square()) * self.last.weight[0]) @ self.second.weight
        return ((1 - first.square()) * back) @ self.first.weight[:, : z.shape[-1]]


class GrowingPotential(nn.Module):
    """V = U(z, α, h) − h·M, which grows at infinity: networks, whose values are bounded, and a parabola.

    The field h is the second control.  Where V is linear in it, U is a function of z and all other controls;
    M is one of z alone, as the mean magnetization of an image is, or of the other controls besides.

    Parameters
    ----------
    form
        ``energy`` (U(z, α) − h·M(z)), ``linear`` (U(z, α) − h·M(z, α)) or ``growing`` (U(z, α, h), no M).
    """

    def __init__(self, latent: int, controls: int, width: int, form: str) -> None:
        super().__init__()
        others = [i for i in range(controls) if i != 1]
        self.in_energy = list(range(controls)) if form == "growing" else others
        self.in_moment = others if form == "linear" else []
        self.network = ResidualMLP(latent + len(self.in_energy), width, 1, last=0.1)
        self.growth = nn.Parameter(torch.tensor(-3.0))
        self.moment: ResidualMLP | None = None
        if form != "growing":
            self.moment = ResidualMLP(latent + len(self.in_moment), width // 2, 1, last=0.1)
            self.slope = nn.Parameter(torch.zeros(latent))

    def magnetization(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch"]:
        """Return M = −∂V/∂h, where V is linear in h."""
        assert self.moment is not None
        state = torch.cat([GAIN * z, controls[..., self.in_moment]], dim=-1)
        return self.moment(state).squeeze(-1) + z @ self.slope

    def forward(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch"]:
        """Return V for each state."""
        state = torch.cat([GAIN * z, controls[..., self.in_energy]], dim=-1)
        value = self.network(state).squeeze(-1) + self._stiffness / 2 * z.square().sum(-1)
        return value if self.moment is None else value - controls[..., 1] * self.magnetization(z, controls)

    def gradient(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return ∂V/∂z."""
        latent = z.shape[-1]
        state = torch.cat([GAIN * z, controls[..., self.in_energy]], dim=-1)
        gradient = GAIN * self.network.gradient(state)[..., :latent] + self._stiffness * z
        if self.moment is None:
            return gradient
        state = torch.cat([GAIN * z, controls[..., self.in_moment]], dim=-1)
        tilt = GAIN * self.moment.gradient(state)[..., :latent] + self.slope
        return gradient - controls[..., 1:2] * tilt

    @property
    def _stiffness(self) -> Tensor:
        return functional.softplus(self.growth)


class FreeField(nn.Module):
    """F(z, α, h), the velocity itself, which need not be the slope of any potential."""

    def __init__(self, latent: int, controls: int, width: int, *, gain: float) -> None:
        super().__init__()
        self.gain = gain
        self.network = ResidualMLP(latent + controls, width, latent, last=0.1)

    def forward(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return ż for each state."""
        return self.network(torch.cat([self.gain * z, controls], dim=-1))


def _orthogonal(module: nn.Module) -> None:
    with one_thread():
        for part in module.modules():
            if isinstance(part, nn.Linear):
                nn.init.orthogonal_(part.weight)
