"""Single runs: dissipation, starts, onset, loops, and what a finer grid changes."""

from itertools import pairwise

import numpy as np
import pytest
from known import SMALL_CAMPAIGN as CAMPAIGN
from known import SMALL_FILM as SMALL

from nrp.base import InvalidSetting
from nrp.simulation import CampaignSettings, Run, Simulation, simulate_run
from nrp.systems.film import FilmSettings
from nrp.systems.plane import block_average


@pytest.fixture(scope="module")
def swept():
    """A run at full resolution with closely spaced frames: T₀ = 30, end 60."""
    campaign = CampaignSettings(system=SMALL.replace(coarsen=1), frames=1201, time_step=0.05)
    return simulate_run(campaign.replace(sweep_rate=(0.05,)), Run(0.05, 0, 2.0))


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


def test_a_run_starts_from_the_saturated_equilibrium():
    campaign = CampaignSettings(system=SMALL.replace(disorder="none"), frames=2, duration=5)
    frames = simulate_run(campaign.replace(sweep_rate=(1e-9,)), Run(1e-9, 0, 2.0))
    phi = frames.image.mean()
    assert 2 * phi**3 - (2 - 8 / np.pi) * phi == pytest.approx(1.5)
    np.testing.assert_allclose(frames.image, phi, atol=1e-7)


def test_a_negative_field_starts_from_the_negative_saturated_state():
    up, down = (
        simulate_run(CAMPAIGN.replace(field_init=h, field_final=0.4 * h), Run(0.05, 0, 1.5)).image
        for h in (1.5, -1.5)
    )
    np.testing.assert_allclose(down, -up, atol=1e-9)


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


def test_seeded_noise_has_its_strength_and_its_sample():
    campaign = CampaignSettings(system=SMALL.replace(noise=0.01, coarsen=1), duration=1, frames=2)
    first, again, other = (simulate_run(campaign, Run(0.01, s, 2.0)).image[0] for s in (0, 0, 1))
    assert first.std() == pytest.approx(0.01, rel=0.1)
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.2


def test_a_given_state_is_where_a_run_begins():
    given = np.random.default_rng(0).normal(size=(32, 48))
    campaign = CAMPAIGN.replace(system=CAMPAIGN.system.replace(coarsen=1))
    frames = simulate_run(campaign, Run(0.05, 0, 1.5), given)
    np.testing.assert_array_equal(frames.image[0], given)
    for wrong in (given[:-1], given * np.nan):
        with pytest.raises(InvalidSetting, match=r"^start = .*: must be finite numbers of shape \(32, 48\)$"):
            Simulation(campaign, Run(0.05, 0, 1.5), wrong)


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
