"""Hysteresis: the mean magnetization along a loop of the external field."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nrp.analysis.registry import Dataset, analysis
from nrp.evaluation import Result, row
from nrp.reduction import images_of


@analysis("hysteresis", version=2, needs={"loops": Dataset("loops")})
def hysteresis(loops: xr.Dataset) -> Result:
    """Return what loops of the field, from saturation down and up again, lose and keep.

    Rows per anisotropy and, as the case, sweep rate: ``remanence`` (mean magnetization at h = 0 on the way
    down), ``coercive_field`` (−h where it vanishes then), ``loop_area`` (the work ∮ h dm of the field) and
    ``loop_heat`` (what of it is not in the film at the end, with the energy H + hm), both per area.
    Arrays: ``external_field`` and ``magnetization`` over (run, frame), ``anisotropy`` and ``sweep_rate``.
    """
    h, mean = loops.external_field.values, images_of(loops).mean(("y", "x")).values.astype(float)
    rows = []
    for run, field, m in zip(range(len(h)), h, mean, strict=True):
        down = slice(None, field.argmin() + 1)
        values = {
            "remanence": np.interp(0.0, -field[down], m[down]),
            "coercive_field": -np.interp(0.0, -m[down], field[down]),
            "loop_area": np.trapezoid(field, m),
        }
        stored = loops.energy.values[run] + field * m
        values["loop_heat"] = values["loop_area"] - (stored[-1] - stored[0])
        common = {"case": f"v = {float(loops.sweep_rate[run]):g}", "anisotropy": float(loops.anisotropy[run])}
        rows += [row(metric, value, **common) for metric, value in values.items()]
    names = {name: loops[name].values for name in ("anisotropy", "sweep_rate")}
    return Result.of(rows, external_field=h, magnetization=mean, **names)
