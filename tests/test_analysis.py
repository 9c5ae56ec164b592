"""Analyses against cases with a known answer."""

import numpy as np
import pytest
import torch
import xarray as xr
from nrp.analysis.baselines import Lookup, pod_reconstruction
from nrp.analysis.demonstrations import clock, demonstrations
from nrp.analysis.diagnostics import diagnostics, intrinsic_dimension
from nrp.analysis.forecast import forecast, sweep_curves
from nrp.analysis.landscape import landscape
from nrp.analysis.members import latent_dimensions, members
from nrp.analysis.result import COLUMNS
from nrp.settings import BeadSettings, CampaignSettings, InvalidSetting, ModelSettings, Runs

from nrp.analysis import Result, row
from nrp.reduction import ReducedModel, coverage
from nrp.reduction.networks import Autoencoder
from nrp.simulation import open_dataset, simulate
from nrp.store import Store
from nrp.systems import Bead

# Results


def test_result_comes_back_from_disk(tmp_path):
    rows = [row("onset_time", 83.25, anisotropy=1.0), row("jump_size", np.nan, case="x")]
    Result.of(rows, curve=np.arange(3.0)).save(tmp_path)
    loaded = Result.load(tmp_path, profile="mini", key="abc")
    assert tuple(loaded.table.columns) == COLUMNS
    assert loaded.value("onset_time", anisotropy=1.0) == 83.25
    assert loaded.table["value"].iloc[1] is None
    assert set(loaded.table["profile"]) == {"mini"}
    assert loaded.arrays["curve"].tolist() == [0, 1, 2]


def test_value_asks_for_exactly_one_row():
    result = Result.of([row("a", 1, case="x"), row("a", 2, case=None)])
    assert result.value("a", case=None) == 2
    with pytest.raises(KeyError):
        result.value("a")
    with pytest.raises(KeyError):
        result.value("b")
    with pytest.raises(KeyError, match="no such column"):
        row("a", 1, colour="red")


# Forecast, on films of the bead


class Centre(Autoencoder):
    """The place of the bead, and the picture of a bead at a place."""

    def __init__(self, bead: Bead) -> None:
        super().__init__()
        self.axis, self.width = torch.tensor(bead._axis, dtype=torch.float32), bead.settings.bead_width

    def encode(self, x):
        side = len(self.axis)
        picture = x.reshape(*x.shape[:-1], side, side)
        weight = picture.sum((-2, -1))
        x = (picture.sum(-2) * self.axis).sum(-1) / weight
        y = (picture.sum(-1) * self.axis).sum(-1) / weight
        return torch.stack([x, y], dim=-1)

    def decode(self, z):
        x = self.axis[None, :] - z[..., 0, None, None]
        y = self.axis[:, None] - z[..., 1, None, None]
        return torch.exp(-(x**2 + y**2) / (2 * self.width**2)).flatten(-2) / len(self.axis)


class TrueBead(ReducedModel):
    """The bead's own coordinates and landscape, as a model: it must have skill."""

    def __init__(self, films: xr.Dataset, settings: ModelSettings) -> None:
        system = CampaignSettings.model_validate_json(films.attrs["settings"]).system
        super().__init__(settings, (system.pixels, system.pixels), coverage([films], settings))
        self.autoencoder = Centre(Bead(system, anisotropy=1.0))

    def potential(self, z, controls):
        x, y = z[..., 0], z[..., 1]
        return controls[..., 0] * (x * x - 1) ** 2 / 4 + y * y / 2 - controls[..., 1] * x


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> xr.Dataset:
    campaign = CampaignSettings(
        system=BeadSettings(pixels=24, view=3.5),
        anisotropy=(1.0,),
        sample=tuple(range(6)),
        field_init=0.0,
        duration=3.0,
        frames=61,
        time_step=0.05,
    )
    store = Store(tmp_path_factory.mktemp("runs"))
    return open_dataset(simulate(campaign, store, workers=1)).load()


