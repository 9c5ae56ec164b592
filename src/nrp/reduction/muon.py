"""Muon in single precision, for the weight matrices of dense layers.

Jordan et al., Muon: an optimizer for hidden layers in neural networks (2024).  The one in torch
orthogonalizes in bfloat16, which processors without such instructions emulate: there it takes ten times as
long, and its rounding depends on the machine.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_EPSILON = 1e-7
_MOMENTUM = 0.95
"""Share of the momentum that is kept in a step."""
_STEPS = 3
"""Newton–Schulz iterations."""


class Muon(Optimizer):
    """Steps along the momentum of the gradient, made nearly orthogonal, with Nesterov's correction.

    The rate of a matrix with more rows than columns is `lr` times the root of their ratio.
    """

    def __init__(self, matrices: Iterable[Tensor], *, lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:
        """Take a step."""
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix)
                average = state["momentum_buffer"].lerp_(matrix.grad, 1 - _MOMENTUM)
                ahead = matrix.grad.lerp(average, _MOMENTUM)
                rows, columns = matrix.shape
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                matrix.add_(orthogonalized(ahead, _STEPS), alpha=-rate)


def orthogonalized(matrix: Float[Tensor, "row column"], steps: int) -> Float[Tensor, "row column"]:
    """Return a matrix whose singular values are nearly 1, by Newton–Schulz iterations of the fifth order."""
    a, b, c = _COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=_EPSILON)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
