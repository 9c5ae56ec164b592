"""Is it a potential?  What must hold along the true runs if the reduced flow is steepest descent."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from nrp.analysis.pooling import Label, Sums, root, rows, share
from nrp.analysis.result import Result, mean_row
from nrp.reduction import ReducedModel, by_split, load_frames, parted
from nrp.store import Step

GRADIENT_FLOW = Step("gradient_flow", 1)
_STATES = 200
"""States at which derivatives of a field are taken."""


def gradient_flow(*inputs: ReducedModel | xr.Dataset) -> Result:
    """Return how far the learned V obeys what a potential must, and how far a free field is a slope.

    Rows per split:

    - ``rise``, Σ(rises)/Σ|changes| of V from frame to frame along encoded true runs while h is at rest, where
      the true H only falls (case ``amount``), and the share of such intervals in which it rises, by more than
      10⁻⁶ of its range (case ``frequency``); the same of the true H, as the arm ``true_energy``;
    - ``balance_error``, √(Σ(Ẋ − Ŷ)²/ΣẊ²) of dV/dt = −∂Vᵀ K ∂V + (∂V/∂h) ḣ along true runs, the left side
      being (∂V/∂z)·ż + (∂V/∂h) ḣ with the exact ż.

    Of free fields F, on the training runs, ``curl_share``, ‖A‖/‖∂f/∂z‖ in Frobenius norms, with A the
    antisymmetric part: with f = F (case ``identity``), which vanishes where F is the slope of anything; with
    f = G F, G = JᵀJ/N, (``pullback``), which does where F is −G⁻¹ times a slope; and with f = S F with the
    constant positive S that makes it smallest (``constant``).  For a matrix without any order it is 1/√2.

    Parameters
    ----------
    *inputs
        Members of an arm, then, if wanted, free fields trained on the same runs, and datasets of films.
    """
    models, datasets = parted(inputs)
    members = [model for model in models if model.settings.potential != "none"]
    fields = [model for model in models if model.settings.potential == "none"]
    first = members[0]
    splits = by_split(datasets, first.settings, first.trained_on)
    truth, sums, samples = Sums(), [Sums() for _ in members], {}
    for split, found in splits.items():
        samples[split] = np.concatenate([data["sample"].values for data in found])
        for data in found:
            rest = np.diff(data.external_field.values, axis=1) == 0
            _add_rises(truth, data.energy.values, rest, Label("rise", split, "true_energy"))
            for model, member in zip(members, sums, strict=True):
                _add_potential(member, model, data, rest, split)
    common = {"analysis": "gradient_flow", "system": "film"}
    entries = rows([truth], samples, **common) + rows(sums, samples, **common)
    if fields:
        shares = [_curl_shares(model, splits["trained"]) for model in fields]
        entries += [
            mean_row(
                "curl_share",
                np.array([share[case] for share in shares]),
                case=case,
                arm=fields[0].settings.label,
                split="trained",
                members=len(shares),
                **common,
            )
            for case in shares[0]
        ]
    return Result.of(entries)


def _add_rises(sums: Sums, values: Float[ndarray, "run frame"], rest: ndarray, label: Label) -> None:
    """Add the rises of a quantity in the intervals in which the field is at rest."""
    steps = np.where(rest, np.diff(values, axis=1), 0.0)
    up = np.clip(steps, 0, None)
    sums.add(share, up.sum(axis=1), np.abs(steps).sum(axis=1), label._replace(case="amount"))
    # At equilibrium nothing but rounding is left.
    rises = up > 1e-6 * np.ptp(values, axis=1, keepdims=True)
    sums.add(share, rises.sum(axis=1), rest.sum(axis=1), label._replace(case="frequency"))


def _add_potential(sums: Sums, model: ReducedModel, data: xr.Dataset, rest: ndarray, split: str) -> None:
    frames = load_frames(data)
    controls, arm = frames.controls, model.settings.label
    with torch.no_grad():
        z = model.encode(frames.images)
        z_rate, slope = model.latent_rate(frames.images, frames.rates), model.slope(z, controls)
        velocity = model.flow(z, slope)
        potential = model.potential(z, controls).double().numpy()
        response = torch.func.grad(lambda c: model.potential(z, c).sum())(controls)[..., 1]
    _add_rises(sums, potential, rest, Label("rise", split, arm))
    # The field is straight between frames, but for its kinks; the last frame has no interval.
    h_rate = (controls[..., 1].diff(dim=1) / frames.intervals).double()
    true, model_side = (
        (slope * rate).sum(dim=2)[:, :-1].double() + response[:, :-1] * h_rate for rate in (z_rate, velocity)
    )
    squares = [part.square().sum(dim=1).numpy() for part in (true - model_side, true)]
    sums.add(root, *squares, Label("balance_error", split, arm))


def _curl_shares(model: ReducedModel, datasets: list[xr.Dataset]) -> dict[str, float]:
    """Return the antisymmetric share of the derivatives of a field under several metrics."""
    parts = [load_frames(data) for data in datasets]
    with torch.no_grad():
        z = torch.cat([model.encode(part.images).flatten(0, 1) for part in parts])
    controls = torch.cat([part.controls.flatten(0, 1) for part in parts])
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
    return {case: _antisymmetric_share(values) for case, values in found.items()}


def _antisymmetric_share(matrices: Float[Tensor, "state n n"]) -> float:
    odd = (matrices - matrices.mT) / 2
    return float(odd.norm() / matrices.norm())


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
