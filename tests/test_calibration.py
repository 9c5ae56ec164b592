"""The time step that a run takes, from the stored calibration."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from nrp.simulation import SIMULATE, CampaignSettings, Run, simulate_run
from nrp.simulation import calibration as calibration_module
from nrp.simulation.calibration import SAFETY, calibration, time_step
from nrp.systems.film import FilmSettings

SMALL = FilmSettings(box=16, dx=0.5, coarsen=2)


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


def test_half_of_the_runs_that_the_calibration_has_not_seen_keep_the_tolerance():
    errors = []
    for sample in (20, 21, 22):
        campaign, run = CampaignSettings(frames=2), Run(0.01, sample, 2.0)
        truth = simulate_run(campaign.replace(time_step=0.04), run).final_state
        errors.append(np.linalg.norm(simulate_run(campaign, run).final_state - truth) / np.linalg.norm(truth))
    assert 1e-6 < np.median(errors) < 1e-3


def test_data_of_another_calibration_have_another_version():
    """Raise the version of `SIMULATE` when this digest changes: stored data would not be what they say."""
    folder = Path(calibration_module.__file__).parent
    files = [(folder / name).read_bytes() for name in ("calibration.json", "fftw_wisdom.txt")]
    assert (SIMULATE.version, hashlib.sha256(b"".join(files)).hexdigest()[:8]) == (3, "78174b0e")