SETTINGS = ModelSettings(latent=2, width=8, held=Runs(sample=(4, 5)))


def test_the_true_landscape_has_skill(films):
    result = forecast(TrueBead(films, SETTINGS), films)
    for split in ("trained", "random_start"):
        assert result.value("reconstruction_rmse", split=split) < 1e-3
        assert result.value("rate_error", split=split, case=None, arm="paper") < 0.01
        assert result.value("one_step_skill", split=split, case="increment", arm="paper") > 0.99
        assert result.value("one_step_skill", split=split, case="paper_form", arm="paper") > 0.99


def test_frames_shuffled_in_time_leave_no_skill(films):
    order = np.random.default_rng(0).permutation(films.sizes["frame"])
    shuffled = films.assign(intensity=films.intensity.copy(data=films.intensity.values[:, order]))
    result = forecast(TrueBead(films, SETTINGS), shuffled)
    assert abs(result.value("one_step_skill", split="trained", case="increment", arm="paper")) < 0.1
    assert result.value("skill", split="trained", case="increment", arm="paper", lead_time=1) < 0.1


def test_pooled_and_per_frame_errors_are_told_apart(films):
    result = forecast(TrueBead(films, SETTINGS), films)
    run = films.intensity.values[:4].reshape(4, 61, -1)
    squares = ((run[:, 1:] - run[:, :-1]) ** 2).mean(-1)
    pooled = result.value("persistence_rmse", split="trained", case=None)
    frames = result.value("persistence_rmse", split="trained", case="per_frame_mean")
    assert pooled == pytest.approx(np.sqrt(squares.mean()), rel=1e-5)
    assert frames == pytest.approx(np.sqrt(squares).mean(), rel=1e-5)
    assert frames < pooled


def test_simple_rivals_are_what_they_say(films):
    result = forecast(TrueBead(films, SETTINGS), films)
    run = films.intensity.values[:4].reshape(4, 61, -1)
    line = np.concatenate([run[:, :1], 2 * run[:, 1:-1] - run[:, :-2]], axis=1)
    euler = run[:, :-1] + 0.05 * films["rate"].values[:4].reshape(4, 61, -1)[:, :-1]
    for arm, guess in (("extrapolation", line), ("exact_rate", euler)):
        expected = np.sqrt(np.mean((guess - run[:, 1:]) ** 2))
        assert result.value("one_step_rmse", split="trained", arm=arm, case=None) == pytest.approx(
            expected, rel=1e-4
        )
    assert result.value("motion_share", split="trained") > 0.1


def test_lookup_knows_the_controls_and_no_state(films):
    result = forecast(TrueBead(films, SETTINGS), films)
    # One field and one anisotropy: the table has one entry, the mean velocity, which explains little.
    error = result.value("rate_error", split="trained", arm="lookup")
    assert 0.5 < error <= 1.0
    swept = films.assign(external_field=films.external_field + np.arange(61) / 61)
    sweeping = forecast(TrueBead(films, SETTINGS), swept.isel(run=[0]))
    assert sweeping.value("rate_error", arm="lookup") < 1e-5  # every frame has an entry of its own


def test_anisotropy_outside_the_trained_range_is_a_split_of_its_own(films):
    model = TrueBead(films, SETTINGS)
    model.trained_on = {**model.trained_on, "anisotropy": [1.5, 2.0]}
    assert set(forecast(model, films).table["split"]) == {"beyond_anisotropy"}


def test_images_of_another_size_are_refused(films):
    model = ReducedModel(SETTINGS, (3, 3), coverage([films], SETTINGS))
    with pytest.raises(InvalidSetting, match=r"has \(24, 24\) pixels, the model takes images of \(3, 3\)"):
        forecast(model, films)


def test_the_true_landscape_is_recognised(films):
    result = landscape(TrueBead(films, SETTINGS), films)
    assert result.value("energy_r2") > 0.999
    assert result.value("barrier_error") < 0.01
    assert result.value("minimum_position_error") < 0.03


