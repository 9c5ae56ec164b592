"""Films that are held in one field, reached from above and from below, beside landscapes known by hand."""

import numpy as np
import pytest
import xarray as xr
from known import see
from test_transitions import SCALE, Known, cusp, one, slide

from nrp.analysis.potential.held import held_states
from nrp.base import InvalidSetting

ALPHAS, LEVELS = (1.0, 3.0), (0.75, 0.65)
"""The cusp at h = 0.7 has two minima at α = 3 in both fields, and one at α = 1."""
APART = 0.2
"""How much further the films of the second sample end than those of the first."""


def minimum(alpha, level, side):
    """The minimum that is reached from above (0) or below (1): z³ − a z − (h − 0.7) = 0."""
    roots = np.roots([1, 0, -(alpha - 2) / 2, 0.7 - level])
    real = roots.real[np.abs(roots.imag) < 1e-9]
    return real.min() if side else real.max()


def held(level, side, ends):
    """Films in a field that falls to a level, or to zero and rises to it; the last frames are at `ends`."""
    alpha, sample = (axis.ravel() for axis in np.meshgrid(ALPHAS, (0, 1)))
    knots = [1.5, 0.0, level, level] if side else [1.5, level, level]
    count, frames = len(alpha), ("run", "frame")
    values = np.zeros((count, len(knots), 2), dtype=np.float32)
    values[:, 0, 0] = 1.4 * float(SCALE[0])
    values[:, -1, 0] = [(ends(a) + APART * s) * float(SCALE[0]) for a, s in zip(alpha, sample, strict=True)]
    return xr.Dataset(
        {
            "descriptors": ((*frames, "number"), values),
            "rate": ((*frames, "number"), np.zeros_like(values)),
            "external_field": (frames, np.tile(knots, (count, 1))),
        },
        coords={
            "anisotropy": ("run", alpha),
            "sample": ("run", sample),
            "sweep_rate": ("run", np.zeros(count)),
            "time": (frames, np.tile(25.0 * np.arange(len(knots)), (count, 1))),
            "number": ["mean", "negative_fraction"],
        },
        attrs={"field": "descriptors"},
    )


def pairs():
    """In the first field the films have the two states of the cusp, in the second the lower one alone."""
    return [
        held(level, side, lambda alpha, level=level, side=side: minimum(alpha, level, side or level == 0.65))
        for level in LEVELS
        for side in (0, 1)
    ]


@pytest.fixture(scope="module")
def result():
    return held_states([see(Known(cusp(0.7)), *pairs())])


def gap(alpha, level):
    """The rms over two numbers, of which one differs."""
    return (minimum(alpha, level, 0) - minimum(alpha, level, 1)) / np.sqrt(2)


@pytest.mark.parametrize("arm", ["films", "descriptors", "landscape"])
def test_two_states_are_told_from_one(result, arm):
    def found(alpha, level):
        return result.value("held_gap", arm=arm, case=f"h = {level:g}", anisotropy=alpha)

    assert gap(3.0, 0.75) > 0.9
    assert found(3.0, 0.75) == pytest.approx(gap(3.0, 0.75), rel=2e-3)
    assert found(1.0, 0.75) == pytest.approx(0, abs=1e-4)
    assert found(3.0, 0.65) == pytest.approx(0 if arm == "films" else gap(3.0, 0.65), rel=2e-3, abs=1e-6)
    whole = one(result, "held_gap", arm=arm, case="h = 0.75", anisotropy=None)
    assert whole["value"] == pytest.approx(gap(3.0, 0.75) / 2, rel=2e-3)
    assert np.isnan(whole["members"]) if arm == "films" else whole["members"] == 1


@pytest.mark.parametrize("arm", ["descriptors", "landscape"])
def test_errors_are_those_of_the_ends(result, arm):
    def found(level, words):
        return result.value("held_error", arm=arm, case=f"h = {level:g}, {words}", anisotropy=3.0)

    # One sample ends in the minimum, the other beside it.
    beside = APART / 2 / np.sqrt(2)
    for words in ("from above", "from below"):
        assert found(0.75, words) == pytest.approx(beside, rel=5e-3)
    assert found(0.65, "from below") == pytest.approx(beside, rel=5e-3)
    away = gap(3.0, 0.65)
    assert found(0.65, "from above") == pytest.approx(away - beside, rel=5e-3)


def test_films_of_other_samples_are_the_measure(result):
    entry = one(result, "held_gap", arm="other_sample", case="h = 0.75", anisotropy=1.0)
    assert entry["value"] == pytest.approx(APART / np.sqrt(2), rel=1e-5)
    assert entry["low"] == pytest.approx(entry["value"], rel=1e-5)  # either is as far from the other


def test_ends_and_tracks_are_kept_for_figures(result):
    a = result.arrays
    assert a["alphas"].tolist() == [1, 3]
    assert a["levels"].tolist() == [0.75, 0.65]
    assert a["held_magnetization"].shape == (2, 2, 2, 2)
    for side in range(2):
        ends = [minimum(3.0, 0.75, side), minimum(3.0, 0.75, side) + APART]
        np.testing.assert_allclose(a["held_magnetization"][side, 0, 1] / float(SCALE[0]), ends, rtol=1e-5)
    at = int(np.abs(a["fields"] - 0.75).argmin())
    tracks = a["magnetization"][0, :, 1, at] / float(SCALE[0])
    wanted = [minimum(3.0, a["fields"][at], side) for side in range(2)]
    np.testing.assert_allclose(tracks, wanted, atol=5e-3)


def test_a_member_that_is_lost_is_left_out():
    found = held_states([see(Known(potential), *pairs()[:2]) for potential in (cusp(0.7), slide)])
    where = {"case": "h = 0.75", "anisotropy": 3.0}
    assert one(found, "held_gap", arm="landscape", **where)["members"] == 1
    assert found.value("held_gap", arm="landscape", **where) == pytest.approx(gap(3.0, 0.75), rel=2e-3)
    assert np.isnan(found.arrays["magnetization"][1]).all()


def test_films_must_come_in_pairs():
    down, up, lower, _ = pairs()
    model = Known(cusp(0.7))
    for wrong in ([down, lower], [down, up.isel(run=[0, 1, 2])], [down]):
        with pytest.raises(InvalidSetting, match="data: held films must have one run for each anisotropy"):
            held_states([see(model, *wrong)])
