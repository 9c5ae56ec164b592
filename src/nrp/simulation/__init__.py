"""From settings to films: field sweep, integrators, single runs and campaigns of many runs."""

from nrp.simulation.campaign import SIMULATE, simulate
from nrp.simulation.continuation import continued
from nrp.simulation.dataset import open_dataset, settings_of, system_of
from nrp.simulation.external_field import ExternalField
from nrp.simulation.integrators import ETDRK4, RK4, SBDF4
from nrp.simulation.run import Run, Simulation, simulate_run
from nrp.simulation.settings import CampaignSettings

__all__ = [
    "ETDRK4",
    "RK4",
    "SBDF4",
    "SIMULATE",
    "CampaignSettings",
    "ExternalField",
    "Run",
    "Simulation",
    "continued",
    "open_dataset",
    "settings_of",
    "simulate",
    "simulate_run",
    "system_of",
]
