"""Runs and campaigns: dissipation, onset, determinism, layout and interruption of the data."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import xarray as xr

from nrp import __version__
from nrp.settings import BeadSettings, CampaignSettings, FilmSettings, InvalidSetting
from nrp.simulation import SIMULATE, FieldSweep, Run, open_dataset, simulate, simulate_run
from nrp.simulation.run import NotFinite, block_average
from nrp.store import Store, content_key

SMALL = FilmSettings(box=16, dx=0.5, coarsen=2)
CAMPAIGN = CampaignSettings(
    system=SMALL, anisotropy=(1.5, 2.5), sample=(0, 3), sweep_rate=(0.05,), frames=7, time_step=0.25
)
FILMED_BEAD = CampaignSettings(
    system=BeadSettings(pixels=8),
    anisotropy=(1.0,),
    sample=(0, 1, 2),
    field_init=0,
    duration=2,
    frames=5,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(simulate(CAMPAIGN, Store(tmp_path_factory.mktemp("runs")), workers=2))


@pytest.fixture(scope="module")
def swept():
    """A run at full resolution with closely spaced frames: T₀ = 30, end 60."""
    campaign = CampaignSettings(system=SMALL.replace(coarsen=1), frames=1201, time_step=0.05)
    return simulate_run(campaign.replace(sweep_rate=(0.05,)), Run(0.05, 0, 2.0))


def test_the_field_falls_to_zero_and_stays_there():
    sweep = FieldSweep(1.5, 0.01)
    assert sweep.zero_time == 150
    assert [sweep(t) for t in (0.0, 50.0, 150.0, 151.0, 300.0)] == pytest.approx([1.5, 1, 0, 0, 0])
    assert [sweep.slope(t) for t in (0.0, 149.9, 150.0, 200.0)] == [-0.01, -0.01, 0, 0]


def test_energy_changes_by_dissipation_and_by_the_sweep_alone(swept):
    """dH/dt = −∫φ_t² − h'(t) ∫φ, all per area."""
    slope = np.convolve(swept.energy, np.array([-1, 8, 0, -8, 1]) / (12 * 0.05), "valid")
    dissipated = -np.mean(swept.rate**2, axis=(1, 2))[2:-2]
    worked = np.where(swept.time < 30, 0.05, 0.0)[2:-2] * np.mean(swept.image, axis=(1, 2))[2:-2]
    smooth = np.abs(swept.time[2:-2] - 30) > 0.11  # no difference across the kink of h
    scale = np.abs(slope).max()
    np.testing.assert_allclose(slope[smooth], (dissipated + worked)[smooth], atol=1e-3 * scale)
    assert dissipated.min() < -0.1 * scale
    assert worked.max() > 0.1 * scale


def test_energy_rises_while_the_sweep_takes_work_and_falls_at_fixed_field(swept):
    rest = swept.time >= 30
    assert np.diff(swept.energy[rest]).max() < 0
    assert np.diff(swept.energy[~rest]).max() > 0
    np.testing.assert_allclose(swept.external_field, np.maximum(1.5 - 0.05 * swept.time, 0))


def test_a_run_starts_from_the_saturated_equilibrium():
    campaign = CampaignSettings(system=SMALL.replace(disorder="none"), frames=2, duration=5)
    frames = simulate_run(campaign.replace(sweep_rate=(1e-9,)), Run(1e-9, 0, 2.0))
    phi = frames.image.mean()
    assert 2 * phi**3 - (2 - 8 / np.pi) * phi == pytest.approx(1.5)
    np.testing.assert_allclose(frames.image, phi, atol=1e-7)


def test_seeded_noise_has_its_strength_and_its_sample():
    campaign = CampaignSettings(system=SMALL.replace(noise=0.01, coarsen=1), duration=1, frames=2)
    first, again, other = (simulate_run(campaign, Run(0.01, s, 2.0)).image[0] for s in (0, 0, 1))
    assert first.std() == pytest.approx(0.01, rel=0.1)
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.2


def test_block_averages_keep_the_mean_and_are_means_over_blocks():
    fine, coarse = (
        simulate_run(
            CampaignSettings(system=SMALL.replace(coarsen=c), duration=45, frames=4),
            Run(0.05, 0, 2.0),
        )
        for c in (1, 4)
    )
    for name in ("image", "rate"):
        whole, blocks = getattr(fine, name), getattr(coarse, name)
        np.testing.assert_allclose(blocks.mean(axis=(1, 2)), whole.mean(axis=(1, 2)), atol=1e-14)
        np.testing.assert_allclose(blocks[-1, 2, 5], whole[-1, 8:12, 20:24].mean(), atol=1e-14)
    assert np.ptp(coarse.image[-1]) > 0.5
    assert coarse.disorder.mean() == pytest.approx(fine.disorder.mean(), abs=1e-14)
    np.testing.assert_array_equal(coarse.energy, fine.energy)
    np.testing.assert_array_equal(block_average(np.arange(16.0).reshape(4, 4), 2), [[2.5, 4.5], [10.5, 12.5]])


