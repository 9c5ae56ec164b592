"""Gradient systems: each file holds one, with its settings, equation, energy, mobility, start and images.

A system knows neither solver nor data, and nobody outside this folder names one: `SYSTEMS` has them all.
A new one is a file with its settings and its class, and a line in the registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field

from nrp.systems.base import System, SystemSettings
from nrp.systems.bead import Bead
from nrp.systems.cahn_hilliard import CahnHilliard
from nrp.systems.film import Film
from nrp.systems.swift_hohenberg import SwiftHohenberg

SYSTEMS: dict[str, type[System]] = {
    "film": Film,
    "swift_hohenberg": SwiftHohenberg,
    "cahn_hilliard": CahnHilliard,
    "bead": Bead,
}
"""All systems by their names, the tags of their settings."""
DEFAULT_SYSTEM = Film
"""The system that is simulated if none is named."""
if TYPE_CHECKING:
    AnySystem = Any
else:  # known at run time only
    AnySystem = Annotated[
        Union[tuple(each.settings_type for each in SYSTEMS.values())],  # noqa: UP007
        Field(discriminator="system"),
    ]
"""The settings of any system."""

__all__ = ["DEFAULT_SYSTEM", "SYSTEMS", "AnySystem", "System", "SystemSettings"]
