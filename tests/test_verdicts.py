"""The words of chapters 07 and 08 follow the numbers, whichever way these turn out."""

import numpy as np
import pytest
from scipy.stats import binomtest

from nrp.analysis import Result, row
from nrp.book.verdicts import JOINT, LARGEST, SEPARATE, Share, discussion_words, transition_words, verdict
from nrp.settings import LONG

USUAL, MOBILE = "smooth, usual mobility", "mobility × 4"
BEFORE = {
    ("bead", LARGEST, JOINT): 0,
    ("bead", LARGEST, SEPARATE): 30,
    ("bead", f"{LARGEST}, {LONG}", JOINT): 0,
    ("film", MOBILE, "multiplied_rate"): 28,
    ("film", MOBILE, "onset_rate"): 2,
    ("film", MOBILE, "onset_time"): 30,
    ("film", USUAL, "onset_rate_in_frame"): 10,
    ("film", USUAL, "onset_rate"): 0,
    ("film", USUAL, "onset_time"): 1,
    ("swift_hohenberg", "first order", "final_domains"): 27,
    ("swift_hohenberg", "first order", SEPARATE): 0,
    ("swift_hohenberg", "first order", "onset_rate"): 0,
}
"""Alarms of 30 runs each."""
QUIET = dict.fromkeys(
    ("onset_gradient", JOINT, SEPARATE, "onset_rate", "onset_time", "negative_domains"), 0.5
)
"""p values."""


def power(errors: tuple[float, float] = (0.3, 0.2), **changes: int) -> Result:
    """Published controls, with other numbers of alarms for keys such as ``bead|jump 0.5|onset_rate``."""
    counts = BEFORE | {tuple(key.split("|")): value for key, value in changes.items()}
    rows = []
    for (system, kind, case), alarms in counts.items():
        low, high = binomtest(alarms, 30).proportion_ci()
        metric = "false_alarm_rate" if kind.startswith("smooth") else "detection_rate"
        rows.append(row(metric, alarms / 30, low=low, high=high, system=system, split=kind, case=case))
    for kind, error in zip((LARGEST, f"{LARGEST}, {LONG}"), errors, strict=True):
        rows.append(row("rate_error", error, system="bead", split=kind))
    return Result.of(rows)


def weighed(arm: str, *, smallest: float = 0.4, jumping: float = -5.0, **p_values: float) -> Result:
    rows = []
    for case, p in (QUIET | p_values).items():
        of = None if case in ("onset_rate", "onset_time", "negative_domains") else arm
        common = {"case": case, "arm": of}
        rows += [
            row("jump_p_value", p, **common),
            row("jump_position", 2.85, **common),
            row("smallest_detectable_jump", smallest, **common),
            row("log_likelihood", jumping, split="jumping", **common),
        ]
        if case not in ("onset_time", "negative_domains"):
            rows.append(row("smallest_detectable_factor", np.exp(smallest), **common))
    return Result.of(rows)


def in_transition(controls: Result | None = None, **tests: Result) -> dict[str, str]:
    lag = Result.of(
        [row("x", 0)], alphas=np.array([2.7, 2.8, 2.9, 3.0]), onset_lag=np.array([1, 2.8, 0.2, 1])
    )
    both = {arm: tests.get(arm, weighed(arm)) for arm in ("paper", "identified")}
    return transition_words(controls or power(), both, {"paper": lag, "identified": lag})


def test_a_share_is_most_or_few_by_its_interval():
    shares = {
        alarms: Share.of(power(**{f"bead|{LARGEST}|{JOINT}": alarms}), LARGEST, JOINT, "bead")
        for alarms in (0, 9, 10, 15, 20, 21, 30)
    }
    assert [alarms for alarms, share in shares.items() if share.most] == [21, 30]
    assert [alarms for alarms, share in shares.items() if share.few] == [0, 9]
    assert [alarms for alarms, share in shares.items() if share.too_often] == [9, 10, 15, 20, 21, 30]


@pytest.mark.parametrize(
    ("p", "smallest", "words"),
    [
        (0.002, 0.4, "an alarm, at α = 2.85"),
        (0.5, 0.4, "no alarm, where a jump by a factor of 1.49 would have been seen in four cases of five"),
        (0.5, 1.2, "no alarm, and no power"),
        (0.5, np.nan, "no alarm, and no power"),
    ],
)
def test_verdict_on_a_curve(p, smallest, words):
    assert verdict(weighed("paper", smallest=smallest, **{JOINT: p}), JOINT).startswith(words)


