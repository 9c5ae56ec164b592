"""Words that follow from numbers: what chapters 07 and 08 say of the tests and their controls.

Each function returns phrases by name, for `nrp.book.report.glue_words`.  A share counts as *most* runs, or as
*few*, if its 95 % interval lies on that side of one half.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nrp.analysis import Result
from nrp.analysis.continuity import LEVEL
from nrp.book.report import number
from nrp.settings import LONG, SMOOTH

LARGEST = "jump 0.5"
"""The kind of beads with the largest jump."""
JOINT, SEPARATE = "onset_gradient_interpolated", "separate_gradient"
"""The reading of one potential for all anisotropies, and of one for each."""

_USUAL, _MOBILE = f"{SMOOTH}, usual mobility", "mobility × 4"
"""The kinds of films without and with a jump."""


class Share(NamedTuple):
    """The share of controls with an alarm, and its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, power: Result, kind: str, curve: str, system: str) -> Share:
        """Return the one of a kind and a curve."""
        metric = "false_alarm_rate" if kind.startswith(SMOOTH) else "detection_rate"
        found = power.select(metric=metric, split=kind, case=curve, system=system).iloc[0]
        return cls(*(float(found[name]) for name in cls._fields))

    @property
    def most(self) -> bool:
        """Whether it is above one half."""
        return self.low > 0.5

    @property
    def few(self) -> bool:
        """Whether it is below one half."""
        return self.high < 0.5

    @property
    def too_often(self) -> bool:
        """Whether it is above the level of the test."""
        return self.low > LEVEL


def verdict(tests: Result, curve: str) -> str:
    """Return what the test says of a curve, and what it could have said."""
    if alarm(tests, curve):
        return f"an alarm, at α = {tests.value('jump_position', case=curve):.3g}"
    smallest = tests.value("smallest_detectable_jump", case=curve)
    if not smallest < 1:
        return (
            "no alarm, and no power: a jump as large as the range of the curve would often have been missed"
        )
    size = f"of {number(smallest)} of the range"
    if len(tests.table.query("metric == 'smallest_detectable_factor' and case == @curve")):
        size = f"by a factor of {number(tests.value('smallest_detectable_factor', case=curve))}"
    return f"no alarm, where a jump {size} would have been seen in four cases of five"


def alarm(tests: Result, curve: str) -> bool:
    """Return whether the test raises an alarm."""
    return tests.value("jump_p_value", case=curve) < LEVEL


def transition_words(
    power: Result, tests: Mapping[str, Result], readings: Mapping[str, Result]
) -> dict[str, str]:
    """Return the words of chapter 07.

    Parameters
    ----------
    power
        The published controls.
    tests, readings
        Results of `nrp.analysis.continuity.continuity` and `nrp.analysis.transition.transition`, by arm.
    """
    largest = {curve: Share.of(power, LARGEST, curve, "bead") for curve in (JOINT, SEPARATE)}
    longer = Share.of(power, f"{LARGEST}, {LONG}", JOINT, "bead")
    errors = [power.value("rate_error", split=kind) for kind in (LARGEST, f"{LARGEST}, {LONG}")]
    hidden = largest[JOINT].few and largest[SEPARATE].most
    if hidden:
        lesson = "The test is not blind, the network is: it smooths the jump away before the test can see it"
    elif largest[JOINT].most and largest[SEPARATE].most:
        lesson = "Both readings see it in most runs"
    else:
        lesson = "These runs do not settle which of the two readings sees it"
    if hidden and longer.few:
        moral = "So a smooth network makes a smooth curve, in beads even of a landscape that jumps"
    elif longer.most:
        moral = "So the smoothness of the network does not hide a jump of this size, if it is trained enough"
    else:
        moral = "So these beads do not settle whether a smooth network hides a jump of this size"
    counted = {
        (arm, case): p
        for arm, each in tests.items()
        for case, p, of in each.select(metric="jump_p_value")[["case", "value", "arm"]].itertuples(
            index=False
        )
        # Curves without a network are the same beside every arm.
        if of is not None or arm == next(iter(tests))
    }
    return {
        "lesson": lesson,
        "moral": moral,
        "learned": "more" if errors[1] < errors[0] else "no more",
        "saw": _in_the_frame(tests, readings),
        "tested": str(len(counted)),
        "alarms": str(sum(p < LEVEL for p in counted.values())),
        "by_chance": f"{LEVEL * len(counted):.1g}",
        **_of_films(power),
        "blind": _of_first_order(power),
        **{f"{arm}_{case}": verdict(tests[arm], case) for arm, case in counted},
    }


