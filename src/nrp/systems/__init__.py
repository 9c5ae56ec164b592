"""Gradient systems: each a field, its rate, its controls and, where there is one, its energy.

A system states its equations and nothing else; it knows neither solver nor data.
"""

from nrp.systems.bead import Bead
from nrp.systems.film import Film, draw_disorder

__all__ = ["Bead", "Film", "draw_disorder"]
