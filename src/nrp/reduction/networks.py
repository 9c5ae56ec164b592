"""The networks of the arm `paper`, in the manner of the pixel Hamiltonian network.

Fully connected, residual, with orthogonal weights at the start, after Greydanus, Dzamba and Yosinski
(Hamiltonian neural networks, 2019).  The paper says nothing of its layers; these are the closest public
relatives.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ResidualMLP(nn.Module):
    """Three hidden tanh layers, the second and third residual, and a linear output."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, width)
        self.last = nn.Linear(width, outputs)
        _orthogonal(self)

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Map the last axis from inputs to outputs."""
        hidden = torch.tanh(self.first(x))
        hidden = hidden + torch.tanh(self.second(hidden))
        hidden = hidden + torch.tanh(self.third(hidden))
        return self.last(hidden)


class TanhPotential(nn.Module):
    """V(z, α, h): two hidden tanh layers and a sum without constant, which no gradient could fix."""

    def __init__(self, latent: int, controls: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(latent + controls, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 1, bias=False)
        _orthogonal(self)

    def forward(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch controls"]
    ) -> Float[Tensor, "*batch"]:
        """Return V for each state."""
        hidden = torch.tanh(self.first(torch.cat([z, controls], dim=-1)))
        return self.last(torch.tanh(self.second(hidden))).squeeze(-1)


def _orthogonal(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.orthogonal_(part.weight)
