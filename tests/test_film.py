"""The film: its force, its energy, its symmetries and its medium."""

import numpy as np
import pytest

from nrp.systems.film import Film, FilmSettings, dispersion, draw_disorder
from nrp.systems.plane import wavenumbers

SETTINGS = FilmSettings(box=(16, 8), dx=0.5)
READINGS = {"quarter": (1, 0.075), "unit_mean": (1, 0.3), "zero_mean": (0, 0.3), "none": (1, 0)}


def make_film(anisotropy=2.3, disorder="unit_mean", sample=0):
    settings = SETTINGS.replace(disorder=disorder)
    medium = draw_disorder(settings, seed=5, sample=sample)
    return Film(settings, anisotropy=anisotropy, disorder=medium)


def random_field(seed):
    return np.random.default_rng(seed).normal(size=SETTINGS.shape)


@pytest.mark.parametrize("disorder", READINGS)
@pytest.mark.parametrize("external_field", [-0.4, 0.0, 1.5])
def test_the_force_is_minus_the_slope_of_the_energy(disorder, external_field):
    film, step = make_film(disorder=disorder), 1e-4
    for seed in range(3):
        phi, direction = random_field(seed), random_field(seed + 100)
        ahead = film.energy(phi + step * direction, external_field)
        behind = film.energy(phi - step * direction, external_field)
        # H is per area and the force per point, so a point counts with its share of the area.
        work = np.mean(film.rate(phi, external_field) * direction)
        assert (ahead - behind) / (2 * step) == pytest.approx(-work, rel=1e-6, abs=1e-8)


def test_the_force_is_minus_the_slope_of_the_energy_at_each_point():
    film, phi, step = make_film(), random_field(1), 1e-3
    force = film.rate(phi, 0.3)
    for point in [(0, 0), (3, 11), (31, 15)]:
        nudge = np.zeros_like(phi)
        nudge[point] = step
        slope = (film.energy(phi + nudge, 0.3) - film.energy(phi - nudge, 0.3)) / (2 * step)
        assert slope * phi.size == pytest.approx(-force[point], rel=1e-5)


def test_the_slope_of_the_energy_in_the_field_is_minus_the_magnetization():
    film, phi = make_film(), random_field(2)
    slope = film.energy(phi, 1.0) - film.energy(phi, 0.0)
    assert slope == pytest.approx(-phi.mean(), abs=1e-12)


def test_turning_magnetization_and_field_over_changes_nothing():
    film, phi = make_film(), random_field(3)
    np.testing.assert_allclose(film.rate(-phi, -0.7), -film.rate(phi, 0.7), atol=1e-12)
    assert film.energy(-phi, -0.7) == pytest.approx(film.energy(phi, 0.7), rel=1e-13)
    assert film.energy(-phi, 0.7) != pytest.approx(film.energy(phi, 0.7), rel=1e-6)


def test_moving_medium_and_magnetization_together_moves_the_force():
    film, phi, shift = make_film(), random_field(4), (5, -9)

    def moved(field):
        return np.roll(field, shift, axis=(0, 1))

    elsewhere = Film(film.settings, anisotropy=film.anisotropy, disorder=moved(film.disorder))
    force = film.rate(phi, 0.2)
    np.testing.assert_allclose(elsewhere.rate(moved(phi), 0.2), moved(force), atol=1e-11)
    assert elsewhere.energy(moved(phi), 0.2) == pytest.approx(film.energy(phi, 0.2), rel=1e-13)
    assert np.abs(film.rate(moved(phi), 0.2) - moved(force)).max() > 0.1


def test_linear_and_nonlinear_part_add_up_to_the_equation_of_motion():
    film, phi, h = make_film(), random_field(5), 0.9
    ky, kx = (2 * np.pi * np.fft.fftfreq(points, SETTINGS.dx) for points in SETTINGS.shape)
    k = np.hypot(ky[:, None], kx[None, :])
    waves = np.fft.ifft2((2 * (k - 1) ** 2 + 8 / np.pi - 2) * np.fft.fft2(phi)).real
    expected = film.anisotropy * film.disorder * (phi - phi**3) - waves + h
    np.testing.assert_allclose(film.rate(phi, h), expected, atol=1e-11)


def test_the_cost_of_a_wave_is_least_at_wavenumber_one():
    k = np.linspace(0, 4, 401)
    cost = dispersion(k, FilmSettings())
    np.testing.assert_allclose(cost, 2 * (k - 1) ** 2 + 8 / np.pi - 2, atol=1e-14)
    assert k[cost.argmin()] == 1


def test_wavenumbers_are_those_of_plane_waves():
    y, x = (SETTINGS.dx * np.arange(points) for points in SETTINGS.shape)
    lengths = wavenumbers(SETTINGS.shape, SETTINGS.dx)
    ky, kx = 6 * 2 * np.pi / 16, 4 * 2 * np.pi / 8
    spectrum = np.abs(np.fft.rfft2(np.cos(ky * y[:, None] + kx * x[None, :])))
    found = lengths[np.unravel_index(spectrum.argmax(), spectrum.shape)]
    assert found == pytest.approx(10 * 2 * np.pi / 16)


@pytest.mark.parametrize("disorder", READINGS)
def test_disorder_has_the_mean_and_spread_of_its_reading(disorder):
    mean, spread = READINGS[disorder]
    settings = FilmSettings(box=256, dx=1, disorder=disorder)
    medium = draw_disorder(settings, seed=0, sample=0)
    # 65536 cells: three standard errors.
    assert medium.mean() == pytest.approx(mean, abs=3 * spread / 256 + 1e-15)
    assert medium.std() == pytest.approx(spread, rel=0.01)


def test_disorder_scales_with_its_strength():
    weak, strong = (
        draw_disorder(SETTINGS.replace(disorder_strength=s), seed=0, sample=0) for s in (0.1, 0.2)
    )
    np.testing.assert_allclose(strong - 1, 2 * (weak - 1), atol=1e-14)


def test_disorder_is_constant_on_unit_cells():
    medium = draw_disorder(SETTINGS.replace(dx=0.25), seed=0, sample=0)
    cells = medium.reshape(16, 4, 8, 4)
    assert np.ptp(cells, axis=(1, 3)).max() == 0
    assert np.unique(medium).size == 16 * 8


@pytest.mark.parametrize("dx", [0.5, 0.25])
def test_refining_the_grid_keeps_the_medium(dx):
    coarse = draw_disorder(SETTINGS.replace(dx=1), seed=3, sample=2)
    fine = draw_disorder(SETTINGS.replace(dx=dx), seed=3, sample=2)
    every = round(1 / dx)
    np.testing.assert_array_equal(fine[::every, ::every], coarse)
    np.testing.assert_array_equal(fine[every - 1 :: every, every - 1 :: every], coarse)


def test_seed_and_sample_decide_the_medium():
    first = draw_disorder(SETTINGS, seed=1, sample=2)
    np.testing.assert_array_equal(draw_disorder(SETTINGS, seed=1, sample=2), first)
    for seed, sample in [(1, 3), (2, 2), (2, 1)]:
        other = draw_disorder(SETTINGS, seed=seed, sample=sample)
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.2