def test_a_wrong_landscape_is_not(films):
    model = TrueBead(films, SETTINGS)
    model.potential = lambda z, controls: z[..., 0]
    result = landscape(model, films)
    assert result.value("energy_r2") < 0.1
    assert result.value("barrier_error") > 0.5


def test_barrier_error_is_that_of_the_worse_well(films):
    model = TrueBead(films, SETTINGS)
    right = model.potential
    # Raise the left well alone by a tenth of the barrier.
    model.potential = lambda z, controls: right(z, controls) + 0.025 * (z[..., 0] < -0.5)
    assert landscape(model, films).value("barrier_error") > 0.05


def test_isometry_is_told_from_a_stretched_plane(films):
    even, uneven = TrueBead(films, SETTINGS), TrueBead(films, SETTINGS)
    centre = even.autoencoder.encode
    even.autoencoder.encode = lambda x: 3 * centre(x)
    uneven.autoencoder.encode = lambda x: centre(x) * torch.tensor([1.0, 2.0])
    assert landscape(even, films).value("isometry_error") < 0.01
    # Eigenvalues 1 and 4: deviation 1.5 about a mean of 2.5.
    assert landscape(uneven, films).value("isometry_error") == pytest.approx(0.6, abs=0.01)


def test_pod_of_all_modes_is_exact_and_errors_fall(films):
    result = pod_reconstruction(films, settings=SETTINGS, modes=(1, 4, 16, 240))
    errors = result.select(split="trained")["value"].tolist()
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4
    assert result.value("reconstruction_rmse", split="random_start", case="16 modes") > errors[2]


def test_loss_leaves_scale_and_zero_free(films):
    model = ReducedModel(SETTINGS, (24, 24), coverage([films], SETTINGS))
    result = demonstrations(model, films)
    assert result.value("scale_law_error") < 1e-3
    assert result.value("gauge_loss_change") < 1e-6
    assert np.ptp(result.arrays["reconstruction_loss"]) < 1e-4
    assert result.value("dynamics_loss", case="scale 10") > 5 * result.value("dynamics_loss", case="scale 1")


def test_curves_hold_truth_and_prediction(films):
    model = TrueBead(films, SETTINGS)
    renamed = films.rename(intensity="magnetization").isel(run=[0])
    a = sweep_curves(model, model, renamed, alphas=(1.0,)).arrays
    assert a["one_step"].shape == (2, 1, 61)
    assert np.isnan(a["one_step"][..., 0]).all()
    assert np.isfinite(a["one_step"][..., 1:]).all()
    assert (a["reconstruction"] < 1e-3).all()
    assert (np.diff(a["potential"][0]) < 1e-6).all()  # the true landscape, at fixed field
    assert a["prediction"].shape == a["truth"].shape


# Look-up, diagnostics, members


def table_of(controls: np.ndarray, values: np.ndarray) -> Lookup:
    return Lookup(controls, values[:, None])


def test_lookup_averages_its_entries_and_is_linear_between_them():
    controls = np.array([[1, 0.0], [1, 1.0], [3, 0.0], [3, 1.0], [3, 1.0]])
    table = table_of(controls, np.array([0.0, 2.0, 4.0, 5.0, 7.0]))
    asked = np.array([[1, 0.5], [3, 1.0], [2, 0.5], [9, -1.0]])
    # In the middle between (0 + 2)/2 and (4 + 6)/2; beyond the table its last value.
    assert table(asked)[:, 0].tolist() == pytest.approx([1.0, 6.0, 3.0, 4.0])


def test_lookup_of_a_single_entry_is_constant():
    table = table_of(np.array([[1, 0.0], [1, 0.0]]), np.array([2.0, 4.0]))
    assert table(np.array([[1, 0.0], [5, 5.0]]))[:, 0].tolist() == [3.0, 3.0]


