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

from nrp.settings import CampaignSettings, FilmSettings
from nrp.systems.film_theory import uniform_equilibrium

FIXED_STEP = {"bead": 0.05, "swift_hohenberg": 0.05}
"""Steps of the systems that are not calibrated."""
SAFETY = 0.8


@cache
def calibration() -> dict:
    """Return the stored measurement."""
    return json.loads(files("nrp.simulation").joinpath("calibration.json").read_text())


def time_step(campaign: CampaignSettings, anisotropy: float) -> tuple[float, float]:
    """Return the largest step of a run, and its error in the calibration; nan outside of that.

    Of two calibrated anisotropies the shorter step counts; above them all it falls as 1/α².  A field, or
    a start, that takes φ further than the paper's field does makes the cubic steeper and the step shorter.
    """
    if not isinstance(campaign.system, FilmSettings):
        return campaign.time_step or FIXED_STEP[campaign.system.system], float("nan")
    curves = {float(a): np.log(np.transpose(c)) for a, c in calibration()["errors"][campaign.scheme].items()}
    first, last = min(curves), max(curves)
    near = {
        max((a for a in curves if a <= anisotropy), default=first),
        min((a for a in curves if a >= anisotropy), default=last),
    }
    if campaign.time_step:
        step = campaign.time_step
    else:
        step = SAFETY * min(_largest_step(*curves[a], np.log(campaign.tolerance)) for a in near)
        step *= min(1.0, (last / anisotropy) ** 2) * _gentler(campaign, anisotropy)
    inside = first <= anisotropy <= last and all(np.log(step) <= curves[a][0][-1] for a in near)
    error = max(_error(np.log(step), *curves[a]) for a in near) if inside else np.nan
    return float(step), float(np.exp(error))


def _gentler(campaign: CampaignSettings, anisotropy: float) -> float:
    """Return by how much the cubic is less steep in the paper's sweep than where this run may go."""
    film, fields = campaign.system, (campaign.field_init, campaign.field_final)
    strongest = max(abs(h) for h in (*fields, *(h for _, h in campaign.field_table)))
    start = abs(film.start_level) if film.start != "equilibrium" else 0.0
    # Within domains φ comes close to 1 in any case, and the slope of the cubic to 2α.
    paper = max(1.0, uniform_equilibrium(1.5, anisotropy, film))
    here = max(paper, uniform_equilibrium(strongest, anisotropy, film), start)
    return (3 * paper**2 - 1) / (3 * here**2 - 1)


def _largest_step(steps: ndarray, errors: ndarray, tolerance: float) -> float:
    """Return the step up to which no error is over the tolerance; below the first one by the order 4."""
    if errors[0] > tolerance:
        return float(np.exp(steps[0] + (tolerance - errors[0]) / 4))
    return float(np.exp(np.interp(tolerance, np.maximum.accumulate(errors), steps)))


def _error(step: float, steps: ndarray, errors: ndarray) -> float:
    return np.interp(step, steps, errors) + 4 * min(step - steps[0], 0.0)
