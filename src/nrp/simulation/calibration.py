"""The time step of a run, from a tolerance and a stored calibration.

`calibration.json` holds, by scheme and anisotropy, the relative L2 errors at the end of the paper's
sweep (box 64, dx = 0.5, the worst of its samples) by time step.  ``python benchmarks/calibrate.py`` measures
them again.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import numpy as np
from numpy import ndarray

from nrp.settings import BeadSettings, CampaignSettings

BEAD_STEP = 0.05
SAFETY = 0.9


@cache
def calibration() -> dict:
    """Return the stored measurement."""
    return json.loads(files("nrp.simulation").joinpath("calibration.json").read_text())


def time_step(campaign: CampaignSettings, anisotropy: float) -> tuple[float, float]:
    """Return the largest step of a run, and its error by the calibration; nan where there is none.

    Between calibrated anisotropies the step is interpolated.  Below them the first one's is kept; above
    them it falls as 1/α².
    """
    if isinstance(campaign.system, BeadSettings):
        return campaign.time_step or BEAD_STEP, float("nan")
    curves = {float(a): np.log(np.transpose(c)) for a, c in calibration()["errors"][campaign.scheme].items()}
    known = list(curves)
    if campaign.time_step:
        step = campaign.time_step
    else:
        steps = [_largest_step(*curve, np.log(campaign.tolerance)) for curve in curves.values()]
        step = SAFETY * np.interp(anisotropy, known, steps) * min(1.0, (known[-1] / anisotropy) ** 2)
    errors = [_error(np.log(step), *curve) for curve in curves.values()]
    return float(step), float(np.exp(np.interp(anisotropy, known, errors)))


def _largest_step(steps: ndarray, errors: ndarray, tolerance: float) -> float:
    """Return the step up to which no error is over the tolerance; below the first one by the order 4."""
    if errors[0] > tolerance:
        return float(np.exp(steps[0] + (tolerance - errors[0]) / 4))
    return float(np.exp(np.interp(tolerance, np.maximum.accumulate(errors), steps)))


def _error(step: float, steps: ndarray, errors: ndarray) -> float:
    return np.interp(step, steps, errors) + 4 * min(step - steps[0], 0.0)
