"""Forecasts against flows that are known: what is true must have skill, what is not must have none."""

import numpy as np
import pytest
from known import Modes, TrueBead, TruePlane, filmed, of, see

from nrp.analysis.model.forecast import forecast, stepped
from nrp.evaluation import Result
from nrp.simulation import CampaignSettings, settings_of
from nrp.systems.swift_hohenberg import SwiftHohenbergSettings


@pytest.fixture(scope="module")
def truth(films) -> Result:
    return forecast([see(TruePlane(films), films)])


@pytest.fixture(scope="module")
def true_bead(beads) -> Result:
    return forecast([see(TrueBead(beads), beads)])


# The bead


def test_the_true_landscape_has_skill(true_bead):
    for split in ("trained", "random_start"):
        assert true_bead.value("reconstruction_rmse", split=split) < 1e-3
        assert true_bead.value("rate_error", split=split, case=None, arm="paper") < 0.01
        for case in ("increment", "paper_form"):
            assert true_bead.value("one_step_skill", split=split, case=case, arm="paper") > 0.99


def test_beads_shuffled_in_time_leave_no_skill(beads):
    order = np.random.default_rng(0).permutation(beads.sizes["frame"])
    shuffled = beads.assign(intensity=beads.intensity.copy(data=beads.intensity.values[:, order]))
    result = forecast([see(TrueBead(beads), shuffled)])
    assert abs(of(result, "one_step_skill", case="increment")) < 0.1
    assert of(result, "skill", case="increment", lead_time=1) < 0.1


def test_pooled_and_per_frame_errors_are_told_apart(beads, true_bead):
    run = beads.intensity.values[:4].reshape(4, 61, -1)
    squares = ((run[:, 1:] - run[:, :-1]) ** 2).mean(-1)
    pooled = true_bead.value("persistence_rmse", split="trained", case=None)
    frames = true_bead.value("persistence_rmse", split="trained", case="per_frame_mean")
    assert pooled == pytest.approx(np.sqrt(squares.mean()), rel=1e-5)
    assert frames == pytest.approx(np.sqrt(squares).mean(), rel=1e-5)
    assert frames < pooled


def test_guesses_without_a_model_are_what_they_say(beads, true_bead):
    run = beads.intensity.values[:4].reshape(4, 61, -1)
    line = np.concatenate([run[:, :1], 2 * run[:, 1:-1] - run[:, :-2]], axis=1)
    euler = run[:, :-1] + 0.05 * beads["rate"].values[:4].reshape(4, 61, -1)[:, :-1]
    for arm, guess in (("extrapolation", line), ("exact_rate", euler)):
        expected = np.sqrt(np.mean((guess - run[:, 1:]) ** 2))
        found = true_bead.value("one_step_rmse", split="trained", arm=arm, case=None)
        assert found == pytest.approx(expected, rel=1e-4)
    still = np.sort(((run[:, 1:] - run[:, :-1]) ** 2).mean(-1).ravel())[::-1]
    assert true_bead.value("motion_share", split="trained") == pytest.approx(
        still[:24].sum() / still.sum(), rel=1e-4
    )
    assert true_bead.value("image_deviation", split="trained") == pytest.approx(run.std(), rel=1e-4)


def test_short_steps_of_the_truth_stay_near_it_and_long_ones_do_not(beads):
    errors = []
    for every in (1, 20):
        few = beads.isel(frame=slice(None, None, every))
        result = stepped([see(TrueBead(few), few)])
        assert result.value("rollout_diverged", split="trained") == 0
        errors.append(result.value("rollout_error", split="trained", case="from_start"))
    assert errors[0] < 0.05 < 0.2 < errors[1]


def test_lookup_knows_the_controls_and_no_state(beads, true_bead):
    # One field and one anisotropy: the table has one entry, the mean velocity, which explains little.
    assert 0.5 < true_bead.value("rate_error", split="trained", arm="lookup") <= 1.0
    swept = beads.assign(external_field=beads.external_field + np.arange(61) / 61)
    sweeping = forecast([see(TrueBead(beads), swept.isel(run=[0]))])
    assert sweeping.value("rate_error", arm="lookup") < 1e-5  # every frame has an entry of its own


def test_anisotropy_outside_the_trained_range_is_a_split_of_its_own(beads):
    model = TrueBead(beads)
    model.trained_on = {**model.trained_on, "anisotropy": [1.5, 2.0]}
    assert set(forecast([see(model, beads)], far=False).table["split"]) == {"beyond_anisotropy"}


# The film


@pytest.mark.parametrize("case", ["paper_form", "increment"])
@pytest.mark.parametrize("lead", [1, 2, 5, 10, 30])
def test_the_true_flow_has_skill_however_far(truth, case, lead):
    assert of(truth, "skill", case=case, lead_time=lead) >= 0.99


@pytest.mark.parametrize("start", ["from_saturation", "from_onset", "from_T0"])
def test_the_true_flow_arrives_where_the_film_does(truth, start):
    assert of(truth, "rollout_error", case=start) < 0.02
    assert of(truth, "rollout_diverged", case=start) == 0
    still = truth.value("rollout_error", split="trained", arm="persistence", case=start)
    assert still > 5 * of(truth, "rollout_error", case=start)


