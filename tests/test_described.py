"""Datasets of descriptors: they are what the images say, and are opened and learned from as images are."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from nrp.analysis.model.forecast import forecast
from nrp.base import InvalidSetting
from nrp.evaluation import Observation
from nrp.reduction import ModelSettings, ReducedModel, coverage, load_frames, load_model
from nrp.reduction.described import describe_dataset, described_films
from nrp.reduction.descriptors import Family, describe, names
from nrp.reduction.training import train
from nrp.simulation import CampaignSettings, open_dataset, settings_of, simulate
from nrp.store import Store
from nrp.systems.film import FilmSettings

CAMPAIGN = CampaignSettings(
    system=FilmSettings(box=40, dx=1.0, coarsen=1),
    anisotropy=(1.5, 3.0),
    sample=(0, 1, 2),
    sweep_rate=0.05,
    frames=21,
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def described(kept):
    return open_dataset(described_films(CAMPAIGN, kept, workers=1))


def test_the_numbers_are_those_of_the_images(described, tmp_path):
    films = open_dataset(simulate(CAMPAIGN, Store(tmp_path), workers=1))
    run = films.isel(run=4)
    images, rates = (torch.from_numpy(run[name].values) for name in ("magnetization", "rate"))
    found = describe(images, rates, pixel=1.0)
    np.testing.assert_allclose(described["descriptors"].values[4], found.values.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(described["rate"].values[4], found.rates.numpy(), rtol=1e-4, atol=1e-6)
    for name in ("energy", "external_field", "onset_time", "time", "anisotropy", "sample"):
        np.testing.assert_array_equal(described[name].values, films[name].values)
    again = describe_dataset(Path(films.encoding["named"]), workers=1)
    np.testing.assert_array_equal(again["descriptors"].values, described["descriptors"].values)


def test_films_are_not_kept_and_nothing_is_computed_twice(described, kept):
    assert [path.name for path in (kept.root / "store").iterdir()] == ["describe"]
    path = described_films(CAMPAIGN, kept)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["data.zarr", "provenance.json"]
    assert described["descriptors"].dims == ("run", "frame", "number")
    assert described["number"].values.tolist() == list(names())
    assert described.attrs["key"] == path.parent.name
    assert settings_of(described) == CAMPAIGN


@pytest.fixture(scope="module")
def model(described, kept):
    settings = ModelSettings.parse({"arm": "descriptors", "modes": 8, "latent": 2, "epochs": 2, "width": 16})
    return load_model(train([described], settings, kept))


def test_an_arm_learns_from_them_and_sees_them_in_their_own_units(described, model):
    seen = Observation(model, described)
    images = seen.frames.images.flatten(0, 1)
    np.testing.assert_allclose(images.std(dim=0).numpy(), 1, rtol=1e-3)
    assert seen.z.shape == (6, 21, 2)
    # The exact rate of z is the slope of z in time.
    z = seen.z.double().numpy()
    middle = (z[:, 2:] - z[:, :-2]) / (seen.times[:, 2:] - seen.times[:, :-2])[..., None]
    assert np.corrcoef(middle.ravel(), seen.z_rate[:, 1:-1].double().numpy().ravel())[0, 1] > 0.9


def test_no_model_can_beat_the_mean_of_other_samples(described, model):
    seen = Observation(model, described)
    result = forecast([[seen]])
    numbers = seen.frames.images.double().numpy()
    expected = []
    for alpha in (1.5, 3.0):
        same = numbers[described["anisotropy"].values == alpha]
        for number in range(3):
            apart = same[number] - np.delete(same, number, axis=0).mean(axis=0)
            expected.append(np.sqrt((apart**2).mean(axis=1))[1:])
    found = result.value("sample_scatter", split="trained", case="from_saturation")
    assert found == pytest.approx(np.mean(expected), rel=1e-5)
    # What rolls out of the arm is measured in the same units, and pictures are not asked for.
    assert result.value("rollout_error", split="trained", arm="descriptors", case="from_saturation") > found
    assert "readout_error" not in set(result.table["metric"])


def test_the_number_of_descriptors_is_that_of_the_arm():
    assert ModelSettings.parse({"arm": "descriptors"}).modes == len(names())


def test_a_model_sees_the_families_that_it_is_told_of(kept):
    data = open_dataset(described_films(CAMPAIGN, kept, persistent=True, workers=1))
    assert data["number"].values.tolist() == list(names(get_args(Family)))
    plain = open_dataset(described_films(CAMPAIGN, kept, workers=1))
    np.testing.assert_array_equal(data["descriptors"].values[..., :35], plain["descriptors"].values)
    frames = load_frames(data)
    settings = ModelSettings.parse({"arm": "descriptors", "families": ("persistence",), "modes": 70})
    model = ReducedModel(settings, (105,), coverage([data], settings))
    model.fit(frames.images.flatten(0, 1))
    seen, spots = model.seen(frames).images, frames.images[..., 35:]
    assert seen.shape[-1] == 70
    # All spots in one unit, the largest deviation of any.
    torch.testing.assert_close(seen, spots / spots.flatten(0, 1).std(dim=0).max())
    with pytest.raises(InvalidSetting, match="families"):
        ReducedModel(settings, (35,), coverage([data], settings))
