"""T_init, against frames and films whose onsets are known."""

import numpy as np
import pytest
from known import disc_films

from nrp.analysis.film.onset import onset, onset_frame


def test_onset_is_the_first_frame_with_a_negative_pixel():
    images = np.ones((2, 5, 3, 3))
    images[0, 2, 1, 1] = -0.1
    images[0, 4] = -1
    assert onset_frame(images).tolist() == [2, -1]


def test_late_onsets_are_those_after_the_clean_film_is_unstable():
    films, samples = disc_films(0, (1, 1, 1, 1)), disc_films(4, (1, 1, 1, 1))
    result = onset(films, samples)
    # Onsets 100, 90, 80, 70 and 120, 110, 100, 90; the clean film: 84.0, 99.1, 131 and, at α = 4, never.
    assert result.arrays["critical_time"][:2] == pytest.approx([84.0, 99.3], abs=1.0)
    assert np.isnan(result.arrays["critical_time"][3])
    assert result.value("late_onset_share") == 3 / 8
    assert result.value("onset_time", case="range", anisotropy=2.0) == 100
    where = {"metric": "onset_time", "anisotropy": 2.0}
    assert result.select(case="range", **where)[["low", "high"]].iloc[0].tolist() == [90, 110]
    # Two samples, 90 and 110: standard error 10, Student's t with one degree of freedom.
    assert result.select(case="mean", **where)["high"].iloc[0] == pytest.approx(100 + 127.06, rel=1e-4)
    assert result.value("onset_spread", anisotropy=2.0) == pytest.approx(np.sqrt(200))
    assert result.value("onset_lead", anisotropy=2.0) == pytest.approx(99.3 - 100, abs=0.3)
    np.testing.assert_allclose(result.arrays["thresholds"], [8 / np.pi, 1 + 8 / np.pi])
