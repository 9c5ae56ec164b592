"""From settings to films: field sweep, integrators, single runs and campaigns of many runs."""

from nrp.simulation.campaign import SIMULATE, open_dataset, settings_of, simulate
from nrp.simulation.external_field import ExternalField
from nrp.simulation.integrators import ETDRK4, RK4, SBDF4
from nrp.simulation.run import Run, Simulation, simulate_run

__all__ = [
    "ETDRK4",
    "RK4",
    "SBDF4",
    "SIMULATE",
    "ExternalField",
    "Run",
    "Simulation",
    "open_dataset",
    "settings_of",
    "simulate",
    "simulate_run",
]
