"""Campaigns: layout, determinism, continuation and interruption of the data."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from known import SMALL_CAMPAIGN as CAMPAIGN
from known import SMALL_FILM as SMALL

from nrp import __version__
from nrp.base import InvalidSetting
from nrp.simulation import SIMULATE, CampaignSettings, Run, campaign, open_dataset, simulate, simulate_run
from nrp.simulation.calibration import time_step
from nrp.simulation.run import NotFinite
from nrp.store import Store, content_key
from nrp.systems.bead import BeadSettings
from nrp.systems.film import FilmSettings
from nrp.systems.swift_hohenberg import SwiftHohenbergSettings

FILMED_BEAD = CampaignSettings(
    system=BeadSettings(pixels=8), anisotropy=(1.0,), sample=(0, 1, 2), field_init=0, duration=2, frames=5
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(simulate(CAMPAIGN, Store(tmp_path_factory.mktemp("runs")), workers=2))


def test_the_data_are_laid_out_as_designed(dataset):
    sizes = {"run": 4, "frame": 7, "y": 16, "x": 24, "fine_y": 32, "fine_x": 48}
    assert dict(dataset.sizes) == sizes
    frame, image = ("run", "frame"), ("run", "frame", "y", "x")
    layout = {name: (var.dims, str(var.dtype)) for name, var in dataset.variables.items()}
    assert layout == {
        "magnetization": (image, "float32"),
        "rate": (image, "float32"),
        "disorder": (("run", "y", "x"), "float32"),
        "energy": (frame, "float64"),
        "external_field": (frame, "float64"),
        "onset_time": (("run",), "float64"),
        "time_step": (("run",), "float64"),
        "calibrated_error": (("run",), "float64"),
        "final_state": (("run", "fine_y", "fine_x"), "float64"),
        "time": (frame, "float64"),
        "anisotropy": (("run",), "float64"),
        "sample": (("run",), "int64"),
        "sweep_rate": (("run",), "float64"),
        "x": (("x",), "float64"),
        "y": (("y",), "float64"),
    }
    assert set(dataset.coords) == {"time", "anisotropy", "sample", "sweep_rate", "x", "y"}
    assert all("units" in dataset[n].attrs for n in ("magnetization", "rate", "energy", "time"))
    np.testing.assert_array_equal(dataset.x, np.arange(0.5, 24))
    np.testing.assert_array_equal(dataset.y, np.arange(0.5, 16))


def test_the_attributes_say_how_the_data_were_made(dataset):
    assert CampaignSettings.parse(json.loads(dataset.attrs["settings"])) == CAMPAIGN
    assert (dataset.attrs["system"], dataset.attrs["field"]) == ("film", "magnetization")
    assert dataset.attrs["key"] == content_key(SIMULATE, CAMPAIGN)
    assert dataset.attrs["package_version"] == __version__
    assert "block averages" in dataset.attrs["frames_are"]
    assert dataset.attrs["scheme"] == "sbdf4"


def test_each_run_of_the_data_is_the_run_that_its_coordinates_name(dataset):
    named = zip(dataset.anisotropy.values, dataset["sample"].values, strict=True)
    assert sorted(named) == [(1.5, 0), (1.5, 3), (2.5, 0), (2.5, 3)]
    for i in range(4):
        run = dataset.isel(run=i)
        frames = simulate_run(CAMPAIGN, Run(float(run.sweep_rate), int(run["sample"]), float(run.anisotropy)))
        np.testing.assert_array_equal(run.magnetization, frames.image.astype(np.float32))
        np.testing.assert_array_equal(run.rate, frames.rate.astype(np.float32))
        np.testing.assert_array_equal(run.disorder, frames.disorder.astype(np.float32))
        for name in ("energy", "external_field", "time", "onset_time", "final_state"):
            np.testing.assert_array_equal(run[name], getattr(frames, name))
        assert run.energy[0] != dataset.energy[i - 1, 0]


def test_xarray_opens_the_data_without_arguments_or_warnings(dataset):
    path = dataset.encoding["source"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = xr.open_zarr(path)
    xr.testing.assert_identical(plain.compute(), dataset.compute())


def test_a_filmed_bead_has_an_intensity_and_no_disorder(store):
    data = open_dataset(simulate(FILMED_BEAD, store, workers=1))
    assert dict(data.sizes) == {"run": 3, "frame": 5, "y": 8, "x": 8}
    assert data.intensity.dims == ("run", "frame", "y", "x")
    assert not {"disorder", "magnetization"} & set(data.variables)
    assert data.energy.shape == (3, 5)
    # One stands right of the middle when it begins, and one left of it stays there.
    right = data.intensity.isel(frame=0).weighted(data.intensity.isel(frame=0)).mean("y").idxmax("x") > 0
    assert (data.onset_time.values[right.values] == 0).all()
    assert (data.attrs["system"], data.attrs["field"]) == ("bead", "intensity")
    assert data.attrs["frames_are"] == "values on the simulated grid"
    assert data.attrs["scheme"] == "rk4"
    assert np.isnan(data.calibrated_error).all()
    for i in range(3):
        frames = simulate_run(FILMED_BEAD, Run(0.01, i, 1.0))
        np.testing.assert_array_equal(data.intensity[i], frames.image.astype(np.float32))


def test_data_depend_on_the_seed_alone_not_on_workers_or_company(dataset, store):
    """Bit for bit: one worker, runs in another order, and more of them."""
    changed = CAMPAIGN.replace(anisotropy=(2.5, 3.5, 1.5), sample=(3, 1, 0))
    other = open_dataset(simulate(changed, store, workers=1))
    names = ["sample", "anisotropy"]
    first, second = (d.compute().set_index(run=names) for d in (dataset, other))
    for run in first.run.values:
        xr.testing.assert_equal(first.sel(run=run), second.sel(run=run))
    seeded = simulate_run(CAMPAIGN.replace(seed=1), Run(0.05, 0, 1.5))
    assert not np.array_equal(seeded.disorder.astype(np.float32), dataset.disorder[0])


def test_step_and_measured_error_are_stored_and_follow_the_tolerance(store):
    chosen = CAMPAIGN.replace(time_step=None, duration=3, frames=2, sample=(0,), tolerance=2e-3)
    data = open_dataset(simulate(chosen, store, workers=1))
    expected = [time_step(chosen, anisotropy) for anisotropy in chosen.anisotropy]
    np.testing.assert_array_equal(np.column_stack([data.time_step, data.calibrated_error]), expected)
    assert (data.calibrated_error < 2e-3).all()


def test_frames_are_written_as_they_come(store, monkeypatch):
    whole = simulate(CAMPAIGN, store, workers=1)
    monkeypatch.setattr(campaign, "_BUFFER", 2 * 4 * 16 * 24 + 100)  # two images and a bit
    parts = simulate(CAMPAIGN, Store(store.root / "parts"), workers=1)
    chunks = [len(list(path.glob("magnetization/c/0/*"))) for path in (whole, parts)]
    assert chunks == [1, 4]
    xr.testing.assert_identical(open_dataset(whole).compute(), open_dataset(parts).compute())


PEAK = """
import sys
from pathlib import Path
from nrp.simulation import CampaignSettings, simulate
from nrp.store import Store
simulate(CampaignSettings.model_validate_json(sys.argv[1]), Store(sys.argv[2]), workers=1)
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the peak memory that Linux tells")
def test_as_many_runs_go_at_once_as_fit_the_memory(tmp_path):
    """Held against what the process of one run takes at its peak."""
    large = CampaignSettings(system=FilmSettings(box=512), anisotropy=2.0, duration=1, frames=2)
    command = [sys.executable, "-c", PEAK, large.model_dump_json(), str(tmp_path)]
    peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) * 1024 / 1e9
    at_once = campaign._workers(large, 100, 8 * peak)
    assert 4 <= at_once <= 8  # all of them fit, and not much is left over
    assert campaign._workers(large, 2, 8 * peak) == 2
    with pytest.raises(
        InvalidSetting, match=r"^box = \(512\.0, 512\.0\): a run takes 0\.\d+ GB, and there are"
    ):
        campaign._workers(large, 1, 0.5 * peak)


