"""What a physicist reads off images of a field: its magnetization, walls, domains, wavelength and energy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from nrp.analysis.images.domains import describe
from nrp.analysis.images.spectrum import peak_wavenumber
from nrp.evaluation import Form, Label
from nrp.evaluation.scene import Scene
from nrp.simulation import system_of


def readouts(
    images: Float[ndarray, "run frame y x"], dataset: xr.Dataset, frames: Int[ndarray, " frame"]
) -> dict[str, Float[ndarray, "run frame"]]:
    """Return what a physicist reads off images of a field, by name.

    ``mean_magnetization``, ``wall_density``, ``negative_domains``, ``peak_wavenumber`` of the structure
    factor, and ``energy``, H per area of the image itself, on the grid of its pixels.

    The images, which lie at the places `frames` among the frames of the runs, need not be those of the
    dataset, from which field, disorder and pixels are taken.
    """
    pixel = float(dataset.x[1] - dataset.x[0])
    flat = images.reshape(-1, *images.shape[2:])
    found = describe(flat, pixel)
    values = {name: found[name].astype(float) for name in ("wall_density", "negative_domains")}
    values["mean_magnetization"] = flat.mean(axis=(1, 2))
    values["peak_wavenumber"] = np.array([peak_wavenumber(image, pixel) for image in flat])
    fields = dataset["external_field"].values[:, frames]
    systems = [system_of(dataset, run) for run in range(len(images))]
    values["energy"] = np.array(
        [
            system.energy(state, h)
            for system, states, of_run in zip(systems, images, fields, strict=True)
            for state, h in zip(states, of_run, strict=True)
        ]
    )
    return {name: array.reshape(images.shape[:2]) for name, array in values.items()}


def add_readouts(add: Callable, scene: Scene, arm: str, images: Float[Tensor, "run described pixel"]) -> None:
    """Add ``readout_error`` of images of disordered films of a known system, in the described frames.

    It is Σ|error| over Σ|error of the first image|.
    """
    images_of_films = "disorder" in scene.data and "number" not in scene.data.dims
    known = images_of_films and "settings" in scene.data.attrs
    if not known or not len(scene.described):
        return
    shape = (*images.shape[:2], scene.data.sizes["y"], scene.data.sizes["x"])

    def read(some: Tensor) -> dict[str, ndarray]:
        return readouts(some.double().reshape(shape).numpy(), scene.data, scene.described)

    if "readouts" not in scene.kept:
        first = scene.frames.images[:, :1].expand(-1, len(scene.described), -1)
        scene.kept["readouts"] = read(scene.frames.images[:, scene.described]), read(first)
    found, (truth, stay) = read(images), scene.kept["readouts"]
    for name, true in truth.items():
        parts = (np.abs(values[name] - true).sum(axis=1) for values in (found, stay))
        add(Label("readout_error", scene.split, arm, name), Form.RATIO, *parts, scene.samples)
