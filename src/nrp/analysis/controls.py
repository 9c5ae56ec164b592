"""Controls: the whole way from film to test, for systems of which it is known whether they jump.

A control is filmed, learned from and tested as the magnetic film is.  Beads slide down landscapes whose tilt
jumps at a known α, or changes smoothly there; the Swift–Hohenberg field passes a first-order transition; and
the film itself is shown with a mobility, and so a reduced potential, that jumps.
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

from nrp.analysis.continuity import LEVEL, curve_rows
from nrp.analysis.morphology import count_domains
from nrp.analysis.result import Result, mean_row, row
from nrp.analysis.transition import Reading, image_rates, true_rates
from nrp.progress import progress
from nrp.reduction import load_frames, load_model, train
from nrp.settings import SMOOTH, ControlSettings, InvalidSetting
from nrp.simulation import open_dataset, simulate
from nrp.store import Step, Store

CONTROL = Step("control", 2)
_NEAR = 0.5
"""How far above a jump its size is measured, in α."""
POWER = Step("power", 2)


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
    """Film, learn and read one control.

    Arrays: ``alphas``, and the curves that are tested: ``onset_time``, ``onset_rate`` and
    ``onset_rate_in_frame``, the same in the first frame from the onset on, which need no network; with a
    model ``onset_gradient``, in that frame, ``onset_gradient_interpolated``, ``decoded_rate``,
    ``separate_gradient`` and ``separate_rate`` of `nrp.analysis.transition.transition`; for a field that is
    looked at again ``final_domains``, the domains of φ > 0 at the end; and for a film whose mobility jumps
    ``multiplied_rate``, the onset rate of the usual film times the mobility.
    Rows: ``rate_error`` of the potential, in sample; ``mobility_response``, by which factor the onset rate of
    a film differs from that of the usual one within `_NEAR` above the jump of its mobility.

    Raises
    ------
    InvalidSetting
        If a run ends before its onset.
    """
    common = {"analysis": "control", "system": control.campaign.system.system, "split": control.kind}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        usual = open_dataset(simulate(control.campaign, store, workers=1)).load()
        films = usual if control.mobility == 1 else _with_mobility(control, usual, store)
        alphas, times, starts = (films[name].values for name in ("anisotropy", "time", "onset_time"))
        if not (starts < times[:, -1]).all():
            end = control.campaign.end(*control.campaign.sweep_rate)
            raise InvalidSetting(f"duration = {end:g}: must be longer, for a run ends before its onset")
        frames = (times >= starts[:, None]).argmax(axis=1)
        curves = {
            "onset_time": starts,
            "onset_rate": true_rates(films),
            "onset_rate_in_frame": image_rates(films)[np.arange(len(frames)), frames],
        }
        if control.mobility != 1:
            rate, above = true_rates(usual), alphas > control.place
            curves["multiplied_rate"] = rate * np.where(above, control.mobility, 1.0)
            near = above & (alphas < control.place + _NEAR)
            response = np.exp(np.mean(np.log(curves["onset_rate"] / rate)[near]))
            rows.append(row("mobility_response", response, **common))
        if control.settled is not None:
            ends = control.campaign.replace(duration=control.settled, frames=2)
            curves["final_domains"] = _final_domains(open_dataset(simulate(ends, store, workers=1)))
        if control.model:
            model = load_model(train([films], control.model, store))
            read = Reading(model, load_frames(films), times, starts)
            curves |= {"onset_gradient": read.norm_in(frames), **read.curves}
            rows.append(row("rate_error", read.rate_error, **common))
    return Result.of(rows, alphas=alphas, **curves)


def _with_mobility(control: ControlSettings, usual: xr.Dataset, store: Store) -> xr.Dataset:
    """Return the runs of a control with another mobility above its place."""
    campaign, factor = control.campaign, control.mobility
    above = usual.anisotropy.values > control.place
    slow = campaign.replace(
        anisotropy=tuple(usual.anisotropy.values[above].tolist()),
        sweep_rate=tuple(rate / factor for rate in campaign.sweep_rate),
        duration=campaign.duration and campaign.duration * factor,
    )
    slowed = open_dataset(simulate(slow, store, workers=1)).load()
    parts = [usual.isel(run=~above), quickened(slowed, factor)]
    films = xr.concat(parts, dim="run", combine_attrs="override")
    return films.assign_attrs(key=f"{usual.attrs['key']} {slowed.attrs['key']}")


def quickened(films: xr.Dataset, factor: float) -> xr.Dataset:
    """Return films as they are in a medium of so many times their mobility, ∂φ/∂t = −factor · δH/δφ.

    The states are the same ones and come sooner, and so do the fields: a film that is swept at the rate v in
    such a medium is the quick-motion picture of one that is swept at v/factor in the usual one.
    """
    sooner = {"time": films["time"] / factor, "sweep_rate": films["sweep_rate"] * factor}
    faster = {"rate": films["rate"] * factor, "onset_time": films["onset_time"] / factor}
    return films.assign(faster).assign_coords(sooner)


def _final_domains(films: xr.Dataset) -> ndarray:
    final = films.isel(frame=-1)["order"].values
    return np.array([count_domains(image > 0) for image in final], dtype=float)


def power(*controls: Result, kinds: Sequence[tuple[str, str]], workers: int | None = None) -> Result:
    """Return how often the test raises an alarm, by the kind of control and the curve that is tested.

    Rows: ``detection_rate`` where there is a jump and ``false_alarm_rate`` where there is none, with 95 %
    intervals (Clopper and Pearson) and the number of runs as `members`; the kind is the split, the curve the
    case.  ``false_alarm_rate`` of all kinds of a system, as split ``smooth, all beads``.  ``rate_error`` and
    ``mobility_response``, mean over runs with the 95 % interval of the mean (Student's t).
    Arrays: the curves of the first run of each kind, as ``kind/curve``.

    Parameters
    ----------
    *controls
        Results of `run_control`.
    kinds
        System and kind of each.
    workers
        Processes; by default one per core.
    """
    workers = min(workers or os.cpu_count() or 1, len(controls))
    pool = Parallel(n_jobs=workers, return_as="generator", inner_max_num_threads=1)
    tasks = (delayed(_numbers)(*each) for each in zip(controls, kinds, strict=True))
    numbers = progress(pool(tasks), total=len(controls), title=f"testing {len(controls)} controls")
    table = pd.concat(list(numbers))
    smooth = table[table["split"].str.startswith(SMOOTH) & (table["metric"] == "jump_p_value")]
    table = pd.concat([table, smooth.assign(split=f"{SMOOTH}, all " + smooth["system"] + "s")])
    rows = []
    for names, part in table.groupby(["system", "split", "metric", "case"], sort=False, dropna=False):
        system, kind, metric, case = names
        common = {"analysis": "power", "system": system, "split": kind}
        values = part["value"].to_numpy(dtype=float)
        if metric == "jump_p_value":
            rows.append(_alarms(values, case=case, **common))
        else:
            rows.append(mean_row(metric, values, members=len(values), **common))
    first: dict[str, ndarray] = {}
    for each, (_, kind) in zip(controls, kinds, strict=True):
        for name, curve in each.arrays.items():
            first.setdefault(f"{kind}/{name}", curve)
    return Result.of(rows, **first)


def _numbers(control: Result, kind: tuple[str, str]) -> pd.DataFrame:
    """Return what is counted of a control: the p values of its curves, and its own rows."""
    system, split = kind
    alphas = control.arrays["alphas"]
    tests = [
        test
        for name, curve in control.arrays.items()
        if name != "alphas"
        for test in curve_rows(name, alphas, curve[None], power=False, system=system, split=split)
        if test["metric"] == "jump_p_value"
    ]
    return pd.concat([control.table, Result.of(tests).table])


def _alarms(p_values: ndarray, **columns: object) -> dict:
    alarms, count = int((p_values < LEVEL).sum()), len(p_values)
    low, high = binomtest(alarms, count).proportion_ci()
    metric = "false_alarm_rate" if str(columns["split"]).startswith(SMOOTH) else "detection_rate"
    return row(metric, alarms / count, low=low, high=high, members=count, **columns)
