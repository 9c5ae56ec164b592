"""The graph of results: profiles, overrides, and the study that computes or finds what a chapter asks for."""

# Importing them registers the analyses.
from nrp.analysis.film import droplets, formation, hysteresis, onset, patterns, sensitivity, solver
from nrp.analysis.model import (
    curves,
    energy,
    exact_energy,
    forecast,
    gradient_flow,
    identifiability,
    landscape,
    meaning,
    members,
    premise,
    reconstruction,
    training,
)
from nrp.analysis.potential import held, map, melting, rest, transitions
from nrp.analysis.transition import continuity, controls, reading
from nrp.pipeline.profiles import Profile, profile
from nrp.pipeline.study import Study

__all__ = ["Profile", "Study", "profile"]