def test_the_true_landscape_is_an_energy_without_any_fit(films):
    result = diagnostics(TrueBead(films, SETTINGS), films)
    for split in ("trained", "random_start"):
        assert result.value("energy_r2", split=split, case=None) > 0.999
        assert result.value("energy_r2_beyond_lookup", split=split, case=None) > 0.999
        for case in ("sweep", "rest"):
            assert result.value("explained_variance", split=split, case=case, arm="paper") > 0.99
    assert result.value("explained_variance", split="trained", case="rest", arm="lookup") < 0.75
    assert result.value("unstable_directions", case="end") == 0  # in the wells


def test_a_shifted_potential_is_no_energy_but_has_its_line(films):
    model = TrueBead(films, SETTINGS)
    true = model.potential
    model.potential = lambda z, controls: 3 * true(z, controls) - 5
    result = diagnostics(model, films)
    assert result.value("energy_r2", split="trained", case=None) < 0
    assert result.value("energy_r2", split="trained", case="affine_fit") > 0.999


def test_what_only_knows_the_controls_knows_nothing_beyond_the_table(films):
    data, settings = swept(films), ModelSettings(latent=2, width=8)
    data = data.assign_coords(
        anisotropy=("run", [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]), sample=("run", [0, 1, 2, 0, 1, 2])
    )
    model = TrueBead(films, settings)
    model.trained_on = coverage([data], settings)
    model.potential = lambda z, controls: controls[..., 1] + 0 * z.sum(-1)
    result = diagnostics(model, data)
    found = result.select(metric="energy_r2_beyond_lookup", split="trained", case=None).iloc[0]
    assert abs(found["value"]) < 1e-3
    assert found["low"] is None  # three samples are too few for an interval
    six = data.assign_coords(sample=("run", range(6)))
    model.trained_on = coverage([six], settings)
    found = (
        diagnostics(model, six).select(metric="energy_r2_beyond_lookup", split="trained", case=None).iloc[0]
    )
    assert found["low"] <= found["value"] <= found["high"]


def swept(films: xr.Dataset) -> xr.Dataset:
    """The films as if each had its own anisotropy, with a field that falls."""
    field = np.broadcast_to(1 - np.arange(61) / 60, (6, 61))
    renamed = films.rename(intensity="magnetization").assign_coords(
        anisotropy=("run", 1 + np.arange(6) / 10), sample=("run", np.zeros(6, int))
    )
    dark = xr.where(np.arange(61) > 5, -0.1, 0.0)
    images = renamed.magnetization + xr.DataArray(dark, dims="frame")
    return renamed.assign(magnetization=images, external_field=(("run", "frame"), field))


def test_members_give_means_intervals_and_the_gauge_between_them(films):
    data = swept(films)
    settings = ModelSettings(latent=2, width=8)
    one, two = TrueBead(films, settings), TrueBead(films, settings)
    for model in (one, two):
        model.trained_on = coverage([data], settings)
    same = members(one, two, data, alphas=(1.0,))
    assert same.value("gauge_spread") == 0
    assert same.value("onset_gradient_correlation") == pytest.approx(1)
    entry = same.select(metric="gauge_spread").iloc[0]
    assert entry["members"] == 2
    single = forecast(one, data).select(metric="rate_error", split="trained", arm="paper", case=None).iloc[0]
    both = same.select(metric="rate_error", split="trained", arm="paper", case=None).iloc[0]
    assert both["value"] == pytest.approx(single["value"])
    assert (both["low"], both["high"]) == pytest.approx((single["low"], single["high"]))  # over runs alone
    true = two.potential
    two.potential = lambda z, controls: true(z, controls) + controls[..., 1] ** 2
    shifted = members(one, two, data, alphas=(1.0,))
    assert shifted.value("gauge_spread") > 0.1
    assert shifted.value("rate_error", split="trained", case=None, arm="paper") == pytest.approx(
        same.value("rate_error", split="trained", case=None, arm="paper")
    )
    response = shifted.arrays["response"]
    shift = np.broadcast_to(-2 * data.external_field.values[0], (6, 61))
    assert response[1] - response[0] == pytest.approx(shift, abs=1e-4)
    mean = data.magnetization.mean(("y", "x")).values
    assert shifted.arrays["magnetization"] == pytest.approx(mean, abs=1e-6)


