"""What a trained model has determined: its units, its metric, its gauge, and what a look-up could do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from nrp.analysis.registry import Model, Needs, Observed, analysis
from nrp.evaluation import Observation, Result, row, split
from nrp.evaluation.intervals import bootstrap_interval
from nrp.evaluation.observation import Observations
from nrp.evaluation.rivals import Lookup

_STATES = 200
"""Number of states at which the metric is taken."""


def _energies(o: Observation) -> Float[ndarray, "run frame 4"]:
    """Return V and H, and both without the field's part, V + h·(−∂V/∂h) and H + h·M."""
    h, moment, mean, potential, energy = (
        part.double().numpy() for part in (o.controls[..., 1], o.moment, o.mean, o.potential, o.frames.energy)
    )
    return np.stack([potential, energy, potential + h * moment, energy + h * mean], axis=-1)


def _needs(profile, arm: str) -> Needs:
    return {"observations": Observed(Model(arm), profile.evaluated)}


@analysis("diagnostics", version=2, needs=_needs, each="arm")
def diagnostics(observations: Observations) -> Result:
    """Return what a model has determined, on every split that the datasets hold.

    Rows, pooled over the frames of a split:

    - ``explained_variance``, 1 − Σ‖ż − v‖²/Σ‖ż‖² with the exact ż, of the model and of the arm ``lookup``, a
      table of the mean ż for each (α, h) over the training runs: by anisotropy, and in the cases ``sweep``
      and ``rest``; for all together it follows from the ``rate_error`` of the forecast;
    - ``lookup_r2``, what such a table explains of V (case ``potential``) and of H (case ``energy``);
    - ``energy_r2`` of V for the true H per area, without any fit and in the case ``affine_fit``, after the
      straight line that fits best on the training runs; ``energy_r2_beyond_lookup``, the same after the
      tables of V and of H have been taken from both, and in the case ``internal`` for both without the
      field's part −h·M, with a bootstrap interval over disorder samples, or over runs where there are fewer
      than three samples, and none for fewer than five runs;
    - ``zeeman_error``, the rms of ∂V/∂h + M over the standard deviation of M, the mean magnetization;
    - ``latent_scale``, the rms standard deviation of z; ``metric_scale`` and ``isometry_error``, mean of the
      eigenvalues of G = JᵀJ/N and their rms deviation from it over it, J being the derivative of the decoder;
    - ``unstable_directions``, the mean number of negative curvatures of V in z, at the ``start``, at the
      ``onset`` (the frame nearest T_init) and at the ``end``, on the training runs; training with
      `state_noise` flattens V beside the data, so this tells of the model more than of the film.

    Arrays: ``singular_values`` (state, latent) of J/√N, sorted.
    """
    parts, model = split(observations), observations[0].model
    seen = parts["trained"]
    at, z_rate = (np.concatenate([o.flat(name) for o in seen]) for name in ("controls", "z_rate"))
    energies = np.concatenate([_energies(o).reshape(-1, 4) for o in seen])
    rate_table, energy_table = Lookup(at[:, :2], z_rate), Lookup(at[:, :2], energies)
    line = np.polyfit(energies[:, 0], energies[:, 1], 1)
    arm, rows = model.settings.arm, []
    for name, here in parts.items():
        common = {"split": name, "members": 1}
        rows += _rate_rows(here, rate_table, arm, **common)
        rows += _energy_rows(here, energy_table, tuple(line), arm=arm, **common)
    z = torch.cat([o.z.flatten(0, 1) for o in seen])
    with torch.no_grad():
        metric = model.metric(z[:: max(1, len(z) // _STATES)])
    values = torch.linalg.eigvalsh(metric).clamp(min=0).double().numpy()
    common = {"arm": arm, "split": "trained", "members": 1}
    rows += [
        row("latent_scale", z.std(dim=0).square().mean().sqrt().item(), **common),
        row("metric_scale", values.mean(), **common),
        row("isometry_error", np.sqrt(np.mean((values / values.mean() - 1) ** 2)), **common),
    ]
    rows += _curvature_rows(seen[0], **common)
    return Result.of(rows, singular_values=np.sqrt(values))


def stretching(singular_values: Float[ndarray, "state latent"]) -> Float[ndarray, "quantile latent"]:
    """Return how the decoder stretches: the singular values over their rms, falling.

    Their median over the states, and between which values the middle 90 % lie: quantiles 5 %, 50 % and 95 %.
    """
    falling = singular_values[:, ::-1] / np.sqrt(np.mean(singular_values**2))
    return np.quantile(falling, [0.05, 0.5, 0.95], axis=0)


def _rate_rows(parts: Sequence[Observation], table: Lookup, arm: str, **common: object) -> list[dict]:
    """Return the rows of `explained_variance`."""
    true, velocity, controls = (
        np.concatenate([o.flat(name) for o in parts]) for name in ("z_rate", "velocity", "controls")
    )
    squares = {
        arm: ((true - velocity) ** 2).sum(axis=1),
        "lookup": ((true - table(controls[:, :2])) ** 2).sum(axis=1),
    }
    whole = (true**2).sum(axis=1)
    rest = np.concatenate([np.pad(o.at_rest, ((0, 0), (1, 0))).ravel() for o in parts])
    groups: list[tuple[dict, ndarray]] = [({"case": "sweep"}, ~rest), ({"case": "rest"}, rest)]
    groups += [({"anisotropy": alpha}, controls[:, 0] == alpha) for alpha in np.unique(controls[:, 0])]
    return [
        row("explained_variance", 1 - missed[group].sum() / whole[group].sum(), arm=name, **columns, **common)
        for columns, group in groups
        if group.any()
        for name, missed in squares.items()
    ]


def _energy_rows(
    parts: Sequence[Observation], table: Lookup, line: tuple[float, float], *, arm: str, **common: object
) -> list[dict]:
    """Return the rows that say what V, and a table, know of the energy."""
    values = np.concatenate([_energies(o) for o in parts])
    controls = np.concatenate([o.flat("controls")[:, :2] for o in parts])
    samples = np.concatenate([o.samples for o in parts])
    known = table(controls).reshape(values.shape)
    potential, energy = values[..., 0], values[..., 1]
    rows = [
        row("lookup_r2", _r2(potential, known[..., 0])[0], case="potential", arm=arm, **common),
        row("lookup_r2", _r2(energy, known[..., 1])[0], case="energy", **common),
        row("energy_r2", _r2(energy, potential)[0], arm=arm, **common),
        row("energy_r2", _r2(energy, line[0] * potential + line[1])[0], case="affine_fit", arm=arm, **common),
    ]
    beyond = values - known
    for case, scale, column in ((None, 1.0, 0), ("affine_fit", line[0], 0), ("internal", 1.0, 2)):
        r2, low, high = _r2(beyond[..., column + 1], scale * beyond[..., column], samples=samples)
        columns = {"case": case, "arm": arm, "low": low, "high": high}
        rows.append(row("energy_r2_beyond_lookup", r2, **columns, **common))
    moment, mean = (np.concatenate([o.flat(name) for o in parts]) for name in ("moment", "mean"))
    error = np.sqrt(np.mean((moment - mean) ** 2)) / mean.std()
    return [*rows, row("zeeman_error", error, arm=arm, **common)]


def _r2(
    truth: Float[ndarray, "run frame"], guess: Float[ndarray, "run frame"], *, samples: ndarray | None = None
) -> tuple[float, float, float]:
    """Return R², and for residuals, which have no mean to be taken off, its 95 % bootstrap interval."""
    missed = ((truth - guess) ** 2).sum(axis=1)
    whole = ((truth - (truth.mean() if samples is None else 0.0)) ** 2).sum(axis=1)
    interval = (np.nan, np.nan)
    if samples is not None:
        sums = np.stack([missed, whole], axis=1)
        interval = bootstrap_interval(sums, samples, lambda above, below: 1 - above / below)
    return float(1 - missed.sum() / whole.sum()), *interval


def _curvature_rows(o: Observation, **common: object) -> list[dict]:
    """Return the rows of `unstable_directions`."""
    near = np.abs(o.data.time - o.data.onset_time).fillna(0).argmin("frame").values
    runs = np.arange(len(near))
    rows = []
    for case, frames in (("start", 0 * runs), ("onset", near), ("end", 0 * runs - 1)):
        with torch.no_grad():
            values = torch.linalg.eigvalsh(o.model.curvature(o.z[runs, frames], o.controls[runs, frames]))
        rows.append(row("unstable_directions", (values < 0).sum(dim=1).float().mean(), case=case, **common))
    return rows
