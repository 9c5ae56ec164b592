"""How well a model, and its rivals, reconstruct, explain and predict, on runs seen and not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from nrp.analysis.baselines import Lookup, polynomial_flow
from nrp.analysis.pooling import Label, Sums, advantages, ratio, root, rows, share, skill
from nrp.analysis.result import Result, row
from nrp.analysis.rollouts import Drive, Velocity, follow, readouts
from nrp.reduction import ReducedModel, by_split, load_frames, parted
from nrp.settings import InvalidSetting
from nrp.store import Step

FORECAST = Step("forecast", 3)
CURVES = Step("curves", 3)
LEADS = (1, 2, 5, 10, 30)
"""Lead times in frames; the last frame comes besides, from the first."""
_BETWEEN_STARTS = 10
"""Frames from one state that the flow is followed from to the next, and between images that are described."""
_NOISES = (0.1, 0.2, 0.4)
"""Deviations of the steps off the states at which polynomials are fitted, of which the best is taken."""
_AWAY = 3.0
"""A rollout that is off by so many standard deviations of its run has diverged."""
_RUNS_AT_ONCE = 64


class Path(NamedTuple):
    """Frames of runs along which the flow is to be followed."""

    runs: Int[ndarray, " start"]
    frames: Int[ndarray, "start frame"]


def forecast(*inputs: ReducedModel | xr.Dataset, far: bool = True) -> Result:
    """Return the errors of an arm, of its rivals and of guesses without a model, on every split.

    Squared errors are pooled over the runs, frames and pixels of a split; the case ``per_frame_mean`` is the
    mean of the errors of single frames instead.  Metrics:

    - ``reconstruction_rmse`` of D(E(X));
    - ``one_step_rmse`` of the next frame, in the paper's form D(z − Δt ∂V/∂z) and as ``increment``
      X + D(z − Δt ∂V/∂z) − D(z), ``one_step_skill`` = 1 − MSE/MSE of persistence, and
      ``persistence_rmse``, the error of the frame itself taken for the next one;
    - ``one_step_rmse`` also of two guesses without a model: the arm ``extrapolation``, the line through
      the last two frames, and the arm ``exact_rate``, one step along the true ∂φ/∂t;
    - ``skill`` against the lead time in frames, of the flow followed in time under the field h(t), from every
      tenth frame, and from the first to the last; in both forms, and of the mean over frames;
    - ``rate_error``, √(Σ‖ż − v‖²/Σ‖ż‖²) with the exact ż = J_E ∂φ/∂t and the model's v = −K ∂V/∂z, in the
      case ``finite_difference`` with the difference of neighbouring frames that Eq. (2) is trained on, in the
      case ``decoded`` in the image, ∂φ/∂t against J_D v;
    - ``rollout_error``, the rms error of the image over the standard deviation of its run, mean over the
      frames after the start, ``from_saturation`` (the first frame; ``from_start`` where that is not
      saturated), ``from_onset`` (the first after T_init) or ``from_T0``; it counts as 3 at most, where the
      rollout has diverged; ``rollout_diverged`` is the share of runs that ever do; the arm ``persistence``
      stays at the start;
    - ``readout_error`` of rollouts from the first frame, for films: Σ|error|/Σ|error of persistence| of what
      `nrp.analysis.rollouts.readouts` reads off every tenth frame;
    - ``advantage`` of the arm: 1 − MSE/MSE of a rival by lead time, in the increment form, and the same of
      rollout errors;
    - ``motion_share``, the share of the squared motion in the tenth of the frames that move most, and
      ``floor_share``, the share of the frames that move less than they are off in reconstruction;
    - ``image_deviation``, the standard deviation of all pixels, the scale to read the others against.

    Rivals are the other models, by their labels, and in the latent space of the arm ``lookup``, the mean
    exact ż of all training frames with the same (α, h), and, for films and where there are twice as many
    frames as terms, ``sindy``, a sparse polynomial fitted to the exact ż, with noise that is chosen by how
    well its flow keeps to the training runs for ten frames.

    Intervals at 95 %: by bootstrap over disorder samples if there are three or more, else over runs, for five
    units at least; with several members joined with Student's t over them, whichever reaches further.

    Parameters
    ----------
    *inputs
        Members of one arm first, then members of its rivals, trained on the same runs, and datasets of one
        system.
    far
        Whether the flows are followed for more than a step, and rivals fitted; else only the errors of single
        frames are given, in a tenth of the time.

    Raises
    ------
    InvalidSetting
        If the images are not of the size that the model takes, or no run belongs to a split.
    """
    models, datasets = parted(inputs)
    first = models[0]
    _check(first, datasets)
    splits = by_split(datasets, first.settings, first.trained_on)
    if not splits:
        raise InvalidSetting("data: must have a run that is new in at most one thing, or in all three")
    common = {"analysis": "forecast", "system": "film" if "disorder" in datasets[0] else "bead"}
    truth, samples, entries = Sums(), {}, []
    scenes = [
        Scene(split, part) for split, found in splits.items() for data in found for part in _chunks(data)
    ]
    for split in splits:
        here = [scene for scene in scenes if scene.split == split]
        samples[split] = np.concatenate([scene.data["sample"].values for scene in here])
        entries += _shares(here, split=split, **common)
    for scene in scenes:
        _add_truth(truth, scene)
    arm, sums = first.settings.label, {}
    for model in models:
        views = [View(model, scene) for scene in scenes]
        for rival in _laws(model, views, others=far and model.settings.label == arm):
            own = Sums()
            sums.setdefault(rival.name, []).append(own)
            for view in views:
                _add_frames(own, view, rival)
            if far:
                for view, states in rival.follow(views, "leads"):
                    _add_leads(own, view, rival, states)
                for start in ("from_saturation", "from_start", "from_onset", "from_T0"):
                    for view, states in rival.follow(views, start):
                        _add_rollouts(own, view, rival, start, states)
    for members in ([truth], *sums.values()):
        entries += rows(members, samples, **common)
    for name, members in sums.items():
        if name != arm:
            entries += advantages(sums[arm], members, samples, rival=name, **common)
    return Result.of(entries)


class Scene:
    """Some runs of a split, and what is true of them whatever the model."""

    def __init__(self, split: str, data: xr.Dataset) -> None:
        self.split, self.data, self.frames = split, data, load_frames(data)
        self.times = data.time.values
        images = self.frames.images
        self.still, self.motion = _mean_square(images.diff(dim=1)), _mean_square(self.frames.rates)
        self.last = images.shape[1] - 1
        self.deviation = images.flatten(1).std(dim=1).double()
        self.begins = "from_saturation" if "disorder" in data and split != "random_start" else "from_start"
        """Name of the rollouts from the first frame."""
        self.starts = {self.begins: np.zeros(len(images), dtype=int)}
        self.described = np.arange(0, self.last + 1, _BETWEEN_STARTS)[1:]
        if self.begins == "from_saturation":
            onset = (self.times < data.onset_time.values[:, None]).sum(axis=1)
            h = data.external_field.values
            moving = np.diff(h, axis=1, append=h[:, -1:]) != 0
            self.starts["from_onset"] = np.where(np.isnan(data.onset_time.values), self.last, onset)
            if not split.startswith("field"):
                self.starts["from_T0"] = moving.sum(axis=1)

    @cached_property
    def paths(self) -> dict[str, Path]:
        """By name: ``leads``, from every tenth frame as far as the longest lead, and the rollouts."""
        every = np.arange(0, self.last, _BETWEEN_STARTS)
        runs, begins = (
            grid.ravel() for grid in np.meshgrid(np.arange(len(self.times)), every, indexing="ij")
        )
        longest = max(lead for lead in LEADS if lead < self.last)
        paths = {"leads": Path(runs, np.minimum(begins[:, None] + np.arange(longest + 1), self.last))}
        for name, start in self.starts.items():
            ahead = start[:, None] + np.arange(self.last - start.min() + 1)
            paths[name] = Path(np.arange(len(start)), np.minimum(ahead, self.last))
        return paths

    @cached_property
    def read(self) -> dict[str, ndarray]:
        """What is read off the true images, (run, described frame)."""
        return self.readouts(self.frames.images[:, self.described])

    @cached_property
    def stay(self) -> dict[str, ndarray]:
        """What is read off the first image, taken for all later ones."""
        return self.readouts(self.frames.images[:, :1].expand(-1, len(self.described), -1))

    def readouts(self, images: Tensor) -> dict[str, ndarray]:
        """Return what is read off images (run, described frame, pixel) of these runs."""
        shape = (*images.shape[:2], self.data.sizes["y"], self.data.sizes["x"])
        return readouts(images.double().reshape(shape).numpy(), self.data, self.described)


class View:
    """A scene as a model sees it: coordinates x of the images, and what of them these do not hold."""

    def __init__(self, model: ReducedModel, scene: Scene) -> None:
        images, rates = scene.frames.images, scene.frames.rates
        self.model, self.scene = model, scene
        with torch.no_grad():
            self.x, self.rate = model.coordinates.of(images), model.coordinates.of_rate(rates)
            self.z, self.z_rate = model.autoencoder.push_encode(self.x, self.rate)
            centred = images if model.coordinates.mean is None else images - model.coordinates.mean
            self.beside = self._beside(_mean_square(centred), self.x)
            """The mean square that is lost of each image by projection on the modes of the model."""
            self.rate_beside = self._beside(scene.motion, self.rate)

    def _beside(self, whole: Tensor, within: Tensor) -> Tensor:
        # Modes are orthonormal, so squares add up; of pixels nothing is lost.
        lost = (whole - within.square().sum(dim=-1).double()).clamp(min=0)
        return torch.zeros_like(whole) if self.model.coordinates.basis is None else lost

    def errors(self, guess: Tensor, runs: ndarray | slice, frames: ndarray | slice) -> Tensor:
        """Return the mean squared errors of images, guessed by their coordinates."""
        missed = (guess - self.x[runs, frames]).square().sum(dim=-1).double()
        return missed + self.beside[runs, frames]

    def change_errors(self, guess: Tensor, change: Tensor, still: Tensor) -> Tensor:
        """Return the same of guessed changes of an image, whose true mean square is `still`."""
        return (guess - change).square().sum(dim=-1).double() + self._beside(still, change)


class Rival(NamedTuple):
    """A law of motion in the latent space of a model: the model's own or another."""

    name: str
    velocity: Velocity
    own: bool = False

    def follow(self, views: list[View], name: str) -> Iterator[tuple[View, Tensor]]:
        """Yield the states (start, frame, latent) of the paths of that name, followed all at once."""
        views = [view for view in views if name in view.scene.paths]
        if not views:
            return
        scenes = [view.scene for view in views]
        paths = [scene.paths[name] for scene in scenes]
        z = torch.cat([view.z[path.runs, path.frames[:, 0]] for view, path in zip(views, paths, strict=True)])
        offsets = np.cumsum([0, *(len(scene.times) for scene in scenes)])
        runs = np.concatenate([path.runs + offset for path, offset in zip(paths, offsets, strict=False)])
        times = [
            scene.times[path.runs[:, None], path.frames] for scene, path in zip(scenes, paths, strict=True)
        ]
        # A path that is shorter than the longest stays where it ends.
        most = max(part.shape[1] for part in times)
        padded = [np.pad(part, ((0, 0), (0, most - part.shape[1])), mode="edge") for part in times]
        drive = Drive(*((scene.data, scene.frames) for scene in scenes))
        longest = views[0].model.longest_step
        states = follow(self.velocity, z, drive, runs, np.concatenate(padded), longest=longest)
        parts = states.split([len(path.runs) for path in paths])
        for view, path, part in zip(views, paths, parts, strict=True):
            yield view, part[:, : path.frames.shape[1]]


