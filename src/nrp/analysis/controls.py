"""Controls: the whole way from film to test, for systems of which it is known whether they jump.

A control is filmed, learned from and tested as the magnetic film is.  Beads slide down landscapes whose tilt
jumps at a known α, or changes smoothly there; the Swift–Hohenberg field passes a first-order transition.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from joblib import Parallel, delayed
from numpy import ndarray
from scipy.stats import binomtest

from nrp.analysis.continuity import LEVEL
from nrp.analysis.morphology import count_domains
from nrp.analysis.result import Result, mean_row, row
from nrp.analysis.transition import Reading, curve_rows, true_rates
from nrp.progress import progress
from nrp.reduction import load_frames, load_model, train
from nrp.settings import SMOOTH, ControlSettings, InvalidSetting
from nrp.simulation import open_dataset, simulate
from nrp.store import Step, Store

CONTROL = Step("control", 1)
POWER = Step("power", 1)


def run_controls(
    controls: Sequence[ControlSettings], store: Store, *, workers: int | None = None
) -> list[Path]:
    """Return the folders of the results of controls, computing in parallel processes those that are missing.

    Films and models of a control lie in a temporary folder, of which nothing is kept.

    Parameters
    ----------
    controls
        What is filmed and trained.
    store
        Where the results lie.
    workers
        Processes, of one thread each; by default one per core.
    """
    tasks = (delayed(_run_into)(control, store.root) for control in controls)
    workers = min(workers or os.cpu_count() or 1, len(controls))
    pool = Parallel(n_jobs=workers, return_as="generator", inner_max_num_threads=1)
    return list(progress(pool(tasks), total=len(controls), title=f"running {len(controls)} controls"))


def _run_into(control: ControlSettings, root: Path) -> Path:
    torch.set_num_threads(1)
    # One bar for all controls, none for the steps of each.
    with redirect_stderr(StringIO()):
        return Store(root).get(CONTROL, control, lambda folder: run_control(control).save(folder))


def run_control(control: ControlSettings) -> Result:
    """Film, learn and test one control.

    Rows: those of the test for each curve of `nrp.analysis.transition.curve_rows`.  The curves are
    ``onset_rate``, ``onset_gradient_interpolated``, ``decoded_rate``, ``separate_gradient`` and
    ``separate_rate`` of `nrp.analysis.transition.transition`, and for a field ``final_domains``, the domains
    of φ > 0 at the end; ``rate_error`` of the potential, in sample.
    Arrays: ``alphas`` and the curves.

    Raises
    ------
    InvalidSetting
        If a run ends before its onset.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        films = open_dataset(simulate(control.campaign, store, workers=1)).load()
        model = load_model(train([films], control.model, store))
        measured = {"onset_rate": true_rates(films)}
        if control.settled is not None:
            ends = control.campaign.replace(duration=control.settled, frames=2)
            measured["final_domains"] = _final_domains(open_dataset(simulate(ends, store, workers=1)))
    data, times, starts = load_frames(films), films.time.values, films.onset_time.values
    if not (starts < times[:, -1]).all():
        raise InvalidSetting(f"duration = {times[0, -1]:g}: must be longer, for a run ends before its onset")
    read = Reading(model, data, times, starts)
    curves = read.curves | measured
    alphas = films.anisotropy.values
    common = {"analysis": "control", "system": control.campaign.system.system, "split": control.label}
    rows = [row("rate_error", read.rate_error, **common)]
    for name, curve in curves.items():
        rows += curve_rows(alphas, curve[None], power=False, case=name, **common)
    return Result.of(rows, alphas=alphas, **curves)


def _final_domains(films: xr.Dataset) -> ndarray:
    final = films.isel(frame=-1)["order"].values
    return np.array([count_domains(image > 0) for image in final], dtype=float)


def power(*controls: Result) -> Result:
    """Return how often the test raises an alarm, by the kind of control and the curve that is tested.

    Rows: ``detection_rate`` where there is a jump and ``false_alarm_rate`` where there is none, with 95 %
    intervals (Clopper and Pearson) and the number of runs as `members`; the kind is the split, the curve the
    case.  ``false_alarm_rate`` of the split ``all without a jump``.  ``rate_error``, mean over runs.
    Arrays: the curves of the first run of each kind, as ``kind/curve``.
    """
    tables = [each.table[each.table["metric"].isin(["jump_p_value", "rate_error"])] for each in controls]
    table = pd.concat(tables)
    rows = []
    for (system, kind, metric), part in table.groupby(["system", "split", "metric"], sort=False):
        common = {"analysis": "power", "system": system, "split": kind}
        if metric == "rate_error":
            rows.append(
                mean_row("rate_error", part["value"].to_numpy(dtype=float), members=len(part), **common)
            )
            continue
        for curve, values in part.groupby("case", sort=False)["value"]:
            rows.append(_alarms(values, case=curve, **common))
    smooth = table[table["split"].str.startswith(SMOOTH) & (table["metric"] == "jump_p_value")]
    for (system, curve), values in smooth.groupby(["system", "case"], sort=False)["value"]:
        common = {"analysis": "power", "system": system, "case": curve}
        rows.append(_alarms(values, split=f"{SMOOTH}, all", **common))
    first = {}
    for each in controls:
        kind = each.table["split"].iloc[0]
        for name, curve in each.arrays.items():
            first.setdefault(f"{kind}/{name}", curve)
    return Result.of(rows, **first)


def _alarms(p_values: pd.Series, **columns: object) -> dict:
    alarms, count = int((p_values.astype(float) < LEVEL).sum()), len(p_values)
    low, high = binomtest(alarms, count).proportion_ci()
    metric = "false_alarm_rate" if str(columns["split"]).startswith(SMOOTH) else "detection_rate"
    return row(metric, alarms / count, low=low, high=high, members=count, **columns)
