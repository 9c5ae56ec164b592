"""Where a pattern is gone, of films whose fields and deviations are made by hand."""

import numpy as np
import pytest
import xarray as xr

from nrp.analysis.potential.melting import melting, slow_loops

FOLD = -0.05


def films(rate: float, *, grown: bool = True) -> xr.Dataset:
    """Two samples at one anisotropy, whose pattern is gone late by v^(2/3), and one without a pattern."""
    h = np.linspace(0.15, -0.3, 901)
    time = (0.15 - h) / rate
    end = FOLD - 0.5 * rate ** (2 / 3)
    pattern = np.where(h > end, 0.3, 0.01) if grown else np.full(len(h), 0.001)
    deviation = np.stack([pattern, pattern, np.full(len(h), 0.001)])
    numbers = np.stack([np.zeros_like(deviation), deviation], axis=2)
    coordinates = {"anisotropy": ("run", [1.0, 1.0, 0.3]), "number": ["mean", "deviation"]}
    frame = ("run", "frame")
    return xr.Dataset(
        {
            "descriptors": ((*frame, "number"), numbers),
            "external_field": (frame, np.tile(h, (3, 1))),
            "time": (frame, np.tile(time, (3, 1))),
        },
        coords=coordinates,
        attrs={"field": "descriptors"},
    )


def test_the_limit_of_slow_sweeps_is_the_fold():
    found = melting([films(rate) for rate in (0.004, 0.001, 0.002)])
    for rate in (0.001, 0.002, 0.004):
        expected = FOLD - 0.5 * rate ** (2 / 3)
        assert found.value("melting_field", case=f"v = {rate:g}") == pytest.approx(expected, abs=5e-4)
    assert found.value("melting_field", case="slow") == pytest.approx(FOLD, abs=2e-3)
    assert set(found.table["anisotropy"]) == {1.0}  # the third film never had a pattern


def test_one_rate_has_no_limit():
    assert set(melting([films(0.002)]).table["case"]) == {"v = 0.002"}


def test_the_gap_of_a_loop_is_the_largest_at_one_field():
    down = np.linspace(0.0, 0.4, 41)
    up = down[::-1] + 0.02
    up[10], up[40] = up[10] + 0.1, up[40] + 5.0  # the last lies in the twentieth that is left out
    loop = np.concatenate([down, up[1:]])
    closed = np.concatenate([down, down[-2::-1]])
    numbers = np.stack([loop, loop + 0.3, closed], axis=0)[..., None]
    looped = xr.Dataset(
        {"descriptors": (("run", "frame", "number"), numbers)},
        coords={
            "anisotropy": ("run", [1.0, 1.0, 1.0]),
            "sweep_rate": ("run", [0.1, 0.1, 0.01]),
            "number": ["deviation"],
        },
        attrs={"field": "descriptors"},
    )
    found = slow_loops(looped)
    assert found.value("loop_gap", case="v = 0.1") == pytest.approx(0.12)
    assert found.value("loop_gap", case="v = 0.01") == pytest.approx(0, abs=1e-12)
