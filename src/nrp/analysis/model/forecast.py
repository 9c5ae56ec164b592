"""How well a model, and its rivals, reconstruct, explain and predict, on runs seen and not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nrp.analysis.model.readouts import add_readouts
from nrp.analysis.registry import Model, Needs, Observed, analysis
from nrp.evaluation import Form, Label, Pool, Result, row
from nrp.evaluation.observation import Observation, Observations, split
from nrp.evaluation.rivals import Law, laws_of
from nrp.evaluation.scene import LEADS, STARTS, Scene, mean_square, rollouts, scenes_of

AWAY = 3.0
"""A rollout whose error is larger than this, in standard deviations of its run, has diverged."""


def _needs(profile, arm: str) -> Needs:
    return {"arm": (Observed(Model(arm), profile.evaluated),)}


def _needs_of_descriptors(profile) -> Needs:
    trained = profile.models["descriptors"].data
    return {"arm": (Observed(Model("descriptors"), (*trained, *profile.unseen)),)}


@analysis("forecast", version=4, needs=_needs, each="arm")
@analysis("descriptor_forecast", version=1, needs=_needs_of_descriptors)
@analysis("bead_forecast", version=4, needs={"arm": (Observed(Model("bead"), ("beads",)),)})
def forecast(arm: Sequence[Observations], rivals: Sequence[Observations] = (), *, far: bool = True) -> Result:
    """Return the errors of an arm, of its rivals and of guesses without a model, on every split.

    Rivals that are given were trained on the same runs; others are made of the latent states of the arm
    (`nrp.evaluation.rivals.laws_of`).  Unless `far`, flows are followed for one step, and no rivals are made:
    only the errors of single frames are given, in a tenth of the time.

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
    - ``rate_error``, √(Σ‖ż − v‖²/Σ‖ż‖²) with the exact ż = J_E ∂φ/∂t and the model's v = −∂V/∂z, in the case
      ``finite_difference`` with the difference of neighbouring frames that Eq. (2) is trained on, in the case
      ``decoded`` in the image, ∂φ/∂t against J_D v;
    - ``rollout_error``, the rms error of the image over the standard deviation of its run, mean over the
      frames after the start, ``from_saturation`` (the first frame; ``from_start`` where that is not
      saturated), ``from_onset`` (the first after T_init) or ``from_T0``; it counts as 3 at most, where the
      rollout has diverged; ``rollout_diverged`` is the share of runs that ever do; the arm ``persistence``
      stays at the start;
    - ``sample_scatter``, where descriptors are seen: the same error of the mean of all other disorder samples
      at the same anisotropy and sweep rate, about the least that a model can have which is not told the
      disorder (a mean over n other samples has √(1 + 1/n) times the error of one over very many);
    - ``readout_error`` of rollouts from the first frame, see `nrp.analysis.model.readouts`;
    - ``advantage`` of the arm: 1 − MSE/MSE of a rival by lead time, in the increment form, and the same of
      rollout errors;
    - ``motion_share``, the share of the squared motion in the tenth of the frames that move most, and
      ``floor_share``, the share of the frames that move less than the error of their reconstruction;
    - ``image_deviation``, the standard deviation of all pixels, the scale to read the others against.

    Intervals as in `nrp.evaluation.pool.Pool`.

    Raises
    ------
    InvalidSetting
        If no run belongs to a split.
    """
    first = scenes_of(arm[0])
    name, truth, pool, seen = first[0].o.arm, Pool(), Pool(), Counter[str]()
    for scene in first:
        _add_truth(truth, scene)
    for observations in (*arm, *rivals):
        scenes = scenes_of(observations)
        for law in laws_of(scenes, rivals=far and scenes[0].o.arm == name):
            _add_law(pool, scenes, law, member=seen[law.name], far=far)
            seen[law.name] += 1
    for name_of_split, parts in split(arm[0]).items():
        for part in parts:
            add_scatter(truth, name_of_split, part)
    entries = [entry for each in dict.fromkeys(s.split for s in first) for entry in _shares(first, each)]
    return Result.of([*entries, *truth.rows(), *pool.rows(), *pool.advantages(name)])


@analysis("stepped", version=1, needs=lambda profile: _needs(profile, "paper"))
def stepped(arm: Sequence[Observations]) -> Result:
    """Return the errors of rollouts from the first frame of which every frame is one step of the paper's.

    That is zₙ₊₁ = zₙ − Δt ∂V/∂z(zₙ, α, hₙ), as in the paper's prediction of the next image, over and over
    again, and decoded.
    Metrics ``rollout_error`` and ``rollout_diverged`` as in `forecast`.
    """
    pool = Pool()
    for member, observations in enumerate(arm):
        scenes, name = scenes_of(observations), observations[0].arm
        for start in dict.fromkeys(scene.begins for scene in scenes):
            for scene, states in rollouts(observations[0].model.velocity, scenes, start, by_frames=True):
                off = _errors_after(scene, start, states)[1]
                _add_rollout(partial(pool.add, member=member), scene, name, start, off)
    return Result.of(pool.rows())


def _add_law(pool: Pool, scenes: Sequence[Scene], law: Law, *, member: int, far: bool) -> None:
    add = partial(pool.add, member=member)
    for scene in scenes:
        _add_frames(add, scene, law)
    if not far:
        return
    for scene, states in rollouts(law.velocity, scenes, "leads"):
        _add_leads(add, scene, law, states)
    for start in STARTS:
        for scene, states in rollouts(law.velocity, scenes, start):
            _add_rollouts(add, scene, law, start, states)


def _add_truth(pool: Pool, scene: Scene) -> None:
    images, split, change = scene.frames.images, scene.split, scene.frames.images.diff(dim=1)
    intervals = np.diff(scene.times, axis=1)
    longer = torch.from_numpy(intervals[:, 1:] / intervals[:, :-1]).float()[..., None]
    last = torch.cat([images[:, :1], images[:, 1:-1] + longer * change[:, :-1]], dim=1)
    exact = images[:, :-1] + scene.frames.intervals[..., None] * scene.frames.rates[:, :-1]
    for arm, guess in (("extrapolation", last), ("exact_rate", exact)):
        label = Label("one_step_rmse", split, arm, None, 1)
        _add_errors(pool.add, scene, mean_square(guess - images[:, 1:]), label)
    _add_errors(pool.add, scene, scene.still, Label("persistence_rmse", split, lead_time=1))
    for start, begin in scene.starts.items():
        stays = images[torch.arange(len(images)), torch.from_numpy(begin)][:, None].expand_as(images)
        _add_rollout(pool.add, scene, "persistence", start, mean_square(stays - images))


def add_flow(pool: Pool, scenes: Sequence[Scene], law: Law, *, member: int) -> None:
    """Add the errors of single frames, and of the flow of a law that is followed from the first frames."""
    add = partial(pool.add, member=member)
    for scene in scenes:
        _add_frames(add, scene, law)
    for start in dict.fromkeys(scene.begins for scene in scenes):
        for scene, states in rollouts(law.velocity, scenes, start):
            _add_rollout(add, scene, law.name, start, _errors_after(scene, start, states)[1])


def add_scatter(pool: Pool, name: str, seen: Observation, arm: str | None = None) -> None:
    """Add how far descriptors of a run are from the mean of runs that differ in their disorder alone.

    They are those that the model sees, which is named as the arm where others see other ones.
    """
    data = seen.data
    if "disorder" not in data or seen.model.scale is None:
        return
    images = seen.frames.images
    pairs = np.stack([data["anisotropy"].values, data["sweep_rate"].values], axis=1)
    group = np.unique(pairs, axis=0, return_inverse=True)[1]
    members = np.bincount(group)
    for number in np.flatnonzero(members > 1):
        here = np.flatnonzero(group == number)
        mine = images[torch.from_numpy(here)]
        others = (mine.sum(dim=0) - mine) / (len(here) - 1)
        errors = mean_square(mine - others).sqrt()[:, 1:].numpy()
        counts = np.full(len(here), errors.shape[1])
        label = Label("sample_scatter", name, arm, case="from_saturation")
        pool.add(label, Form.RATIO, errors.sum(axis=1), counts, seen.samples[here])


def _add_frames(add, scene: Scene, law: Law) -> None:
    """Add the errors of single frames; those of the autoencoder only for its own model."""
    o, decode, everything = scene.o, scene.o.model.autoencoder.decode, slice(None)
    split, frames, z = scene.split, scene.frames, scene.o.z
    with torch.no_grad():
        velocity = o.velocity if law.own else law.velocity(z, frames.controls)
        ahead = decode(z[:, :-1] + frames.intervals[..., None] * velocity[:, :-1])
    squares: dict[str | None, tuple[Tensor, Tensor]] = {}
    squares[None] = ((o.z_rate - velocity).square().sum(dim=2), o.z_rate.square().sum(dim=2))
    if law.own:
        difference = z.diff(dim=1) / frames.intervals[..., None]
        apart = (difference - velocity[:, :-1]).square().sum(dim=2)
        squares["finite_difference"] = (apart, difference.square().sum(dim=2))
        with torch.no_grad():
            moved = o.model.autoencoder.push_decode(z, velocity)[1]
        apart = (o.x_rate - moved).square().sum(dim=2)
        squares["decoded"] = (apart + scene.lost(scene.motion, o.x_rate), scene.motion)
        off = scene.errors(o.rebuilt, everything, everything)
        _add_errors(add, scene, off, Label("reconstruction_rmse", split, law.name), frames=False)
        below = (off[:, :-1] > scene.still).double().numpy()
        count = np.full(len(z), below.shape[1])
        add(Label("floor_share", split, law.name), Form.SHARE, below.sum(axis=1), count, scene.samples)
    for case, pair in squares.items():
        both = (part.double().sum(dim=1).numpy() for part in pair)
        add(Label("rate_error", split, law.name, case), Form.ROOT, *both, scene.samples)
    forms = {
        "paper_form": scene.errors(ahead, everything, slice(1, None)),
        "increment": scene.change_errors(ahead - o.rebuilt[:, :-1], o.x.diff(dim=1), scene.still),
    }
    for case, off in forms.items():
        label = Label("one_step_rmse", split, law.name, case, 1)
        _add_errors(add, scene, off, label, frames=case == "paper_form")
        both = (part.sum(dim=1).numpy() for part in (off, scene.still))
        add(label._replace(metric="one_step_skill"), Form.SKILL, *both, scene.samples)


def _add_errors(
    add, scene: Scene, squares: Float[Tensor, "run frame"], label: Label, *, frames: bool = True
) -> None:
    """Add squared errors of frames, pooled and, if wanted, as mean of their roots."""
    count = np.full(len(squares), squares.shape[1])
    add(label, Form.ROOT, squares.sum(dim=1).numpy(), count, scene.samples)
    if frames:
        by_frame = label._replace(case="per_frame_mean")
        add(by_frame, Form.RATIO, squares.sqrt().sum(dim=1).numpy(), count, scene.samples)


def _add_leads(add, scene: Scene, law: Law, states: Tensor) -> None:
    """Add the errors of the flow followed from every tenth frame."""
    decode, images = scene.o.model.autoencoder.decode, scene.frames.images
    path, label = scene.paths["leads"], Label("skill", scene.split, law.name)
    with torch.no_grad():
        floor = decode(states[:, 0])
        for lead in (lead for lead in LEADS if lead < states.shape[1]):
            there = path.frames[:, 0] + lead <= scene.last
            runs, begins, ends = path.runs[there], path.frames[there, 0], path.frames[there, lead]
            still = mean_square(images[runs, ends] - images[runs, begins])
            guess = decode(states[there, lead])
            change = scene.o.x[runs, ends] - scene.o.x[runs, begins]
            forms = {
                "paper_form": scene.errors(guess, runs, ends),
                "increment": scene.change_errors(guess - floor[there], change, still),
            }
            for case, squares in forms.items():
                for mean, name in ((False, case), (True, _PER_FRAME[case])):
                    parts = ((part.sqrt() if mean else part).numpy() for part in (squares, still))
                    totals = [np.bincount(runs, part, minlength=len(images)) for part in parts]
                    named = label._replace(case=name, lead_time=lead)
                    add(named, Form.SKILL, *totals, scene.samples)


_PER_FRAME = {"paper_form": "per_frame_mean", "increment": "increment_per_frame_mean"}


def _add_rollouts(add, scene: Scene, law: Law, start: str, states: Tensor) -> None:
    """Add the errors of the flow followed from one state of each run to the end."""
    guess, off = _errors_after(scene, start, states)
    _add_rollout(add, scene, law.name, start, off)
    if start == scene.begins:
        last = scene.last
        still = mean_square(scene.frames.images[:, -1] - scene.frames.images[:, 0]).numpy()
        label = Label("skill", scene.split, law.name, "paper_form", last)
        add(label, Form.SKILL, off[:, -1].numpy(), still, scene.samples)
        seen = scene.o.model.coordinates.images(guess[:, scene.described]).nan_to_num().clamp(-AWAY, AWAY)
        add_readouts(add, scene, law.name, seen)


def _errors_after(scene: Scene, start: str, states: Tensor) -> tuple[Tensor, Tensor]:
    """Return the images of a flow at all frames of the runs, and their mean squared errors."""
    # Back to the frames of the runs; those before the start do not count.
    place = np.clip(np.arange(scene.last + 1) - scene.starts[start][:, None], 0, None)
    with torch.no_grad():
        guess = scene.o.model.autoencoder.decode(states[np.arange(len(states))[:, None], place])
    return guess, scene.errors(guess, slice(None), slice(None))


def _add_rollout(add, scene: Scene, arm: str, start: str, squares: Tensor) -> None:
    """Add the error of a rollout, in standard deviations of its run, and whether it has diverged."""
    scaled = squares.sqrt() / scene.deviation[:, None]
    errors = scaled.nan_to_num(nan=AWAY, posinf=AWAY).clamp(max=AWAY).numpy()
    # A run in which no pixel ever changes has no scale for its errors.
    varies = (scene.deviation > 0).numpy()
    after = (np.arange(scene.last + 1) > scene.starts[start][:, None]) & varies[:, None]
    counts, follows = after.sum(axis=1), after.any(axis=1)
    total = np.where(after, errors, 0.0).sum(axis=1)
    label = Label("rollout_error", scene.split, arm, start)
    add(label, Form.RATIO, total, counts, scene.samples)
    away = (np.where(after, errors, 0.0) >= AWAY).any(axis=1)
    add(label._replace(metric="rollout_diverged"), Form.SHARE, away, follows, scene.samples)


def _shares(scenes: Sequence[Scene], split: str) -> list[dict]:
    """Return the rows of a split that no model enters."""
    here = [scene for scene in scenes if scene.split == split]
    images = torch.cat([scene.frames.images.flatten() for scene in here])
    still = torch.cat([scene.still.flatten() for scene in here])
    most = still.sort(descending=True).values[: max(1, len(still) // 10)]
    return [
        row("image_deviation", images.std().item(), split=split),
        row("motion_share", (most.sum() / still.sum()).item(), split=split),
    ]
