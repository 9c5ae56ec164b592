"""Images as vectors that measure in rms, and their leading modes."""

import pytest
import torch

from nrp.base import InvalidSetting
from nrp.reduction.coordinates import Coordinates, leading_modes


@pytest.fixture
def images() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(20, 64) @ torch.randn(64, 64) / 8


def test_leading_modes_are_those_of_the_singular_value_decomposition(images):
    mean, basis = leading_modes(images, 5)
    exact = torch.linalg.svd(images - images.mean(0)).Vh[:5]
    torch.testing.assert_close(mean, images.mean(0))
    torch.testing.assert_close((exact @ basis).abs(), torch.eye(5), atol=1e-3, rtol=0)
    with pytest.raises(InvalidSetting, match="modes = 21: must be at most 20"):
        leading_modes(images, 21)


@pytest.mark.parametrize("kept", [0, 6])
def test_coordinates_measure_in_rms(images, kept):
    coordinates = Coordinates(64, kept)
    coordinates.fit(images)
    x = coordinates.of(images)
    back = coordinates.images(x)
    assert torch.allclose(coordinates.of(back), x, atol=1e-5)
    change = (back[1] - back[0]).square().mean().sqrt()
    assert (x[1] - x[0]).norm().item() == pytest.approx(change.item(), rel=1e-4)
