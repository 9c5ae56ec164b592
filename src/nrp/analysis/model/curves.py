"""Single runs in time, as in the paper's Fig. 2A and 2B: potential, energy, errors, predicted images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from nrp.analysis.registry import Model, Observed, analysis
from nrp.base import InvalidSetting
from nrp.evaluation import Observation, Result
from nrp.reduction import images_of


@analysis(
    "curves",
    version=5,
    needs={"observations": Observed(Model("paper"), ("films",))},
    options=lambda profile: {"alphas": profile.figure_anisotropy},
)
def sweep_curves(observations: Sequence[Observation], *, alphas: Sequence[float]) -> Result:
    """Return what Fig. 2A and 2B show, for single runs: V, errors and predicted frames in time.

    The observations are those of members of one arm, of films with one run of each of these anisotropies.
    Arrays, with the runs in the order of ``alphas``: ``time`` (run, frame), ``potential`` (member, run,
    frame), V(t), ``energy``, the true H per area, ``one_step`` and ``reconstruction`` (member, run, frame)
    and ``persistence`` rms errors per frame (of a prediction nan in the first), ``truth`` and, of the first
    member, ``prediction`` (run, frame, y, x; the first predicted frame is nan), ``onset_time`` (run).

    Raises
    ------
    InvalidSetting
        If there is no run with one of them.
    """
    grid = observations[0].data["anisotropy"].values
    if missing := [alpha for alpha in alphas if alpha not in grid]:
        known = ", ".join(f"{alpha:g}" for alpha in np.unique(grid))
        raise InvalidSetting(f"anisotropies = {missing}: must be among those of the films, {known}")
    runs = np.array([int(np.flatnonzero(grid == alpha)[0]) for alpha in alphas])
    chosen = [each.isel(run=runs) for each in observations]
    first = chosen[0]
    images, predictions = first.frames.images, []
    found: dict[str, list[ndarray]] = {"potential": [], "one_step": [], "reconstruction": []}
    for o in chosen:
        with torch.no_grad():
            ahead = o.model.step(o.z[:, :-1], o.controls[:, :-1], o.frames.intervals)
            predictions.append(o.model.decode(ahead))
            found["reconstruction"].append(_rms(o.model.decode(o.z), images))
        found["potential"].append(o.potential.double().numpy())
        found["one_step"].append(_from_second(_rms(predictions[-1], images[:, 1:])))
    truth = images_of(first.data).values
    return Result.of(
        [],
        alphas=np.array(alphas),
        time=first.times,
        persistence=_from_second(_rms(images[:, :-1], images[:, 1:])),
        truth=truth,
        prediction=_from_second(predictions[0].numpy()).reshape(truth.shape),
        energy=first.data["energy"].values,
        onset_time=first.data["onset_time"].values,
        **{name: np.stack(values) for name, values in found.items()},
    )


def labelled_frames(
    time: Float[ndarray, "2 frame"], onset_time: Float[ndarray, " 2"]
) -> list[tuple[int, int]]:
    """Return (run, frame) of the points a to f of Fig. 2A: before and after each onset, and at the end."""
    last = time.shape[1] - 1
    points = []
    for run in range(2):
        first = int(np.searchsorted(time[run], onset_time[run]))
        points += [(run, max(first - 2, 1)), (run, min(first + 3, last - 1)), (run, last)]
    return points


def _rms(guess: Tensor, target: Tensor) -> ndarray:
    return (guess - target).square().mean(-1).sqrt().double().numpy()


def _from_second(values: ndarray) -> ndarray:
    """Return values of all frames, nan in the first."""
    return np.concatenate([np.full_like(values[:, :1], np.nan), values], axis=1)
