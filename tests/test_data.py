"""Frames of runs as tensors: what is read, and what is refused."""

import numpy as np
import pytest

from nrp.base import InvalidSetting
from nrp.reduction import load_frames


def test_values_that_are_not_finite_are_named(blob):
    broken = blob.copy(deep=True)
    broken.rate[1, 2, 3, 4] = np.nan
    with pytest.raises(InvalidSetting, match="the variable 'rate' holds values that are not finite"):
        load_frames(broken)
    assert load_frames(broken, np.array([True, False, True])).images.shape[0] == 2


def test_missing_variable_is_named(blob):
    with pytest.raises(InvalidSetting, match="'rate' is missing"):
        load_frames(blob.drop_vars("rate"))
    with pytest.raises(InvalidSetting, match="magnetization"):
        load_frames(blob.drop_vars("magnetization"))


def test_further_controls_are_read(blob):
    heated = blob.assign(temperature=("run", [0.1, 0.2, 0.3])).assign_attrs(controls=["temperature"])
    controls = load_frames(heated).controls
    assert controls.shape == (3, 11, 3)
    assert controls[1, :, 2].tolist() == pytest.approx([0.2] * 11)