def _check(model: ReducedModel, datasets: Sequence[xr.Dataset]) -> None:
    for data in datasets:
        shape = (data.sizes["y"], data.sizes["x"])
        if shape != model.shape:
            raise InvalidSetting(f"data: has {shape} pixels, the model takes images of {model.shape}")


def _chunks(data: xr.Dataset) -> list[xr.Dataset]:
    count = data.sizes["run"]
    return [data.isel(run=slice(i, i + _RUNS_AT_ONCE)) for i in range(0, count, _RUNS_AT_ONCE)]


def _laws(model: ReducedModel, views: list[View], *, others: bool) -> list[Rival]:
    """Return the model's law of motion, and if wanted those made of the states of its training runs."""
    laws = [Rival(model.settings.label, model.velocity, own=True)]
    seen = [view for view in views if view.scene.split == "trained"]
    if not others or not seen:
        return laws

    def flat(of_view: Callable[[View], Tensor]) -> ndarray:
        return torch.cat([of_view(view).flatten(0, 1) for view in seen]).double().numpy()

    z, rate = flat(lambda view: view.z), flat(lambda view: view.z_rate)
    controls = flat(lambda view: view.scene.frames.controls)
    table = Lookup(controls[:, :2], rate)

    def looked_up(state: Tensor, at: Tensor) -> Tensor:
        known = table(at[..., :2].reshape(-1, 2).double().numpy())
        return torch.from_numpy(known).reshape(state.shape).float()

    laws.append(Rival("lookup", looked_up))
    variables = z.shape[1] + controls.shape[1]
    terms = (variables + 1) * (variables + 2) // 2
    if "disorder" in seen[0].scene.data and 2 * terms < len(z):
        flows = [Rival("sindy", polynomial_flow(z, controls, rate, noise=noise)) for noise in _NOISES]
        laws.append(min(flows, key=lambda flow: _drift(flow, seen)))
    return laws


