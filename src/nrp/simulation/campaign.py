"""Campaigns: many runs in parallel, streamed into one Zarr store."""

from __future__ import annotations

import math
import os
import reprlib
import warnings
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from nrp import __version__
from nrp.base import InvalidSetting
from nrp.parallel import map_tasks
from nrp.progress import progress, tell
from nrp.simulation import unfinished
from nrp.simulation.calibration import largest_calibrated
from nrp.simulation.dataset import check_final_state, open_dataset, settings_of
from nrp.simulation.run import Frame, Run, Simulation, number_of_steps, runs_of
from nrp.simulation.settings import CampaignSettings
from nrp.store import Step, Store, content_key, remove
from nrp.systems import SYSTEMS

SIMULATE = Step("simulate", 3)
DATA = "data.zarr"
_BUFFER = 2**25
"""Bytes of frames that a run holds of each variable before it writes them."""
_OF_THE_START = ("coarsen", "start", "start_level", "noise")
"""Settings of a system that may change when a run continues."""
_PROCESS = 3e8
"""Bytes that a process takes before it simulates anything."""
MAX_STEPS = 10**8
"""Most time steps of a run."""
_SECONDS_PER_POINT, _LONG = 3e-8, 120.0
"""About the time of a step by the points of the grid; the seconds from which on a campaign is called long."""


def simulate(
    campaign: CampaignSettings,
    store: Store,
    *,
    start: Path | str | None = None,
    workers: int | None = None,
    memory: float | None = None,
) -> Path:
    """Return the Zarr store with all runs of a campaign, simulating those that are missing.

    An interrupted campaign goes on with the runs it had not finished.  With a dataset as its `start` each run
    begins with the last state of its run with the same anisotropy and sample, and, where there are several,
    the same sweep rate.  The `workers` are processes, by default one per core, and fewer where their runs do
    not fit the `memory` in gigabytes, by default that of the machine; the data depend on neither.

    Raises
    ------
    InvalidSetting
        If a run does not fit the memory or takes more than `MAX_STEPS`, or `start` has no state to begin it
        with.
    NotFinite
        If a run leaves the finite numbers.
    """
    if campaign.begin and start is None:
        raise InvalidSetting(f"begin = {campaign.begin}: needs stored runs to start from")
    stored = None if start is None else open_dataset(start)
    inputs = () if stored is None else (stored.attrs["key"],)

    def compute(folder: Path) -> None:
        processes = _workers(campaign, workers, memory)
        _estimate(campaign, processes)
        _compute(campaign, folder, inputs, stored, processes)

    return store.get(SIMULATE, campaign, compute, inputs) / DATA


