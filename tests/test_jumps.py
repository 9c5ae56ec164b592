"""The test for jumps: what is continuous seldom raises an alarm, and a jump does."""

import numpy as np
import pytest
from known import SMOOTH, X, noisy

from nrp.analysis.transition.jumps import FEWEST, LEVEL, weigh


def alarm(curve: np.ndarray, **options: object) -> bool:
    return weigh(X, curve, power=False, **options).p_value < LEVEL


@pytest.mark.parametrize("name", SMOOTH)
def test_continuous_curves_seldom_raise_an_alarm(name):
    alarms = sum(alarm(noisy(SMOOTH[name], seed), draws=200) for seed in range(12))
    assert alarms <= 1  # at a rate of 1 %, two or more of 12 happen in 0.6 % of the cases


@pytest.mark.parametrize("background", ["line", "wave", "wide step"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_jump_is_found_where_it_is_and_as_large_as_it_is(background, sign):
    found = weigh(X, noisy(SMOOTH[background] + 0.5 * sign * (X > 2.75), 3), power=False)
    assert found.p_value < LEVEL
    assert found.position == pytest.approx(2.75)
    assert found.jump == pytest.approx(0.5 * sign, abs=0.1)
    assert found.jump_interval[0] < 0.5 * sign < found.jump_interval[1]
    assert found.likelihood["jumping"] == 0


def test_a_kink_is_best_described_as_one():
    found = weigh(X, noisy(SMOOTH["kink"], 0, 0.005), power=False)
    assert found.likelihood["kinked"] == 0
    assert found.breakpoint == pytest.approx(2.2, abs=0.11)


def test_a_curve_without_noise_that_is_smooth_or_jumps():
    assert weigh(X, np.tanh((X - 2.5) / 0.3), power=False).p_value > 0.05
    assert alarm(X + 0.1 * (X > 1.95))


def test_the_detectable_jump_is_the_one_that_is_detected():
    base = SMOOTH["line"]
    size = weigh(X, noisy(base, 1)).detectable
    seen = {
        share: np.mean([alarm(noisy(base + share * size * (X > 2.45), 10 + i), draws=200) for i in range(20)])
        for share in (0.3, 1.7)
    }
    assert seen[0.3] < 0.4
    assert seen[1.7] > 0.8
    assert weigh(X, noisy(base, 1, 0.1)).detectable > 2 * size


def test_points_with_large_errors_count_less():
    error = np.where(np.abs(X - 2.5) < 0.26, 0.5, 0.02)
    curve = noisy(SMOOTH["line"], 5)
    curve[13:17] += np.array([0.6, 0.6, 0.6, 0.6])  # a bump that the errors cover
    assert weigh(X, curve, power=False).p_value < weigh(X, curve, error=error, power=False).p_value
    assert not alarm(curve, error=error)


def test_curves_that_cannot_be_weighed_are_refused():
    with pytest.raises(ValueError, match=f"at least {FEWEST}"):
        weigh(X[:8], X[:8])
    with pytest.raises(ValueError, match="evenly"):
        weigh(X**2, X)
