"""What the box changes, on films whose domains can be counted by hand."""

import numpy as np
import pytest
import xarray as xr
from known import shown

from nrp.analysis.film.sensitivity import sensitivity
from nrp.simulation import CampaignSettings
from nrp.systems.film import FilmSettings


def test_domains_are_counted_per_area_and_missing_onsets_are_left_out():
    def film(box: float, onsets: list[float]) -> xr.Dataset:
        points = round(box)
        images = np.ones((2, 1, points, points))
        images[:, 0, 4:8, 4:20] = -1
        settings = CampaignSettings(system=FilmSettings(box=box, dx=1.0, coarsen=1))
        known = {"anisotropy": [2.0, 2.0], "sample": [0, 1], "onset_time": onsets}
        runs = shown(images, **{name: ("run", values) for name, values in known.items()})
        return runs.assign_attrs(settings=settings.model_dump_json())

    result = sensitivity([film(64, [10.0, 12.0]), film(32, [11.0, np.nan])], names=("large", "small"))
    assert result.value("negative_domains", case="large") == 1
    assert result.value("negative_domains", case="small") == 4
    for case in ("large", "small"):  # a domain four times as long as wide
        assert result.value("domain_stretch", case=case) == pytest.approx(40**2 / (4 * np.pi * 64), rel=0.2)
    assert result.value("onset_time", case="large") == 11
    assert result.value("onset_time", case="small") == 11
    assert result.value("onset_share", case="small") == 0.5
    assert result.arrays["final_1"].shape == (1, 32, 32)