def test_verdict_on_what_is_no_rate():
    assert "a jump of 0.400 of the range would" in verdict(weighed("paper"), "onset_time")


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({}, "lesson", "The test is not blind, the network is"),
        ({f"bead|{LARGEST}|{JOINT}": 30}, "lesson", "Both readings see it"),
        ({f"bead|{LARGEST}|{JOINT}": 15}, "lesson", "These runs do not settle"),
        ({f"bead|{LARGEST}|{SEPARATE}": 0}, "lesson", "These runs do not settle"),
        ({}, "moral", "So a smooth network makes a smooth curve, in beads"),
        ({f"bead|{LARGEST}, {LONG}|{JOINT}": 30}, "moral", "So the smoothness of the network does not hide"),
        ({f"bead|{LARGEST}, {LONG}|{JOINT}": 15}, "moral", "So these beads do not settle"),
        ({}, "reach", "So it is not the test that is blind here, but the reading"),
        ({f"film|{MOBILE}|multiplied_rate": 3}, "reach", "So one film is too few"),
        ({f"film|{MOBILE}|onset_rate": 29}, "reach", "So the rate at the onset of one film tells of it"),
        ({f"film|{MOBILE}|onset_rate": 15}, "reach", "So one film is hardly enough"),
        ({}, "clock", "The onset time tells of it"),
        ({f"film|{USUAL}|onset_time": 6}, "clock", "The onset time tells of it, but raises false alarms"),
        ({f"film|{MOBILE}|onset_time": 4}, "clock", "The onset time does not tell of it"),
        ({}, "delay", "So the delay of the frame makes jumps"),
        ({f"film|{USUAL}|onset_rate_in_frame": 1}, "delay", "So these films do not show"),
        ({f"film|{USUAL}|onset_rate": 9}, "delay", "So either reading raises false alarms"),
        ({}, "blind", "So a jump of the final pattern need not show"),
        ({"swift_hohenberg|first order|final_domains": 3}, "blind", "So this control decides nothing"),
        ({"swift_hohenberg|first order|onset_rate": 27}, "blind", "So the onset can tell"),
    ],
)
def test_words_on_the_controls(changes, name, words):
    assert in_transition(power(**changes))[name].startswith(words)


def test_more_training_explains_more_or_not():
    assert in_transition()["learned"] == "more"
    assert in_transition(power(errors=(0.2, 0.2)))["learned"] == "no more"


def test_words_on_the_reading_in_a_frame():
    alike = "Whether it is read in the frame or at the moment itself, the verdict is the same"
    assert in_transition()["saw"] == alike
    both = {"onset_gradient": 0.002, JOINT: 0.002}
    assert in_transition(paper=weighed("paper", **both))["saw"] == alike
    alarmed = in_transition(
        identified=weighed("identified", onset_gradient=0.002), paper=weighed("paper", **both)
    )
    assert alarmed["saw"].startswith(
        "It raises an alarm for the arm identified, and the reading at the moment"
    )
    assert alarmed["saw"].endswith("α = 2.85, the delay of the frame goes from 2.80 to 0.200")
    assert in_transition(paper=weighed("paper", **{JOINT: 0.002}))["saw"].startswith("It raises no alarm")


def test_tests_are_counted_once():
    words = in_transition(paper=weighed("paper", onset_rate=0.002), identified=weighed("identified"))
    # Three curves of either arm, and three that need none.
    assert (words["tested"], words["alarms"], words["by_chance"]) == ("9", "1", "0.09")


