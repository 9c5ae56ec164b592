"""V against the energy of the decoded image, which is known where frames show every grid point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from nrp.analysis.registry import Needs, Observed, analysis, members_of
from nrp.base import InvalidSetting
from nrp.evaluation import Form, Label, Observation, Pool, Result, split
from nrp.evaluation.observation import Observations
from nrp.simulation import settings_of, system_of
from nrp.systems.plane import Plane

_FRAMES_APART = 5


def _needs(profile) -> Needs | None:
    if "fine" not in profile.models:
        return None
    return {"arm": tuple(Observed(model, ("fine",)) for model in members_of(profile, "fine"))}


@analysis("exact_energy", version=2, needs=_needs, publish=True)
def exact_energy(arm: Sequence[Observations]) -> Result:
    """Return how far V is H/A ∘ D, the energy per area of the decoded image, and its slope the slope of that.

    Every fifth frame is taken (``along`` the runs), and, as states through which no run has passed, the
    midpoints in z of runs with neighbouring anisotropies at equal times, under α and h of the first
    (``between``).  Rows per split and by these cases:

    - ``energy_r2`` of V for H/A ∘ D; in the case ``image`` for the energy of the image itself, and in the
      case ``decoder`` of H/A ∘ D for that energy;
    - ``slope_error``, √(Σ‖∂V/∂z − s‖²/Σ‖s‖²) with s = ∂(H/A ∘ D)/∂z; in the case ``motion`` only of the
      components along the exact ż of the runs.

    Raises
    ------
    InvalidSetting
        If frames are averages of a finer grid, so that their energy is not exact.
    """
    for o in arm[0]:
        if (coarsen := settings_of(o.data).system.coarsen) != 1:
            raise InvalidSetting(f"coarsen = {coarsen}: must be 1, so that frames have an exact energy")
    pool = Pool()
    for member, observations in enumerate(arm):
        for name, parts in split(observations).items():
            for o in parts:
                some = Observation(o.model, o.data.isel(frame=slice(None, None, _FRAMES_APART)))
                _add_runs(pool, some, Label("energy_r2", name, o.arm), member)
    return Result.of(pool.rows())


def _add_runs(pool: Pool, o: Observation, label: Label, member: int) -> None:
    ahead, runs = functional.normalize(o.z_rate, dim=2), np.arange(len(o.z))
    exact = _add_states(pool, o, o.z, runs, label._replace(case="along"), member, ahead=ahead)
    for case, guess in (("image", o.potential.double().numpy()), ("decoder", exact)):
        _add_r2(pool, o, guess, o.data["energy"].values, runs, label._replace(case=case), member)
    # Runs lie in the order of sweep rate, sample, anisotropy.
    same = (np.diff(o.data.sweep_rate.values) == 0) & (np.diff(o.samples) == 0)
    pairs = np.flatnonzero(same)
    if len(pairs):
        middle = (o.z[pairs] + o.z[pairs + 1]) / 2
        _add_states(pool, o, middle, pairs, label._replace(case="between"), member)


def _add_states(
    pool: Pool,
    o: Observation,
    z: Float[Tensor, "chosen frame latent"],
    chosen: ndarray,
    label: Label,
    member: int,
    ahead: Float[Tensor, "chosen frame latent"] | None = None,
) -> Float[ndarray, "chosen frame"]:
    """Add how far V and its slope are right in some states of the chosen runs, and return H/A ∘ D there.

    With unit vectors `ahead` also how far the slope along them is.
    """
    controls = o.controls[chosen]
    with torch.no_grad():
        potential, slope = o.model.potential(z, controls).double().numpy(), o.model.slope(z, controls)
        images, pull = torch.func.vjp(o.model.decode, z)[:2]
    count = images.shape[-1]
    energy, force = np.empty(images.shape[:2]), np.empty(images.shape)
    for i, run in enumerate(chosen.tolist()):
        system = cast(Plane, system_of(o.data, run))
        for j, h in enumerate(o.data["external_field"].values[run]):
            image = images[i, j].double().numpy().reshape(o.model.shape)
            energy[i, j], force[i, j] = system.energy(image, h), system.force(image, h).ravel()
    with torch.no_grad():
        # −δH/δφ = −N ∂(H/A)/∂φ on N pixels.
        (exact,) = pull(-torch.from_numpy(force).float() / count)
    _add_r2(pool, o, potential, energy, chosen, label, member)
    parts = {label.case: (slope - exact, exact)}
    if ahead is not None:
        parts["motion"] = ((slope - exact) * ahead).sum(dim=2), (exact * ahead).sum(dim=2)
    for case, pair in parts.items():
        above, below = (part.double().square().flatten(1).sum(dim=1).numpy() for part in pair)
        named = label._replace(metric="slope_error", case=case)
        pool.add(named, Form.ROOT, above, below, o.samples[chosen], member=member)
    return energy


def _add_r2(
    pool: Pool, o: Observation, guess: ndarray, truth: ndarray, chosen: ndarray, label: Label, member: int
) -> None:
    above, below = (part.sum(axis=1) for part in ((guess - truth) ** 2, (truth - truth.mean()) ** 2))
    pool.add(label, Form.SKILL, above, below, o.samples[chosen], member=member)