@pytest.mark.parametrize(("scheme", "slack"), [("etdrk4", 0.0), ("sbdf4", 1e-3)])
def test_a_run_that_is_continued_is_the_unbroken_run(scheme, slack, store):
    """Broken while the field is swept and the pattern grows.

    To the bit for the scheme that needs no past, else to the error of the solver.
    """
    whole = CAMPAIGN.replace(duration=60, frames=13, time_step=0.05, scheme=scheme, sample=(0,))
    later = whole.replace(begin=20, duration=40, frames=9)
    unbroken = open_dataset(simulate(whole, store, workers=1))
    first = simulate(whole.replace(duration=20, frames=5), store, workers=1)
    second = open_dataset(simulate(later, store, start=first, workers=1))
    for i, part in ((slice(0, 5), open_dataset(first)), (slice(4, 13), second)):
        for name in ("time", "external_field", "energy", "magnetization", "rate"):
            np.testing.assert_allclose(
                part[name].values, unbroken[name].values[:, i], atol=max(slack, 1e-12), rtol=0
            )
    np.testing.assert_allclose(second.final_state.values, unbroken.final_state.values, atol=slack, rtol=0)
    first = open_dataset(first)
    assert np.isfinite(first.onset_time).values.tolist() == [True, False]  # one before the break, one after
    assert second.onset_time[0] == first.onset_time[0]
    np.testing.assert_allclose(second.onset_time, unbroken.onset_time, atol=1e-3)
    spread = np.ptp(unbroken.magnetization.values[0], axis=(1, 2))
    assert 0.1 < spread[4] < 0.9 * spread[-1]
    assert second.attrs["key"] != content_key(SIMULATE, later)


