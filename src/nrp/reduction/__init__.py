"""From films to reduced potentials: networks, loss and training."""

from nrp.reduction.data import FrameData, load_frames, parted
from nrp.reduction.model import ReducedModel, load_model
from nrp.reduction.separate import separate_slopes
from nrp.reduction.splits import by_split, coverage
from nrp.reduction.training import TRAIN, train, train_members

__all__ = [
    "TRAIN",
    "FrameData",
    "ReducedModel",
    "by_split",
    "coverage",
    "load_frames",
    "load_model",
    "parted",
    "separate_slopes",
    "train",
    "train_members",
]
