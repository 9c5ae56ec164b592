"""Readouts of images of a film, against what its runs have stored."""

import numpy as np
import pytest

from nrp.analysis.images.domains import count_domains
from nrp.analysis.model.readouts import readouts


def test_readouts_of_the_frames_are_those_of_the_films(films):
    frames = np.array([0, 20, 40])
    images = films.magnetization.values[:, frames].astype(float)
    found = readouts(images, films, frames)
    assert found["energy"] == pytest.approx(films.energy.values[:, frames], rel=1e-5)
    assert found["mean_magnetization"] == pytest.approx(images.mean(axis=(2, 3)), rel=1e-6)
    assert found["negative_domains"][3, 2] == count_domains(images[3, 2] < 0)