def test_what_is_read_off_the_true_flow_is_right(truth):
    found = truth.select(metric="readout_error", arm="paper")
    assert set(found["case"]) == {
        "wall_density",
        "negative_domains",
        "mean_magnetization",
        "peak_wavenumber",
        "energy",
    }
    assert (found["value"] < 0.05).all()


def test_the_true_flow_is_better_than_a_table(truth):
    entry = truth.select(metric="advantage", case="over lookup", lead_time=10).iloc[0]
    assert entry["value"] > 0.9
    assert entry["low"] > 0


def test_films_shuffled_in_time_leave_no_skill(films):
    order = np.random.default_rng(0).permutation(films.sizes["frame"])
    shuffled = films.assign(magnetization=films.magnetization.copy(data=films.magnetization.values[:, order]))
    result = forecast([see(TruePlane(films), shuffled)], far=False)
    assert of(result, "one_step_skill", case="increment") < 0.1


def test_the_anisotropy_of_another_run_leaves_less_skill(films, truth):
    # Each run is steered as the run after it: the images stay, α moves by one or from the last to the first.
    wrong = films.assign_coords(anisotropy=("run", np.roll(films.anisotropy.values, 1)))
    result = forecast([see(TruePlane(films), wrong)])
    for lead in (5, 10):
        found = of(result, "skill", case="increment", lead_time=lead)
        assert found < of(truth, "skill", case="increment", lead_time=lead) - 0.05


def test_a_film_from_noise_begins_at_no_saturation(films):
    campaign = settings_of(films)
    noisy = campaign.replace(
        system=campaign.system.replace(start="random"), sweep_rate=(0.0,), field_table=((0, 0), (20, 0))
    )
    data = filmed(noisy)
    result = forecast([see(TruePlane(data), data)])
    assert set(result.table["split"]) == {"random_start"}
    assert set(result.select(metric="rollout_error")["case"]) == {"from_start"}
    assert result.value("rollout_error", case="from_start", arm="paper") < 0.02


def test_without_the_far_part_there_are_only_single_frames(films):
    result = forecast([see(TruePlane(films), films)], far=False)
    assert "skill" not in set(result.table["metric"])
    assert set(result.table["arm"].dropna()) == {"paper", "extrapolation", "exact_rate", "persistence"}


# Rivals


def test_the_truth_gains_by_what_a_rival_misses(films, truth):
    rival = Modes(films, 4)
    rival.settings = rival.settings.replace(encoder="pod")
    result = forecast([see(TruePlane(films), films)], [see(rival, films)])
    theirs = result.value("skill", split="trained", arm="pod", case="increment", lead_time=10)
    ours = of(result, "skill", case="increment", lead_time=10)
    assert ours == of(truth, "skill", case="increment", lead_time=10)  # rivals change nothing of the arm
    found = result.value("advantage", split="trained", case="over pod", lead_time=10)
    assert found == pytest.approx(1 - (1 - ours) / (1 - theirs))


def test_a_sparse_polynomial_is_judged_as_a_model_is(films):
    # With four latent numbers a polynomial has 28 terms, and there are 205 frames.
    result = forecast([see(Modes(films, 4), films)])
    own, theirs = (
        result.table[result.table["arm"] == arm].groupby("metric")["case"].agg(set)
        for arm in ("paper", "sindy")
    )
    for metric in ("one_step_rmse", "one_step_skill", "skill", "rollout_error", "readout_error"):
        assert theirs[metric] == own[metric]
    # It is fitted to the motion; the potential of these modes is not.
    assert result.value("rate_error", split="trained", arm="sindy") < 0.9
    assert of(result, "rate_error", case=None) > 0.9
    assert result.value("advantage", split="trained", case="over sindy", lead_time=10) < 0


# A system without disorder, onset or sweep


def test_the_true_flow_of_a_swift_hohenberg_field_has_skill():
    system = SwiftHohenbergSettings(box=18, dx=1.5, coarsen=1, start="uniform", start_level=0.3, noise=0.1)
    data = filmed(
        CampaignSettings(
            system=system,
            anisotropy=(0.4, 1.0),
            sample=(0, 1, 2),
            sweep_rate=0.0,
            field_init=0.0,
            duration=20.0,
            frames=41,
            time_step=0.05,
        )
    )
    model = TruePlane(data)
    model.trained_on = {**model.trained_on, "sample": [0, 1]}
    result = forecast([see(model, data)])
    assert set(result.table["split"]) == {"trained", "random_start"}  # samples differ in their start alone
    assert set(result.select(metric="rollout_error")["case"]) == {"from_start"}
    assert "readout_error" not in set(result.table["metric"])
    for split in ("trained", "random_start"):
        assert result.value("rate_error", split=split, arm="paper", case=None) < 1e-3
        assert result.value("rollout_error", split=split, arm="paper", case="from_start") < 0.01
        assert result.value("skill", split=split, arm="paper", case="increment", lead_time=30) > 0.999
