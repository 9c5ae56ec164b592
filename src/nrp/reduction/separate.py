"""Potentials of single runs, each fitted by itself: nothing ties those of neighbouring anisotropies."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_RIDGE = 1e-3
"""Variance of the noise, relative to that of a rate."""


def separate_slopes(
    z: Float[Tensor, "run frame latent"],
    z_rate: Float[Tensor, "run frame latent"],
    field: Float[Tensor, "run frame"],
) -> Float[Tensor, "run frame latent"]:
    """Return ∂V/∂z on the frames, from a potential for each run that has seen no other run.

    The potential V(z, h) of a run is a Gaussian process that is conditioned on −∂V/∂z = ż in its frames, with
    the exact ż: the kernel ridge regression of energies on forces of Chmiela et al. (Science Advances 3,
    e1603015, 2017).  Its kernel is Gaussian in z and in h, as wide as the states of the run, and its fields,
    are spread.  Along a single path any velocity has a potential, so the slopes are the exact −ż, smoothed,
    and no evidence of a potential.
    """
    runs = zip(z.double(), field.double(), z_rate.double(), strict=True)
    return torch.stack([-_smoothed(*one) for one in runs]).float()


def _smoothed(
    z: Float[Tensor, "frame latent"], field: Float[Tensor, " frame"], rates: Float[Tensor, "frame latent"]
) -> Float[Tensor, "frame latent"]:
    """Return the rates of the potential of one run."""
    distance = z[:, None] - z[None]
    width = distance.square().sum(dim=2).mean().sqrt() + 1e-12
    distance = distance / width
    apart = (field[:, None] - field[None]) / (field.std() + 1e-12)
    kernel = torch.exp(-(distance.square().sum(dim=2) + apart.square()) / 2)
    # Covariance of the slopes: ∂²k/∂z∂z' = (1 − δδᵀ) k, in units of the width.
    outer = torch.eye(z.shape[1], dtype=z.dtype) - distance[..., :, None] * distance[..., None, :]
    blocks = (kernel[..., None, None] * outer).permute(0, 2, 1, 3).reshape(z.numel(), z.numel())
    noisy = blocks + _RIDGE * torch.eye(z.numel(), dtype=z.dtype)
    weights = torch.cholesky_solve(rates.reshape(-1, 1), torch.linalg.cholesky(noisy))
    return (blocks @ weights).reshape(rates.shape)
