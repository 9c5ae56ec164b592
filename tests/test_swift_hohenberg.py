"""The Swift–Hohenberg field against its amplitude equations."""

import numpy as np
import pytest

from nrp.simulation import SBDF4, CampaignSettings, Run, open_dataset, simulate, simulate_run
from nrp.store import Store
from nrp.systems.swift_hohenberg import SwiftHohenberg, SwiftHohenbergSettings, stripes_end

BOX = 4 * np.pi


def settings(
    drive: float, *, box: tuple[float, float] = (BOX, BOX), points: int = 48
) -> SwiftHohenbergSettings:
    return SwiftHohenbergSettings(box=box, dx=BOX / points, coarsen=1, drive=drive)


def relaxed(field: SwiftHohenberg, phi: np.ndarray, *, time: float, dt: float = 0.2) -> np.ndarray:
    stepper = SBDF4(field)
    for i in range(round(time / dt)):
        phi = stepper.step(phi, no_field, i * dt, dt)
    return np.array(phi)


def no_field(time: float) -> float:
    return 0.0


def axes(chosen: SwiftHohenbergSettings) -> list[np.ndarray]:
    return np.meshgrid(*(np.arange(n) * chosen.dx for n in chosen.shape), indexing="ij")


def hexagons(chosen: SwiftHohenbergSettings) -> np.ndarray:
    """Σ cos(k_j r) over three waves at 120°, made to fit the box."""
    y, x = axes(chosen)
    first, second = 4 * np.pi * x / chosen.box[1], 2 * np.pi * y / chosen.box[0]
    return np.cos(first) + np.cos(first / 2 + second) + np.cos(first / 2 - second)


HEXAGONAL = (round(BOX / np.sqrt(3) / (BOX / 56)) * BOX / 56, BOX)
"""A box, of whole grid points, that nearly fits the hexagons."""


def test_the_rate_is_minus_the_slope_of_the_energy():
    chosen = settings(0.3, points=16)
    field, random = SwiftHohenberg(chosen, anisotropy=0.7), np.random.default_rng(0)
    phi, nudge = random.normal(size=(2, *chosen.shape))
    step = 1e-5
    change = (field.energy(phi + step * nudge, 0.2) - field.energy(phi - step * nudge, 0.2)) / (2 * step)
    assert -np.mean(field.rate(phi, 0.2) * nudge) == pytest.approx(change, rel=1e-7)


@pytest.mark.parametrize("waves", [0, 1, 2, 3])
def test_waves_about_zero_grow_by_linear_theory(waves):
    chosen = settings(0.2)
    field = SwiftHohenberg(chosen, anisotropy=0.5)
    wave = np.cos(2 * np.pi * waves * axes(chosen)[1] / BOX)
    k = 2 * np.pi * waves / BOX
    np.testing.assert_allclose(
        field.rate(1e-7 * wave, 0.0), 1e-7 * wave * (0.2 - (1 - k**2) ** 2), atol=1e-13
    )


def test_stripes_have_the_amplitude_and_energy_of_the_expansion():
    drive = 0.02
    chosen = settings(drive)
    field = SwiftHohenberg(chosen, anisotropy=1e-6)
    wave = np.cos(axes(chosen)[1])
    phi = relaxed(field, 0.1 * wave, time=600)
    assert 2 * np.mean(phi * wave) == pytest.approx(np.sqrt(4 * drive / 3), rel=0.01)
    assert field.energy(phi, 0.0) == pytest.approx(-(drive**2) / 6, rel=0.02)


def test_hexagons_have_the_amplitude_of_the_expansion_and_end_at_a_finite_one():
    """φ = 2A Σ cos(k_j r) with A = (g + √(g² + 15r))/15, so that they end at r = −g²/15 with A = g/15."""
    quadratic = 0.3
    for drive, survives in ((0.01, True), (-0.003, True), (-0.015, False)):
        chosen = settings(drive, box=HEXAGONAL, points=56)
        field, shape = SwiftHohenberg(chosen, anisotropy=quadratic), hexagons(chosen)
        phi = relaxed(field, 0.1 * shape, time=1500)
        amplitude = np.mean(phi * shape) / np.mean(shape**2) / 2
        root = quadratic**2 + 15 * drive
        assert (root >= 0) == survives
        if survives:
            assert amplitude == pytest.approx((quadratic + np.sqrt(root)) / 15, rel=0.08)
        else:
            assert abs(amplitude) < 1e-3


@pytest.mark.parametrize(("share", "stable"), [(0.8, True), (1.25, False)])
def test_stripes_give_way_to_hexagons_where_they_should(share, stable):
    drive = 0.02
    chosen = settings(drive, box=HEXAGONAL, points=56)
    field = SwiftHohenberg(chosen, anisotropy=share * stripes_end(drive))
    _, x = axes(chosen)
    stripe = np.cos(4 * np.pi * x / chosen.box[1])
    phi = relaxed(field, np.sqrt(4 * drive / 3) * stripe, time=200)
    others = hexagons(chosen) - stripe
    later = relaxed(field, phi + 1e-4 * others, time=200)
    grown = np.mean(later * others) / np.mean(others**2) / 1e-4
    assert (grown < 1) == stable


def test_a_run_falls_in_energy_and_has_its_onset(tmp_path):
    chosen = SwiftHohenbergSettings(box=16, start="uniform", start_level=0.3, noise=0.01)
    campaign = CampaignSettings(
        system=chosen, anisotropy=(0.2, 0.8), sweep_rate=(0.0,), field_init=0.0, duration=20.0, frames=11
    )
    frames = simulate_run(campaign, Run(0.0, 0, 0.2))
    assert np.diff(frames.energy).max() < 0
    assert 0 < frames.onset_time < 20
    data = open_dataset(simulate(campaign, Store(tmp_path), workers=1))
    assert set(data.data_vars) >= {"order", "rate", "energy", "onset_time"}
    assert "disorder" not in data
    np.testing.assert_allclose(data.order[0], frames.image, atol=1e-6)


def test_the_uniform_state_in_a_field_is_at_rest():
    chosen = settings(0.2, points=16)
    field = SwiftHohenberg(chosen, anisotropy=0.6)
    for external_field in (0.8, -0.8):
        phi = np.full(chosen.shape, field.uniform(external_field))
        assert np.sign(phi[0, 0]) == np.sign(external_field)
        np.testing.assert_allclose(field.rate(phi, external_field), 0, atol=1e-12)