def _drift(rival: Rival, views: list[View]) -> float:
    """Return how far a law of motion has led the states of some runs away after ten frames."""
    total = 0.0
    for view, states in rival.follow(views, "leads"):
        path = view.scene.paths["leads"]
        ahead = min(_BETWEEN_STARTS, states.shape[1] - 1)
        truth = view.z[path.runs, path.frames[:, ahead]]
        total += (states[:, ahead] - truth).double().square().sum().nan_to_num(nan=np.inf).item()
    return total


def _add_truth(sums: Sums, scene: Scene) -> None:
    images, split, still = scene.frames.images, scene.split, scene.still
    last = torch.cat([images[:, :1], 2 * images[:, 1:-1] - images[:, :-2]], dim=1)
    exact = images[:, :-1] + scene.frames.intervals[..., None] * scene.frames.rates[:, :-1]
    for arm, guess in (("extrapolation", last), ("exact_rate", exact)):
        _add_errors(sums, _mean_square(guess - images[:, 1:]), Label("one_step_rmse", split, arm, None, 1))
    _add_errors(sums, still, Label("persistence_rmse", split, lead_time=1))
    for start, begin in scene.starts.items():
        at = torch.from_numpy(begin)
        stays = images[torch.arange(len(images)), at][:, None].expand_as(images)
        _add_rollout(sums, scene, "persistence", start, _mean_square(stays - images))


