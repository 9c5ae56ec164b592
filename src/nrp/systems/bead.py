"""A bead that slides down a two-dimensional landscape in front of a camera.

The smallest gradient system of the book: its landscape is known, so a potential learned from its
images can be held against the truth.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nrp.settings import BeadSettings, Tilt


class Bead:
    """``q̇ = −∇U`` with ``U(x, y) = w(x² − 1)²/4 + k y²/2 − (h + s)x``, and the images of it.

    For h + s = 0 the wells lie at (±1, 0) and the saddle at (0, 0), w/4 above them.  By default w = α and
    s = 0.
    """

    field = "intensity"

    def __init__(self, settings: BeadSettings, *, anisotropy: float) -> None:
        self.settings = settings
        self.anisotropy = anisotropy
        self.well = settings.well or anisotropy
        self.tilt = tilt(anisotropy, settings.tilt)
        self._axis = pixel_centres(settings)

    def rate(self, position: Float[ndarray, " 2"], external_field: float) -> ndarray:
        """Return the velocity −∇U."""
        x, y = position
        slope_x = self.well * x * (x * x - 1) - self.tilt - external_field
        return -np.array([slope_x, self.settings.transverse * y])

    def energy(
        self, position: Float[ndarray, "*batch 2"], external_field: float
    ) -> Float[ndarray, "*batch"] | float:
        """Return U."""
        x, y = np.moveaxis(np.asarray(position), -1, 0)
        well = self.well * (x * x - 1) ** 2 / 4
        return well + self.settings.transverse * y * y / 2 - (self.tilt + external_field) * x

    def margin(self, position: Float[ndarray, " 2"]) -> Float[ndarray, " 1"]:
        """Return what is negative from the onset on, when the bead has passed the middle: −x."""
        return -position[:1]

    def image(self, position: Float[ndarray, " 2"]) -> Float[ndarray, "y x"]:
        """Return the picture of the bead: a Gaussian spot of height 1."""
        x, y = self._axis[None, :] - position[0], self._axis[:, None] - position[1]
        return np.exp(-(x * x + y * y) / (2 * self.settings.bead_width**2))

    def image_rate(self, position: Float[ndarray, " 2"], external_field: float) -> Float[ndarray, "y x"]:
        """Return the time derivative of the picture."""
        return self.image_motion(position, self.rate(position, external_field))

    def image_motion(
        self, position: Float[ndarray, " 2"], velocity: Float[ndarray, " 2"]
    ) -> Float[ndarray, "y x"]:
        """Return how the picture changes at a velocity, by the chain rule."""
        x, y = self._axis[None, :] - position[0], self._axis[:, None] - position[1]
        motion = (x * velocity[0] + y * velocity[1]) / self.settings.bead_width**2
        return motion * self.image(position)


def tilt(anisotropy: float, settings: Tilt) -> float:
    """Return s(α), by which a landscape leans to the right."""
    distance = anisotropy - settings.place
    step = np.tanh(distance / settings.width) if settings.width else np.sign(distance)
    random = np.random.default_rng([settings.seed, round(1e6 * anisotropy)]).normal()
    smooth = settings.level + settings.trend * distance + settings.change * step / 2
    return float(smooth + settings.scatter * random)


def pixel_centres(settings: BeadSettings) -> Float[ndarray, " pixels"]:
    """Return the coordinates of the pixels along either side of the picture."""
    edge = settings.view * (1 - 1 / settings.pixels)
    return np.linspace(-edge, edge, settings.pixels)


def draw_start(settings: BeadSettings, *, seed: int, sample: int) -> Float[ndarray, " 2"]:
    """Return the starting point of a sample."""
    draws = np.random.default_rng([seed, sample]).uniform(-1, 1, size=2)
    return np.array(settings.centre) + settings.start * draws
