"""The gradient at the onset and its companions, of a model whose gradient is the motion of the film."""

import numpy as np
import pytest
import xarray as xr
from known import TruePlane, filmed, see

from nrp.analysis.film.onset import onset, onset_frame
from nrp.analysis.film.patterns import patterns
from nrp.analysis.transition.reading import (
    companions,
    image_rates,
    interpolated,
    onset_curve,
    rate_error,
    transition,
    true_rates,
)
from nrp.base import InvalidSetting
from nrp.evaluation import Result
from nrp.simulation import CampaignSettings
from nrp.systems.film import FilmSettings

FILM = FilmSettings(box=8, dx=1.0, coarsen=1, disorder="none", noise=0.05)
CAMPAIGN = CampaignSettings(system=FILM, anisotropy=(0.75, 1.0, 1.25, 1.5), sweep_rate=0.05, frames=41)


@pytest.fixture(scope="module")
def sweeps() -> xr.Dataset:
    """Films without disorder, which differ in their noisy start alone."""
    return filmed(CAMPAIGN)


@pytest.fixture(scope="module")
def samples() -> xr.Dataset:
    return filmed(CAMPAIGN.replace(sample=(1, 2)))


@pytest.fixture(scope="module")
def read(sweeps, samples) -> Result:
    model = TruePlane(sweeps)
    elsewhere = see(model, samples)
    found = patterns(sweeps, samples), onset(sweeps, samples)
    # Runs need not come in the order of their anisotropy.
    return transition([see(model, sweeps.isel(run=[2, 0, 3, 1]))] * 2, elsewhere, *found)


def test_interpolation_of_the_logarithm():
    times = np.array([[0.0, 1, 2], [0, 2, 4]])
    values = np.exp(3 * times)
    np.testing.assert_allclose(interpolated(times, values, np.array([0.7, 3.1])), np.exp([2.1, 9.3]))


def test_true_rate_at_the_onset_is_that_of_the_frames_around_it():
    rates = np.full((1, 3, 2, 2), 1.0) * np.array([1.0, 4.0, 9.0])[None, :, None, None]
    films = xr.Dataset(
        {"rate": (("run", "frame", "y", "x"), rates), "onset_time": ("run", [1.5])},
        coords={"time": (("run", "frame"), [[1.0, 2.0, 3.0]])},
    )
    assert true_rates(films)[0] == pytest.approx(2.0)  # the geometric mean of 1 and 4


def test_the_gradient_of_the_true_energy_is_the_rate_of_the_film(read, sweeps):
    frames, rates = onset_frame(sweeps.magnetization.values.astype(float)), image_rates(sweeps)
    assert read.arrays["alphas"].tolist() == [0.75, 1.0, 1.25, 1.5]
    in_frame = rates[np.arange(4), frames]
    for member in (0, 1):
        assert read.arrays["onset_gradient"][member] == pytest.approx(in_frame, rel=1e-3)
        for name in ("onset_gradient_interpolated", "decoded_rate"):
            assert read.arrays[name][member] == pytest.approx(true_rates(sweeps), rel=1e-3)
        assert read.arrays["gradient at the fastest"][member] == pytest.approx(rates.max(axis=1), rel=1e-3)
    assert read.arrays["onset_rate"][0] == pytest.approx(true_rates(sweeps), rel=1e-6)
    (o,) = see(TruePlane(sweeps), sweeps)
    assert onset_curve(o) == pytest.approx(in_frame, rel=1e-3)


def test_separate_potentials_tell_the_same_rate():
    # In a medium with disorder, where the rate at the onset is no small part of the fastest.
    disordered = CAMPAIGN.replace(system=FILM.replace(disorder="quarter", noise=0.0), anisotropy=(1.0, 1.5))
    films = filmed(disordered)
    (o,) = see(TruePlane(films), films)
    curves = companions(o, films.onset_time.values)
    for name in ("separate_gradient", "separate_rate"):
        assert curves[name] == pytest.approx(true_rates(films), rel=0.1)


def test_other_samples_are_read_one_by_one(read, samples):
    for place, sample in enumerate((1, 2)):
        known = true_rates(samples.isel(run=np.flatnonzero(samples["sample"] == sample)))
        assert read.arrays["gradient on other samples"][place] == pytest.approx(known, rel=1e-3)
        assert read.arrays["onset_rate"][place + 1] == pytest.approx(known, rel=1e-6)


def test_at_the_onset_the_gradient_lies_where_the_energy_curves_downwards(read):
    part = read.arrays["unstable_gradient"] / read.arrays["onset_gradient"]
    assert (part <= 1 + 1e-6).all()
    assert (part > 0).all()


def test_the_lag_of_the_reading_is_less_than_an_interval(read, sweeps):
    lag = read.arrays["onset_lag"]
    assert ((lag >= 0) & (lag <= float(np.diff(sweeps.time.values[0]).max()))).all()
    assert read.select(metric="onset_lag")["value"].tolist() == lag.tolist()


def test_rows_tell_which_arm_on_which_runs(read):
    assert read.select(metric="onset_gradient").iloc[0][["arm", "members", "split"]].tolist() == [
        "paper",
        2,
        "trained",
    ]
    assert read.select(metric="onset_rate")["arm"].isna().all()
    other = read.select(metric="gradient on other samples").iloc[0]
    assert other[["members", "split"]].tolist() == [1, "new_disorder"]


def test_the_true_energy_has_no_error_of_its_rate(sweeps):
    (o,) = see(TruePlane(sweeps), sweeps)
    assert rate_error(o) < 1e-3


def test_an_onset_in_the_first_frame_cannot_be_read(sweeps, samples):
    model = TruePlane(sweeps)
    late = sweeps.isel(frame=slice(30, None))
    with pytest.raises(InvalidSetting, match=r"must have its onset between two frames"):
        transition([see(model, late)], see(model, samples), Result.of([]), Result.of([]))
