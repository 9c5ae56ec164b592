"""How domains appear and merge, against a film of which each frame is known."""

import numpy as np
import pytest
import xarray as xr
from known import SIDE, disc, grid, image_of, shown

from nrp.analysis.film.formation import formation


def test_formation_sees_domains_appear_and_merge():
    def film(sample: int) -> xr.Dataset:
        # Nothing, then one disc, four discs, and all four in one stripe; onset at t = 5.
        four = np.any([disc((x, 32), 6) for x in (8, 24, 40, 56)], axis=0)
        stripe = np.abs(grid()[1] - 32) < 9
        frames = [np.zeros((SIDE, SIDE), bool), disc((8, 32), 6), four, stripe]
        images = np.array([[image_of(frame) for frame in frames]])
        return shown(
            images,
            onset_time=("run", [5.0]),
            sample=("run", [sample]),
            time=(("run", "frame"), [[0.0, 10.0, 20.0, 30.0]]),
        )

    result = formation(film(0), film(1))
    assert result.value("most_domains") == 4
    assert result.value("merged_share") == 0.75
    assert result.value("domain_time") == pytest.approx(10 + 10 / 3 - 5)  # two of four, between 1 and 4
    assert result.arrays["domains_in_time"][0, 0].tolist() == [0, 1, 4, 1]
    areas = result.arrays["fraction_in_time"][0, 0]
    share = (areas[3] / 2 - areas[2]) / (areas[3] - areas[2])
    assert 0 < share < 1
    assert result.value("filling_time") == pytest.approx(20 + 10 * share - 5)
