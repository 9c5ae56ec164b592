"""Descriptors: what they count is there, they do not depend on the place, and their rates are exact."""

import numpy as np
import pytest
import torch
from known import disc, image_of

from nrp.analysis.images.domains import euler_number, wall_length
from nrp.base import InvalidSetting
from nrp.reduction.descriptors import describe, names

SIDE = 64
SHARP = image_of(disc((20.0, 20.0), 8.0) | disc((45.0, 60.0), 6.0))
RING = image_of(disc((30.0, 30.0), 12.0) & ~disc((30.0, 30.0), 7.0))


def values(*images: np.ndarray, pixel: float = 1.0) -> dict[str, np.ndarray]:
    """The descriptors of images by name."""
    stack = torch.from_numpy(np.stack(images)).float()
    found = describe(stack, torch.zeros_like(stack), pixel=pixel).values.numpy()
    return dict(zip(names(), found.T, strict=True))


def smooth_images(count: int) -> torch.Tensor:
    """Random fields of a few wavelengths, periodic."""
    generator = torch.Generator().manual_seed(0)
    modes = torch.fft.rfft2(torch.randn(count, SIDE, SIDE, generator=generator))
    waves = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij")) * SIDE
    images = torch.fft.irfft2(modes * torch.from_numpy(np.exp(-((waves / 6) ** 2))).float(), s=(SIDE, SIDE))
    return images / images.std()


def test_sharp_images_are_counted_as_by_hand():
    found = values(SHARP, RING)
    for number, image in enumerate((SHARP, RING)):
        down = image < 0
        assert found["negative_fraction"][number] == pytest.approx(down.mean(), abs=1e-6)
        assert found["mean"][number] == pytest.approx(image.mean(), abs=1e-6)
        assert found["deviation"][number] == pytest.approx(image.std(), abs=1e-5)
        assert found["euler_density"][number] * SIDE**2 == pytest.approx(euler_number(down), abs=1e-2)
        assert found["wall_density"][number] * SIDE**2 == pytest.approx(wall_length(image, 1.0), rel=0.15)
        tenths = [part.mean() for part in np.array_split(np.sort(image.ravel()), 10)]
        assert [found[f"quantile_{i}"][number] for i in range(10)] == pytest.approx(tenths, abs=1e-5)


def test_a_uniform_film_has_no_pattern():
    found = values(np.full((SIDE, SIDE), 0.9))
    for name in ("negative_fraction", "euler_density", "wall_density", "third_moment"):
        assert found[name][0] == pytest.approx(0, abs=1e-6)
    assert max(found[f"ring_{k}"][0] for k in range(1, 20)) < 2e-3


def test_a_wave_lies_in_its_ring():
    x = np.arange(SIDE)
    wave = np.broadcast_to(0.5 * np.cos(2 * np.pi * 7 * x / SIDE), (SIDE, SIDE))
    found = values(wave, wave.T)
    # Two modes of amplitude 1/4: the mean square of the pixels is 1/8.
    assert found["ring_7"] == pytest.approx(np.sqrt(1 / 8), rel=1e-3)
    assert found["ring_6"].max() < 2e-3


def test_neither_place_nor_direction_matters():
    image = smooth_images(1)[0].numpy()
    moved = np.roll(image, (13, -20), axis=(0, 1))
    found = values(image, moved, np.rot90(image), image[::-1])
    for value in found.values():
        np.testing.assert_allclose(value, value[0], rtol=1e-3, atol=1e-5)


def test_lengths_have_their_units():
    once, twice = values(SHARP), values(SHARP, pixel=2.0)
    assert twice["wall_density"] == pytest.approx(once["wall_density"] / 2)
    assert twice["euler_density"] == pytest.approx(once["euler_density"] / 4)


def test_rates_are_the_slopes_of_the_values():
    images, rates = smooth_images(70), smooth_images(140)[70:]
    found = describe(images, rates, pixel=1.0)
    step = 3e-3
    ahead, behind = (describe(images + s * rates, rates, pixel=1.0).values for s in (step, -step))
    slope = (ahead - behind) / (2 * step)
    scale = slope.abs().mean(dim=0).clamp(min=1e-3)  # below it lies the rounding
    off = dict(zip(names(), ((found.rates - slope).abs().mean(dim=0) / scale).tolist(), strict=True))
    # Within a step pixels pass from one share to the next.
    assert all(value < (0.04 if name.startswith("quantile") else 0.005) for name, value in off.items())


def test_small_images_are_refused():
    image = torch.zeros(1, 16, 64)
    with pytest.raises(InvalidSetting, match=r"images = \(16, 64\): must have at least 40 pixels"):
        describe(image, image, pixel=1.0)
