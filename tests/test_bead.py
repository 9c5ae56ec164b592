"""The bead: its force, its images and its landscape."""

import numpy as np
import pytest

from nrp.simulation import CampaignSettings, Run, simulate_run
from nrp.systems.bead import Bead, BeadSettings, Tilt, tilt

SETTINGS = BeadSettings(transverse=0.7)
BEAD = Bead(SETTINGS, anisotropy=1.3)
PLACES = [(0.4, -0.8), (-1.2, 0.3), (1.5, 1.5)]


@pytest.mark.parametrize("external_field", [0.0, 0.4])
@pytest.mark.parametrize("place", PLACES)
def test_the_velocity_is_minus_the_slope_of_the_energy(place, external_field):
    position, step = np.array(place), 1e-5
    nudges = step * np.eye(2)
    up, down = BEAD.energy(position + nudges, external_field), BEAD.energy(position - nudges, external_field)
    np.testing.assert_allclose(BEAD.rate(position, external_field), -(up - down) / (2 * step), rtol=1e-8)


@pytest.mark.parametrize("place", PLACES)
def test_the_rate_of_the_image_is_its_derivative_along_the_path(place):
    position, step = np.array(place), 1e-5
    velocity = BEAD.rate(position, 0.2)
    ahead, behind = (BEAD.image(position + s * step * velocity) for s in (1, -1))
    np.testing.assert_allclose(
        BEAD.image_motion(position, velocity), (ahead - behind) / (2 * step), atol=1e-8
    )
    np.testing.assert_array_equal(BEAD.image_rate(position, 0.2), BEAD.image_motion(position, velocity))


def test_the_image_is_a_spot_where_the_bead_is():
    position, axis = np.array([0.5, -1.0]), SETTINGS.axes[1]
    image = BEAD.image(position)
    assert image.shape == (SETTINGS.pixels, SETTINGS.pixels)
    row, column = np.unravel_index(image.argmax(), image.shape)
    pixel = axis[1] - axis[0]
    assert abs(axis[column] - 0.5) <= pixel / 2
    assert abs(axis[row] + 1.0) <= pixel / 2
    centred = BEAD.image(np.zeros(2))
    spread = np.sqrt(np.sum(centred * axis**2) / np.sum(centred))
    assert spread == pytest.approx(SETTINGS.bead_width, rel=1e-3)


def test_the_pixels_fill_the_view():
    axis = BeadSettings(pixels=8, view=2.0).axes[1]
    np.testing.assert_allclose(axis, np.arange(-1.75, 2, 0.5))


def test_wells_and_saddle_lie_where_the_formula_has_them():
    for place, height, curvature in [
        ((1.0, 0.0), 0.0, 2 * 1.3),
        ((-1.0, 0.0), 0.0, 2 * 1.3),
        ((0.0, 0.0), 1.3 / 4, -1.3),
    ]:
        position = np.array(place)
        np.testing.assert_allclose(BEAD.rate(position, 0.0), 0, atol=1e-15)
        assert BEAD.energy(position, 0.0) == pytest.approx(height)
        nudge = np.array([1e-6, 0])
        slope = BEAD.rate(position + nudge, 0.0) - BEAD.rate(position - nudge, 0.0)
        assert slope[0] / 2e-6 == pytest.approx(-curvature, rel=1e-6)


def test_a_field_tilts_the_wells():
    right, left = (float(BEAD.energy(np.array([x, 0.0]), 0.3)) for x in (1.0, -1.0))
    assert right - left == pytest.approx(-0.6)


@pytest.mark.parametrize("sample", range(4))
def test_the_bead_slides_down_into_the_well_on_its_side(sample):
    campaign = CampaignSettings(
        system=SETTINGS, anisotropy=(1.3,), field_init=0, duration=12, frames=61, time_step=0.05
    )
    frames = simulate_run(campaign, Run(0.01, sample, 1.3))
    assert np.diff(frames.energy).max() < 0
    assert frames.energy[-1] == pytest.approx(0, abs=1e-3)
    start = BEAD.start(0.0, seed=0, sample=sample)
    well = np.array([np.sign(start[0]), 0.0])
    np.testing.assert_allclose(frames.image[-1], BEAD.image(well), atol=0.05)
    # It stays on its side of the middle, so its onset is at the start, or never.
    assert frames.onset_time == 0 if start[0] > 0 else np.isnan(frames.onset_time)


def test_starts_fill_the_square_and_follow_seed_and_sample():
    starts = np.array([BEAD.start(0.0, seed=0, sample=s) for s in range(400)])
    assert np.abs(starts).max() <= SETTINGS.start
    np.testing.assert_allclose(starts.mean(axis=0), 0, atol=0.15)
    np.testing.assert_allclose(starts.std(axis=0), SETTINGS.start / np.sqrt(3), rtol=0.1)
    np.testing.assert_array_equal(BEAD.start(0.0, seed=0, sample=3), starts[3])
    assert not np.array_equal(BEAD.start(0.0, seed=1, sample=3), starts[3])


def sliding(change: float, **tilt: float) -> BeadSettings:
    tilt = Tilt(level=1.0, trend=0.1, change=change, place=2.0, **tilt)
    return BeadSettings(well=0.5, tilt=tilt, start=0.1, centre=(-1.2, 0.0))


@pytest.mark.parametrize("anisotropy", [1.5, 2.5])
def test_the_tilt_is_the_speed_with_which_the_middle_is_passed(anisotropy):
    settings = sliding(0.4)
    bead = Bead(settings, anisotropy=anisotropy)
    speed = 1.0 + 0.1 * (anisotropy - 2) + 0.2 * np.sign(anisotropy - 2)
    np.testing.assert_allclose(bead.rate(np.zeros(2), 0.0), [speed, 0], atol=1e-12)
    nudges = 1e-5 * np.eye(2)
    place = np.array([-0.7, 0.3])
    slope = (bead.energy(place + nudges, 0.1) - bead.energy(place - nudges, 0.1)) / 2e-5
    np.testing.assert_allclose(bead.rate(place, 0.1), -slope, rtol=1e-8)


def test_the_onset_is_when_the_middle_is_passed():
    campaign = CampaignSettings(
        system=sliding(0.4), anisotropy=(2.5,), field_init=0, duration=4, frames=401, time_step=0.01
    )
    frames = simulate_run(campaign, Run(0.01, 0, 2.5))
    axis = campaign.system.axes[1]
    centre = np.sum(frames.image * axis, axis=(1, 2)) / np.sum(frames.image, axis=(1, 2))
    passed = frames.time[np.argmax(centre > 0)]
    assert frames.onset_time == pytest.approx(passed, abs=0.011)


def test_tilts_jump_change_smoothly_and_scatter():
    alphas = np.linspace(1, 3, 201)
    jump, smooth, loose = (
        np.array([tilt(alpha, settings.tilt) for alpha in alphas])
        for settings in (sliding(0.4), sliding(0.4, width=0.2), sliding(0.4, width=0.2, scatter=0.05))
    )
    assert np.diff(jump).max() == pytest.approx(0.2 + 0.001, rel=1e-6)  # half of it on the point itself
    assert np.diff(smooth).max() == pytest.approx(0.01 * (0.1 + 0.2 / 0.2), rel=0.01)
    assert (loose - smooth).std() == pytest.approx(0.05, rel=0.15)
    again = tilt(1.5, sliding(0.4, width=0.2, scatter=0.05, seed=1).tilt)
    assert again != loose[50]
    assert loose[50] == tilt(1.5, sliding(0.4, width=0.2, scatter=0.05).tilt)
