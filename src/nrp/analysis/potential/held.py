"""Films that are held in a field reached from above and from below, and the minima that belong to it.

A film that is held in a field reached from above and in the same field reached from below ends in one state
or in two.  Where a learned potential has two minima, so should the film.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from nrp.analysis.potential.occupied import (
    MEMBERS,
    READ,
    Sweep,
    in_double,
    places_read,
    read_off,
    resampled,
    saturated_states,
    swept,
)
from nrp.analysis.potential.stationary import Landscape
from nrp.analysis.registry import Needs, Observed, analysis, members_of
from nrp.base import InvalidSetting
from nrp.evaluation import Observation, Result
from nrp.evaluation.observation import Observations
from nrp.evaluation.result import mean_row
from nrp.evaluation.rollouts import Drive, follow
from nrp.simulation import CampaignSettings

_STORED = 76
"""Fields at which tracks are stored."""


def needs_of(model: str, *, higher: bool = False) -> Callable[..., Needs | None]:
    """Return what `held_states` needs for a model of that name, as a function of the profile.

    The films are those for tests that are held, or those that are held in `higher` fields.
    """

    def needs(profile) -> Needs | None:
        if model not in profile.models or profile.models[model].members == 1:
            return None
        films = profile.held_higher if higher else profile.unseen
        pairs = in_pairs(profile, films)
        members = members_of(profile, model)[:MEMBERS]
        return {"members": tuple(Observed(member, pairs) for member in members)}

    return needs


def in_pairs(profile, names: Sequence[str]) -> tuple[str, ...]:
    """Return those datasets of a profile whose field is held, by field, from above before from below."""

    def way(name: str) -> tuple[float, bool]:
        held: CampaignSettings = profile.datasets[name]
        return held.field_table[-1][1], held.held_from == "below"

    return tuple(sorted((name for name in names if profile.datasets[name].held_from), key=way))


@analysis("held_states_descriptors", version=2, needs=needs_of("descriptors"), publish=True)
@analysis("held_states_sweeps", version=2, needs=needs_of("descriptors_sweeps"), publish=True)
@analysis("held_higher_descriptors", version=2, needs=needs_of("descriptors", higher=True), publish=True)
@analysis("held_higher_high", version=2, needs=needs_of("descriptors_high", higher=True), publish=True)
def held_states(members: Sequence[Observations]) -> Result:
    """Return how far apart films end that are held in one field, reached from above and from below.

    The datasets come in pairs, reached from above and from below, one pair for each field; each of them has
    one run for each anisotropy and disorder sample.  Distances are the rms difference of the last frames, or
    decoded states, over the descriptors, in units of their deviations.  Rows, for each field by anisotropy,
    and over all of them:

    - ``held_gap`` between the two ways: of the arm ``films``, a mean over samples; of the model, between the
      ends of its flow from the first frames under h(t), a mean over members of the means over samples; of the
      arm ``landscape``, between the minima that are occupied on the ways down and up
      (`nrp.analysis.potential.transitions`), a mean over members whose state finds them; and of the arm
      ``other_sample``, between films of different disorder, both from above;
    - ``held_error`` of the ends of the flow, and of the occupied minima, against the ends of the films,
      ``from above`` and ``from below``.

    Intervals at 95 % by Student's t.  Arrays: ``alphas``, ``levels`` (the fields that are held); of the last
    frames ``held_magnetization`` and ``held_negative_fraction`` (from above or below, level, anisotropy,
    sample); of the occupied minima ``magnetization`` and ``negative_fraction`` (member, falling or rising,
    anisotropy, field) over ``fields``, nan where a state is lost.

    Raises
    ------
    InvalidSetting
        If the datasets are not such pairs, a member has no potential, or the films are not described by
        numbers.
    """
    members = [[_arranged(each) for each in observations] for observations in members]
    first, arm = members[0], members[0][0].arm
    places = places_read(first[0].data)
    alphas, samples = (np.unique(first[0].data[name].values) for name in ("anisotropy", "sample"))
    levels = np.array([float(each.data["external_field"][0, -1]) for each in first[::2]])
    _check_pairs(first, alphas, samples, levels)
    top, bottom = float(first[0].data["external_field"].max()), float(first[1].data["external_field"].min())
    fields = np.linspace(top, bottom, _STORED)

    def by_side(ends: Sequence[Tensor]) -> ndarray:
        """Return last states (side, level, anisotropy, sample, number)."""
        both = torch.stack([torch.stack(list(ends[side::2])) for side in range(2)])
        return both.unflatten(2, (len(alphas), len(samples))).double().numpy()

    films = by_side([each.frames.images[:, -1] for each in first])
    flows = np.stack([by_side([_end_of_flow(each) for each in observed]) for observed in members])
    minima, read = [], []
    for observed in members:
        model = in_double(observed[0].model)
        starts = saturated_states(model, observed[0].data, alphas)
        landscape = Landscape(model.potential, model.slope)
        sweeps = [swept(landscape, a, z, (top, bottom)) for a, z in zip(alphas, starts, strict=True)]
        at_levels, along = (_states(sweeps, at, starts.shape[1]) for at in (levels, fields))
        minima.append(model.decode(at_levels).transpose(1, 2).numpy())
        read.append(read_off(model, along, first[0].data))
    occupied = np.stack(minima)
    gaps = {
        "films": np.moveaxis(rms(films[0] - films[1]), -1, 0),
        arm: rms(flows[:, 0] - flows[:, 1]).mean(axis=-1),
        "landscape": rms(occupied[:, 0] - occupied[:, 1]),
    }
    if len(samples) > 1:
        among = rms(films[0][:, :, :, None] - films[0][:, :, None]).sum(axis=-1) / (len(samples) - 1)
        gaps["other_sample"] = np.moveaxis(among, -1, 0)
    errors = {
        arm: rms(flows - films).mean(axis=-1),
        "landscape": rms(occupied[..., None, :] - films).mean(axis=-1),
    }
    rows = []
    for i, level in enumerate(levels):
        for name, gap in gaps.items():
            common = {"arm": name, "case": f"h = {level:g}"}
            rows += _rows("held_gap", gap[:, i], alphas, **common)
        for name, error in errors.items():
            for side, words in enumerate(("from above", "from below")):
                common = {"arm": name, "case": f"h = {level:g}, {words}"}
                rows += _rows("held_error", error[:, side, i], alphas, **common)
    arrays = {name: np.stack(read)[..., i] for i, name in enumerate(("magnetization", READ[1]))}
    ends = np.stack([each.stored.images[:, -1].numpy() for each in first])[..., places]
    shape = (len(levels), 2, len(alphas), len(samples))
    for i, name in enumerate(("held_magnetization", f"held_{READ[1]}")):
        arrays[name] = ends[..., i].reshape(shape).swapaxes(0, 1)
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    return Result.of(rows, alphas=alphas, levels=levels, fields=fields, **arrays)


def _arranged(seen: Observation) -> Observation:
    """Return the runs in order of their anisotropy, and of their sample."""
    return seen.isel(run=np.lexsort((seen.samples, seen.data["anisotropy"].values)))


def _check_pairs(seen: Observations, alphas: ndarray, samples: ndarray, levels: ndarray) -> None:
    grid = np.stack(np.meshgrid(alphas, samples, indexing="ij"), axis=-1).reshape(-1, 2)
    fit = len(seen) % 2 == 0
    for each, level in zip(seen, levels.repeat(2), strict=False):
        runs = np.stack([each.data["anisotropy"].values, each.samples], axis=1)
        fit &= np.array_equal(runs, grid) and np.allclose(each.data["external_field"][:, -1], level)
    if not fit:
        wanted = "one run for each anisotropy and sample, and end in the same field, in pairs"
        raise InvalidSetting(f"data: held films must have {wanted}, from above and from below")


def _end_of_flow(seen: Observation) -> Tensor:
    """Return what the flow makes of the first frames: decoded, in units of the deviations."""
    drive, runs = Drive((seen.data, seen.frames)), np.arange(len(seen.times))
    longest = seen.model.longest_step
    states = follow(seen.model.velocity, seen.z[:, 0], drive, runs, seen.times, longest=longest)
    with torch.no_grad():
        return seen.model.decode(states[:, -1])


def _states(sweeps: Sequence[Sweep], at: ndarray, latent: int) -> Tensor:
    """Return the occupied minima (falling or rising, anisotropy, field, latent)."""
    parts = [torch.stack([resampled(track, at, latent=latent) for track in sweep]) for sweep in sweeps]
    return torch.stack(parts, dim=1)


def rms(difference: ndarray) -> ndarray:
    """Return the rms over the last axis."""
    return np.sqrt(np.mean(difference**2, axis=-1))


def _rows(metric: str, values: ndarray, alphas: ndarray, **columns: object) -> list[dict]:
    """Return the rows of values (member or sample, anisotropy): for each anisotropy, and over all."""
    rows = []
    of_film = columns["arm"] in ("films", "other_sample")
    for alpha, column in [*zip(alphas, values.T, strict=True), (None, values.mean(axis=1))]:
        known = column[np.isfinite(column)]
        if len(known):
            members = None if of_film else len(known)
            rows.append(mean_row(metric, known, anisotropy=alpha, members=members, **columns))
    return rows
