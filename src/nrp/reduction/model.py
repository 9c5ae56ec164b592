"""A reduced model: encoder, decoder and potential behind one interface."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nrp.reduction.networks import ResidualMLP, TanhPotential
from nrp.reduction.splits import Coverage
from nrp.settings import InvalidSetting, ModelSettings
from nrp.store import write_text

WEIGHTS, SETTINGS = "weights.safetensors", "settings.json"


class ReducedModel(nn.Module):
    """Images ↔ latent states z that flow down a potential V(z, α, h), ``ż = −∂V/∂z`` (Eq. 1).

    Parameters
    ----------
    settings
        Sizes of the networks, and the seed of their weights.
    pixels
        Pixels of an image.
    trained_on
        The anisotropies, samples and sweep rates of the runs that the model is trained on.
    """

    def __init__(self, settings: ModelSettings, pixels: int, trained_on: Coverage) -> None:
        super().__init__()
        self.settings = settings
        self.pixels = pixels
        self.trained_on = trained_on
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.member)
            self.encoder = ResidualMLP(pixels, settings.width, settings.latent)
            self.decoder = ResidualMLP(settings.latent, settings.width, pixels)
            self.potential_network = TanhPotential(settings.latent, 2, settings.width)

    def encode(self, images: Float[Tensor, "*batch pixel"]) -> Float[Tensor, "*batch latent"]:
        """Return z = E(X)."""
        return self.encoder(images)

    def decode(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch pixel"]:
        """Return X̂ = D(z)."""
        return self.decoder(z)

    def potential(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch 2"]
    ) -> Float[Tensor, "*batch"]:
        """Return V(z, α, h)."""
        return self.potential_network(z, controls)

    def force(
        self, z: Float[Tensor, "*batch latent"], controls: Float[Tensor, "*batch 2"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return −∂V/∂z, which is ż in this model."""
        # States do not see each other, so the gradient of the sum holds the gradient of each.
        return -torch.func.grad(lambda state: self.potential(state, controls).sum())(z)

    def step(
        self,
        z: Float[Tensor, "*batch latent"],
        controls: Float[Tensor, "*batch 2"],
        interval: Float[Tensor, "*batch"],
    ) -> Float[Tensor, "*batch latent"]:
        """Return z − Δt ∂V/∂z, the state one interval later."""
        return z + interval[..., None] * self.force(z, controls)

    def latent_rate(
        self, images: Float[Tensor, "*batch pixel"], rates: Float[Tensor, "*batch pixel"]
    ) -> Float[Tensor, "*batch latent"]:
        """Return the exact ż = J_E ∂φ/∂t, by one forward-mode product."""
        return torch.func.jvp(self.encode, (images,), (rates,))[1]

    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and settings (JSON) into a folder."""
        save_file(self.state_dict(), folder / WEIGHTS)
        record = {
            "pixels": self.pixels,
            "model": self.settings.model_dump(mode="json"),
            "trained_on": dict(self.trained_on),
        }
        write_text(folder / SETTINGS, json.dumps(record, indent=1))


def load_model(folder: Path | str) -> ReducedModel:
    """Return the model stored in a folder.

    Raises
    ------
    InvalidSetting
        If the folder holds no model.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / SETTINGS).read_text())
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise InvalidSetting(
            f"model = {str(folder)!r}: must be a folder with {WEIGHTS} and {SETTINGS} ({error})"
        ) from None
    model = ReducedModel(ModelSettings.parse(record["model"]), record["pixels"], record["trained_on"])
    model.load_state_dict(weights)
    return model.eval()
