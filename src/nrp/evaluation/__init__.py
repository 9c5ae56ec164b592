"""A model looks at runs, and its errors are pooled: observations, rollouts, rivals, intervals, results."""

from nrp.evaluation.observation import Observation, split
from nrp.evaluation.pool import Form, Label, Pool
from nrp.evaluation.result import Result, row

__all__ = ["Form", "Label", "Observation", "Pool", "Result", "row", "split"]
