"""What is read off the coordinates: exact where they hold it, and images that lie where they are put."""

import numpy as np
import pytest
import torch

from nrp.analysis.model.meaning import READ, meaning
from nrp.evaluation import Observation
from nrp.reduction import ModelSettings, ReducedModel, coverage, load_frames
from nrp.reduction.described import described_films
from nrp.reduction.descriptors import describe
from nrp.simulation import CampaignSettings, open_dataset, simulate
from nrp.store import Store
from nrp.systems.film import FilmSettings

CAMPAIGN = CampaignSettings(
    system=FilmSettings(box=40, dx=1.0, coarsen=1), anisotropy=(1.5, 3.0), sweep_rate=0.05, frames=21
)


class Cubic(torch.nn.Module):
    """V = Σz³/3 − hΣz, whose slope is a polynomial of the second degree."""

    def forward(self, z, controls):
        return (z**3 / 3 - controls[..., 1:2] * z).sum(-1)

    def gradient(self, z, controls):
        return z.square() - controls[..., 1:2]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("runs"))
    other = CAMPAIGN.replace(anisotropy=2.0, sample=1, sweep_rate=0.04)
    trained, unseen = (open_dataset(described_films(each, store, workers=1)) for each in (CAMPAIGN, other))
    settings = ModelSettings.parse({"arm": "descriptors", "encoder": "pod", "modes": 0, "latent": 35})
    model = ReducedModel(settings, (35,), coverage([trained], settings))
    model.fit(load_frames(trained).images.flatten(0, 1))
    model.potential_network = Cubic()
    films = open_dataset(simulate(CAMPAIGN, store, workers=1))
    return model, films, meaning([Observation(model, data) for data in (trained, unseen)], films)


def test_what_the_coordinates_hold_is_read_off(found):
    _, _, result = found
    for name in READ:  # all modes are kept, so each number is linear in them
        assert result.value("readout_r2", case=f"{name}, degree 1") == pytest.approx(1, abs=1e-3)
    assert result.value("slope_r2", case="degree 2") == pytest.approx(1, abs=0.01)
    assert result.value("slope_r2", case="degree 1") < 0.97
    # 35 coordinates, α and h: 1 + 37 terms, and 37·38/2 products.
    assert result.value("slope_terms", case="degree 1") == 38
    assert result.value("slope_terms", case="degree 2") == 38 + 37 * 38 / 2


def test_images_lie_at_their_places(found):
    model, films, result = found
    images, places = result.arrays["images"], result.arrays["places"]
    assert images.shape == (5, 5, 40, 40)
    spacing = places[0, 1, 0] - places[0, 0, 0], places[0, 0, 1] - places[1, 0, 1]
    shown = np.isfinite(images).all(axis=(2, 3))
    assert 3 <= shown.sum() < 25
    for place, image in zip(places[shown], images[shown], strict=True):
        image = torch.from_numpy(image.astype(np.float32))[None]
        with torch.no_grad():
            numbers = describe(image, torch.zeros_like(image), pixel=1.0).values
            z = model.encode(numbers / model.scale)[0, :2].numpy()
        assert (np.abs(z - place) < 0.52 * np.array(spacing)).all()
    assert set(result.arrays["anisotropy"].ravel()) <= set(films["anisotropy"].values)
