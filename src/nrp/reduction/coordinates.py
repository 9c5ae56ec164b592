"""Images as vectors whose Euclidean norm is the root mean square of the pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nrp.base import InvalidSetting


@contextmanager
def one_thread() -> Iterator[None]:
    """Leave torch one thread: with another number of them a factorization rounds differently."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def leading_modes(
    images: Float[Tensor, "image pixel"], count: int
) -> tuple[Float[Tensor, " pixel"], Float[Tensor, "pixel mode"]]:
    """Return mean and leading orthonormal modes (POD) of a set of images, by randomised subspace iteration.

    Raises
    ------
    InvalidSetting
        If there are fewer images or pixels than modes.
    """
    most = min(images.shape)
    if count > most:
        raise InvalidSetting(f"modes = {count}: must be at most {most}, the images or pixels of the data")
    mean = images.mean(dim=0)
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(0)
        basis = torch.svd_lowrank(images - mean, q=min(count + 16, most), niter=4)[2]
    return mean, basis[:, :count].contiguous()


class Coordinates(nn.Module):
    """N pixels X ↔ coordinates x: X/√N, or with `modes` so many POD coefficients of X − mean, over √N."""

    def __init__(self, pixels: int, modes: int) -> None:
        super().__init__()
        self.count = modes or pixels
        self.unit = math.sqrt(pixels)
        self.register_buffer("mean", torch.zeros(pixels) if modes else None)
        self.register_buffer("basis", torch.zeros(pixels, modes) if modes else None)

    def fit(self, images: Float[Tensor, "image pixel"]) -> None:
        """Take mean and modes from these images."""
        if self.basis is not None:
            self.mean, self.basis = leading_modes(images, self.basis.shape[1])

    def of(self, images: Float[Tensor, "*batch pixel"]) -> Float[Tensor, "*batch coordinate"]:
        """Return the coordinates of images."""
        return images / self.unit if self.basis is None else self.of_rate(images - self.mean)

    def of_rate(self, rates: Float[Tensor, "*batch pixel"]) -> Float[Tensor, "*batch coordinate"]:
        """Return the rates of the coordinates."""
        return (rates if self.basis is None else rates @ self.basis) / self.unit

    def images(self, x: Float[Tensor, "*batch coordinate"]) -> Float[Tensor, "*batch pixel"]:
        """Return the images with these coordinates."""
        return self.rates(x) if self.basis is None else self.mean + self.rates(x)

    def rates(self, rate: Float[Tensor, "*batch coordinate"]) -> Float[Tensor, "*batch pixel"]:
        """Return the image rates that belong to rates of the coordinates."""
        return self.unit * (rate if self.basis is None else rate @ self.basis.T)
