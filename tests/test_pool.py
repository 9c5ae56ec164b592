"""Errors pooled over runs and members, and their intervals, against cases that can be done by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from nrp.evaluation import Form, Label, Pool

RATE = Label("rate_error", "trained", "paper")


def pooled(members: Sequence[np.ndarray], form: Form, label: Label = RATE) -> dict:
    """The only row of a pool to which each member adds its numerators over as many denominators of 1."""
    pool = Pool()
    for member, above in enumerate(members):
        pool.add(label, form, above, np.ones(len(above)), np.zeros(len(above), int), member=member)
    (entry,) = pool.rows()
    return entry


@pytest.mark.parametrize(
    ("form", "value"), [(Form.ROOT, 0.5), (Form.RATIO, 0.25), (Form.SHARE, 0.25), (Form.SKILL, 0.75)]
)
def test_forms_of_metrics(form, value):
    assert form.of(np.array([1.0]), np.array([4.0])) == value
    assert pooled([np.full(4, 0.25)], form)["value"] == pytest.approx(value)


def test_sums_are_pooled_before_they_are_divided():
    pool = Pool()
    above, below = np.array([1.0, 9.0]), np.array([1.0, 3.0])
    pool.add(RATE, Form.RATIO, above, below, np.arange(2))
    (entry,) = pool.rows(system="film")
    assert entry["value"] == 2.5  # and not (1 + 3)/2
    assert (entry["system"], entry["members"]) == ("film", 1)


def test_runs_may_come_in_parts():
    whole, parts = Pool(), Pool()
    above, samples = np.random.default_rng(0).uniform(size=10), np.arange(10)
    whole.add(RATE, Form.ROOT, above, np.ones(10), samples)
    for part in (slice(0, 4), slice(4, 10)):
        parts.add(RATE, Form.ROOT, above[part], np.ones(10)[part], samples[part])
    assert parts.rows() == whole.rows()


@pytest.mark.parametrize(("form", "high"), [(Form.SHARE, 1.0), (Form.RATIO, 0.5 + 4.303 * 0.5 / np.sqrt(3))])
def test_intervals_are_cut_where_no_value_can_lie(form, high):
    entry = pooled([np.full(8, part) for part in (0.0, 0.5, 1.0)], form)
    assert (entry["low"], entry["high"]) == (0.0, pytest.approx(high, rel=1e-3))


def test_intervals_hold_both_runs_and_members():
    draws = np.random.default_rng(0)
    alone = pooled([1 + 0.1 * draws.normal(size=8)], Form.RATIO)
    assert 0.02 < alone["high"] - alone["low"] < 0.3
    assert alone["low"] < alone["value"] < alone["high"]
    apart = pooled([np.full(8, 1 + offset) for offset in (-0.5, 0.5, 0.0)], Form.RATIO)
    assert apart["value"] == pytest.approx(1.0)
    assert apart["high"] - apart["value"] == pytest.approx(4.303 * 0.5 / np.sqrt(3), rel=1e-3)
    assert apart["members"] == 3


def test_the_bootstrap_draws_samples_where_there_are_three_and_needs_five_units():
    pool = Pool()
    values = np.repeat([0.5, 1.0, 1.5, 2.0], 5)  # the runs of a sample are alike
    samples = np.repeat(np.arange(4), 5)
    pool.add(RATE, Form.RATIO, values, np.ones(20), samples)
    pool.add(RATE._replace(split="new_disorder"), Form.RATIO, values, np.ones(20), samples % 2)
    few, many = pool.rows()
    assert few["low"] is None  # four samples
    assert many["low"] < many["value"] < many["high"]  # two samples, so the twenty runs are drawn


def test_a_member_that_runs_away_does_not_hide_the_others():
    errors = np.array([0.1, 0.1, 1000.0])
    entry = pooled([np.full(8, error) for error in errors], Form.SKILL)
    assert entry["value"] == pytest.approx(1 - errors.prod() ** (1 / 3))
    assert entry["low"] < entry["value"] < entry["high"] < 1
    assert pooled([np.zeros(8), np.zeros(8)], Form.SKILL)["value"] == 1


def test_a_metric_to_which_no_run_contributes_has_no_row():
    pool = Pool()
    pool.add(RATE, Form.RATIO, np.zeros(6), np.zeros(6), np.arange(6))
    assert pool.rows() == []


def test_advantage_is_paired_by_run():
    pool, hard = Pool(), np.array([1.0, 2.0, 30.0, 4.0, 50.0, 6.0])
    for arm, factor in (("paper", 0.5), ("pod", 1.0)):
        label = Label("skill", "trained", arm, "increment", 10)
        pool.add(label, Form.SKILL, factor * hard, np.ones(6), np.zeros(6, int))
        pool.add(label._replace(case="paper_form"), Form.SKILL, hard, np.ones(6), np.zeros(6, int))
    (entry,) = pool.advantages("paper")
    # Runs differ by a factor of fifty, but in each ours is half as wrong.
    assert (entry["value"], entry["low"], entry["high"]) == pytest.approx((0.5, 0.5, 0.5))
    assert (entry["metric"], entry["arm"], entry["case"]) == ("advantage", "paper", "over pod")
    assert entry["lead_time"] == 10


def test_advantage_in_rollouts_names_where_they_start():
    pool = Pool()
    for arm, error in (("paper", 0.2), ("lookup", 0.8)):
        label = Label("rollout_error", "trained", arm, "from_onset")
        pool.add(label, Form.RATIO, np.full(6, error), np.ones(6), np.zeros(6, int))
    (entry,) = pool.advantages("paper")
    assert (entry["case"], entry["value"]) == ("over lookup, from_onset", pytest.approx(0.75))
