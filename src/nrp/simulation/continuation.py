"""Runs that continue from the last states of stored ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from nrp.base import InvalidSetting
from nrp.simulation.dataset import settings_of
from nrp.simulation.settings import CampaignSettings

_FIELD = ("sweep_rate", "field_init", "field_final", "field_loop", "field_table")


def continued(stored: xr.Dataset, changes: dict[str, Any]) -> CampaignSettings:
    """Return the campaign in which stored runs continue.

    All of them continue, unless the `changes` of their settings name anisotropies or samples.  Without a
    sweep rate the field continues as the stored settings have it; with one a new sweep leads from the field
    in which the runs end to ``field_final``.

    Raises
    ------
    InvalidSetting
        If a new sweep does not begin in one field with one rate, or a setting is not allowed.
    """
    begin, before = float(stored["time"].max()), settings_of(stored)
    new: dict[str, Any] = {"begin": begin, "duration": None}
    for name in ("anisotropy", "sample"):
        new[name] = np.unique(stored[name].values).tolist()
    if "sweep_rate" not in changes or "field_table" in changes:
        return before.changed(**new | changes)
    last = np.unique(stored["external_field"].values[:, -1])
    rates = changes["sweep_rate"]
    if len(rates) > 1 or len(last) > 1:
        raise InvalidSetting(f"sweep_rate = {rates}: must be one, and the runs must end in one field")
    if "field_init" in changes or changes.get("field_loop"):
        only = "no field_init and no field_loop"
        raise InvalidSetting(f"continue: a new sweep begins at the last field; {only}")
    first = float(last[0])
    # Checked as settings are; the sweep itself is a table, which begins at the right time.
    checked = before.replace(sweep_rate=rates, field_table=(), field_loop=False, begin=0.0, duration=1.0)
    rate, final = checked.sweep_rate[0], changes.get("field_final", 0.0)
    table = ((begin, first), (begin + abs(first - final) / rate, final)) if rate > 0 else ()
    new |= {"field_init": first, "field_loop": False, "field_table": table, "sweep_rate": (0.0,)}
    rest = {name: value for name, value in changes.items() if name not in _FIELD}
    return before.changed(**new | rest)
