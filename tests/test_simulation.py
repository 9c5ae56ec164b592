"""Runs and campaigns: dissipation, onset, determinism, layout and interruption of the data."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from nrp import __version__
from nrp.base import InvalidSetting
from nrp.simulation import (
    SIMULATE,
    CampaignSettings,
    ExternalField,
    Run,
    Simulation,
    campaign,
    open_dataset,
    simulate,
    simulate_run,
)
from nrp.simulation import calibration as calibration_module
from nrp.simulation.calibration import SAFETY, calibration, time_step
from nrp.simulation.run import NotFinite
from nrp.store import Store, content_key
from nrp.systems.bead import BeadSettings
from nrp.systems.film import FilmSettings
from nrp.systems.plane import block_average

SMALL = FilmSettings(box=16, dx=0.5, coarsen=2)
CAMPAIGN = CampaignSettings(
    system=SMALL.replace(box=(16, 24)),
    anisotropy=(1.5, 2.5),
    sample=(0, 3),
    sweep_rate=(0.05,),
    frames=7,
    time_step=0.25,
)
FILMED_BEAD = CampaignSettings(
    system=BeadSettings(pixels=8), anisotropy=(1.0,), sample=(0, 1, 2), field_init=0, duration=2, frames=5
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(simulate(CAMPAIGN, Store(tmp_path_factory.mktemp("runs")), workers=2))


@pytest.fixture(scope="module")
def swept():
    """A run at full resolution with closely spaced frames: T₀ = 30, end 60."""
    campaign = CampaignSettings(system=SMALL.replace(coarsen=1), frames=1201, time_step=0.05)
    return simulate_run(campaign.replace(sweep_rate=(0.05,)), Run(0.05, 0, 2.0))


TIMES = (0.0, 50.0, 150.0, 151.0, 300.0, 450.0, 700.0)
JUMP = ((0.0, 1.5), (150.0, 1.5), (150.0, 0.5), (300.0, -1.0))


@pytest.mark.parametrize(
    ("changes", "rate", "kinks", "values", "slopes"),
    [
        ({}, 0.01, (0, 150), (1.5, 1, 0, 0, 0, 0, 0), (-1, -1, 0, 0, 0, 0, 0)),
        ({"duration": 9}, 0.0, (0,), (1.5,) * 7, (0,) * 7),
        (
            {"field_final": -1.5},
            0.01,
            (0, 300),
            (1.5, 1, 0, -0.01, -1.5, -1.5, -1.5),
            (-1, -1, -1, -1, 0, 0, 0),
        ),
        (
            {"field_final": -1.5, "field_loop": True},
            0.01,
            (0, 300, 600),
            (1.5, 1, 0, -0.01, -1.5, 0, 1.5),
            (-1, -1, -1, -1, 1, 1, 0),
        ),
        ({"field_init": -1.0}, 0.01, (0, 100), (-1, -0.5, 0, 0, 0, 0, 0), (1, 1, 0, 0, 0, 0, 0)),
        (
            {"field_table": JUMP, "sweep_rate": (0.0,)},
            0.0,
            (0, 150, 300),
            (1.5, 1.5, 0.5, 0.49, -1, -1, -1),
            (0, 0, -1, -1, 0, 0, 0),
        ),
    ],
    ids=["sweep", "hold", "through zero", "loop", "from below", "table with a step"],
)
def test_the_field_follows_its_protocol(changes, rate, kinks, values, slopes):
    field = ExternalField.of(CampaignSettings.parse(changes), rate)
    assert field.kinks == kinks
    assert [field(t) for t in TIMES] == pytest.approx(values)
    assert [field.slope(t) for t in TIMES] == pytest.approx([0.01 * s for s in slopes])
    for t in TIMES[:4]:
        assert field.piece(t) is field.piece(t)  # or the multistep scheme would begin anew
    assert field.piece(149.0)(150.0) == pytest.approx(1.5 if field.kinks == (0, 150, 300) else field(150.0))


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
            CampaignSettings(system=SMALL.replace(coarsen=c), duration=45, frames=4), Run(0.05, 0, 2.0)
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
    after = np.flatnonzero(lowest < 0)[0]
    # The crossing of zero lies between two steps, near where a straight line between them meets it.
    onset = np.interp(0, -lowest[after - 1 : after + 1], every_step.time[after - 1 : after + 1])
    assert every_step.onset_time == pytest.approx(onset, abs=0.03)
    assert every_step.time[after - 1] < every_step.onset_time <= every_step.time[after]
    assert run().onset_time == pytest.approx(onset, abs=0.03)  # two frames, and images of block averages
    assert run(time_step=0.1).onset_time == pytest.approx(run(time_step=0.02).onset_time, abs=2e-3)
    assert np.isnan(run(duration=onset - 1).onset_time)
    below = run(system=SMALL.replace(start="uniform", start_level=-0.5))
    assert below.onset_time == 0


@pytest.mark.parametrize(("anisotropy", "landmark"), [(1.5, 78.5), (2.0, 85.5)])
@pytest.mark.parametrize("sample", [0, 1])
def test_onset_in_a_box_of_64_lies_at_its_landmark(anisotropy, landmark, sample):
    campaign = CampaignSettings(duration=95, frames=2)
    onset = simulate_run(campaign, Run(0.01, sample, anisotropy)).onset_time
    assert onset == pytest.approx(landmark, abs=4)  # an extreme value of its sample


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


@pytest.mark.parametrize("scheme", ["sbdf4", "etdrk4"])
def test_the_calibration_gives_each_anisotropy_its_own_step(scheme):
    campaign = CampaignSettings(scheme=scheme)
    steps = {a: time_step(campaign, a)[0] for a in (0.5, 1.0, 1.1, 1.25, 2.0, 4.0, 8.0)}
    assert steps[0.5] == steps[1.0] > 1.2 * steps[2.0] > 2 * steps[4.0]
    assert steps[1.1] == min(steps[1.0], steps[1.25])
    assert steps[8.0] == pytest.approx(steps[4.0] / 4)
    for anisotropy in (1.0, 2.0, 4.0):
        step, error = time_step(campaign.replace(tolerance=1e-6), anisotropy)
        assert step < 0.5 * steps[anisotropy]
        assert error == pytest.approx(1e-6 * SAFETY**4, rel=0.05)  # by the order of the scheme
    table = calibration()["errors"][scheme]["2.0"]
    (dt, error), (longer, larger) = table[0], next(entry for entry in table[::-1] if entry[1] < 0.1)
    assert time_step(campaign.replace(time_step=dt), 2.0) == (dt, pytest.approx(error))
    assert time_step(campaign.replace(time_step=dt / 2), 2.0)[1] == pytest.approx(error / 16)
    assert time_step(campaign.replace(tolerance=larger), 2.0)[0] <= longer


def test_outside_of_the_calibration_the_error_is_not_known():
    for settings, anisotropy in (({"time_step": 7.0}, 2.0), ({}, 0.9), ({}, 4.1)):
        assert np.isnan(time_step(CampaignSettings.parse(settings), anisotropy)[1])


@pytest.mark.parametrize(
    "changes",
    [{"field_init": 5.0}, {"field_final": -5.0}, {"field_table": ((0, 1), (9, 5)), "sweep_rate": (0,)}],
)
def test_a_strong_field_makes_the_cubic_steep_and_the_step_short(changes):
    campaign = CampaignSettings(system=SMALL, duration=20, frames=2)
    strong = campaign.replace(**changes)
    assert time_step(strong, 1.0)[0] < 0.5 * time_step(campaign, 1.0)[0]
    run = Run(0.01 * ("field_table" not in changes), 0, 1.0)
    truth = simulate_run(strong.replace(scheme="etdrk4", time_step=0.01), run).final_state
    assert np.linalg.norm(simulate_run(strong, run).final_state - truth) < 1e-3 * np.linalg.norm(truth)


def test_data_of_another_calibration_have_another_version():
    """Raise the version of `SIMULATE` when this digest changes: stored data would not be what they say."""
    folder = Path(calibration_module.__file__).parent
    files = [(folder / name).read_bytes() for name in ("calibration.json", "fftw_wisdom.txt")]
    assert (SIMULATE.version, hashlib.sha256(b"".join(files)).hexdigest()[:8]) == (3, "78174b0e")


def test_half_of_the_runs_that_the_calibration_has_not_seen_keep_the_tolerance():
    errors = []
    for sample in (20, 21, 22):
        campaign, run = CampaignSettings(frames=2), Run(0.01, sample, 2.0)
        truth = simulate_run(campaign.replace(time_step=0.04), run).final_state
        errors.append(np.linalg.norm(simulate_run(campaign, run).final_state - truth) / np.linalg.norm(truth))
    assert 1e-6 < np.median(errors) < 1e-3


def test_frames_are_written_as_they_come(store, monkeypatch):
    whole = simulate(CAMPAIGN, store, workers=1)
    monkeypatch.setattr(campaign, "_BUFFER", 2 * 4 * 16 * 24 + 100)  # two images and a bit
    parts = simulate(CAMPAIGN, Store(store.root / "parts"), workers=1)
    chunks = [len(list(path.glob("magnetization/c/0/*"))) for path in (whole, parts)]
    assert chunks == [1, 4]
    xr.testing.assert_identical(open_dataset(whole).compute(), open_dataset(parts).compute())


def test_memory_decides_how_many_runs_go_at_once():
    large = CampaignSettings(system=FilmSettings(box=512))
    need = 240 * 1024**2 + 3 * 2**25 + 3e8
    assert campaign._workers(large, 8, 3.2 * need / 1e9) == 3
    assert campaign._workers(large, 2, 3.2 * need / 1e9) == 2
    with pytest.raises(InvalidSetting, match=r"^box = \(512\.0, 512\.0\): a run takes 0\.65 GB, and"):
        campaign._workers(large, 1, 0.9 * need / 1e9)


def test_a_uniform_start_is_uniform_and_a_random_one_is_random():
    settings = CAMPAIGN.replace(duration=1, frames=2)

    def first(**changes):
        system = CAMPAIGN.system.replace(coarsen=1, **changes)
        return simulate_run(settings.replace(system=system), Run(0.05, 0, 1.5)).image[0]

    np.testing.assert_array_equal(first(start="uniform", start_level=0.3), 0.3)
    random = first(start="random", start_level=0.5)
    assert np.abs(random).max() == pytest.approx(0.5, abs=0.01)
    assert random.std() == pytest.approx(0.5 / np.sqrt(3), rel=0.05)
    assert first(start="uniform", start_level=0.3, noise=0.01).std() == pytest.approx(0.01, rel=0.1)


def test_a_negative_field_starts_from_the_negative_saturated_state():
    up, down = (
        simulate_run(CAMPAIGN.replace(field_init=h, field_final=0.4 * h), Run(0.05, 0, 1.5)).image
        for h in (1.5, -1.5)
    )
    np.testing.assert_allclose(down, -up, atol=1e-9)


def test_a_given_state_is_where_a_run_begins():
    given = np.random.default_rng(0).normal(size=(32, 48))
    campaign = CAMPAIGN.replace(system=CAMPAIGN.system.replace(coarsen=1))
    frames = simulate_run(campaign, Run(0.05, 0, 1.5), given)
    np.testing.assert_array_equal(frames.image[0], given)
    for wrong in (given[:-1], given * np.nan):
        with pytest.raises(InvalidSetting, match=r"^start = .*: must be finite numbers of shape \(32, 48\)$"):
            Simulation(campaign, Run(0.05, 0, 1.5), wrong)


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
        (bead, later, r"^start = .*: must hold films, and a film go on$"),
        (tmp_path, later, r"^data = .*: must be a Zarr store"),
    ]:
        with pytest.raises(InvalidSetting, match=line):
            simulate(settings, store, start=start, workers=1)
    assert len(list(store.entries())) == 2


@pytest.mark.parametrize(
    ("film", "changes"),
    [
        ({"start": "uniform", "start_level": 0.0, "noise": 0.01}, {"field_init": 0}),
        ({"noise": 0.3}, {}),
        ({"start": "uniform", "start_level": 3.0}, {}),
        ({"start": "random"}, {"field_init": 0}),
        ({}, {"field_table": ((0, 1.5), (10, 1.5), (10.001, -0.5)), "sweep_rate": (0,)}),
        ({}, {"field_table": ((0, 1.5), (10, 1.5), (10, -0.5)), "sweep_rate": (0,)}),
    ],
    ids=["quench", "noise", "far from equilibrium", "random", "ramp", "jump"],
)
def test_violent_starts_are_as_accurate_as_gentle_ones(film, changes):
    campaign = CampaignSettings(system=SMALL.replace(coarsen=1, **film), duration=30, frames=2).replace(
        **changes
    )
    run = Run(float(campaign.sweep_rate[0]), 0, 2.0)
    truth = simulate_run(campaign.replace(scheme="etdrk4", time_step=0.02), run).final_state
    found = simulate_run(campaign, run).final_state
    assert np.linalg.norm(found - truth) < 1e-3 * np.linalg.norm(truth)


def test_a_film_that_would_never_leave_zero_is_refused():
    campaign = CampaignSettings(system=SMALL, field_init=0, duration=5)
    with pytest.raises(InvalidSetting, match=r"^field_init = 0\.0: leaves φ = 0 for ever; needs noise or"):
        Simulation(campaign, Run(0.0, 0, 2.0))
    assert Simulation(campaign, Run(0.0, 0, 3.0)).state.mean() > 0  # above 8/π there are two wells


def test_a_broken_iteration_goes_on():
    whole = [frame.time for frame in Simulation(CAMPAIGN, Run(0.05, 0, 1.5))]
    simulation = Simulation(CAMPAIGN, Run(0.05, 0, 1.5))
    parts = [next(iter(simulation)).time for _ in range(2)]
    assert parts + [frame.time for frame in simulation] == whole


def test_a_loop_of_the_field_is_symmetric_and_open(store):
    """Without disorder the film turned over is the film: so is its loop."""
    system = SMALL.replace(disorder="none", noise=1e-3)
    loop = CampaignSettings(
        system=system, anisotropy=(4.0,), sweep_rate=(0.05,), field_final=-1.5, field_loop=True, frames=121
    )
    frames = simulate_run(loop, Run(0.05, 0, 4.0))
    mean = frames.image.mean(axis=(1, 2))
    assert frames.external_field.min() == pytest.approx(-1.5)
    assert frames.external_field[-1] == pytest.approx(1.5)
    down, up = mean[:61], mean[60:]
    np.testing.assert_allclose(up[::10], -down[::10], atol=0.1)
    assert np.trapezoid(frames.external_field, mean) > 0.1  # work done, and lost


@pytest.mark.parametrize(("anisotropy", "time"), [(1.0, 300.0), (3.0, 60.0)])
def test_refining_the_grid_converges_where_single_runs_can(anisotropy, time):
    """At small anisotropy to the end; at a larger one while the state is nearly uniform."""
    finals = []
    for dx in (1.0, 0.5, 0.25):
        system = FilmSettings(box=16, dx=dx, coarsen=round(1 / dx))
        campaign = CampaignSettings(system=system, duration=time, frames=2)
        finals.append(simulate_run(campaign, Run(0.01, 1, anisotropy)).image[-1])
    coarse, fine = (np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairwise(finals))
    assert fine < 0.02
    assert fine < coarse / 2


def test_refining_the_grid_keeps_statistics_where_single_runs_differ():
    """At large anisotropy, after the onset: means over samples, within their own uncertainty."""
    finals = {}
    for dx in (0.5, 0.25):
        system = FilmSettings(box=32, dx=dx, coarsen=round(1 / dx))
        campaign = CampaignSettings(system=system, sweep_rate=(0.02,), frames=2)
        finals[dx] = [simulate_run(campaign, Run(0.02, sample, 4.0)) for sample in range(4)]
    coarse, fine = finals.values()
    apart = [
        np.linalg.norm(a.image[-1] - b.image[-1]) / np.linalg.norm(b.image[-1])
        for a, b in zip(coarse, fine, strict=True)
    ]
    assert max(apart) > 0.2
    for statistic in (lambda run: run.energy[-1], lambda run: np.mean(run.image[-1] < 0)):
        one, other = (np.array([statistic(run) for run in runs]) for runs in (coarse, fine))
        error = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 4)
        assert abs(one.mean() - other.mean()) < 2 * error
    assert coarse[0].onset_time == pytest.approx(fine[0].onset_time, rel=0.02)


INTERRUPTED = CAMPAIGN.replace(anisotropy=tuple(np.arange(1, 4, 0.25)), duration=90)
CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell runs with &
from nrp.simulation import CampaignSettings
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