def _in_the_frame(tests: Mapping[str, Result], readings: Mapping[str, Result]) -> str:
    """Return how the paper's reading, in a frame, differs from that at T_init itself."""
    only = [arm for arm, each in tests.items() if alarm(each, "onset_gradient") and not alarm(each, JOINT)]
    if not only:
        if all(alarm(each, "onset_gradient") == alarm(each, JOINT) for each in tests.values()):
            return "Whether it is read in the frame or at the moment itself, the verdict is the same"
        return "It raises no alarm where the reading at the moment itself does"
    arms = " and ".join(f"the arm {arm}" for arm in only)
    arrays, place = readings[only[0]].arrays, tests[only[0]].value("jump_position", case="onset_gradient")
    before, after = (
        arrays["onset_lag"][side][-1 if i == 0 else 0]
        for i, side in enumerate((arrays["alphas"] < place, arrays["alphas"] > place))
    )
    return (
        f"It raises an alarm for {arms}, and the reading at the moment itself does not. "
        f"At the place of the alarm, α = {place:.3g}, the delay of the frame goes from {number(before)} "
        f"to {number(after)}"
    )


def _of_films(power: Result) -> dict[str, str]:
    """Return what the films whose mobility jumps say of the readings without a network."""
    multiplied, rate, time = (
        Share.of(power, _MOBILE, curve, "film") for curve in ("multiplied_rate", "onset_rate", "onset_time")
    )
    frame, moment, clock = (
        Share.of(power, _USUAL, curve, "film")
        for curve in ("onset_rate_in_frame", "onset_rate", "onset_time")
    )
    if rate.most:
        reach = "So the rate at the onset of one film tells of it"
    elif rate.few and multiplied.most:
        reach = (
            "So it is not the test that is blind here, but the reading: "
            "the rate at the onset hardly shows how fast the film could move"
        )
    elif rate.few and multiplied.few:
        reach = "So one film is too few for this reading, and the rate at the onset hardly shows the mobility"
    else:
        reach = "So one film is hardly enough for this reading"
    seen = "tells of it" if time.most else "does not tell of it reliably"
    if clock.too_often:
        seen += (
            ", but raises false alarms more often than it should: T_init is the earliest of many places, and "
            "has a kink wherever another place wins"
        )
    if frame.too_often and not moment.too_often:
        delay = "So the delay of the frame makes jumps of its own"
    elif frame.too_often:
        delay = "So either reading raises false alarms more often than it should"
    else:
        delay = "So these films do not show that the delay of the frame makes jumps of its own"
    return {"reach": reach, "clock": f"The onset time {seen}", "delay": delay}


def _of_first_order(power: Result) -> str:
    final, *onset = (
        Share.of(power, "first order", curve, "swift_hohenberg")
        for curve in ("final_domains", SEPARATE, "onset_rate")
    )
    if not final.most:
        return "So this control decides nothing"
    if all(each.few for each in onset):
        return "So a jump of the final pattern need not show at the onset at all"
    return "So the onset can tell of a jump of the final pattern"


