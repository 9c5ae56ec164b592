"""What a trained model has determined: its units, its metric, its gauge, and what a look-up could do."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from skdim.id import MLE

from nrp.analysis.baselines import Lookup
from nrp.analysis.result import Result, bootstrap_interval, row
from nrp.reduction import FrameData, ReducedModel, by_split, load_frames
from nrp.reduction.coordinates import leading_modes
from nrp.store import Step

DIAGNOSTICS = Step("diagnostics", 1)
DIMENSION = Step("dimension", 1)
_STATES = 200
"""States at which the metric is taken."""


class States:
    """What a model says of the frames of some runs, and what is true of them, as arrays (run, frame, …)."""

    def __init__(self, model: ReducedModel, data: FrameData) -> None:
        controls = data.controls
        with torch.no_grad():
            z = model.encode(data.images)
            self.z_rate = model.latent_rate(data.images, data.rates).double().numpy()
            self.velocity = model.velocity(z, controls).double().numpy()
            self.potential = model.potential(z, controls).double().numpy()
            by_control = torch.func.grad(lambda c: model.potential(z, c).sum())(controls)
        self.z, self.moment = z, -by_control[..., 1].double().numpy()
        self.mean = data.images.mean(dim=2).double().numpy()
        self.energy = data.energy.double().numpy()
        self.controls = controls.double().numpy()

    @property
    def energies(self) -> Float[ndarray, "run frame 4"]:
        """V and H, and both without the field's part, V + h·(−∂V/∂h) and H + h·M."""
        h = self.controls[..., 1]
        inner = (self.potential + h * self.moment, self.energy + h * self.mean)
        return np.stack([self.potential, self.energy, *inner], axis=-1)


