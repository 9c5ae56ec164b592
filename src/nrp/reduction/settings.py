"""Settings of a model: its parts, its loss and its training."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nrp.base import Count, Index, NonNegative, Positive, Settings
from nrp.reduction.descriptors import Family
from nrp.simulation.settings import Several


class Runs(Settings):
    """Runs, named by the values of their coordinates: those with any of them are meant."""

    anisotropy: Several[Positive] = ()
    sample: Several[Index] = ()
    sweep_rate: Several[NonNegative] = ()


ARMS: dict[str, dict[str, Any]] = {
    "paper": {},
    "identified": {
        "loss": "identified",
        "potential": "energy",
        "modes": 512,
        "dynamics_weight": 1.0,
        "by_motion": True,
        "state_noise": 0.15,
        "rollout_frames": 16,
        "rollout_starts": 24,
        "rollout_weight": 8.0,
        "rollout_noise": 0.1,
        "epochs": 55,
        "optimizer": "muon",
        "learning_rate": 0.02,
    },
    "descriptors": {
        "loss": "identified",
        "potential": "linear",
        "standardized": True,
        "modes": 35,
        "latent": 3,
        "width": 64,
        "dynamics_weight": 0.3,
        "decoded_weight": 0.03,
        "isometry_weight": 0.05,
        "energy_weight": 0.0,
        "rollout_frames": 16,
        "rollout_noise": 0.05,
        "rollout_weight": 200.0,
        "by_motion": True,
        "epochs": 5,
        "batch": 128,
        "learning_rate": 8e-3,
    },
}
"""Named combinations of the parts of a model: what an arm changes of the defaults of `ModelSettings`."""


class ModelSettings(Settings):
    """Parts and training of one member of one arm.

    The arm is a name for a choice of parts (see `ARMS`); any part that is given goes before it.
    """

    arm: Literal["paper", "identified", "descriptors"] = "paper"
    """Name of a choice of parts; any part that is given goes before it."""
    encoder: Literal["dense", "pod"] = "dense"
    """Networks between image and z, or the leading modes of a proper orthogonal decomposition (POD)."""
    modes: Annotated[int, Field(ge=0, le=2**20)] = 0
    """Number of POD coefficients that the networks see instead of the pixels; 0 for the pixels."""
    families: tuple[Family, ...] = ()
    """Families of descriptors that the model sees of each image; all that there are if none is given."""
    standardized: bool = False
    """Whether each number of an image is divided by its deviation over the training frames."""
    potential: Literal["free", "energy", "linear", "growing", "none"] = "free"
    """Any function V(z, α, h); one that grows at infinity, of the form U(z, α) − h·M(z) (energy),
    U(z, α) − h·M(z, α) (linear) or V(z, α, h) (growing); or none: a free vector field F(z, α, h) of the same
    size, which need not be the slope of anything."""
    mobility: Literal["unit", "scalar", "full"] = "unit"
    """Of the loss `identified`: what ∂V/∂z is multiplied by to give −ż, nothing, a positive number c(z, α) or
    a positive matrix K(z, α)."""
    loss: Literal["paper", "identified"] = "paper"
    """Eq. (2), or the loss with the exact ż that `identified` names."""
    latent: Annotated[int, Field(ge=1, le=4096)] = 32
    """Dimension of z."""
    width: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Units in each hidden layer."""
    dynamics_weight: NonNegative = 0.1
    """λ of Eq. (2): the weight of the residual of ż."""
    decoded_weight: NonNegative = 3.0
    """Of the loss `identified`: weight of the residual of the decoded rate."""
    isometry_weight: NonNegative = 1.0
    """Of the loss `identified`: weight of the stretching of the decoder."""
    energy_weight: NonNegative = 1000.0
    """Of the loss `identified`, with the potential energy: weight of the squared errors of V at saturation
    and of M, both of which are known."""
    rollout_frames: Annotated[int, Field(ge=0, le=1000)] = 0
    """Of the loss `identified`: frames over which the flow is followed; 0 for none."""
    rollout_starts: Count = 64
    """Of the loss `identified`: states of a batch from which it is followed."""
    rollout_weight: NonNegative = 10.0
    """Of the loss `identified`: weight of the squared errors of the followed flow."""
    rollout_noise: NonNegative = 0.0
    """Of the loss `identified`: rms length of random steps off the states from which the flow is followed."""
    state_noise: NonNegative = 0.0
    """Of the loss `identified`: rms length of random steps off the states at which ∂V/∂z is taken."""
    by_motion: bool = False
    """Whether frames are drawn more often where the image moves more, or each once in an epoch."""
    optimizer: Literal["adam", "muon"] = "adam"
    """Muon for the matrices of the networks (and Adam for all else), or Adam throughout."""
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 450
    """Passes over all frames."""
    batch: Count = 200
    """Frames in a batch."""
    learning_rate: Annotated[float, Field(gt=0, le=1e3)] = 1e-3
    """Largest step of the optimizer."""
    member: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the weights and of the order of the batches."""
    held: Runs = Runs()
    """Runs that are not trained on."""
    validation: Runs = Runs()
    """Runs that are not trained on, whose loss is watched."""

    @property
    def label(self) -> str:
        """Name of the model in tables: its arm, or that of the baseline that a changed part makes of it."""
        if self.potential == "none":
            return "free_field"
        return "pod" if self.encoder == "pod" else self.arm

    @model_validator(mode="before")
    @classmethod
    def _parts_of_the_arm(cls, values: Any) -> Any:
        return ARMS.get(values.get("arm", ""), {}) | values if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.encoder == "pod" and self.modes not in (0, self.latent):
            raise ValueError(
                f"modes = {self.modes}: must be 0 or latent = {self.latent} with the encoder pod"
            )
        if self.loss == "identified" and self.potential == "free":
            raise ValueError("potential = 'free': must grow, or be 'none', with the loss identified")
        if self.mobility != "unit" and (self.potential == "none" or self.loss != "identified"):
            raise ValueError(f"mobility = {self.mobility!r}: needs a potential and the loss identified")
        if self.rollout_frames and self.loss != "identified":
            raise ValueError(f"rollout_frames = {self.rollout_frames}: must be 0 with the loss paper")
        if 0 < self.modes < self.latent:
            raise ValueError(f"latent = {self.latent}: must be at most modes = {self.modes}")
        return self
