"""Systems of which all is known, as models and as films, for the tests of evaluation and analysis."""

import tempfile

import numpy as np
import torch
import xarray as xr

from nrp.evaluation import Observation, Result
from nrp.reduction import ModelSettings, ReducedModel, Runs, coverage, load_frames
from nrp.reduction.networks import Autoencoder
from nrp.reduction.splits import trained_runs
from nrp.simulation import CampaignSettings, open_dataset, settings_of, simulate, system_of
from nrp.store import Store
from nrp.systems.bead import Bead
from nrp.systems.film import FilmSettings


def filmed(campaign: CampaignSettings) -> xr.Dataset:
    """The runs of a campaign, in memory."""
    with tempfile.TemporaryDirectory() as folder:
        return open_dataset(simulate(campaign, Store(folder), workers=1)).load()


def see(model: ReducedModel, *datasets: xr.Dataset) -> list[Observation]:
    """What a model says of some datasets."""
    return [Observation(model, data) for data in datasets]


def of(result: Result, metric: str, **where: object) -> float:
    """What a result says of the arm `paper` on its training runs."""
    return result.value(metric, split="trained", arm="paper", **where)


# The bead

BEAD_SETTINGS = ModelSettings(latent=2, width=8, held=Runs(sample=(4, 5)))


class Centre(Autoencoder):
    """The place of the bead, and the picture of a bead at a place."""

    def __init__(self, bead: Bead) -> None:
        super().__init__()
        self.axis, self.width = torch.tensor(bead._axis, dtype=torch.float32), bead.settings.bead_width

    def encode(self, x):
        side = len(self.axis)
        picture = x.reshape(*x.shape[:-1], side, side)
        weight = picture.sum((-2, -1))
        x = (picture.sum(-2) * self.axis).sum(-1) / weight
        y = (picture.sum(-1) * self.axis).sum(-1) / weight
        return torch.stack([x, y], dim=-1)

    def decode(self, z):
        x = self.axis[None, :] - z[..., 0, None, None]
        y = self.axis[:, None] - z[..., 1, None, None]
        return torch.exp(-(x**2 + y**2) / (2 * self.width**2)).flatten(-2) / len(self.axis)


class TrueBead(ReducedModel):
    """The bead's own coordinates and landscape, as a model: it must have skill."""

    def __init__(self, films: xr.Dataset, settings: ModelSettings = BEAD_SETTINGS) -> None:
        system = settings_of(films).system
        super().__init__(settings, (system.pixels, system.pixels), coverage([films], settings))
        self.autoencoder = Centre(Bead(system, anisotropy=1.0))

    def potential(self, z, controls):
        x, y = z[..., 0], z[..., 1]
        return controls[..., 0] * (x * x - 1) ** 2 / 4 + y * y / 2 - controls[..., 1] * x

    def slope(self, z, controls):
        return torch.func.grad(lambda state: self.potential(state, controls).sum())(z)


def swept(beads: xr.Dataset) -> xr.Dataset:
    """Films of beads as if each had its own anisotropy, a field that falls, and pixels that turn negative."""
    frames = np.arange(beads.sizes["frame"])
    field = np.broadcast_to(1 - frames / frames[-1], beads["external_field"].shape)
    runs = np.arange(beads.sizes["run"])
    dark = xr.DataArray(np.where(frames > 5, -0.1, 0.0), dims="frame")
    data = beads.assign_coords(anisotropy=("run", 1 + runs / 10), sample=("run", 0 * runs))
    return data.assign(intensity=data.intensity + dark, external_field=(("run", "frame"), field))


# Fields in a periodic box

SMALL_FILM = FilmSettings(box=16, dx=0.5, coarsen=2)
SMALL_CAMPAIGN = CampaignSettings(
    system=SMALL_FILM.replace(box=(16, 24)),
    anisotropy=(1.5, 2.5),
    sample=(0, 3),
    sweep_rate=(0.05,),
    frames=7,
    time_step=0.25,
)


class TruePlane(ReducedModel):
    """The equation of the solver on the grid of the frames as a model: V the energy per area, z the image."""

    def __init__(self, films: xr.Dataset) -> None:
        system, self.side = system_of(films, 0), films.sizes["x"]
        settings = ModelSettings(latent=self.side**2, width=8)
        super().__init__(settings, (self.side, self.side), coverage([films], settings))
        self.autoencoder = Autoencoder()
        self.linear = torch.tensor(system.linear)
        self.longest_step = 2 / self.linear.abs().max().item()  # for the scheme is explicit
        self.disorder = torch.tensor(system.disorder) if system.disordered else None

    def potential(self, z, controls):
        phi, waves, h, local, quadratic = self._parts(z, controls)
        density = local * (phi**4 / 4 - phi**2 / 2) - quadratic * phi**3 / 3 - phi * waves / 2 - h * phi
        return density.mean((-2, -1)).to(z.dtype)

    def slope(self, z, controls):
        """By hand, which takes a quarter of the time."""
        phi, waves, h, local, quadratic = self._parts(z, controls)
        square = phi.square()
        slope = local * (square - 1) * phi - quadratic * square - waves - h
        return (slope / self.side).flatten(-2).to(z.dtype)

    def _parts(self, z, controls):
        phi = self.side * z.double().unflatten(-1, (self.side, self.side))
        waves = torch.fft.irfft2(self.linear * torch.fft.rfft2(phi), s=(self.side, self.side))
        alpha, h = (controls[..., i, None, None].double() for i in range(2))
        # The strength of the double well in the film, of the quadratic term in the Swift–Hohenberg field.
        local, quadratic = (1.0, alpha) if self.disorder is None else (alpha * self.disorder, 0.0)
        return phi, waves, h, local, quadratic


