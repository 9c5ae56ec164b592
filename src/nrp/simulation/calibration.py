"""The time step of a run, from a tolerance and a stored calibration.

`calibration.json` holds, by scheme and anisotropy, the relative L2 error at the end of the paper's sweep
(box 64, dx = 0.5, the worst of some samples) by time step.  A run that passes closer to an instability
than all of them may be worse.  ``python benchmarks/calibrate.py`` measures it again; raise the version of
`SIMULATE` then.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import numpy as np
from numpy import ndarray

from nrp.simulation.settings import CampaignSettings
from nrp.systems import SYSTEMS

SAFETY = 0.8


@cache
def calibration() -> dict:
    """Return the stored measurement."""
    return json.loads(files("nrp.simulation").joinpath("calibration.json").read_text())


def time_step(campaign: CampaignSettings, anisotropy: float) -> tuple[float, float]:
    """Return the largest step of a run, in units of time, and its relative error in the calibration.

    A system that is not calibrated states its step itself.  The error is nan outside of the calibration.
    Of two calibrated anisotropies the shorter step counts; above them all it falls as 1/α².  A field, or
    a start, that takes φ further than the paper's field does makes the cubic steeper and the step shorter.
    """
    stated = campaign.system.largest_step(anisotropy)
    if stated is not None:
        return campaign.time_step or stated, float("nan")
    curves, near, shorter = _curves(campaign, anisotropy)
    if campaign.time_step:
        step = campaign.time_step
    else:
        step = SAFETY * min(_largest_step(np.log(campaign.tolerance), *curves[a]) for a in near)
        step *= shorter
    inside = min(curves) <= anisotropy <= max(curves) and all(np.log(step) <= curves[a][0][-1] for a in near)
    error = max(_error(np.log(step), *curves[a]) for a in near) if inside else np.nan
    return float(step), float(np.exp(error))


def largest_calibrated(campaign: CampaignSettings, anisotropy: float) -> float:
    """Return the largest step that was measured where a run goes, in units of time.

    Shorter in a stronger field and above all calibrated anisotropies, as in `time_step`; infinite for a
    system that is not calibrated.
    """
    if campaign.system.largest_step(anisotropy) is not None:
        return np.inf
    curves, near, shorter = _curves(campaign, anisotropy)
    return shorter * min(float(np.exp(curves[a][0][-1])) for a in near)


def _curves(campaign: CampaignSettings, anisotropy: float) -> tuple[dict[float, ndarray], set[float], float]:
    """Return the logarithms of steps and errors, the nearest anisotropies, and a factor of all steps."""
    curves = {float(a): np.log(np.transpose(c)) for a, c in calibration()["errors"][campaign.scheme].items()}
    near = {
        max((a for a in curves if a <= anisotropy), default=min(curves)),
        min((a for a in curves if a >= anisotropy), default=max(curves)),
    }
    return curves, near, min(1.0, (max(curves) / anisotropy) ** 2) * _gentler(campaign, anisotropy)


def _gentler(campaign: CampaignSettings, anisotropy: float) -> float:
    """Return how much less steep the cubic is in the paper's sweep than where this run may go, at most 1."""
    system, fields = campaign.system, (campaign.field_init, campaign.field_final)
    strongest = max(abs(h) for h in (*fields, *(h for _, h in campaign.field_table)))
    start = abs(system.start_level) if system.start != "equilibrium" else 0.0

    def saturated(field: float) -> float:
        return SYSTEMS[system.system].saturation(system, anisotropy=anisotropy, external_field=field)

    # Within domains φ comes close to 1 in any case, and the slope of the cubic to 2α.
    paper = max(1.0, saturated(1.5))
    here = max(paper, saturated(strongest), start)
    return (3 * paper**2 - 1) / (3 * here**2 - 1)


def _largest_step(tolerance: float, steps: ndarray, errors: ndarray) -> float:
    """Return the step up to which no error is over the tolerance; below the first one by the order 4."""
    if errors[0] > tolerance:
        return float(np.exp(steps[0] + (tolerance - errors[0]) / 4))
    return float(np.exp(np.interp(tolerance, np.maximum.accumulate(errors), steps)))


def _error(step: float, steps: ndarray, errors: ndarray) -> float:
    return np.interp(step, steps, errors) + 4 * min(step - steps[0], 0.0)
