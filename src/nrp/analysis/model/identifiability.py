"""What the loss of Eq. (2) leaves free, shown on a trained model."""

from __future__ import annotations

import numpy as np
import torch

from nrp.analysis.registry import Model, Observed, analysis
from nrp.evaluation import Observation, Result, row
from nrp.evaluation.observation import Observations
from nrp.evaluation.rivals import Lookup
from nrp.reduction.splits import trained_runs

_SCALES = (0.1, 0.3, 1.0, 3.0, 10.0)


@analysis("demonstrations", version=3, needs={"observations": Observed(Model("paper"), ("films",))})
def demonstrations(observations: Observations) -> Result:
    """Rescale the latent space and shift the potential of a trained model, and watch Eq. (2).

    With z → sz and V → s²V the model makes the same images and the same motion; the first term of
    the loss stays, the second is multiplied by s.  Adding any c(α, h) to V changes no term at all.

    Rows: ``reconstruction_loss`` and ``dynamics_loss`` (the two norms of Eq. 2, means over the training
    frames) per scale, with the case ``scale s``;
    ``scale_law_error``, the largest relative deviation from the second term being proportional to s;
    ``gauge_loss_change``, the largest change of the loss under the shift V → V + h² · range(V).
    Arrays: ``scales``, ``reconstruction_loss``, ``dynamics_loss``; ``time``, ``potential`` and
    ``shifted_potential`` (run, frame).
    """
    (films,) = observations
    o = films.isel(run=np.flatnonzero(trained_runs(films.data, films.model.settings)))
    scaled = np.array([_loss_terms(o, scale) for scale in _SCALES])
    span = (o.potential.max() - o.potential.min()).item()
    shifted = o.potential + span * o.controls[..., 1] ** 2
    common = {"arm": o.arm, "split": "trained", "members": 1}
    rows = [
        row(name, value, case=f"scale {scale:g}", **common)
        for scale, values in zip(_SCALES, scaled, strict=True)
        for name, value in zip(("reconstruction_loss", "dynamics_loss"), values, strict=True)
    ]
    law = scaled[:, 1] / (np.array(_SCALES) * scaled[_SCALES.index(1.0), 1])
    rows.append(row("scale_law_error", np.max(np.abs(law - 1)), **common))
    change = abs(_loss_terms(o, 1.0, shift=span)[1] - scaled[_SCALES.index(1.0), 1])
    rows.append(row("gauge_loss_change", change, **common))
    return Result.of(
        rows,
        scales=np.array(_SCALES),
        reconstruction_loss=scaled[:, 0],
        dynamics_loss=scaled[:, 1],
        alphas=o.controls[:, 0, 0].numpy(),
        time=o.frames.time.numpy(),
        potential=o.potential.numpy(),
        shifted_potential=shifted.numpy(),
    )


@analysis(
    "clock",
    version=3,
    needs={"observations": Observed(Model("identified"), ("films", "rates", "held_rates"))},
)
def clock(observations: Observations) -> Result:
    """Let a table g(α, h) tell the velocity ż, made from one sweep rate or from several.

    While h is swept at one rate it is a clock, so a table of it explains the motion without knowing the
    state; at several rates the same h comes at different times.

    Rows: ``explained_variance`` of the exact ż by the arm ``lookup``, in the cases ``one rate`` and ``several
    rates``, each on the runs ``at the first``, ``at the slowest`` and ``at the unseen`` rate.  Arrays:
    ``sweep_rate``, all rates, ``explained`` (table, rate), and ``made_from`` (table, rate), whether the table
    was made from that rate.  All runs are of the first disorder sample and of the anisotropies that all
    rates have.
    The observations are of sweeps at the first rate, at others, and at the one that no table is made from.
    """
    films, rates, _ = observations
    alphas = np.intersect1d(films.data.anisotropy.values, rates.data.anisotropy.values)
    parts: dict[float, tuple[np.ndarray, np.ndarray]] = {}
    for o in observations:
        chosen = np.isin(o.data.anisotropy.values, alphas) & (o.samples == films.samples[0])
        for rate in np.unique(o.data.sweep_rate.values):
            part = o.isel(run=np.flatnonzero(chosen & (o.data.sweep_rate.values == rate)))
            parts[float(rate)] = part.flat("controls")[:, :2], part.flat("z_rate")
    first, *_, unseen = parts
    places = {"at the first": first, "at the slowest": min(parts), "at the unseen": unseen}
    tables = {"one rate": [first], "several rates": [rate for rate in parts if rate != unseen]}
    rows, every = [], sorted(parts)
    explained, made_from = np.empty((2, len(every))), np.empty((2, len(every)), dtype=bool)
    for i, (case, own) in enumerate(tables.items()):
        table = Lookup(*(np.concatenate(each) for each in zip(*(parts[rate] for rate in own), strict=True)))
        for j, rate in enumerate(every):
            controls, z_rate = parts[rate]
            explained[i, j] = 1 - np.sum((z_rate - table(controls)) ** 2) / np.sum(z_rate**2)
        made_from[i] = np.isin(every, own)
        for place, rate in places.items():
            value = explained[i, every.index(rate)]
            rows.append(row("explained_variance", value, case=f"{case}, {place}", arm="lookup", members=1))
    return Result.of(rows, sweep_rate=np.array(every), explained=explained, made_from=made_from)


def _loss_terms(o: Observation, scale: float, *, shift: float = 0.0) -> tuple[float, float]:
    """Return both norms of Eq. (2) for the model with z → scale · z and V → scale² · V + shift · h²."""
    controls, model, images = o.controls[:, :-1], o.model, o.frames.images[:, :-1]

    def potential(z: torch.Tensor) -> torch.Tensor:
        value = scale**2 * model.potential(z / scale, controls) + shift * controls[..., 1] ** 2
        return value.sum()

    z = scale * o.z
    with torch.no_grad():
        reconstruction = (images - model.decode(z[:, :-1] / scale)).norm(dim=-1).mean()
    slope = torch.func.grad(potential)(z[:, :-1])
    z_rate = z.diff(dim=1) / o.frames.intervals[..., None]
    return reconstruction.item(), (z_rate + slope).norm(dim=-1).mean().item()