def in_discussion(controls: Result | None = None, *, densities=(0, 0.1, 0.5, 1), **changes) -> dict[str, str]:
    tests = {arm: changes.get(arm, weighed(arm)) for arm in ("paper", "identified")}
    of = {"split": "trained", "arm": "paper"}
    skill = {"case": "paper_form", "arm": "paper"}
    forecast = Result.of(
        [
            row("rate_error", changes.get("error", 0.8), **of),
            row("rate_error", 0.5, split="trained", arm="lookup"),
            row("one_step_skill", changes.get("skill", 0.6), split="trained", **skill),
            row("one_step_skill", changes.get("new", -1), split="new_disorder", **skill),
            row("one_step_rmse", changes.get("frames", 0.04), case="per_frame_mean", **of),
            row("persistence_rmse", 0.03, case="per_frame_mean", split="trained"),
        ]
    )
    patterns = Result.of(
        [
            row("domain_rise", changes.get("rise", 20)),
            row("domain_fall", 4),
            row("labyrinth_end", 1.77),
            row("labyrinth_return", changes.get("back", 2.8)),
        ]
    )
    crossings = {"droplets before waves": 1.26, "worms before waves": 1.69, "worms at the onset": 1.87}
    droplets = Result.of(
        [
            row("crossing", value, case=case)
            for case, value in (crossings | changes.get("crossings", {})).items()
        ],
        best_density=np.array(densities),
    )
    members = Result.of([row("onset_gradient_correlation", changes.get("correlation", 0.2))])
    return discussion_words(controls or power(), tests, members, forecast, patterns, droplets)


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({}, "first", "explains less"),
        ({"error": 0.4}, "first", "explains more"),
        ({}, "step", "depends on the average"),
        ({"frames": 0.02}, "step", "holds on the runs that the network"),
        ({"skill": -0.1}, "step", "falls"),
        ({}, "elsewhere", "does not beat"),
        ({"new": 0.1}, "elsewhere", "also beats"),
        ({}, "seed", "gives another curve"),
        ({"correlation": 0.95}, "seed", "gives much the same curve"),
        ({}, "third", "So nothing here contradicts step 3, as far as this test can see"),
        (
            {"paper": weighed("paper", smallest=1.3)},
            "third",
            "So nothing here contradicts step 3, but its own",
        ),
        (
            {"paper": weighed("paper", smallest=np.nan)},
            "third",
            "So nothing here contradicts step 3, but its",
        ),
        ({"paper": weighed("paper", onset_rate=0.002)}, "third", "So step 3 does not hold"),
        ({"paper": weighed("paper", onset_gradient=0.002)}, "third", "The first alarm is no evidence"),
        ({"identified": weighed("identified", separate_gradient=0.002)}, "third", "So step 3 does not hold"),
        ({}, "sharp", "steep, but"),
        ({"paper": weighed("paper", negative_domains=0.002)}, "sharp", "too sharp"),
        ({"paper": weighed("paper", jumping=0.0)}, "sharp", "best described by a jump"),
        ({}, "islands", "What changes sharply"),
        ({"rise": 5}, "islands", "The final pattern changes gradually"),
        ({}, "agrees", "The measured end of the first labyrinth lies between"),
        (
            {"crossings": {"worms at the onset": 1.7}},
            "agrees",
            "The measured end of the first labyrinth lies out",
        ),
        ({}, "grows", "grows from zero"),
        ({"densities": (0, 0.5, 0.6, 1)}, "grows", "jumps"),
        ({}, "silent", "None of its thresholds"),
        ({"back": 2.0}, "silent", "One of its thresholds"),
        ({"crossings": {"worms at the onset": np.nan}, "back": 2.0}, "silent", "None of its thresholds"),
    ],
)
def test_words_of_the_discussion(changes, name, words):
    assert in_discussion(**changes)[name].startswith(words)


@pytest.mark.parametrize(
    ("changes", "hidden", "may_not", "nobody"),
    [
        ({}, "So a network that is smooth in α is no", "that the reduced", "from the onset"),
        (
            {f"bead|{LARGEST}|{JOINT}": 30},
            "So a network that is smooth in α can",
            "more than",
            "from the onset",
        ),
        (
            {f"bead|{LARGEST}|{SEPARATE}": 0, "swift_hohenberg|first order|final_domains": 0},
            "So these beads do not settle",
            "anything beyond it",
            "from one moment",
        ),
    ],
)
def test_words_of_the_discussion_on_the_controls(changes, hidden, may_not, nobody):
    words = in_discussion(power(**changes))
    assert words["hidden"].startswith(hidden)
    assert words["may_not"].startswith(may_not)
    assert words["nobody"].startswith(nobody)


def test_an_alarm_of_the_frame_counts_unless_films_without_a_jump_raise_it():
    controls = power(**{f"film|{USUAL}|onset_rate_in_frame": 0})
    words = in_discussion(controls, paper=weighed("paper", onset_gradient=0.002))
    assert words["third"] == "So step 3 does not hold as it stands"
