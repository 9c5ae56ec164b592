"""A bead that slides down a two-dimensional landscape in front of a camera.

The smallest gradient system of the book: its landscape is known, so a potential learned from its
images can be held against the truth.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from pydantic import Field

from nrp.base import Index, NonNegative, Positive, Settings
from nrp.systems.base import System, SystemSettings


class Tilt(Settings):
    """How the landscape of a bead leans to the right, over the anisotropy.

    ``s(α) = level + trend (α − place) + change S(α − place) + scatter ε``, with S from −½ to ½: a jump, or
    for a `width` above 0 the smooth ``tanh((α − place)/width)/2``.  ε is drawn for each α from N(0, 1).
    """

    level: float = 0.0
    trend: float = 0.0
    change: float = 0.0
    place: float = 2.5
    width: NonNegative = 0.0
    scatter: NonNegative = 0.0
    seed: Index = 0
    """Of ε."""


class BeadSettings(SystemSettings):
    """A bead in a two-dimensional double well, filmed on ``pixels × pixels`` images.

    ``U(x, y) = w (x² − 1)²/4 + k y²/2 − (h + s(α)) x``, and w is α if no `well` is given.  Starting points
    are drawn uniformly from the square of half-width ``start`` about ``centre``.
    """

    system: Literal["bead"] = "bead"
    pixels: Annotated[int, Field(ge=8, le=256)] = 32
    view: Positive = 2.2
    """Half-width of the square that the camera sees."""
    bead_width: Positive = 0.45
    """Standard deviation of the bead's bright spot."""
    transverse: Positive = 1.0
    """k, the stiffness across the double well."""
    start: Positive = 1.5
    centre: tuple[float, float] = (0.0, 0.0)
    """(x, y) of the middle of that square."""
    well: Positive | None = None
    """w, the strength of the double well."""
    tilt: Tilt = Tilt()
    """s, by which the landscape leans without a field."""

    @property
    def shape(self) -> tuple[int]:
        """Shape of a state: the two coordinates of the bead."""
        return (2,)

    @property
    def axes(self) -> tuple[Float[ndarray, " y"], Float[ndarray, " x"]]:
        """Coordinates (y, x) of the pixels of a frame."""
        edge = self.view * (1 - 1 / self.pixels)
        centres = np.linspace(-edge, edge, self.pixels)
        return centres, centres


class Bead(System):
    """``q̇ = −∇U`` with ``U(x, y) = w(x² − 1)²/4 + k y²/2 − (h + s)x``, and the images of it.

    For h + s = 0 the wells lie at (±1, 0) and the saddle at (0, 0), w/4 above them.  By default w = α and
    s = 0.
    """

    settings_type = BeadSettings
    field = "intensity"

    def __init__(self, settings: BeadSettings, *, anisotropy: float) -> None:
        self.settings = settings
        self.anisotropy = anisotropy
        self.well = settings.well or anisotropy
        self.tilt = tilt(anisotropy, settings.tilt)
        self._axis = settings.axes[1]

    @property
    def barrier(self) -> float:
        """Height of the saddle at (0, 0) above the wells at (±1, 0), for h + s = 0."""
        return self.well / 4

    def start(self, external_field: float, *, seed: int, sample: int) -> Float[ndarray, " 2"]:
        """Return the starting point of a sample."""
        draws = np.random.default_rng([seed, sample]).uniform(-1, 1, size=2)
        return np.array(self.settings.centre) + self.settings.start * draws

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
        """Return −x, which is negative once the bead has passed the middle."""
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
