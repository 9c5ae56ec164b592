"""In which minimum of a learned potential the state sits while the field falls and rises, and how it leaves.

A minimum that vanishes in a fold lets the state go: that jump is one of the dynamics, and comes at different
fields on the way down and up.  Between the two lies the field at which both minima are equally deep, where a
system that had all the time in the world would jump.  A minimum that only moves has neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from numpy import ndarray

from nrp.analysis.potential.branches import Track
from nrp.analysis.potential.occupied import (
    MEMBERS,
    Sweep,
    followed,
    in_double,
    places_read,
    read_off,
    resampled,
    saturated_states,
    swept,
)
from nrp.analysis.potential.stability import stability_rows
from nrp.analysis.potential.stationary import Landscape, Potential
from nrp.analysis.registry import Dataset, Needs, analysis, members_of
from nrp.evaluation import Result
from nrp.evaluation.result import mean_row, share_row
from nrp.reduction import ReducedModel, load_frames

_APART = 0.02
"""States that are closer in z are the same."""
_STORED, _FINE = 61, 601
"""Fields at which tracks are stored, and at which minima are compared."""
_SPACING = 0.1
"""From one anisotropy to the next, where the steps of a final state are compared."""
_MARGIN = 0.25
"""Share of the width of the states that are seen by which a minimum may lie outside them."""
_STOPPED = "uniform_held_down_-0.15"
"""Uniform films whose field stops between their two folds, so that over the anisotropy there is one, too."""
Entry = tuple[str, str | None, float | None]
"""Metric, case and anisotropy of a value."""


def needs_of(model: str, films: str | None = None) -> Callable[..., Needs | None]:
    """Return what `transitions` needs for a model of that name, as a function of the profile.

    The films are the first that the model is trained on, unless others are named.
    """

    def needs(profile) -> Needs | None:
        if model not in profile.models or profile.models[model].members == 1:
            return None
        data = Dataset(films or profile.models[model].data[0])
        return {"members": members_of(profile, model)[:MEMBERS], "films": data}

    return needs


@analysis("transitions_descriptors", version=2, needs=needs_of("descriptors"), publish=True)
@analysis("transitions_sweeps", version=2, needs=needs_of("descriptors_sweeps"), publish=True)
@analysis("transitions_high", version=2, needs=needs_of("descriptors_high"), publish=True)
@analysis("transitions_two", version=2, needs=needs_of("descriptors_two"), publish=True)
@analysis("transitions_growing", version=2, needs=needs_of("descriptors_growing"), publish=True)
@analysis("transitions_uniform", version=2, needs=needs_of("uniform"), publish=True)
@analysis("transitions_uniform_stopped", version=2, needs=needs_of("uniform", _STOPPED), publish=True)
@analysis("transitions_narrow", version=2, needs=needs_of("narrow"), publish=True)
@analysis("transitions_hexagons", version=2, needs=needs_of("hexagons"), publish=True)
def transitions(members: Sequence[ReducedModel], films: xr.Dataset) -> Result:
    """Return where the minimum vanishes, or moves, that a film occupies while its field falls and rises.

    At each anisotropy of the films the minimum is followed (`nrp.analysis.potential.branches`) from the
    encoded mean of the first frames, with the field of the first run: ``falling`` from its first value to the
    furthest, and ``rising`` to the first again.  A row is a mean over the members that have a value, with its
    95 % interval by Student's t; a share has the one after Clopper and Pearson, over all anisotropies that of
    the mean of the members' shares.  In the cases ``falling`` and ``rising``, by anisotropy:

    - ``lost_share`` of members whose state finds no minimum; all else is of the others;
    - ``outside_share`` of members whose minimum leaves the encoded films by more than a quarter of their
      width in any coordinate, so that nothing that it does is learned;
    - ``fold_share`` of members whose minimum vanishes in a fold, ``fold_count``, how often, ``fold_field``,
      where it does so first, and ``fold_jump``, how far in z the state slides there;
    - ``stability_field`` where the falling minimum moves fastest, which is at the fold if there is one; of
      the arm ``exact`` where the saturated state of the clean medium loses its linear stability, by its
      equation; of the arm ``films`` at T_init of the slowest sweeps, over the samples;
    - ``softest``, the smallest eigenvalue of ∂²V/∂z² on the way down, which is 0 at a fold;
    - ``deepest_field`` where two minima, occupied on the ways down and up, are equally deep.

    In that furthest field, with the anisotropy as the control, ``from_below`` and ``from_above``, from the
    minima in which sweeps end at the smallest and the largest anisotropy: shares and folds
    as above (``fold_anisotropy``), and ``deepest_anisotropy``; ``same_minimum``, the share of anisotropies
    at which a sweep ends in the minimum that is followed; and ``largest_step``, the largest change of z* from
    one anisotropy to the next, 0.1 apart, over the median change, in the case ``falling`` the same of the
    minima in which sweeps end, at the anisotropies of the films.

    Arrays: ``alphas``, ``fields``; ``magnetization`` and ``negative_fraction`` (member, case, anisotropy,
    field), decoded, and of the first member the ``states`` (case, anisotropy, field, latent);
    ``final_alphas``, ``final_magnetization`` (member, from below or above, anisotropy); nan where a state is
    lost.

    Raises
    ------
    InvalidSetting
        If a member has no potential, or the films are not described by numbers.
    """
    places_read(films)
    alphas = np.unique(films["anisotropy"].values)
    path = films["external_field"].values[0]
    begin, until = float(path[0]), float(path[np.abs(path - path[0]).argmax()])
    fields, final = np.linspace(begin, until, _STORED), _evenly(alphas)
    values: dict[Entry, list[float]] = defaultdict(list)
    read, final_read, states = [], [], []
    for model in map(in_double, members):
        starts = saturated_states(model, films, alphas)
        of_potential, latent = Landscape(model.potential, model.slope), starts.shape[1]
        sweeps = [swept(of_potential, a, z, (begin, until)) for a, z in zip(alphas, starts, strict=True)]
        ends = _along_anisotropy(of_potential, alphas, until, sweeps)
        seen = _box(model.encode(model.seen(load_frames(films)).images.flatten(0, 1).double()).numpy())
        for entry, value in _values(of_potential, alphas, until, sweeps, ends, seen):
            values[entry].append(value)
        tracks = [[resampled(track, fields, latent=latent) for track in each] for each in sweeps]
        states.append(torch.stack([torch.stack(each) for each in tracks]).transpose(0, 1))
        read.append(read_off(model, states[-1], films))
        along = torch.stack([resampled(track, final, latent=latent) for track in ends])
        final_read.append(read_off(model, along, films)[..., 0])
    arm = members[0].settings.label
    arrays = {
        "magnetization": np.stack(read)[..., 0],
        "negative_fraction": np.stack(read)[..., 1],
        "final_magnetization": np.stack(final_read),
        "states": states[0].numpy(),
    }
    return Result.of(
        [*_rows(values, arm), *stability_rows(films, alphas, (until, begin))],
        alphas=alphas,
        fields=fields,
        final_alphas=final,
        **{name: array.astype(np.float32) for name, array in arrays.items()},
    )


def _evenly(alphas: ndarray) -> ndarray:
    return np.linspace(alphas[0], alphas[-1], round((alphas[-1] - alphas[0]) / _SPACING) + 1)


def _along_anisotropy(potential: Potential, alphas: ndarray, field: float, sweeps: Sequence[Sweep]) -> Sweep:
    """Follow the minima in which the first and the last sweep end to the other end of the anisotropies."""
    tracks: list[Track | None] = []
    for here, there in ((0, -1), (-1, 0)):
        sweep, controls = sweeps[here].falling, (float(alphas[here]), field)
        start = None if sweep is None else torch.from_numpy(sweep.z[-1])
        until = float(alphas[there])
        tracks.append(start if start is None else followed(potential, controls, start, along=0, until=until))
    return Sweep(*tracks)


def _values(
    potential: Potential,
    alphas: ndarray,
    field: float,
    sweeps: Sequence[Sweep],
    ends: Sweep,
    seen: tuple[ndarray, ndarray],
) -> Iterator[tuple[Entry, float]]:
    """Yield what is read of one member."""
    shares: dict[Entry, list[float]] = defaultdict(list)
    for alpha, sweep in zip(alphas, sweeps, strict=True):
        for case, track in zip(("falling", "rising"), sweep, strict=True):
            for metric, value in _of_track(track, "fold_field", seen):
                if case == "falling" or metric not in ("stability_field", "softest"):
                    yield (metric, case, alpha), value
                if metric.endswith("_share"):
                    shares[metric, case, None].append(value)
        for value in _equal_depth(potential, (alpha, field), 1, sweep):
            yield ("deepest_field", None, alpha), value
    for entry, found in shares.items():
        yield entry, float(np.mean(found))
    if len(alphas) == 1:
        return
    reached = [each.falling.z[-1] for each in sweeps if each.falling is not None]
    if len(reached) == len(alphas):
        yield ("largest_step", "falling", None), _largest_step(np.array(reached))
    for value in _equal_depth(potential, (alphas[0], field), 0, ends):
        yield ("deepest_anisotropy", None, None), value
    for case, track in zip(("from_below", "from_above"), ends, strict=True):
        for metric, value in _of_track(track, "fold_anisotropy", seen):
            if metric not in ("stability_field", "softest"):
                yield (metric, case, None), value
        if track is not None:
            latent = track.z.shape[1]
            yield (
                ("largest_step", case, None),
                _largest_step(resampled(track, _evenly(alphas), latent=latent).numpy()),
            )
            if len(reached) == len(alphas):
                away = np.linalg.norm(resampled(track, alphas, latent=latent).numpy() - reached, axis=1)
                yield ("same_minimum", case, None), float((away < _APART).mean())


def _box(z: ndarray) -> tuple[ndarray, ndarray]:
    margin = _MARGIN * np.ptp(z, axis=0)
    return z.min(axis=0) - margin, z.max(axis=0) + margin


def _of_track(track: Track | None, fold: str, seen: tuple[ndarray, ndarray]) -> Iterator[tuple[str, float]]:
    yield "lost_share", float(track is None)
    if track is None:
        return
    yield "outside_share", float(((track.z < seen[0]) | (track.z > seen[1])).any())
    yield "fold_share", float(len(track.folds) > 0)
    yield "fold_count", float(len(track.folds))
    if len(track.folds):
        yield fold, float(track.folds[0])
    if len(track.folds) and np.isfinite(track.jumps[0]):
        yield "fold_jump", float(track.jumps[0])
    yield "stability_field", _steepest(track)
    yield "softest", 0.0 if len(track.folds) else float(track.softest.min())


def _largest_step(z: ndarray) -> float:
    steps = np.linalg.norm(np.diff(z, axis=0), axis=1)
    return float(steps.max() / np.median(steps))


def _steepest(track: Track) -> float:
    """Return where a minimum moves fastest with the control: at its first fold, if it has one."""
    if len(track.folds):
        return float(track.folds[0])
    middle = (track.control[1:] + track.control[:-1]) / 2
    speed = np.linalg.norm(np.diff(track.z, axis=0), axis=1) / np.abs(np.diff(track.control))
    top = int(speed.argmax())
    near = slice(max(top - 1, 0), top + 2)
    if len(speed[near]) == 3:
        bend, slope, _ = np.polyfit(middle[near] - middle[top], speed[near], 2)
        if bend < 0:
            return float(middle[top] - slope / (2 * bend))
    return float(middle[top])


def _equal_depth(
    potential: Potential, controls: tuple[float, ...], along: int, pair: Sweep
) -> Iterator[float]:
    """Yield the first value of a control, if any, at which two occupied minima are equally deep."""
    if pair.falling is None or pair.rising is None:
        return
    at = np.linspace(pair.falling.control[0], pair.falling.control[-1], _FINE)
    latent = pair.falling.z.shape[1]
    one, other = (resampled(track, at, latent=latent) for track in pair)
    there = torch.tensor(controls, dtype=torch.float64).repeat(len(at), 1)
    there[:, along] = torch.from_numpy(at)
    higher = (potential(one, there) - potential(other, there)).numpy()
    apart = (one - other).norm(dim=1).numpy() > _APART
    for i in np.flatnonzero(apart[1:] & apart[:-1] & (higher[1:] * higher[:-1] <= 0))[:1]:
        yield float(at[i] + (at[i + 1] - at[i]) * higher[i] / (higher[i] - higher[i + 1]))


def _rows(values: dict[Entry, list[float]], arm: str) -> list[dict]:
    """Return a row for each entry, over the members that have it."""
    rows = []
    for (metric, case, alpha), found in values.items():
        common = {"case": case, "arm": arm, "anisotropy": alpha, "members": len(found)}
        of_members = metric.endswith("_share") and (alpha is not None or case in ("from_below", "from_above"))
        if of_members:
            rows.append(share_row(metric, np.array(found) > 0, **common))
        else:
            rows.append(mean_row(metric, np.array(found), **common))
    return rows
