"""What every gradient system states of itself."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nrp.base import Settings


class SystemSettings(Settings):
    """Base of the settings of all systems; each has a tag ``system``, the name of the system."""

    system: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a state."""
        raise NotImplementedError

    @property
    def axes(self) -> tuple[Float[ndarray, " y"], Float[ndarray, " x"]]:
        """Coordinates (y, x) of the pixels of a frame."""
        raise NotImplementedError

    @property
    def frames_are(self) -> str:
        """What a frame shows, in words."""
        return "values on the simulated grid"

    def largest_step(self, anisotropy: float) -> float | None:
        """Return the largest time step if none is given; None where it comes from a calibration."""
        return 0.05

    @property
    def memory(self) -> int:
        """About how many bytes a run takes: thirty numbers for each number of a state."""
        return 240 * math.prod(self.shape)


class System(ABC):
    """A gradient system at one value of its parameter: its energy, its motion and the images of it.

    ``∂u/∂t = −K δH/δu``, with a mobility operator K that is the identity in most systems.
    """

    settings_type: ClassVar[type[SystemSettings]]
    field: ClassVar[str]
    """Name of the variable that holds the images."""
    spectral: ClassVar[bool] = False
    """Whether the state is a field in a periodic box, whose linear part is diagonal in Fourier space."""
    settings: Any  # of the class `settings_type`
    anisotropy: float
    disordered: ClassVar[bool] = False
    """Whether the medium has a disorder λ(r)."""
    disorder: ndarray | None = None
    """λ(r) on the grid, of shape (y, x), where there is one."""

    @abstractmethod
    def __init__(self, settings: Any, *, anisotropy: float) -> None: ...

    @classmethod
    def draw(cls, settings: SystemSettings, *, anisotropy: float, seed: int, sample: int) -> Self:
        """Return the system with the disorder of a sample; without any, samples differ in the start alone."""
        return cls(settings, anisotropy=anisotropy)

    @abstractmethod
    def start(self, external_field: float, *, seed: int, sample: int) -> ndarray:
        """Return the state with which a run begins in a field."""

    @abstractmethod
    def rate(self, state: ndarray, external_field: float) -> ndarray:
        """Return the time derivative of a state."""

    @abstractmethod
    def energy(self, state: ndarray, external_field: float) -> float:
        """Return the energy: of a field, H per area."""

    @abstractmethod
    def margin(self, state: ndarray) -> ndarray:
        """Return the quantity whose smallest value is negative from the onset on."""

    @abstractmethod
    def image(self, state: ndarray) -> Float[ndarray, "y x"]:
        """Return the frame that shows a state."""

    @abstractmethod
    def image_rate(self, state: ndarray, external_field: float) -> Float[ndarray, "y x"]:
        """Return the time derivative of the frame."""

    @classmethod
    def saturation(cls, settings: SystemSettings, *, anisotropy: float, external_field: float) -> float:
        """Return the largest uniform state at rest of a clean medium; nan where there are no fields."""
        return np.nan