def _add_frames(sums: Sums, view: View, rival: Rival) -> None:
    """Add the errors of single frames; those of the autoencoder only for its own model."""
    decode, scene, everything = view.model.autoencoder.decode, view.scene, slice(None)
    split, frames, z = scene.split, scene.frames, view.z
    with torch.no_grad():
        velocity, rebuilt = rival.velocity(z, frames.controls), decode(z)
        ahead = decode(z[:, :-1] + frames.intervals[..., None] * velocity[:, :-1])
    squares = {None: ((view.z_rate - velocity).square().sum(dim=2), view.z_rate.square().sum(dim=2))}
    if rival.own:
        difference = z.diff(dim=1) / frames.intervals[..., None]
        apart = (difference - velocity[:, :-1]).square().sum(dim=2)
        squares["finite_difference"] = (apart, difference.square().sum(dim=2))
        with torch.no_grad():
            moved = view.model.autoencoder.push_decode(z, velocity)[1]
        apart = (view.rate - moved).square().sum(dim=2)
        squares["decoded"] = (apart + view.rate_beside, scene.motion)
        off = view.errors(rebuilt, everything, everything)
        _add_errors(sums, off, Label("reconstruction_rmse", split, rival.name), frames=False)
        below = (off[:, :-1] > scene.still).double().numpy()
        count = np.full(len(z), below.shape[1])
        sums.add(share, below.sum(axis=1), count, Label("floor_share", split, rival.name))
    for case, pair in squares.items():
        both = (part.double().sum(dim=1).numpy() for part in pair)
        sums.add(root, *both, Label("rate_error", split, rival.name, case))
    forms = {
        "paper_form": view.errors(ahead, everything, slice(1, None)),
        "increment": view.change_errors(ahead - rebuilt[:, :-1], view.x.diff(dim=1), scene.still),
    }
    for case, off in forms.items():
        label = Label("one_step_rmse", split, rival.name, case, 1)
        _add_errors(sums, off, label, frames=case == "paper_form")
        both = (part.sum(dim=1).numpy() for part in (off, scene.still))
        sums.add(skill, *both, label._replace(metric="one_step_skill"))


