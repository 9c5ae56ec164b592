"""Campaigns: many runs in parallel, streamed into one Zarr store."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from joblib import Parallel, delayed

from nrp import __version__
from nrp.progress import progress
from nrp.settings import BeadSettings, CampaignSettings, FilmSettings, InvalidSetting
from nrp.simulation.run import Run, frame_axis, frame_shape, runs_of, simulate_run
from nrp.store import Step, Store, content_key
from nrp.systems import Bead, Film

SIMULATE = Step("simulate", 1)
DATA = "data.zarr"


def simulate(campaign: CampaignSettings, store: Store, *, workers: int | None = None) -> Path:
    """Return the Zarr store with all runs of a campaign, simulating those that are missing.

    Parameters
    ----------
    campaign
        Which runs.
    store
        Where the dataset lies.  An interrupted campaign goes on with the runs it had not finished.
    workers
        Processes; by default one per core.  The data do not depend on it.

    Raises
    ------
    NotFinite
        If a run leaves the finite numbers.
    """
    folder = store.get(SIMULATE, campaign, lambda path: _compute(campaign, path, workers))
    return folder / DATA


def open_dataset(path: Path | str) -> xr.Dataset:
    """Open a dataset of runs lazily.

    Raises
    ------
    InvalidSetting
        If there is no dataset of runs at that path.
    """
    wanted = f"data = {str(path)!r}: must be a Zarr store that holds runs"
    try:
        data = xr.open_zarr(path, consolidated=False, chunks=None)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidSetting(f"{wanted}; it cannot be read ({reason})") from None
    if "key" not in data.attrs:
        raise InvalidSetting(f"{wanted}; its attribute 'key' is missing")
    return data


def _compute(campaign: CampaignSettings, folder: Path, workers: int | None) -> None:
    path, done = folder / DATA, folder / "done"
    runs = runs_of(campaign)
    if not done.is_dir():
        _template(campaign, runs).to_zarr(path, mode="w", consolidated=False, encoding=_chunks(campaign))
        done.mkdir()
    missing = [i for i in range(len(runs)) if not (done / str(i)).exists()]
    tasks = (delayed(_simulate_into)(campaign, runs[i], i, path, done / str(i)) for i in missing)
    # One thread per process: parallelism goes over runs.
    pool = Parallel(n_jobs=workers or -1, return_as="generator_unordered", inner_max_num_threads=1)
    for _ in progress(pool(tasks), total=len(missing), title=f"simulating {len(missing)} runs"):
        pass
    with warnings.catch_warnings():
        # Without consolidated metadata `xarray.open_zarr(path)` warns; with it, zarr does here.
        warnings.simplefilter("ignore", UserWarning)
        zarr.consolidate_metadata(path)
    for mark in done.iterdir():
        mark.unlink()
    done.rmdir()


def _simulate_into(campaign: CampaignSettings, run: Run, index: int, path: Path, mark: Path) -> None:
    frames = simulate_run(campaign, run)
    field = _field(campaign.system)
    values = {
        field: (("run", "frame", "y", "x"), frames.image[None].astype(np.float32)),
        "rate": (("run", "frame", "y", "x"), frames.rate[None].astype(np.float32)),
        "energy": (("run", "frame"), frames.energy[None]),
        "external_field": (("run", "frame"), frames.external_field[None]),
        "onset_time": (("run",), np.array([frames.onset_time])),
        "time": (("run", "frame"), frames.time[None]),
    }
    if frames.disorder is not None:
        values["disorder"] = (("run", "y", "x"), frames.disorder[None].astype(np.float32))
    xr.Dataset(values).to_zarr(path, region={"run": slice(index, index + 1)}, consolidated=False)
    mark.touch()


def _field(system: FilmSettings | BeadSettings) -> str:
    return Bead.field if isinstance(system, BeadSettings) else Film.field


def _template(campaign: CampaignSettings, runs: list[Run]) -> xr.Dataset:
    """Return the dataset with its coordinates and attributes, and nothing in its fields yet."""
    system, count = campaign.system, len(runs)
    shape = (count, campaign.frames, *frame_shape(system))
    axis = frame_axis(system)

    def empty(*dims: str, dtype: type = np.float32, **attrs: str) -> xr.Variable:
        sizes = dict(zip(("run", "frame", "y", "x"), shape, strict=True))
        # A broadcast zero takes no memory; chunks that hold nothing but zeros are not written.
        return xr.Variable(dims, np.broadcast_to(dtype(0), tuple(sizes[d] for d in dims)), attrs)

    frame, image = ("run", "frame"), ("run", "frame", "y", "x")
    per_time, per_area = "1 / unit of time", "1 / unit of area"
    fields = {
        _field(system): empty(*image, units="1"),
        "rate": empty(*image, units=per_time, long_name=f"time derivative of {_field(system)}"),
        "energy": empty(
            *frame,
            dtype=np.float64,
            units="1" if isinstance(system, BeadSettings) else per_area,
            long_name="energy" if isinstance(system, BeadSettings) else "energy H per area",
        ),
        "external_field": empty(*frame, dtype=np.float64, units="1", long_name="h"),
        "onset_time": empty("run", dtype=np.float64, units="unit of time", long_name="T_init"),
    }
    if isinstance(system, FilmSettings):
        fields["disorder"] = empty("run", "y", "x", units="1", long_name="lambda(r)")
    length = {"units": "unit of length"}
    return xr.Dataset(
        fields,
        coords={
            "time": empty(*frame, dtype=np.float64, units="unit of time"),
            "anisotropy": ("run", [run.anisotropy for run in runs], {"long_name": "alpha"}),
            "sample": ("run", [run.sample for run in runs], {"long_name": "disorder or start"}),
            "sweep_rate": ("run", [run.sweep_rate for run in runs], {"long_name": "v"}),
            "y": ("y", axis, length),
            "x": ("x", axis, length),
        },
        attrs={
            "title": f"runs of the system {system.system!r}",
            "settings": campaign.model_dump_json(),
            "frames_are": "block averages of the simulated grid"
            if getattr(system, "coarsen", 1) > 1
            else "values on the simulated grid",
            "package_version": __version__,
            "key": content_key(SIMULATE, campaign),
        },
    )


def _chunks(campaign: CampaignSettings) -> dict[str, dict]:
    shape, frames = frame_shape(campaign.system), campaign.frames
    chunks = dict.fromkeys((_field(campaign.system), "rate"), (1, frames, *shape))
    chunks |= dict.fromkeys(("energy", "external_field", "time"), (1, frames))
    chunks |= {"onset_time": (1,)}
    if isinstance(campaign.system, FilmSettings):
        chunks |= {"disorder": (1, *shape)}
    return {name: {"chunks": chunk} for name, chunk in chunks.items()}