def test_onset_is_seen_at_every_step_of_the_fine_grid():
    def run(**changes):
        campaign = CampaignSettings(system=SMALL, duration=40, time_step=0.25, frames=2)
        return simulate_run(campaign.replace(**changes), Run(0.05, 0, 2.0))

    every_step = run(system=SMALL.replace(coarsen=1), frames=161)
    lowest = every_step.image.min(axis=(1, 2))
    onset = every_step.time[np.flatnonzero(lowest < 0)[0]]
    assert every_step.onset_time == pytest.approx(onset)
    assert 0 < onset < 40
    assert run().onset_time == pytest.approx(onset)  # two frames, and images of block averages
    assert np.isnan(run(duration=onset - 1).onset_time)


@pytest.mark.parametrize(("anisotropy", "landmark"), [(1.5, 78.5), (2.0, 85.5)])
@pytest.mark.parametrize("sample", [0, 1])
def test_onset_in_a_box_of_64_lies_at_its_landmark(anisotropy, landmark, sample):
    campaign = CampaignSettings(duration=95, frames=2)
    onset = simulate_run(campaign, Run(0.01, sample, anisotropy)).onset_time
    assert onset == pytest.approx(landmark, abs=4)  # an extreme value of its sample


def test_the_data_are_laid_out_as_designed(dataset):
    assert dict(dataset.sizes) == {"run": 4, "frame": 7, "y": 16, "x": 16}
    frame, image = ("run", "frame"), ("run", "frame", "y", "x")
    layout = {name: (var.dims, str(var.dtype)) for name, var in dataset.variables.items()}
    assert layout == {
        "magnetization": (image, "float32"),
        "rate": (image, "float32"),
        "disorder": (("run", "y", "x"), "float32"),
        "energy": (frame, "float64"),
        "external_field": (frame, "float64"),
        "onset_time": (("run",), "float64"),
        "time": (frame, "float64"),
        "anisotropy": (("run",), "float64"),
        "sample": (("run",), "int64"),
        "sweep_rate": (("run",), "float64"),
        "x": (("x",), "float64"),
        "y": (("y",), "float64"),
    }
    assert set(dataset.coords) == {"time", "anisotropy", "sample", "sweep_rate", "x", "y"}
    assert all("units" in dataset[n].attrs for n in ("magnetization", "rate", "energy", "time"))
    np.testing.assert_array_equal(dataset.x, np.arange(0.5, 16))
    np.testing.assert_array_equal(dataset.y, np.arange(0.5, 16))


def test_the_attributes_say_how_the_data_were_made(dataset):
    assert CampaignSettings.parse(json.loads(dataset.attrs["settings"])) == CAMPAIGN
    assert dataset.attrs["key"] == content_key(SIMULATE, CAMPAIGN)
    assert dataset.attrs["package_version"] == __version__
    assert "block averages" in dataset.attrs["frames_are"]


def test_each_run_of_the_data_is_the_run_that_its_coordinates_name(dataset):
    named = zip(dataset.anisotropy.values, dataset["sample"].values, strict=True)
    assert sorted(named) == [(1.5, 0), (1.5, 3), (2.5, 0), (2.5, 3)]
    for i in range(4):
        run = dataset.isel(run=i)
        frames = simulate_run(CAMPAIGN, Run(float(run.sweep_rate), int(run["sample"]), float(run.anisotropy)))
        np.testing.assert_array_equal(run.magnetization, frames.image.astype(np.float32))
        np.testing.assert_array_equal(run.rate, frames.rate.astype(np.float32))
        np.testing.assert_array_equal(run.disorder, frames.disorder.astype(np.float32))
        for name in ("energy", "external_field", "time", "onset_time"):
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
    assert np.isnan(data.onset_time).all()
    assert data.attrs["frames_are"] == "values on the simulated grid"
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


INTERRUPTED = CAMPAIGN.replace(anisotropy=tuple(np.arange(1, 4, 0.25)), duration=90)
CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell runs with &
from nrp.settings import CampaignSettings
from nrp.simulation import simulate
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


def test_a_path_without_runs_is_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zarr.json").write_text("{")
    foreign = xr.Dataset({"a": ("x", np.zeros(3))})
    foreign.to_zarr(tmp_path / "foreign", consolidated=False)
    for name in ("missing", "empty", "broken", "foreign"):
        with pytest.raises(InvalidSetting, match=rf"^data = '.*{name}': must be a Zarr") as caught:
            open_dataset(tmp_path / name)
        assert "\n" not in str(caught.value)