def _workers(campaign: CampaignSettings, workers: int | None, memory: float | None) -> int:
    """Return how many runs go at once."""
    room = memory * 1e9 if memory else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    need = campaign.system.memory + 3 * _BUFFER + _PROCESS  # the third is what is being compressed
    if need > room:
        name = "box" if hasattr(campaign.system, "box") else "shape"
        takes = f"a run takes {need / 1e9:.2g} GB, and there are {room / 1e9:.2g}"
        raise InvalidSetting(f"{name} = {getattr(campaign.system, name)}: {takes}")
    return min(workers or os.cpu_count() or 1, int(room // need))


def _estimate(campaign: CampaignSettings, workers: int) -> None:
    """Refuse runs that would never end, and tell of long ones and of a step that is not calibrated."""
    steps = [number_of_steps(campaign, run) for run in runs_of(campaign)]
    if max(steps) > MAX_STEPS:
        times = {"time_step": campaign.time_step, "duration": campaign.duration}
        times["sweep_rate"] = min(campaign.sweep_rate) or None  # 0 with a table, which ends the run
        name, value = next(
            ((name, value) for name, value in times.items() if value is not None),
            ("field_table", reprlib.repr(campaign.field_table)),
        )
        raise InvalidSetting(f"{name} = {value}: a run takes {max(steps):.1e} steps; at most 1e8 are allowed")
    seconds = _SECONDS_PER_POINT * math.prod(campaign.system.shape) * max(sum(steps) / workers, max(steps))
    if seconds > _LONG:
        about = f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
        tell(f"simulating {len(steps)} runs of up to {max(steps):.1e} steps: this may take about {about}")
    calibrated = min((largest_calibrated(campaign, a), a) for a in campaign.anisotropy)
    if campaign.time_step is not None and campaign.time_step > calibrated[0]:
        tell(
            f"warning: time_step = {campaign.time_step:g}: the scheme {campaign.scheme} is calibrated up to "
            f"{calibrated[0]:.3g} at anisotropy {calibrated[1]:g}; the run may be wrong or unstable"
        )


def _compute(
    campaign: CampaignSettings, folder: Path, inputs: tuple[str, ...], stored: xr.Dataset | None, workers: int
) -> None:
    path, runs = folder / DATA, runs_of(campaign)
    if stored is not None:
        _check_medium(stored, campaign)
    starts = [None if stored is None else _place(stored, campaign, run) for run in runs]
    if not unfinished.can_continue(path):
        for left in list(folder.iterdir()):
            remove(left)
        template = _template(campaign, runs, content_key(SIMULATE, campaign, inputs))
        with warnings.catch_warnings():
            # Without consolidated metadata `xarray.open_zarr(path)` warns; with it, zarr does here.
            warnings.simplefilter("ignore", UserWarning)
            template.to_zarr(path, mode="w", consolidated=True, encoding=_chunks(campaign, template))
        unfinished.begin(path)
    missing = [i for i in range(len(runs)) if not unfinished.is_done(path, i)]
    source = stored.encoding["source"] if stored is not None else None
    tasks = [(campaign, runs[i], i, path, source, starts[i]) for i in missing]
    map_tasks(_simulate_into, tasks, workers=workers, title=f"simulating {len(missing)} runs")


def _check_medium(stored: xr.Dataset, campaign: CampaignSettings) -> None:
    """Make sure that the stored runs lie in the medium in which they are to continue."""
    before = settings_of(stored)
    if "final_state" not in stored or before.system.system != campaign.system.system:
        wanted = f"must hold the last states of runs of the system {campaign.system.system!r}"
        raise InvalidSetting(f"start = {stored.encoding['source']!r}: {wanted}")
    medium = [name for name in type(campaign.system).model_fields if name not in _OF_THE_START]
    for name in (*medium, "seed"):
        was, now = (getattr(c if name == "seed" else c.system, name) for c in (before, campaign))
        if was != now:
            raise InvalidSetting(f"{name} = {now!r}: must be {was!r}, as in the stored runs")


def _place(stored: xr.Dataset, campaign: CampaignSettings, run: Run) -> int:
    """Return which of the stored runs a run begins with."""
    wanted = f"anisotropy {run.anisotropy} and sample {run.sample}"
    same = (stored.anisotropy == run.anisotropy) & (stored["sample"] == run.sample)
    if same.sum() > 1:
        same &= stored.sweep_rate == run.sweep_rate
    if same.sum() != 1:
        raise InvalidSetting(f"start = {stored.encoding['source']!r}: must hold one run with {wanted}")
    place = int(np.flatnonzero(same)[0])
    end = float(stored.time[place, -1])
    if campaign.begin and not math.isclose(end, campaign.begin):
        raise InvalidSetting(f"begin = {campaign.begin}: must be {end:g}, where the stored runs end")
    check_final_state(stored, place)
    return place


def _simulate_into(
    campaign: CampaignSettings, run: Run, index: int, path: Path, source: str | None, place: int | None
) -> None:
    """Simulate a run into its own part of the dataset, and mark it as done."""
    unfinished.clear(path, index)
    before = None if source is None else open_dataset(source).isel(run=place)
    start = None if before is None else before["final_state"].values
    simulation = Simulation(campaign, run, start)
    group: Any = zarr.open_group(path, mode="r+")  # of arrays alone
    if before is not None and np.isfinite(before["onset_time"]):
        simulation.onset_time = float(before["onset_time"])
    arrays = {name: group[simulation.system.field if name == "image" else name] for name in Frame._fields}
    chunk, first = arrays["rate"].chunks[1], 0
    held = {name: np.empty((chunk, *array.shape[2:]), array.dtype) for name, array in arrays.items()}
    frames = progress(simulation, total=campaign.frames, title=f"frames at anisotropy {run.anisotropy:g}")
    for number, frame in enumerate(frames, start=1):
        for name, values in held.items():
            values[number - first - 1] = getattr(frame, name)
        if number - first == chunk or number == campaign.frames:
            for name, values in held.items():
                arrays[name][index, first:number] = values[: number - first]
            first = number
    single: dict[str, Any] = {
        "onset_time": simulation.onset_time,
        "time_step": simulation.time_step,
        "calibrated_error": simulation.error,
    }
    if simulation.disorder is not None:
        single["disorder"] = simulation.disorder
    if simulation.system.spectral:
        single["final_state"] = simulation.state
    for name, value in single.items():
        group[name][index] = value
    unfinished.mark(path, index)


def _template(campaign: CampaignSettings, runs: list[Run], key: str) -> xr.Dataset:
    """Return the dataset with its coordinates and attributes, and nothing in its fields yet."""
    system, kind = campaign.system, SYSTEMS[campaign.system.system]
    field, per_area = kind.field, kind.spectral
    y, x = system.axes
    sizes = {"run": len(runs), "frame": campaign.frames, "y": y.size, "x": x.size}
    if kind.spectral:
        sizes |= dict(zip(("fine_y", "fine_x"), system.shape, strict=True))

    def empty(*dims: str, dtype: Any = np.float64, **attrs: str) -> xr.Variable:
        # A broadcast zero takes no memory; chunks that hold nothing but zeros are not written.
        return xr.Variable(dims, np.broadcast_to(dtype(0), tuple(sizes[d] for d in dims)), attrs)

    frame, image = ("run", "frame"), ("run", "frame", "y", "x")
    time, length = {"units": "unit of time"}, {"units": "unit of length"}
    energy = {"units": "1 / unit of area", "long_name": "energy H per area"}
    fields = {
        field: empty(*image, dtype=np.float32, units="1"),
        "rate": empty(
            *image, dtype=np.float32, units="1 / unit of time", long_name=f"time derivative of {field}"
        ),
        "energy": empty(*frame, **(energy if per_area else {"units": "1", "long_name": "energy"})),
        "external_field": empty(*frame, units="1", long_name="h"),
        "onset_time": empty("run", **time, long_name="T_init"),
        "time_step": empty("run", **time, long_name="largest time step"),
        "calibrated_error": empty(
            "run", units="1", long_name="relative error of this step in the calibration, the paper's sweep"
        ),
    }
    if kind.disordered:
        fields["disorder"] = empty("run", "y", "x", dtype=np.float32, units="1", long_name="lambda(r)")
    if kind.spectral:
        fields["final_state"] = empty("run", "fine_y", "fine_x", units="1", long_name="field at the end")
    return xr.Dataset(
        fields,
        coords={
            "time": empty(*frame, **time),
            "anisotropy": ("run", [run.anisotropy for run in runs], {"long_name": "alpha"}),
            "sample": ("run", [run.sample for run in runs], {"long_name": "disorder or start"}),
            "sweep_rate": ("run", [run.sweep_rate for run in runs], {"long_name": "v"}),
            "y": ("y", y, length),
            "x": ("x", x, length),
        },
        attrs={
            "title": f"runs of the system {system.system!r}",
            "system": system.system,
            "field": field,
            "settings": campaign.model_dump_json(),
            "scheme": campaign.scheme if per_area else "rk4",
            "frames_are": system.frames_are,
            "package_version": __version__,
            "key": key,
        },
    )


def _chunks(campaign: CampaignSettings, template: xr.Dataset) -> dict[Hashable, dict]:
    """Return the encoding: a run by itself, and of its images as many frames as a buffer holds."""
    sizes, chunks = template.sizes, dict[Hashable, dict]()
    held = max(1, min(sizes["frame"], _BUFFER // (4 * sizes["y"] * sizes["x"])))
    for name, variable in template.variables.items():
        if variable.dims[0] == "run" and name not in unfinished.FIXED:
            chunks[name] = {"chunks": tuple(1 if d == "run" else sizes[d] for d in variable.dims)}
    for name in ("rate", template.attrs["field"]):
        chunks[name] = {"chunks": (1, held, sizes["y"], sizes["x"])}
    return chunks
