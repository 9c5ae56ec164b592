"""Gradient systems: each a field, its rate, its controls and, where there is one, its energy.

A system states its equations and nothing else; it knows neither solver nor data.
"""

from nrp.systems.bead import Bead
from nrp.systems.film import Film, draw_disorder
from nrp.systems.plane import Plane
from nrp.systems.swift_hohenberg import SwiftHohenberg

__all__ = ["Bead", "Film", "Plane", "SwiftHohenberg", "draw_disorder"]
