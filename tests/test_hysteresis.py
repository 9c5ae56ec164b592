"""Hysteresis, of loops whose remanence, coercive field and area are known."""

import numpy as np
import pytest
from known import shown

from nrp.analysis.film.hysteresis import hysteresis

WIDTH, HEAT = 0.7, 0.3


@pytest.fixture(scope="module")
def loops():
    """Uniform films whose magnetization lags behind the field by WIDTH, down and up again."""
    down = np.linspace(6, -6, 1201)
    h = np.concatenate([down, down[-2::-1]])
    m = np.concatenate([np.tanh(down + WIDTH), np.tanh(down[-2::-1] - WIDTH)])
    # What the film has in store rises by HEAT along the loop.
    energy = -h * m + HEAT * np.linspace(0, 1, len(h))
    images = np.broadcast_to(m[None, :, None, None], (1, len(h), 4, 4)).copy()
    frame = ("run", "frame")
    return shown(images, external_field=(frame, h[None]), energy=(frame, energy[None]))


def test_a_loop_has_the_remanence_and_the_coercive_field_of_its_branches(loops):
    result = hysteresis(loops)
    where = {"case": "v = 0.01", "anisotropy": 1.0}
    assert result.value("remanence", **where) == pytest.approx(np.tanh(WIDTH))
    assert result.value("coercive_field", **where) == pytest.approx(WIDTH)
    assert np.array_equal(result.arrays["external_field"], loops.external_field)


def test_the_work_of_a_loop_is_its_area_and_what_is_not_in_store_is_heat(loops):
    # ∫ tanh(h + c) − tanh(h − c) dh = 4c, far from both ends.
    result = hysteresis(loops)
    assert result.value("loop_area") == pytest.approx(4 * WIDTH, rel=1e-3)
    assert result.value("loop_heat") == pytest.approx(4 * WIDTH - HEAT, rel=1e-3)


def test_a_magnetization_that_follows_its_field_does_no_work(loops):
    h = loops.external_field.values[0]
    reversible = loops.assign(
        magnetization=loops.magnetization.copy(
            data=np.tanh(h)[None, :, None, None] + 0 * loops.magnetization.values
        )
    )
    result = hysteresis(reversible)
    assert result.value("loop_area") == pytest.approx(0, abs=1e-12)
    assert result.value("remanence") == pytest.approx(0, abs=1e-12)