def test_any_field_in_a_box_can_be_continued(store):
    """A pattern of the Swift–Hohenberg equation that grows from noise, by the scheme that needs no past."""
    system = SwiftHohenbergSettings(box=16, start="uniform", start_level=0.3, noise=0.01)
    whole = CampaignSettings(
        system=system, anisotropy=0.4, sweep_rate=0, field_init=0, duration=20, frames=5, scheme="etdrk4"
    )
    unbroken = open_dataset(simulate(whole, store, workers=1))
    first = simulate(whole.replace(duration=10, frames=3), store, workers=1)
    second = open_dataset(
        simulate(whole.replace(begin=10, duration=10, frames=3), store, start=first, workers=1)
    )
    np.testing.assert_allclose(second.order, unbroken.order[:, 2:], atol=1e-12)
    np.testing.assert_allclose(second.final_state, unbroken.final_state, atol=1e-12)
    assert second.final_state.std() > 2 * open_dataset(first).final_state.std()


def test_what_cannot_be_continued_is_refused(store, tmp_path):
    first = simulate(CAMPAIGN.replace(duration=20, frames=2, sample=(0,)), store, workers=1)
    bead = simulate(FILMED_BEAD, store, workers=1)
    later = CAMPAIGN.replace(begin=20, duration=40, sample=(0,))
    clean = later.replace(system=CAMPAIGN.system.replace(disorder="none"))
    for start, settings, line in [
        (None, later, r"^begin = 20\.0: needs stored runs to start from$"),
        (first, later.replace(begin=30), r"^begin = 30\.0: must be 20, where the stored runs end$"),
        (
            first,
            later.replace(sample=(4,)),
            r"^start = .*: must hold one run with anisotropy 1\.5 and sample 4$",
        ),
        (
            first,
            later.replace(system=SMALL),
            r"^box = \(16\.0, 16\.0\): must be \(16\.0, 24\.0\), as in the stored",
        ),
        (first, clean, r"^disorder = 'none': must be 'quarter', as in the stored runs$"),
        (first, later.replace(seed=5), r"^seed = 5: must be 0, as in the stored runs$"),
        (bead, later, r"^start = .*: must hold the last states of runs of the system 'film'$"),
        (tmp_path, later, r"^data = .*: must be a Zarr store"),
    ]:
        with pytest.raises(InvalidSetting, match=line):
            simulate(settings, store, start=start, workers=1)
    assert len(list(store.entries())) == 2


