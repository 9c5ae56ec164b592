"""From films and models to tidy results: forecast, onset, morphology, continuity."""

from nrp.analysis.result import Result, row

__all__ = ["Result", "row"]
