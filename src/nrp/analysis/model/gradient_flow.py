"""Is it a potential?  What must hold along the true runs if the reduced flow is steepest descent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from nrp.analysis.registry import Model, Needs, Observed, analysis
from nrp.evaluation import Form, Label, Observation, Pool, Result, split
from nrp.evaluation.observation import Observations
from nrp.evaluation.result import mean_row

_STATES = 200
"""Number of states at which derivatives of a field are taken."""


def _needs(profile, arm: str) -> Needs:
    return {"arm": (Observed(Model(arm), profile.evaluated),)}


@analysis("gradient_flow", version=2, needs=_needs, each="arm")
def gradient_flow(arm: Sequence[Observations], fields: Sequence[Observations] = ()) -> Result:
    """Return how far the learned V obeys what a potential must, and how far a free field is a slope.

    The arm is observed by its members, the fields by free fields trained on the same runs.
    Rows per split:

    - ``rise``, Σ(rises)/Σ|changes| of V from frame to frame along encoded true runs while h is at rest, where
      the true H only falls (case ``amount``), and the share of such intervals in which it rises, by more than
      10⁻⁶ of its range (case ``frequency``); the same of the true H, as the arm ``true_energy``;
    - ``balance_error``, √(Σ(Ẋ − Ŷ)²/ΣẊ²) of dV/dt = −‖∂V/∂z‖² + (∂V/∂h) ḣ along true runs, the left side
      being (∂V/∂z)·ż + (∂V/∂h) ḣ with the exact ż.

    Of free fields F, on the training runs, ``curl_share``, ‖A‖/‖∂f/∂z‖ in Frobenius norms, with A the
    antisymmetric part: with f = F (case ``identity``), which vanishes where F is the slope of anything; with
    f = G F, G = JᵀJ/N, (``pullback``), which does where F is −G⁻¹ times a slope; and with f = S F with the
    constant positive S that makes it smallest (``constant``).  For a matrix without any order it is 1/√2.
    """
    pool = Pool()
    for member, observations in enumerate(arm):
        for name, parts in split(observations).items():
            for o in parts:
                if member == 0:
                    energy = o.data["energy"].values
                    _add_rises(pool, o, energy, Label("rise", name, "true_energy"), member=0)
                _add_potential(pool, o, name, member)
    entries = pool.rows()
    if fields:
        shares = [_curl_shares(split(observations)["trained"]) for observations in fields]
        common = {"arm": fields[0][0].arm, "split": "trained", "members": len(shares)}
        for case in shares[0]:
            values = np.array([share[case] for share in shares])
            entries.append(mean_row("curl_share", values, case=case, **common))
    return Result.of(entries)


def _add_rises(
    pool: Pool, o: Observation, values: Float[ndarray, "run frame"], label: Label, *, member: int
) -> None:
    """Add the rises of a quantity in the intervals in which the field is at rest."""
    steps = np.where(o.at_rest, np.diff(values, axis=1), 0.0)
    up = np.clip(steps, 0, None)
    sums = up.sum(axis=1), np.abs(steps).sum(axis=1)
    pool.add(label._replace(case="amount"), Form.SHARE, *sums, o.samples, member=member)
    # At equilibrium nothing but rounding is left.
    rises = up > 1e-6 * np.ptp(values, axis=1, keepdims=True)
    sums = rises.sum(axis=1), o.at_rest.sum(axis=1)
    pool.add(label._replace(case="frequency"), Form.SHARE, *sums, o.samples, member=member)


def _add_potential(pool: Pool, o: Observation, name: str, member: int) -> None:
    _add_rises(pool, o, o.potential.double().numpy(), Label("rise", name, o.arm), member=member)
    # The field is straight between frames, but for its kinks; the last frame has no interval.
    h_rate = (o.controls[..., 1].diff(dim=1) / o.frames.intervals).double()
    true, model_side = (
        (o.slope * rate).sum(dim=2)[:, :-1].double() - o.moment[:, :-1] * h_rate
        for rate in (o.z_rate, o.velocity)
    )
    above, below = (part.square().sum(dim=1).numpy() for part in (true - model_side, true))
    pool.add(Label("balance_error", name, o.arm), Form.ROOT, above, below, o.samples, member=member)


def _curl_shares(seen: Observations) -> dict[str, float]:
    """Return the antisymmetric share of the derivatives of a field under several metrics."""
    model = seen[0].model
    z = torch.cat([o.z.flatten(0, 1) for o in seen])
    controls = torch.cat([o.controls.flatten(0, 1) for o in seen])
    every = max(1, len(z) // _STATES)
    z, controls = z[::every], controls[::every]

    def lowered(state: Tensor, at: Tensor) -> Tensor:
        # G F = Jᵀ(J F) without the matrix, whose derivative would fill the memory.
        decode = model.autoencoder.decode
        moved = torch.func.jvp(decode, (state,), (model.velocity(state, at),))[1]
        return torch.func.vjp(decode, state)[1](moved)[0]

    derivatives = {
        "identity": torch.func.vmap(torch.func.jacrev(model.velocity))(z, controls),
        "pullback": torch.func.vmap(torch.func.jacrev(lowered), chunk_size=20)(z, controls),
    }
    found = {case: values.detach().double() for case, values in derivatives.items()}
    found["constant"] = _best_constant(found["identity"]) @ found["identity"]
    return {case: float(((each - each.mT) / 2).norm() / each.norm()) for case, each in found.items()}


def _best_constant(matrices: Float[Tensor, "state n n"]) -> Float[Tensor, "n n"]:
    """Return the symmetric positive S = L Lᵀ that makes the antisymmetric share of S J smallest."""
    size = matrices.shape[-1]
    root_of = torch.eye(size, dtype=matrices.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([root_of], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        lowered = root_of @ root_of.mT @ matrices
        odd = (lowered - lowered.mT) / 2
        loss = odd.square().sum() / lowered.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return (root_of @ root_of.mT).detach()
