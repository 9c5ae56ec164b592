"""A reduced model: coordinates, encoder, decoder and potential behind one interface."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from nrp.base import Count, InvalidSetting, Settings, reason
from nrp.reduction.coordinates import Coordinates
from nrp.reduction.data import FrameData
from nrp.reduction.descriptors import columns, names
from nrp.reduction.networks import GAIN, Autoencoder, DenseAutoencoder
from nrp.reduction.potentials import FreeField, FreePotential, GrowingPotential, Mobility
from nrp.reduction.settings import ModelSettings
from nrp.reduction.splits import Coverage
from nrp.store import PROVENANCE, digest, write_text

WEIGHTS, SETTINGS = "weights.safetensors", "settings.json"
_Seen = Annotated[list[int | float], Field(min_length=1)]


class _TrainedOn(Settings):
    anisotropy: _Seen
    sample: _Seen
    sweep_rate: _Seen
    protocols: tuple[str, ...] = ()


class _Record(Settings):
    """What is written down beside the weights."""

    shape: tuple[Count, ...]
    controls: Annotated[int, Field(ge=2)]
    model: ModelSettings
    trained_on: _TrainedOn


class ReducedModel(nn.Module):
    """Images of the shape (y, x) ↔ latent states z that flow down a potential, ``ż = −∂V/∂z`` (Eq. 1).

    `controls` is how many numbers steer the system: the anisotropy α, the field h, and any further ones.
    """

    longest_step = 1.5
    """Time over which the flow is followed in one Runge–Kutta step.  Trained potentials have curvatures below
    1; with steps a sixth as long the images of whole sweeps change by 0.003 in the rms, on average."""
    autoencoder: Autoencoder
    potential_network: FreePotential | GrowingPotential

    def __init__(
        self, settings: ModelSettings, shape: tuple[int, ...], trained_on: Coverage, *, controls: int = 2
    ) -> None:
        super().__init__()
        self.settings, self.shape, self.trained_on, self.controls = settings, shape, trained_on, controls
        self.columns = columns(settings.families)
        """Places of the numbers of an image that the model sees; none where it sees all."""
        if max(self.columns, default=0) >= math.prod(shape):
            wanted = f"must be there, but the images have {math.prod(shape)} numbers"
            raise InvalidSetting(f"families = {settings.families}: {wanted}")
        self.pixels = len(self.columns) or math.prod(shape)
        latent, width = settings.latent, settings.width
        modes = latent if settings.encoder == "pod" else settings.modes
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.member)
            self.coordinates = Coordinates(self.pixels, modes)
            self.register_buffer("scale", torch.ones(self.pixels) if settings.standardized else None)
            self.autoencoder = Autoencoder()
            if settings.encoder == "dense":
                count = self.coordinates.count
                self.autoencoder = DenseAutoencoder(count, latent, width, pixels=not modes)
            match settings.potential:
                case "free":
                    self.potential_network = FreePotential(latent, controls, width)
                case "energy" | "linear" | "growing":
                    form = settings.potential
                    self.potential_network = GrowingPotential(latent, controls, width, form)
                case "none":
                    gain = GAIN if settings.loss == "identified" else 1.0
                    caged = settings.rollout_frames > 0
                    self.field = FreeField(latent, controls, width, gain=gain, caged=caged)
            if settings.mobility != "unit":
                scalar = settings.mobility == "scalar"
                self.mobility = Mobility(latent, controls, width, scalar=scalar)

    def fit(self, images: Float[Tensor, "image pixel"]) -> None:
        """Take from the training images what is fixed before training: their modes and scales."""
        images = self._chosen(images)
        if self.scale is not None:
            deviation = images.std(dim=0)
            if "persistence" in self.settings.families:
                # One scale for all, so that pixels which are seldom lit stay small.
                spots = torch.tensor(self.columns) >= len(names())
                deviation = torch.where(spots, deviation[spots].max(), deviation)
            self.scale = deviation.clamp(min=1e-12)
            images = images / self.scale
        self.coordinates.fit(images)
        self.autoencoder.fit(self.coordinates.of(images))

    def seen(self, frames: FrameData) -> FrameData:
        """Return frames as the model sees them: its families, if standardized in units of their deviation."""
        if self.scale is None and not self.columns:
            return frames
        scale = 1.0 if self.scale is None else self.scale
        images, rates = (self._chosen(each) / scale for each in (frames.images, frames.rates))
        return replace(frames, images=images, rates=rates)

    def _chosen(self, numbers: Float[Tensor, "*batch number"]) -> Float[Tensor, "*batch pixel"]:
        return numbers[..., self.columns] if self.columns else numbers

    def encode(self, images: Float[Tensor, "*batch pixel"]) -> Float[Tensor, "*batch latent"]:
        """Return z = E(X)."""
        return self.autoencoder.encode(self.coordinates.of(images))

    def decode(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch pixel"]:
        """Return X̂ = D(z)."""
        return self.coordinates.images(self.autoencoder.decode(z))

    def latent_rate(
        self, images: Float[Tensor, "*batch pixel"], rates: Float[Tensor, "*batch pixel"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return the exact ż = J_E ∂φ/∂t, by one forward-mode product."""
        x, rate = self.coordinates.of(images), self.coordinates.of_rate(rates)
        return self.autoencoder.push_encode(x, rate)[1]

    def image_rate(
        self, z: Float[Tensor, "*batch latent"], z_rate: Float[Tensor, "*batch latent"]
    ) -> Float[Tensor, "*batch pixel"]:
        """Return J_D ż, the motion of the decoded image, by one forward-mode product."""
        return self.coordinates.rates(self.autoencoder.push_decode(z, z_rate)[1])

    def potential(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch"]:
        """Return V(z, α, h)."""
        return self.potential_network(z, controls)

    def slope(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return ∂V/∂z."""
        return self.potential_network.gradient(z, controls)

    def curvature(
        self, z: Float[Tensor, "batch latent"], controls: Float[Tensor, "batch control"]
    ) -> Float[Tensor, "batch latent latent"]:
        """Return ∂²V/∂z²."""
        return torch.func.vmap(torch.func.hessian(self.potential))(z, controls)

    def metric(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch latent latent"]:
        """Return G = JᵀJ/N with J = ∂D/∂z over N pixels.

        Where it is the identity, the length of a step in z is the rms change of the image.
        """
        flat = z.reshape(-1, z.shape[-1])
        jacobian = torch.func.vmap(torch.func.jacfwd(self.autoencoder.decode))(flat)
        return (jacobian.mT @ jacobian).reshape(*z.shape, z.shape[-1])

    def velocity(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch control"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return ż of this model: −∂V/∂z, times a mobility if it has one, or the free field."""
        if self.settings.potential == "none":
            return self.field(z, controls)
        force = -self.slope(z, controls)
        return force if self.settings.mobility == "unit" else self.mobility(z, controls, force)

    def step(
        self,
        z: Float[Tensor, "*batch latent"],
        controls: Float[Tensor, "*batch control"],
        interval: Float[Tensor, "*batch"],
    ) -> Float[Tensor, "*batch latent"]:
        """Return z − Δt ∂V/∂z, the state one interval later."""
        return z + interval[..., None] * self.velocity(z, controls)

    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and settings (JSON) into a folder."""
        (folder / WEIGHTS).write_bytes(save(self.state_dict()))
        record = {
            "shape": list(self.shape),
            "controls": self.controls,
            "model": self.settings.model_dump(mode="json"),
            "trained_on": dict(self.trained_on),
        }
        write_text(folder / SETTINGS, json.dumps(record, indent=1))


def load_model(folder: Path | str) -> ReducedModel:
    """Return the model stored in a folder.

    Raises
    ------
    InvalidSetting
        If the folder holds no model, or its files are not those that were stored.
    """
    folder = Path(folder)
    wanted = f"model = {str(folder)!r}: must be a folder with {WEIGHTS} and {SETTINGS}"
    try:
        if not _is_as_stored(folder):
            raise InvalidSetting("its files have changed since it was stored")
        record = _Record.parse(json.loads((folder / SETTINGS).read_text()))
        trained_on = record.trained_on.model_dump(exclude_defaults=True)
        model = ReducedModel(record.model, record.shape, trained_on, controls=record.controls)
        weights = load_file(folder / WEIGHTS)
        model.load_state_dict(weights)
        if not all(values.isfinite().all() for values in weights.values()):
            raise InvalidSetting("its weights are not finite")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InvalidSetting(f"{wanted} ({reason(error)})") from None
    return model.eval()


def _is_as_stored(folder: Path) -> bool:
    """Return whether the files of a model have the digest that lies beside them, if it is that of a model."""
    try:
        record = json.loads((folder / PROVENANCE).read_text())
        return record["step"] != "train" or record["digest"] == digest(folder)
    except FileNotFoundError:
        return True
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidSetting(f"its {PROVENANCE} cannot be read: {error}") from None
