"""The loss of the paper, Eq. (2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nrp.reduction.model import ReducedModel


class LossTerms(NamedTuple):
    """The two terms of Eq. (2), each a mean over the batch."""

    reconstruction: Float[Tensor, ""]
    dynamics: Float[Tensor, ""]


def paper_loss(
    model: ReducedModel,
    images: Float[Tensor, "batch pixel"],
    next_images: Float[Tensor, "batch pixel"],
    controls: Float[Tensor, "batch 2"],
    intervals: Float[Tensor, " batch"],
) -> LossTerms:
    """Return ‖X − X̂‖₂ and ‖dz/dt + ∂V/∂z‖₂, Euclidean norms that are not squared.

    dz/dt is the difference of the encodings of two neighbouring frames over the time between them.
    """
    z, z_next = model.encode(torch.stack([images, next_images]))
    z_rate = (z_next - z) / intervals[:, None]
    reconstruction = (images - model.decode(z)).norm(dim=1).mean()
    dynamics = (z_rate - model.force(z, controls)).norm(dim=1).mean()
    return LossTerms(reconstruction, dynamics)
