"""V against the energy of the decoded image, which is known where frames show every grid point."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from nrp.analysis.pooling import Label, Sums, root, rows, skill
from nrp.analysis.result import Result
from nrp.reduction import ReducedModel, by_split, load_frames, parted
from nrp.settings import InvalidSetting
from nrp.simulation import settings_of
from nrp.store import Step
from nrp.systems import Film

EXACT_ENERGY = Step("exact_energy", 1)
_FRAMES_APART = 5


def exact_energy(*inputs: ReducedModel | xr.Dataset) -> Result:
    """Return how far V is H/A ∘ D, the energy per area of the decoded image, and its slope the slope of that.

    Every fifth frame is taken (``along`` the runs), and, as states through which no run has passed, the
    midpoints in z of runs with neighbouring anisotropies at equal times, under α and h of the first
    (``between``).  Rows per split and by these cases:

    - ``energy_r2`` of V for H/A ∘ D; in the case ``image`` for the energy of the image itself, and in the
      case ``decoder`` of H/A ∘ D for that energy;
    - ``slope_error``, √(Σ‖∂V/∂z − s‖²/Σ‖s‖²) with s = ∂(H/A ∘ D)/∂z; in the case ``motion`` only of the
      components along the exact ż of the runs.

    Parameters
    ----------
    *inputs
        Members of an arm, and datasets of films.

    Raises
    ------
    InvalidSetting
        If frames are averages of a finer grid, so that their energy is not exact.
    """
    models, datasets = parted(inputs)
    for data in datasets:
        if (coarsen := settings_of(data).system.coarsen) != 1:
            raise InvalidSetting(f"coarsen = {coarsen}: must be 1, so that frames have an exact energy")
    sums: list[Sums] = [Sums() for _ in models]
    samples = {}
    for split, found in by_split(datasets, models[0].settings, models[0].trained_on).items():
        samples[split] = np.concatenate([data["sample"].values for data in found])
        for data in found:
            some = data.isel(frame=slice(None, None, _FRAMES_APART))
            for model, member in zip(models, sums, strict=True):
                _add_runs(member, model, some, split)
    return Result.of(rows(sums, samples, analysis="exact_energy", system="film"))


def _add_runs(sums: Sums, model: ReducedModel, data: xr.Dataset, split: str) -> None:
    frames, label = load_frames(data), Label("energy_r2", split, model.settings.label)
    with torch.no_grad():
        z = model.encode(frames.images)
        ahead = functional.normalize(model.latent_rate(frames.images, frames.rates), dim=2)
        potential = model.potential(z, frames.controls).double().numpy()
    runs = np.arange(len(z))
    exact = _add_states(sums, model, data, z, runs, label._replace(case="along"), ahead=ahead)
    for case, guess in (("image", potential), ("decoder", exact)):
        _add_r2(sums, guess, data.energy.values, runs, len(runs), label._replace(case=case))
    # Runs lie in the order of sweep rate, sample, anisotropy.
    same = (np.diff(data.sweep_rate.values) == 0) & (np.diff(data["sample"].values) == 0)
    pairs = np.flatnonzero(same)
    if len(pairs):
        _add_states(sums, model, data, (z[pairs] + z[pairs + 1]) / 2, pairs, label._replace(case="between"))


def _add_states(
    sums: Sums,
    model: ReducedModel,
    data: xr.Dataset,
    z: Float[Tensor, "chosen frame latent"],
    chosen: ndarray,
    label: Label,
    ahead: Float[Tensor, "chosen frame latent"] | None = None,
) -> Float[ndarray, "chosen frame"]:
    """Add how far V and its slope are right in some states of the chosen runs, and return H/A ∘ D there.

    With unit vectors `ahead` also how far the slope along them is.
    """
    controls = load_frames(data, chosen).controls
    with torch.no_grad():
        potential, slope = model.potential(z, controls).double().numpy(), model.slope(z, controls)
        images, pull = torch.func.vjp(model.decode, z)
    system, count = settings_of(data).system, images.shape[-1]
    energy, rate = np.empty(images.shape[:2]), np.empty(images.shape)
    for i, run in enumerate(chosen):
        alpha, disorder = float(data.anisotropy[run]), data.disorder.values[run].astype(float)
        film = Film(system, anisotropy=alpha, disorder=disorder)
        for j, h in enumerate(data.external_field.values[run]):
            image = images[i, j].double().numpy().reshape(system.shape)
            energy[i, j], rate[i, j] = film.energy(image, h), film.rate(image, h).ravel()
    with torch.no_grad():
        # ∂φ/∂t = −N ∂(H/A)/∂φ on N pixels.
        (exact,) = pull(-torch.from_numpy(rate).float() / count)
    runs = data.sizes["run"]
    _add_r2(sums, potential, energy, chosen, runs, label)
    parts = {label.case: (slope - exact, exact)}
    if ahead is not None:
        parts["motion"] = ((slope - exact) * ahead).sum(dim=2), (exact * ahead).sum(dim=2)
    for case, pair in parts.items():
        squares = (part.double().square().flatten(1).sum(dim=1).numpy() for part in pair)
        spread = (_of_all(part, chosen, runs) for part in squares)
        sums.add(root, *spread, label._replace(metric="slope_error", case=case))
    return energy


def _add_r2(sums: Sums, guess: ndarray, truth: ndarray, chosen: ndarray, runs: int, label: Label) -> None:
    parts = ((guess - truth) ** 2, (truth - truth.mean()) ** 2)
    sums.add(skill, *(_of_all(part.sum(axis=1), chosen, runs) for part in parts), label)


def _of_all(values: Float[ndarray, " chosen"], chosen: ndarray, runs: int) -> Float[ndarray, " run"]:
    """Return values of all runs, zero for those that are not chosen."""
    found = np.zeros(runs)
    found[chosen] = values
    return found