class Modes(ReducedModel):
    """The leading modes of the training images as states, and any potential."""

    def __init__(self, films: xr.Dataset, latent: int, held: Runs = Runs()) -> None:  # noqa: B008 (frozen)
        settings = ModelSettings(latent=latent, modes=latent, width=8, held=held)
        shape = (films.sizes["y"], films.sizes["x"])
        super().__init__(settings, shape, coverage([films], settings))
        self.autoencoder = Autoencoder()
        self.fit(load_frames(films, trained_runs(films, settings)).images.flatten(0, 1))


# Patterns

SIDE = 64


def grid() -> tuple[np.ndarray, np.ndarray]:
    """The places x and y of the pixels."""
    return np.meshgrid(np.arange(SIDE), np.arange(SIDE))


def disc(centre: tuple[float, float], radius: float) -> np.ndarray:
    """A disc on the torus."""
    x, y = (np.abs((axis - c + SIDE / 2) % SIDE - SIDE / 2) for axis, c in zip(grid(), centre, strict=True))
    return np.hypot(x, y) < radius


def image_of(phase: np.ndarray) -> np.ndarray:
    """An image that is negative in one phase."""
    return np.where(phase, -1.0, 1.0)


def shown(images: np.ndarray, **variables: object) -> xr.Dataset:
    """Images (run, frame, y, x) in the layout of all films; `variables` are further ones, and coordinates."""
    count, frames, side, _ = images.shape
    coords = {
        "anisotropy": ("run", 1.0 + np.arange(count)),
        "sample": ("run", np.zeros(count, int)),
        "sweep_rate": ("run", np.full(count, 0.01)),
        "time": (("run", "frame"), np.zeros((count, frames))),
        "x": np.arange(side) + 0.5,
    }
    coords |= {name: values for name, values in variables.items() if name in coords}
    fields = {name: values for name, values in variables.items() if name not in coords}
    attrs = {"field": "magnetization", "settings": CampaignSettings().model_dump_json()}
    return xr.Dataset({"magnetization": (("run", "frame", "y", "x"), images), **fields}, coords, attrs)


def disc_films(sample: int, numbers: tuple[int, ...]) -> xr.Dataset:
    """One frame for each run, with a number of negative discs, and earlier onsets at larger α."""
    centres = [(8 + 16 * (i % 4), 8 + 16 * (i // 4)) for i in range(max(numbers))]
    x, y = grid()
    discs = [np.hypot(x - cx, y - cy) < 4 for cx, cy in centres]
    images = [image_of(np.any(discs[:n], axis=0) if n else np.zeros_like(x)) for n in numbers]
    count = len(numbers)
    return shown(
        np.array(images)[:, None],
        onset_time=("run", 100.0 - 10 * np.arange(count) + 5 * sample),
        external_field=(("run", "frame"), np.full((count, 1), 1.5)),
        sample=("run", np.full(count, sample)),
    )


def shape_films(sample: int, shapes: tuple[str, ...]) -> xr.Dataset:
    """Films whose only frame shows a long stripe or eight discs."""
    films = disc_films(sample, (1,) * len(shapes))
    discs = np.any([disc((x, y), 5) for x in (8, 24, 40, 56) for y in (16, 48)], axis=0)
    stripe = grid()[0] < 8
    images = [image_of(stripe if shape == "stripe" else discs) for shape in shapes]
    return films.assign(magnetization=(films.magnetization.dims, np.array(images)[:, None]))


def ring() -> np.ndarray:
    """A ring of −1 in a plane of 1, with 0.4 inside."""
    image = np.ones((SIDE, SIDE))
    image[disc((32, 32), 12)] = -1.0
    image[disc((32, 32), 6)] = 0.4
    return image


# Texts of chapters

FRONT = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""

# Curves over α

X = np.linspace(1, 4, 31)
SMOOTH = {
    "line": X / 3,
    "wave": np.sin(2 * X) / 2,
    "wide step": np.tanh((X - 2.3) / 0.4) / 2,
    "steep step": np.tanh((X - 2.33) / 0.2) / 2,
    "step of one spacing": np.tanh((X - 2.35) / 0.1) / 2,
    "kink": np.abs(X - 2.2) / 2,
    "square root": np.sqrt(np.maximum(X - 2, 0)),
}


def noisy(curve: np.ndarray, seed: int, noise: float = 0.02) -> np.ndarray:
    """A curve with noise."""
    return curve + noise * np.random.default_rng(seed).normal(size=curve.shape)
