"""Datasets of runs on disk, and the way back from them to settings and systems."""

import shutil

import numpy as np
import pytest
import xarray as xr

from nrp.base import InvalidSetting
from nrp.simulation import CampaignSettings, open_dataset, settings_of, simulate, system_of
from nrp.systems.bead import BeadSettings
from nrp.systems.cahn_hilliard import CahnHilliardSettings
from nrp.systems.film import Film, FilmSettings
from nrp.systems.swift_hohenberg import SwiftHohenbergSettings

SWEEP = CampaignSettings(
    system=FilmSettings(box=16, dx=0.5, coarsen=1),
    anisotropy=(1.5, 2.5),
    sample=(0, 3),
    sweep_rate=0.1,
    frames=7,
)
SYSTEMS = [
    SWEEP.system,
    SwiftHohenbergSettings(box=16, coarsen=1, start="random"),
    CahnHilliardSettings(box=16, coarsen=1),
    BeadSettings(pixels=16),
]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.system)
def test_the_system_of_a_run_moves_as_its_data_say(system, store):
    campaign = SWEEP.replace(system=system, duration=5)
    data = open_dataset(simulate(campaign, store, workers=1))
    assert settings_of(data) == campaign
    for run in range(data.sizes["run"]):
        found, h = system_of(data, run), float(data.external_field[run, 3])
        if "final_state" not in data:  # of a bead the image is no state
            assert found.anisotropy == data.anisotropy[run]
            continue
        state = data[data.attrs["field"]].values[run, 3].astype(float)
        # Frames are stored in single precision, which fourth derivatives make worse.
        np.testing.assert_allclose(found.rate(state, h), data.rate[run, 3], atol=1e-3)
        assert np.abs(data.rate[run, 3]).max() > 0.02
        assert found.energy(state, h) == pytest.approx(float(data.energy[run, 3]), abs=1e-6)


def test_the_system_of_a_run_lies_on_the_grid_of_its_frames(store):
    coarse = SWEEP.replace(system=SWEEP.system.replace(coarsen=4))
    data = open_dataset(simulate(coarse, store, workers=1))
    film = system_of(data, 1)
    assert film.settings.shape == film.disorder.shape == (8, 8)
    np.testing.assert_array_equal(film.disorder, data.disorder[1])
    # A uniform state costs the same on any grid.
    fine = Film.draw(SWEEP.system, anisotropy=film.anisotropy, seed=0, sample=int(data["sample"][1]))
    energies = [each.energy(np.full(each.settings.shape, 0.8), 0.3) for each in (film, fine)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-6)


def test_data_that_somebody_may_have_changed_are_named_by_what_is_in_them(store, tmp_path):
    path = simulate(SWEEP.replace(frames=2), store, workers=1)
    stored = open_dataset(path)
    copies = [tmp_path / name / "data.zarr" for name in ("first", "second", "other")]
    for copy in copies:
        shutil.copytree(path, copy)
    changed = open_dataset(copies[2]).load()
    changed.energy[0, 0] += 1e-3
    changed.drop_encoding().to_zarr(copies[2], mode="w", consolidated=False)
    first, second, other = (open_dataset(copy).attrs["key"] for copy in copies)
    assert first == second != other
    assert stored.attrs["key"] == path.parent.name


def test_a_path_without_runs_is_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zarr.json").write_text("{")
    foreign = xr.Dataset({"a": ("x", np.zeros(3))})
    foreign.to_zarr(tmp_path / "foreign", consolidated=False)
    for name in ("missing", "empty", "broken", "foreign"):
        with pytest.raises(InvalidSetting, match=rf"^data = '.*{name}': must be a Zarr") as caught:
            open_dataset(tmp_path / name)
        assert "\n" not in str(caught.value)