def members_error(model: ReducedModel, data: xr.Dataset) -> float:
    return forecast(model, data).value("rate_error", split="trained", case=None, arm="paper")


def test_members_that_differ_have_an_interval_of_student(films):
    data, settings = swept(films), ModelSettings(latent=2, width=8)
    models = [TrueBead(films, settings) for _ in range(2)]
    for model, faster in zip(models, (1.0, 1.5), strict=True):
        model.trained_on = coverage([data], settings)
        model.potential = lambda z, controls, m=model, f=faster: f * TrueBead.potential(m, z, controls)
    found = members(*models, data, alphas=(1.0,))
    entry = found.select(metric="rate_error", split="trained", case=None, arm="paper").iloc[0]
    assert members_error(models[0], data) in found.arrays["first_values"].tolist()
    single = [members_error(model, data) for model in models]
    assert entry["value"] == pytest.approx(np.mean(single), rel=1e-6)
    # Student's t with one degree of freedom, standard error |a − b|/2.
    assert entry["high"] - entry["value"] == pytest.approx(12.706 * abs(single[1] - single[0]) / 2, rel=1e-3)
    # The look-up is one of the velocity in each member's own coordinates, so it is averaged, too.
    lookup = found.select(metric="rate_error", split="trained", arm="lookup").iloc[0]
    assert lookup["members"] == 2


def test_a_clock_of_one_rate_explains_what_several_rates_do_not(films):
    # A state that moves with time, not with the field: at one rate the field tells the time.
    time = np.linspace(0, 3, 61)
    place = 0.8 * np.sin(2 * time)[:, None] * np.array([1.0, 0.5])
    motion = 1.6 * np.cos(2 * time)[:, None] * np.array([1.0, 0.5])
    bead = Bead(CampaignSettings.model_validate_json(films.attrs["settings"]).system, anisotropy=1.0)
    image = np.array([bead.image(at) for at in place])
    rate = np.array([bead.image_motion(at, go) for at, go in zip(place, motion, strict=True)])

    def at_rate(speed: float) -> xr.Dataset:
        one = films.isel(run=[0])
        shape = one.intensity.shape
        return one.assign(
            intensity=(one.intensity.dims, np.broadcast_to(image, shape).astype(np.float32)),
            rate=(one.intensity.dims, np.broadcast_to(rate, shape).astype(np.float32)),
            external_field=(("run", "frame"), (np.round(9 - speed * time, 1))[None]),
        ).assign_coords(sweep_rate=("run", [speed]))

    result = clock(TrueBead(films, SETTINGS), at_rate(1.0), at_rate(2.0), at_rate(1.4))
    assert result.value("explained_variance", case="one rate", split="trained") > 0.95
    assert result.value("explained_variance", case="several rates", split="trained") < 0.8
    assert result.value("explained_variance", case="one rate", split="new_sweep_rate") < 0.7


def test_intrinsic_dimension_of_a_disc_of_places(films):
    bead = Bead(CampaignSettings.model_validate_json(films.attrs["settings"]).system, anisotropy=1.0)
    places = np.random.default_rng(0).uniform(-1, 1, (10, 61, 2))
    images = np.array([[bead.image(place) - 0.5 for place in run] for run in places])
    shape = ("run", "frame", "y", "x")
    wide = xr.concat([films.isel(run=[0])] * 10, "run").rename(intensity="magnetization")
    result = intrinsic_dimension(wide.assign(magnetization=(shape, images)))
    for entry in result.table.to_dict("records"):
        assert entry["value"] == pytest.approx(2, abs=0.4)
        assert entry["low"] < entry["value"] < entry["high"]


def test_latent_dimensions_stand_beside_each_other(films):
    result = latent_dimensions(TrueBead(films, SETTINGS), films)
    assert set(result.table["case"]) == {"2 numbers"}
    assert set(result.table["metric"]) == {"reconstruction_rmse", "rate_error"}
