"""Power spectra and structure factors, against plane waves."""

import numpy as np
import pytest
from known import SIDE, grid

from nrp.analysis.images.spectrum import mean_wavenumber, peak_wavenumber, peak_width, structure_factor


@pytest.mark.parametrize("waves", [(4, 0), (0, 4), (5, 3), (-5, 3)])
def test_wavenumber_of_a_plane_wave(waves):
    x, y = grid()
    image = np.cos(2 * np.pi * (waves[0] * x + waves[1] * y) / SIDE)
    assert mean_wavenumber(image, 0.5) == pytest.approx(2 * np.pi * np.hypot(*waves) / (SIDE * 0.5))


def test_wavenumber_weighs_both_halves_of_the_spectrum():
    x, y = grid()
    # Equal power in k = 4 along x and k = 8 along y must give their mean.
    image = np.cos(2 * np.pi * 4 * x / SIDE) + np.cos(2 * np.pi * 8 * y / SIDE)
    assert mean_wavenumber(image, 1.0) == pytest.approx(2 * np.pi * 6 / SIDE)


@pytest.mark.parametrize("waves", [(4, 0), (0, 5), (3, 4)])
def test_structure_factor_of_a_wave_peaks_where_the_wave_is(waves):
    x, y = grid()
    image = np.cos(2 * np.pi * (waves[0] * x + waves[1] * y) / SIDE) + 0.3
    known = 2 * np.pi * np.hypot(*waves) / (SIDE * 0.5)
    wavenumber, factor = structure_factor(image, 0.5)
    assert wavenumber[factor.argmax()] == pytest.approx(known)
    assert peak_wavenumber(image, 0.5) == pytest.approx(known)
    assert peak_width(image, 0.5) == pytest.approx(0, abs=1e-7)


def test_an_image_without_a_pattern_has_no_peak():
    assert peak_wavenumber(np.ones((8, 8)), 1.0) == 0


def test_two_waves_are_as_wide_as_their_distance():
    x, y = grid()
    image = np.cos(2 * np.pi * 5 * x / SIDE) / 2 + np.cos(2 * np.pi * 8 * y / SIDE) / 2
    assert peak_width(image, 1.0) == pytest.approx(2 * np.pi * 1.5 / SIDE, rel=0.1)


def test_harmonics_of_sharp_walls_make_no_width():
    x, _ = grid()
    stripes = np.where(x % 16 < 5, 1.0, -1.0)  # 4 periods; all harmonics are there
    wavenumber, factor = structure_factor(stripes, 1.0)
    assert factor[8] > 0.1 * factor[4]
    assert peak_wavenumber(stripes, 1.0) == wavenumber[4]
    assert peak_width(stripes, 1.0) == pytest.approx(0, abs=1e-9)


def test_structure_factor_adds_up_to_the_variance():
    image = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    wavenumber, factor = structure_factor(image, 1.0)
    modes = np.bincount(
        np.rint(np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE) * SIDE, np.fft.fftfreq(SIDE) * SIDE)))
        .astype(int)
        .ravel()
    )
    assert (factor * modes[: len(factor)]).sum() / SIDE**4 == pytest.approx(image.var(), rel=1e-9)
    assert len(wavenumber) == len(factor)
