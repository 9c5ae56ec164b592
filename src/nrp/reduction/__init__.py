"""From films to reduced potentials: networks, loss and training."""

from nrp.reduction.data import FrameData, load_frames
from nrp.reduction.model import ReducedModel, load_model
from nrp.reduction.splits import coverage, split_names
from nrp.reduction.training import TRAIN, train, train_members

__all__ = [
    "TRAIN",
    "FrameData",
    "ReducedModel",
    "coverage",
    "load_frames",
    "load_model",
    "split_names",
    "train",
    "train_members",
]
