"""Networks: a residual one with its derivatives, and maps between image and latent state.

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
        make_orthogonal(self)
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

    def gradient(
        self, x: Float[Tensor, "*batch inputs"], weights: Float[Tensor, "*batch outputs"] | None = None
    ) -> Float[Tensor, "*batch inputs"]:
        """Return the gradient of the outputs' weighted sum, or of a single output, as a forward pass."""
        if weights is None:
            weights = x.new_ones(*x.shape[:-1], 1)
        layers = (self.first, self.second, self.third)
        parts = [*(part for layer in layers for part in (layer.weight, layer.bias)), self.last.weight]
        if torch.is_grad_enabled():
            return _Gradient.apply(x, weights, *parts)[0]
        # The bookkeeping for a further derivative would take as long as the rest.
        return _Gradient.forward(x, weights, *parts)[0]


class _Gradient(torch.autograd.Function):
    """The gradient of a `ResidualMLP`, whose own backward pass is written out: twice as fast as torch's.

    With tₙ = tanh aₙ, dₙ = 1 − tₙ² and the layers aₙ = hₙ₋₁Wₙᵀ + bₙ it is g = q₁W₁, where qₙ = dₙpₙ,
    p₁ = p₂ + q₂W₂, p₂ = p₃ + q₃W₃ and p₃ = weights·W.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x, weights, *parts):
        """Return the gradient, and what the backward pass needs."""
        w1, b1, w2, b2, w3, b3, w = parts
        t1 = torch.tanh(functional.linear(x, w1, b1))
        t2 = torch.tanh(functional.linear(t1, w2, b2))
        t3 = torch.tanh(functional.linear(t1 + t2, w3, b3))
        p3 = weights @ w
        p2 = p3 + (p3 - t3 * t3 * p3) @ w3
        p1 = p2 + (p2 - t2 * t2 * p2) @ w2
        return (p1 - t1 * t1 * p1) @ w1, t1, t2, t3, p1, p2, p3

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep the activations."""
        x, weights, w1, _, w2, _, w3, _, w = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(x, weights, w1, w2, w3, w, *output[1:])

    @staticmethod
    def backward(ctx, g, *_):
        """Return the derivatives by the input, the weights of the outputs and all layers."""
        x, weights, w1, w2, w3, w, t1, t2, t3, p1, p2, p3 = ctx.saved_tensors
        d1, d2, d3 = 1 - t1 * t1, 1 - t2 * t2, 1 - t3 * t3
        q1 = g @ w1.mT
        down1 = d1 * q1
        q2 = down1 @ w2.mT
        down2 = down1 + d2 * q2
        q3 = down2 @ w3.mT
        down3 = down2 + d3 * q3
        a3 = -2 * d3 * t3 * p3 * q3
        behind = a3 @ w3
        a2 = d2 * (behind - 2 * t2 * p2 * q2)
        a1 = d1 * (behind + a2 @ w2 - 2 * t1 * p1 * q1)

        def outer(left, right):
            return left.reshape(-1, left.shape[-1]).mT @ right.reshape(-1, right.shape[-1])

        def total(of):
            return of.reshape(-1, of.shape[-1]).sum(dim=0)

        return (
            a1 @ w1,
            down3 @ w.mT,
            outer(d1 * p1, g) + outer(a1, x),
            total(a1),
            outer(d2 * p2, down1) + outer(a2, t1),
            total(a2),
            outer(d3 * p3, down2) + outer(a3, t1 + t2),
            total(a3),
            outer(weights, down3),
        )


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


def make_orthogonal(module: nn.Module) -> None:
    """Draw the weights of all linear layers of a module as orthogonal matrices."""
    with one_thread():
        for part in module.modules():
            if isinstance(part, nn.Linear):
                nn.init.orthogonal_(part.weight)