INTERRUPTED = CAMPAIGN.replace(anisotropy=tuple(np.arange(1, 4, 0.25)), duration=90)

CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell runs with &
from nrp.simulation import CampaignSettings
from nrp.simulation import CampaignSettings, simulate
from nrp.store import Store
simulate(CampaignSettings.model_validate_json(sys.argv[1]), Store(sys.argv[2]), workers=1)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_campaign_goes_on_where_it_was(how, tmp_path):
    key = content_key(SIMULATE, INTERRUPTED)
    partial = tmp_path / "runs" / "partial" / f"simulate-{key}"
    command = [sys.executable, "-c", CHILD, INTERRUPTED.model_dump_json(), str(tmp_path / "runs")]
    # A group of its own, so that nothing but the child is hit.
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as child:
        while child.poll() is None and len(list(partial.glob("done/*"))) < 3:
            time.sleep(0.01)
        os.killpg(child.pid, how)
    assert child.returncode != 0
    finished = {mark.name for mark in partial.glob("done/*")}
    assert 3 <= len(finished) < 24
    store = Store(tmp_path / "runs")
    assert not list(store.entries())  # nothing half-made is published

    def written(folder):
        chunks = folder.glob("data.zarr/magnetization/c/*/0/0/0")
        return {chunk.parts[-4]: chunk.stat().st_mtime_ns for chunk in chunks}

    before = written(partial)
    resumed = simulate(INTERRUPTED, store, workers=2)
    after = written(resumed.parent)
    assert {run for run in after if after[run] == before.get(run)} == finished
    unbroken = simulate(INTERRUPTED, Store(tmp_path / "unbroken"), workers=2)
    xr.testing.assert_identical(open_dataset(resumed).compute(), open_dataset(unbroken).compute())
    assert not store.verify()


def test_a_run_that_blows_up_is_told_in_one_line_and_not_published(store):
    wild = CAMPAIGN.replace(time_step=20, system=SMALL.replace(noise=50.0))
    with pytest.raises(NotFinite, match=r"^time_step = 20: .*anisotropy 1\.5.* t = ") as caught:
        simulate(wild, store, workers=1)
    assert "\n" not in str(caught.value)
    assert not list(store.entries())


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from nrp.cli import main
sys.exit(main(sys.argv[2:]))
"""


def test_a_disk_that_is_full_costs_nothing_but_time(tmp_path):
    command = ["simulate", "--alpha", "2", "--alpha", "3", "--box", "32", "--sweep-rate", "0.05", "--workers"]
    environment = os.environ | {"NRP_RUNS": str(tmp_path / "runs")}
    full = subprocess.run(
        [sys.executable, "-c", FULL, "100000", *command, "2"], env=environment, capture_output=True, text=True
    )
    assert full.returncode == 1
    told = full.stderr.splitlines()[-1]
    assert "File too large" in told
    assert told.startswith("nrp simulate: ")
    store = Store(tmp_path / "runs")
    assert not list(store.entries())
    subprocess.run([sys.executable, "-m", "nrp.cli", *command, "1"], env=environment, check=True)
    [(path, _)] = store.entries()
    data = open_dataset(path / "data.zarr")
    assert (data.energy[:, 1:] != 0).all()
    assert not store.verify()
