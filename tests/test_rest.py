"""How far films still move while their field is held, of films that are made by hand."""

import numpy as np
import pytest
import xarray as xr

from nrp.analysis.potential.held import in_pairs
from nrp.analysis.potential.rest import late_motion
from nrp.pipeline.profiles import profile
from nrp.simulation import CampaignSettings

TIMES = np.linspace(0.0, 100.0, 11)
"""The field arrives at 20, so that the last quarter of its rest begins at 80."""


def films(states):
    """One run for each anisotropy, of one number, held at h = 0.9 from a time of 20 on."""
    states = np.asarray(states, dtype=float)
    campaign = CampaignSettings(sweep_rate=0.0, field_table=((0.0, 0.0), (20.0, 0.9), (100.0, 0.9)))
    return xr.Dataset(
        {
            "descriptors": (("run", "frame", "number"), states[..., None]),
            "time": (("run", "frame"), np.tile(TIMES, (len(states), 1))),
        },
        coords={"anisotropy": ("run", np.repeat([1.0, 2.0, 3.0], len(states) // 3))},
        attrs={"field": "descriptors", "settings": campaign.model_dump_json()},
    )


def test_the_late_motion_is_a_share_of_the_distance_between_both_ways():
    above = np.zeros((6, 11))
    below = np.ones((6, 11))
    below[1, 8], below[1, 9] = 1.3, 7.0  # what lies between does not count
    below[2:4] = 2.0
    below[2:4, 8], below[2:4, 6] = 2.5, 4.0
    below[4:] = 1e-3  # both ways end in one state
    found = late_motion([films(above), films(below)])
    assert found.value("late_share", anisotropy=1.0, case="h = 0.9") == pytest.approx(0.15)
    assert found.value("late_share", anisotropy=2.0) == pytest.approx(0.25)
    assert found.value("earlier_share", anisotropy=2.0) == pytest.approx(0.75)
    assert set(found.table["anisotropy"]) == {1.0, 2.0}


def test_films_are_paired_by_their_field_from_above_before_from_below():
    paper = profile("paper")
    shuffled = paper.held_higher[::-1]
    ways = [paper.datasets[name] for name in in_pairs(paper, (*shuffled, "films"))]
    assert [(each.field_table[-1][1], each.held_from) for each in ways] == [
        (0.9, "above"),
        (0.9, "below"),
        (1.1, "above"),
        (1.1, "below"),
    ]
