"""Potentials, mobilities and a free field: what makes a latent state move."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from nrp.reduction.networks import GAIN, ResidualMLP, make_orthogonal

_GROWTH = -3.0
"""Logarithm, nearly, of the stiffness of the parabola that a potential begins with."""


class FreePotential(nn.Module):
    """V(z, α, h): two hidden tanh layers and a sum without constant, which no gradient could fix."""

    def __init__(self, latent: int, controls: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(latent + controls, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 1, bias=False)
        make_orthogonal(self)

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
        ``energy`` (U(z, α) − h·M(z)), ``linear`` (U(z, α) − h·M(z, α), two outputs of one network) or
        ``growing`` (U(z, α, h), no M).
    """

    def __init__(self, latent: int, controls: int, width: int, form: str) -> None:
        super().__init__()
        self.form = form
        self.seen = [i for i in range(controls) if form == "growing" or i != 1]
        self.network = ResidualMLP(latent + len(self.seen), width, 2 if form == "linear" else 1, last=0.1)
        self.growth = nn.Parameter(torch.tensor(_GROWTH))
        if form == "energy":
            self.moment = ResidualMLP(latent, width // 2, 1, last=0.1)
        if form != "growing":
            self.slope = nn.Parameter(torch.zeros(latent))

    def magnetization(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch"]:
        """Return M = −∂V/∂h, where V is linear in h."""
        if self.form == "energy":
            return self.moment(GAIN * z).squeeze(-1) + z @ self.slope
        return self.network(self._state(z, controls))[..., 1] + z @ self.slope

    def forward(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch"]:
        """Return V for each state."""
        outputs, field = self.network(self._state(z, controls)), controls[..., 1]
        value = outputs[..., 0] + self._stiffness / 2 * z.square().sum(-1)
        match self.form:
            case "energy":
                return value - field * self.magnetization(z, controls)
            case "linear":
                return value - field * (outputs[..., 1] + z @ self.slope)
        return value

    def gradient(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return ∂V/∂z."""
        field, latent, weights = controls[..., 1:2], z.shape[-1], None
        if self.form == "linear":
            weights = torch.cat([torch.ones_like(field), -field], dim=-1)
        inner = self.network.gradient(self._state(z, controls), weights)
        gradient = GAIN * inner[..., :latent] + self._stiffness * z
        match self.form:
            case "energy":
                return gradient - field * (GAIN * self.moment.gradient(GAIN * z) + self.slope)
            case "linear":
                return gradient - field * self.slope
        return gradient

    def _state(self, z: Tensor, controls: Tensor) -> Tensor:
        return torch.cat([GAIN * z, controls[..., self.seen]], dim=-1)

    @property
    def _stiffness(self) -> Tensor:
        return functional.softplus(self.growth)


class Mobility(nn.Module):
    """K(z, α) of ż = −K ∂V/∂z: a scalar, or a positive matrix, neither of which leaves some bounds.

    In two dimensions every metric is a scalar times the identity in suitable coordinates (isothermal ones).
    """

    def __init__(self, latent: int, controls: int, width: int, *, scalar: bool) -> None:
        super().__init__()
        self.seen = [i for i in range(controls) if i != 1]
        outputs = 1 if scalar else latent * (latent + 1) // 2
        self.network = ResidualMLP(latent + len(self.seen), width // 2, outputs, last=0.1)
        self.rows, self.columns = torch.tril_indices(latent, latent)

    def forward(
        self,
        z: Float[Tensor, "*batch latent"],
        controls: Float[Tensor, "*batch control"],
        force: Float[Tensor, "*batch latent"],
    ) -> Float[Tensor, "*batch latent"]:
        """Return K times a force −∂V/∂z."""
        raw = 2 * torch.tanh(self.network(torch.cat([GAIN * z, controls[..., self.seen]], dim=-1)))
        if raw.shape[-1] == 1:
            return raw.exp() * force
        # K = LLᵀ with the diagonal of L between two positive numbers.
        entries = torch.where(self.rows == self.columns, (raw / 2).exp(), raw)
        root = raw.new_zeros(*force.shape, force.shape[-1])
        root[..., self.rows, self.columns] = entries
        return (root @ (root.mT @ force[..., None]))[..., 0]


class FreeField(nn.Module):
    """F(z, α, h), the velocity itself, which need not be the slope of any potential.

    If `caged`, it has the pull to the middle of the parabola that makes potentials grow.
    """

    def __init__(self, latent: int, controls: int, width: int, *, gain: float, caged: bool = False) -> None:
        super().__init__()
        self.gain = gain
        self.network = ResidualMLP(latent + controls, width, latent, last=0.1)
        self.growth = nn.Parameter(torch.tensor(_GROWTH)) if caged else None

    def forward(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return ż for each state."""
        velocity = self.network(torch.cat([self.gain * z, controls], dim=-1))
        return velocity if self.growth is None else velocity - functional.softplus(self.growth) * z