def diagnostics(model: ReducedModel, *datasets: xr.Dataset) -> Result:
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
    parts = {
        split: [(data, States(model, load_frames(data))) for data in found]
        for split, found in by_split(datasets, model.settings, model.trained_on).items()
    }
    seen = [states for _, states in parts["trained"]]
    flat = {
        name: np.concatenate([getattr(s, name).reshape(-1, *getattr(s, name).shape[2:]) for s in seen])
        for name in ("controls", "z_rate", "energies")
    }
    at = flat["controls"][:, :2]
    rate_table = Lookup(at, flat["z_rate"])
    line = np.polyfit(*flat["energies"][:, :2].T, 1)
    energy_table = Lookup(at, flat["energies"])
    arm = model.settings.arm
    rows = []
    for split, here in parts.items():
        common = {"analysis": "diagnostics", "system": "film", "split": split, "members": 1}
        rows += _rate_rows(here, rate_table, arm, **common)
        rows += _energy_rows(here, energy_table, tuple(line), arm=arm, **common)
    z = torch.cat([states.z.flatten(0, 1) for states in seen])
    with torch.no_grad():
        metric = model.metric(z[:: max(1, len(z) // _STATES)])
    values = torch.linalg.eigvalsh(metric).clamp(min=0).double().numpy()
    common = {"analysis": "diagnostics", "system": "film", "arm": arm, "split": "trained", "members": 1}
    rows += [
        row("latent_scale", z.std(dim=0).square().mean().sqrt().item(), **common),
        row("metric_scale", values.mean(), **common),
        row("isometry_error", np.sqrt(np.mean((values / values.mean() - 1) ** 2)), **common),
    ]
    rows += _curvature_rows(model, *parts["trained"][0], **common)
    return Result.of(rows, singular_values=np.sqrt(values))


def _rate_rows(
    parts: list[tuple[xr.Dataset, States]], table: Lookup, arm: str, **common: object
) -> list[dict]:
    """Return the rows of `explained_variance`."""
    squares: dict[str, ndarray] = {}
    true = np.concatenate([s.z_rate.reshape(-1, s.z_rate.shape[-1]) for _, s in parts])
    controls = np.concatenate([s.controls.reshape(-1, s.controls.shape[-1]) for _, s in parts])
    velocity = np.concatenate([s.velocity.reshape(-1, true.shape[1]) for _, s in parts])
    squares[arm] = ((true - velocity) ** 2).sum(axis=1)
    squares["lookup"] = ((true - table(controls[:, :2])) ** 2).sum(axis=1)
    whole = (true**2).sum(axis=1)
    fields = [data.external_field.values for data, _ in parts]
    rest = np.concatenate([(np.diff(h, axis=1, prepend=np.inf) == 0).ravel() for h in fields])
    groups: list[tuple[dict, ndarray]] = [({"case": "sweep"}, ~rest), ({"case": "rest"}, rest)]
    groups += [({"anisotropy": alpha}, controls[:, 0] == alpha) for alpha in np.unique(controls[:, 0])]
    return [
        row("explained_variance", 1 - missed[group].sum() / whole[group].sum(), arm=name, **columns, **common)
        for columns, group in groups
        if group.any()
        for name, missed in squares.items()
    ]


def _energy_rows(
    parts: list[tuple[xr.Dataset, States]],
    table: Lookup,
    line: tuple[float, float],
    *,
    arm: str,
    **common: object,
) -> list[dict]:
    """Return the rows of what V, and a table, know of the energy."""
    values = np.concatenate([states.energies for _, states in parts])
    controls = np.concatenate([states.controls for _, states in parts])
    samples = np.concatenate([data["sample"].values for data, _ in parts])
    known = table(controls[..., :2].reshape(-1, 2)).reshape(values.shape)
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
    moment, mean = (np.concatenate([getattr(s, n) for _, s in parts]) for n in ("moment", "mean"))
    error = np.sqrt(np.mean((moment - mean) ** 2)) / mean.std()
    return [*rows, row("zeeman_error", error, arm=arm, **common)]


def _r2(
    truth: Float[ndarray, "run frame"], guess: Float[ndarray, "run frame"], *, samples: ndarray | None = None
) -> tuple[float, float | None, float | None]:
    """Return R², and for residuals, which have no mean to be taken off, its 95 % bootstrap interval."""
    missed = ((truth - guess) ** 2).sum(axis=1)
    whole = ((truth - (truth.mean() if samples is None else 0.0)) ** 2).sum(axis=1)
    interval = None
    if samples is not None:
        sums = np.stack([missed, whole], axis=1)
        interval = bootstrap_interval(sums, samples, lambda above, below: 1 - above / below)
    return float(1 - missed.sum() / whole.sum()), *(interval or (None, None))


def _curvature_rows(model: ReducedModel, data: xr.Dataset, states: States, **common: object) -> list[dict]:
    """Return the rows of `unstable_directions`."""
    near = np.abs(data.time - data.onset_time).fillna(0).argmin("frame").values
    runs = np.arange(len(near))
    rows = []
    for case, frames in (("start", 0 * runs), ("onset", near), ("end", 0 * runs - 1)):
        controls = torch.from_numpy(states.controls[runs, frames]).float()
        with torch.no_grad():
            values = torch.linalg.eigvalsh(model.curvature(states.z[runs, frames], controls))
        rows.append(row("unstable_directions", (values < 0).sum(dim=1).float().mean(), case=case, **common))
    return rows


def intrinsic_dimension(films: xr.Dataset, *, neighbours: tuple[int, ...] = (5, 10, 20, 40)) -> Result:
    """Return the intrinsic dimension of the images by Levina and Bickel's maximum likelihood.

    (Maximum likelihood estimation of intrinsic dimension, 2004.)  The estimate depends on how many
    neighbours are taken, so it is given for several; frames before the first negative pixel, which are all
    but uniform, are left out.

    Rows: ``intrinsic_dimension`` with the number of neighbours as case, with the quartiles of the single
    frames as `low` and `high`.
    """
    patterned = (films["magnetization"].min(("y", "x")) < 0).values
    images = load_frames(films).images[torch.from_numpy(patterned)]
    mean, basis = leading_modes(images, min(128, *images.shape))
    x = ((images - mean) @ basis).double().numpy()
    rows = []
    for count in neighbours:
        found = MLE().fit(x, n_neighbors=count)
        low, high = np.quantile(found.dimension_pw_, [0.25, 0.75])
        case = f"{count} neighbours"
        columns = {"analysis": "dimension", "system": "film", "low": low, "high": high}
        rows.append(row("intrinsic_dimension", found.dimension_, case=case, **columns))
    return Result.of(rows)