def _add_errors(
    sums: Sums, squares: Float[Tensor, "run frame"], label: Label, *, frames: bool = True
) -> None:
    """Add squared errors of frames, pooled and, if wanted, as mean of their roots."""
    count = np.full(len(squares), squares.shape[1])
    sums.add(root, squares.sum(dim=1).numpy(), count, label)
    if frames:
        by_frame = label._replace(case="per_frame_mean")
        sums.add(ratio, squares.sqrt().sum(dim=1).numpy(), count, by_frame)


def _add_leads(sums: Sums, view: View, rival: Rival, states: Tensor) -> None:
    """Add the errors of the flow followed from every tenth frame."""
    decode, scene = view.model.autoencoder.decode, view.scene
    images, path, label = scene.frames.images, scene.paths["leads"], Label("skill", scene.split, rival.name)
    with torch.no_grad():
        floor = decode(states[:, 0])
        for lead in (lead for lead in LEADS if lead < states.shape[1]):
            there = path.frames[:, 0] + lead <= scene.last
            runs, begins, ends = path.runs[there], path.frames[there, 0], path.frames[there, lead]
            still = _mean_square(images[runs, ends] - images[runs, begins])
            guess = decode(states[there, lead])
            change = view.x[runs, ends] - view.x[runs, begins]
            forms = {
                "paper_form": view.errors(guess, runs, ends),
                "increment": view.change_errors(guess - floor[there], change, still),
            }
            for case, squares in forms.items():
                for mean, name in ((False, case), (True, _PER_FRAME[case])):
                    parts = ((part.sqrt() if mean else part).numpy() for part in (squares, still))
                    totals = [np.bincount(runs, part, minlength=len(images)) for part in parts]
                    sums.add(skill, *totals, label._replace(case=name, lead_time=lead))


_PER_FRAME = {"paper_form": "per_frame_mean", "increment": "increment_per_frame_mean"}


def _add_rollouts(sums: Sums, view: View, rival: Rival, start: str, states: Tensor) -> None:
    """Add the errors of the flow followed from one state of each run to the end."""
    scene, runs = view.scene, np.arange(len(states))
    images, last = scene.frames.images, scene.last
    # Back to the frames of the runs; those before the start do not count.
    place = np.clip(np.arange(last + 1) - scene.starts[start][:, None], 0, None)
    with torch.no_grad():
        guess = view.model.autoencoder.decode(states[runs[:, None], place])
    off = view.errors(guess, slice(None), slice(None))
    _add_rollout(sums, scene, rival.name, start, off)
    if start == scene.begins:
        still = _mean_square(images[:, -1] - images[:, 0]).numpy()
        sums.add(
            skill, off[:, -1].numpy(), still, Label("skill", scene.split, rival.name, "paper_form", last)
        )
        if "disorder" in scene.data:
            seen = view.model.coordinates.images(guess[:, scene.described])
            found = scene.readouts(seen.nan_to_num().clamp(-_AWAY, _AWAY))
            for name, truth in scene.read.items():
                parts = (np.abs(values - truth).sum(axis=1) for values in (found[name], scene.stay[name]))
                sums.add(ratio, *parts, Label("readout_error", scene.split, rival.name, name))


