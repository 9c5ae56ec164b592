"""The external field h(t) of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldSweep:
    """``h(t) = h_init − v t`` until it vanishes at T₀, then 0 (section 3 of the paper)."""

    field_init: float
    rate: float

    @property
    def zero_time(self) -> float:
        """T₀ = h_init / v."""
        return self.field_init / self.rate

    def __call__(self, time: float) -> float:
        """Return h at a time."""
        return max(self.field_init - self.rate * time, 0.0)

    def slope(self, time: float) -> float:
        """Return dh/dt at a time, from the right."""
        return -self.rate if time < self.zero_time else 0.0
