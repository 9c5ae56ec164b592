"""Some runs of one split, and what is true of them whatever the model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from nrp.evaluation.observation import Observation, Observations, split
from nrp.evaluation.rollouts import Drive, Velocity, follow

LEADS = (1, 2, 5, 10, 30)
"""Lead times in frames; the last frame comes besides, from the first."""
STRIDE = 10
"""Frames between rollout starts, and between images whose readouts are taken."""
STARTS = ("from_saturation", "from_start", "from_onset", "from_T0")
_RUNS_AT_ONCE = 64


class Paths(NamedTuple):
    """Frames of runs along which a flow is followed."""

    runs: Int[ndarray, " start"]
    frames: Int[ndarray, "start frame"]


class Scene:
    """Some runs of the split of that name, as one model observes them, and where its flow is followed."""

    def __init__(self, name: str, observation: Observation) -> None:
        self.split, self.o = name, observation
        self.data, self.frames, self.times = observation.data, observation.frames, observation.times
        self.samples, self.last = observation.samples, self.times.shape[1] - 1
        saturated = "disorder" in self.data and name != "random_start"
        self.begins = "from_saturation" if saturated else "from_start"
        """Name of the rollouts from the first frame."""
        self.kept: dict[str, Any] = {}
        """What an analysis keeps of these runs for the next law of motion."""

    @cached_property
    def still(self) -> Float[Tensor, "run interval"]:
        """The mean square change of the image from frame to frame: the error of persistence."""
        return mean_square(self.frames.images.diff(dim=1))

    @cached_property
    def motion(self) -> Float[Tensor, "run frame"]:
        """The mean square rate of the image."""
        return mean_square(self.frames.rates)

    @cached_property
    def deviation(self) -> Float[Tensor, " run"]:
        """The standard deviation of all pixels of a run; of standardized numbers, their unit."""
        if self.o.model.scale is not None:
            return torch.ones(len(self.times), dtype=torch.double)
        return self.frames.images.flatten(1).std(dim=1).double()

    @cached_property
    def starts(self) -> dict[str, Int[ndarray, " run"]]:
        """The frame in which each kind of rollout starts, for each run."""
        starts = {self.begins: np.zeros(len(self.times), dtype=int)}
        if self.begins == "from_saturation":
            onset, h = self.data["onset_time"].values, self.data["external_field"].values
            moving = np.diff(h, axis=1, append=h[:, -1:]) != 0
            # The onset may lie behind the last frame, where frames were cut off.
            before = np.minimum((self.times < onset[:, None]).sum(axis=1), self.last)
            starts["from_onset"] = np.where(np.isnan(onset), self.last, before)
            if not self.split.startswith("field"):
                starts["from_T0"] = moving.sum(axis=1)
        return starts

    @cached_property
    def paths(self) -> dict[str, Paths]:
        """By name: ``leads``, from every tenth frame as far as the longest lead, and the rollouts."""
        every, runs = np.arange(0, self.last, STRIDE), np.arange(len(self.times))
        pairs = np.stack(np.meshgrid(runs, every, indexing="ij"), axis=-1).reshape(-1, 2)
        longest = max((lead for lead in LEADS if lead < self.last), default=self.last)
        ahead = pairs[:, 1:] + np.arange(longest + 1)
        paths = {"leads": Paths(pairs[:, 0], np.minimum(ahead, self.last))}
        for name, start in self.starts.items():
            ahead = start[:, None] + np.arange(self.last - start.min() + 1)
            paths[name] = Paths(runs, np.minimum(ahead, self.last))
        return paths

    @property
    def described(self) -> Int[ndarray, " frame"]:
        """The frames whose readouts are taken."""
        return np.arange(0, self.last + 1, STRIDE)[1:]

    @cached_property
    def beside(self) -> Float[Tensor, "run frame"]:
        """The mean square that is lost of each image by projection on the modes of the model."""
        mean = self.o.model.coordinates.mean
        images = self.frames.images if mean is None else self.frames.images - mean
        return self.lost(mean_square(images), self.o.x)

    def lost(self, whole: Tensor, within: Tensor) -> Tensor:
        """Return the mean squares that coordinates do not hold, of images with these mean squares."""
        # Modes are orthonormal, so squares add up; of pixels nothing is lost.
        missing = (whole - within.square().sum(dim=-1).double()).clamp(min=0)
        return torch.zeros_like(whole) if self.o.model.coordinates.basis is None else missing

    def errors(self, guess: Tensor, runs: ndarray | slice, frames: ndarray | slice) -> Tensor:
        """Return the mean squared errors of images that are guessed by their coordinates."""
        missed = (guess - self.o.x[runs, frames]).square().sum(dim=-1).double()
        return missed + self.beside[runs, frames]

    def change_errors(self, guess: Tensor, change: Tensor, still: Tensor) -> Tensor:
        """Return the same of guessed changes of an image, whose true mean square is `still`."""
        return (guess - change).square().sum(dim=-1).double() + self.lost(still, change)


def scenes_of(observations: Observations) -> list[Scene]:
    """Return the runs of every split that occurs, some at a time."""
    return [
        Scene(name, part.isel(run=np.arange(i, min(i + _RUNS_AT_ONCE, part.data.sizes["run"]))))
        for name, parts in split(observations).items()
        for part in parts
        for i in range(0, part.data.sizes["run"], _RUNS_AT_ONCE)
    ]


def rollouts(
    velocity: Velocity, scenes: Sequence[Scene], name: str, *, by_frames: bool = False
) -> Iterator[tuple[Scene, Float[Tensor, "start frame latent"]]]:
    """Follow a flow along the paths of one name, all starts at once, and yield the states of each scene.

    It is followed in time, or `by_frames`, with one step of Euler's between them.
    """
    scenes = [scene for scene in scenes if name in scene.paths]
    if not scenes:
        return
    paths = [scene.paths[name] for scene in scenes]
    pairs = list(zip(scenes, paths, strict=True))
    z = torch.cat([scene.o.z[path.runs, path.frames[:, 0]] for scene, path in pairs])
    offsets = np.cumsum([0, *(len(scene.times) for scene in scenes)])
    runs = np.concatenate([path.runs + offset for path, offset in zip(paths, offsets, strict=False)])
    times = [scene.times[path.runs[:, None], path.frames] for scene, path in pairs]
    # A path that is shorter than the longest stays where it ends.
    most = max(part.shape[1] for part in times)
    padded = [np.pad(part, ((0, 0), (0, most - part.shape[1])), mode="edge") for part in times]
    drive = Drive(*((scene.data, scene.frames) for scene in scenes))
    longest = math.inf if by_frames else scenes[0].o.model.longest_step
    states = follow(velocity, z, drive, runs, np.concatenate(padded), longest=longest)
    for (scene, path), part in zip(pairs, states.split([len(path.runs) for path in paths]), strict=True):
        yield scene, part[:, : path.frames.shape[1]]


def mean_square(images: Float[Tensor, "*batch pixel"]) -> Float[Tensor, "*batch"]:
    """Return the mean square of each image, in double precision."""
    return images.square().mean(dim=-1).double()