def _add_rollout(sums: Sums, scene: Scene, arm: str, start: str, squares: Tensor) -> None:
    """Add the error of a rollout, in standard deviations of its run, and whether it has diverged."""
    errors = squares.sqrt() / scene.deviation[:, None]
    errors = errors.nan_to_num(nan=_AWAY, posinf=_AWAY).clamp(max=_AWAY).numpy()
    after = np.arange(scene.last + 1) > scene.starts[start][:, None]
    counts, follows = after.sum(axis=1), after.any(axis=1)
    total = np.where(after, errors, 0.0).sum(axis=1)
    label = Label("rollout_error", scene.split, arm, start)
    sums.add(ratio, total, counts, label)
    away = (np.where(after, errors, 0.0) >= _AWAY).any(axis=1)
    sums.add(share, away, follows, label._replace(metric="rollout_diverged"))


def _mean_square(images: Tensor) -> Tensor:
    """Return the mean square of each image."""
    return images.square().mean(dim=-1).double()


def _shares(scenes: list[Scene], **common: object) -> list[dict]:
    """Return the rows of what the runs are like, whatever the model."""
    images = torch.cat([scene.frames.images.flatten() for scene in scenes])
    still = torch.cat([scene.still.flatten() for scene in scenes])
    most = still.sort(descending=True).values[: max(1, len(still) // 10)]
    return [
        row("image_deviation", images.std().item(), **common),
        row("motion_share", (most.sum() / still.sum()).item(), **common),
    ]


def sweep_curves(*inputs: ReducedModel | xr.Dataset, alphas: tuple[float, ...]) -> Result:
    """Return what Fig. 2A and 2B show, for single runs: V, errors and predicted frames in time.

    Arrays, with the runs in the order of `alphas`: ``time`` (run, frame), ``potential`` (member, run, frame),
    V(t), ``energy``, the true H per area, ``one_step`` and ``reconstruction`` (member, run, frame) and
    ``persistence`` rms errors per frame (of a prediction nan in the first), ``truth`` and, of the first
    member, ``prediction`` (run, frame, y, x; the first predicted frame is nan), ``onset_time`` (run).

    Parameters
    ----------
    *inputs
        Members of an arm, and films with one run of each of these anisotropies.
    """
    models, (films, *_) = parted(inputs)
    chosen = films.isel(run=[int(np.flatnonzero(films.anisotropy.values == alpha)[0]) for alpha in alphas])
    data = load_frames(chosen)

    def rms(guess: Tensor, target: Tensor) -> ndarray:
        return (guess - target).square().mean(-1).sqrt().double().numpy()

    def from_second(values: ndarray) -> ndarray:
        return np.concatenate([np.full_like(values[:, :1], np.nan), values], axis=1)

    found: dict[str, list[ndarray]] = {"potential": [], "one_step": [], "reconstruction": []}
    predictions = []
    for model in models:
        with torch.no_grad():
            z = model.encode(data.images)
            ahead = model.step(z[:, :-1], data.controls[:, :-1], data.intervals)
            predictions.append(model.decode(ahead))
            found["potential"].append(model.potential(z, data.controls).double().numpy())
            found["reconstruction"].append(rms(model.decode(z), data.images))
        found["one_step"].append(from_second(rms(predictions[-1], data.images[:, 1:])))
    truth = chosen.magnetization.values
    return Result.of(
        [],
        time=chosen.time.values,
        persistence=from_second(rms(data.images[:, :-1], data.images[:, 1:])),
        truth=truth,
        prediction=from_second(predictions[0].numpy()).reshape(truth.shape),
        energy=chosen.energy.values,
        onset_time=chosen.onset_time.values,
        **{name: np.stack(values) for name, values in found.items()},
    )
