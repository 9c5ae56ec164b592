"""From films to reduced potentials: networks, loss and training."""

from nrp.reduction.data import FrameData, images_of, load_frames
from nrp.reduction.model import ReducedModel, load_model
from nrp.reduction.separate import separate_slopes
from nrp.reduction.settings import ARMS, ModelSettings, Runs
from nrp.reduction.splits import coverage
from nrp.reduction.training import TRAIN, train, train_many

__all__ = [
    "ARMS",
    "TRAIN",
    "FrameData",
    "ModelSettings",
    "ReducedModel",
    "Runs",
    "coverage",
    "images_of",
    "load_frames",
    "load_model",
    "separate_slopes",
    "train",
    "train_many",
]
