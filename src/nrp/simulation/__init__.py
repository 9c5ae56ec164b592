"""From settings to films: field sweep, integrators, single runs and campaigns of many runs."""

from nrp.simulation.campaign import SIMULATE, open_dataset, simulate
from nrp.simulation.integrators import ETDRK4, RK4
from nrp.simulation.run import Run, simulate_run
from nrp.simulation.sweep import FieldSweep

__all__ = [
    "ETDRK4",
    "RK4",
    "SIMULATE",
    "FieldSweep",
    "Run",
    "open_dataset",
    "simulate",
    "simulate_run",
]