def discussion_words(
    power: Result,
    tests: Mapping[str, Result],
    members: Result,
    forecast: Result,
    patterns: Result,
    droplets: Result,
) -> dict[str, str]:
    """Return the words of chapter 08.

    Parameters
    ----------
    power, tests
        As in `transition_words`.
    members
        The published members of the arm `paper`.
    forecast, patterns, droplets
        Results of these names, the first of the arm `paper`.
    """
    model, look_up = (
        forecast.value("rate_error", split="trained", case=None, arm=arm) for arm in ("paper", "lookup")
    )
    same = members.value("onset_gradient_correlation") > 0.8
    joint, separate = (Share.of(power, LARGEST, curve, "bead") for curve in (JOINT, SEPARATE))
    if joint.few and separate.most:
        hidden = "So a network that is smooth in α is no witness: it hides the jump"
        may_not = (
            "that the reduced potential changes smoothly: "
            "in beads such a network makes a curve as smooth where the landscape jumps"
        )
    elif joint.most:
        hidden = "So a network that is smooth in α can be a witness"
        may_not = "more than that jumps as large as those which the controls find are absent"
    else:
        hidden = "So these beads do not settle whether a network that is smooth in α is a witness"
        may_not = "anything beyond it, as long as it is open whether such a network would show a jump"
    paper, identified = tests["paper"], tests["identified"]
    in_frame = alarm(paper, "onset_gradient")
    delayed = Share.of(power, _USUAL, "onset_rate_in_frame", "film").too_often
    others = alarm(paper, JOINT) or alarm(paper, "onset_rate") or alarm(identified, SEPARATE)
    if others or (in_frame and not delayed):
        third = "So step 3 does not hold as it stands"
    else:
        third = "So nothing here contradicts step 3"
        if in_frame:
            third = (
                "The first alarm is no evidence of a jump: the frame comes late, and even the true rate "
                "read in it raises alarms for films that have none. Nothing else here contradicts step 3"
            )
        if paper.value("smallest_detectable_jump", case=JOINT) < 1:
            third += ", as far as this test can see"
        else:
            third += (
                ", but its own curve does not support it either: "
                "a jump as large as the whole range would often have been missed"
            )
    return {
        "step": _of_one_step(forecast),
        "elsewhere": "also beats"
        if forecast.value("one_step_skill", split="new_disorder", case="paper_form", arm="paper") > 0
        else "does not beat",
        "seed": "gives much the same curve" if same else "gives another curve",
        "first": "explains more than a table of the mean motion at each anisotropy and field does"
        if model < look_up
        else "explains less than a table of the mean motion at each anisotropy and field does, "
        "which knows no state at all",
        "hidden": hidden,
        "may_not": may_not,
        "third": third,
        "frame": verdict(paper, "onset_gradient"),
        "moment": verdict(paper, JOINT),
        "apart": verdict(identified, SEPARATE),
        "motion": verdict(paper, "onset_rate"),
        "when": verdict(paper, "onset_time"),
        "sharp": _of_the_final_pattern(paper),
        "islands": "What changes sharply is the final pattern"
        if patterns.value("domain_rise") > 2 * patterns.value("domain_fall")
        else "The final pattern changes gradually at both ends",
        "nobody": "from the onset that the transitions between final patterns are continuous; "
        "a jump of these need not show there"
        if "need not" in _of_first_order(power)
        else "from one moment what another would show",
        **_of_droplets(droplets, *(patterns.value(name) for name in ("labyrinth_end", "labyrinth_return"))),
    }


def _of_one_step(forecast: Result) -> str:
    pooled = forecast.value("one_step_skill", split="trained", case="paper_form", arm="paper") > 0
    frames = forecast.value(
        "one_step_rmse", split="trained", case="per_frame_mean", arm="paper"
    ) < forecast.value("persistence_rmse", split="trained", case="per_frame_mean")
    if pooled and frames:
        return (
            "holds on the runs that the network was trained on, "
            "where the prediction beats doing nothing by either average"
        )
    if pooled or frames:
        return "depends on the average: by one the prediction beats doing nothing, by the other it does not"
    return "falls: by neither average does the prediction beat doing nothing"


def _of_the_final_pattern(tests: Result) -> str:
    if alarm(tests, "negative_domains"):
        return "too sharp for the test to tell from a jump"
    if tests.value("log_likelihood", case="negative_domains", split="jumping") < 0:
        return "steep, but on this grid of anisotropies a steep smooth change describes it better than a jump"
    return "best described by a jump on this grid of anisotropies, though not by enough for an alarm"


def _of_droplets(droplets: Result, end: float, back: float) -> dict[str, str]:
    """Return what the droplet model says of the end of the first labyrinth and the return of the other."""
    worms = [droplets.value("crossing", case=f"worms {when}") for when in ("before waves", "at the onset")]
    lies = "between" if min(worms) <= end <= max(worms) else "outside"
    best = droplets.arrays["best_density"]
    from_zero = best[0] == 0 and (np.diff(best) >= 0).all() and best[1] < 0.3 * best[-1]
    known = droplets.select(metric="crossing")["value"].astype(float).dropna()
    near = (known - back).abs().min() <= 0.3
    return {
        "agrees": f"The measured end of the first labyrinth lies {lies} these two",
        "grows": "grows from zero" if from_zero else "jumps to a finite value",
        "coordinate": "Even in a model of droplets a reduced potential of the density changes continuously: "
        "what is continuous depends on the coordinate"
        if from_zero
        else "In this model size and density both jump",
        "silent": f"{'One' if near else 'None'} of its thresholds comes near there",
    }
