"""Forecasts against flows that are known: what is true must have skill, what is not must have none."""

import numpy as np
import pytest
import torch
import xarray as xr
from nrp.analysis.baselines import polynomial_flow
from nrp.analysis.exact_energy import exact_energy
from nrp.analysis.forecast import forecast
from nrp.analysis.gradient_flow import gradient_flow
from nrp.analysis.morphology import peak_wavenumber
from nrp.analysis.pooling import Label, Sums, advantages, ratio, root, rows, share, skill
from nrp.analysis.result import Result
from nrp.analysis.rollouts import Drive, follow, readouts
from nrp.settings import CampaignSettings, FilmSettings, InvalidSetting, ModelSettings

from nrp.reduction import ReducedModel, coverage, load_frames
from nrp.reduction.networks import LinearAutoencoder
from nrp.simulation import open_dataset, simulate
from nrp.simulation.external_field import ExternalField
from nrp.store import Store
from nrp.systems.film import dispersion
from nrp.systems.plane import wavenumbers

FILM = FilmSettings(box=16, dx=1.0, coarsen=1)
CAMPAIGN = CampaignSettings(
    system=FILM, anisotropy=(1.0, 1.5, 2.0, 2.5, 3.0), sweep_rate=(0.05,), frames=41, tolerance=1e-4
)
SETTINGS = ModelSettings(latent=256, width=8)


class TrueFilm(ReducedModel):
    """The solver's own equation at full resolution, as a model: V is the energy per area, z the image."""

    longest_step = 0.08

    def __init__(self, films: xr.Dataset) -> None:
        self.side = films.sizes["x"]
        super().__init__(SETTINGS, (self.side, self.side), coverage([films], SETTINGS))
        self.autoencoder = LinearAutoencoder()
        self.disorder = torch.tensor(films.disorder.values[0], dtype=torch.float64)
        self.linear = torch.tensor(dispersion(wavenumbers((self.side, self.side), 1.0), FILM))

    def potential(self, z, controls):
        phi = self.side * z.double().unflatten(-1, (self.side, self.side))
        waves = torch.fft.irfft2(self.linear * torch.fft.rfft2(phi), s=(self.side, self.side))
        alpha, h = (controls[..., i, None, None].double() for i in range(2))
        density = alpha * self.disorder * (phi**4 / 4 - phi**2 / 2) + phi * waves / 2 - h * phi
        return density.mean((-2, -1)).to(z.dtype)


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> xr.Dataset:
    store = Store(tmp_path_factory.mktemp("runs"))
    return open_dataset(simulate(CAMPAIGN, store, workers=1)).load()


@pytest.fixture(scope="module")
def truth(films) -> Result:
    return forecast(TrueFilm(films), films)


def of(result: Result, metric: str, **where: object) -> float:
    return result.value(metric, split="trained", arm="paper", **where)


@pytest.mark.parametrize("case", ["paper_form", "increment"])
@pytest.mark.parametrize("lead", [1, 2, 5, 10, 30])
def test_the_true_flow_has_skill_however_far(truth, case, lead):
    assert of(truth, "skill", case=case, lead_time=lead) >= 0.99


@pytest.mark.parametrize("start", ["from_saturation", "from_onset", "from_T0"])
def test_the_true_flow_arrives_where_the_film_does(truth, start):
    assert of(truth, "rollout_error", case=start) < 0.02
    assert of(truth, "rollout_diverged", case=start) == 0
    still = truth.value("rollout_error", split="trained", arm="persistence", case=start)
    assert still > 5 * of(truth, "rollout_error", case=start)


def test_what_is_read_off_the_true_flow_is_right(truth):
    found = truth.select(metric="readout_error", arm="paper")
    assert set(found["case"]) == {
        "wall_density",
        "negative_domains",
        "mean_magnetization",
        "peak_wavenumber",
        "energy",
    }
    assert (found["value"].astype(float) < 0.05).all()


def test_the_true_flow_is_better_than_a_table(truth):
    entry = truth.select(metric="advantage", case="over lookup", lead_time=10).iloc[0]
    assert entry["value"] > 0.9
    assert entry["low"] > 0


def test_frames_shuffled_in_time_leave_no_skill(films):
    order = np.random.default_rng(0).permutation(films.sizes["frame"])
    shuffled = films.assign(magnetization=films.magnetization.copy(data=films.magnetization.values[:, order]))
    result = forecast(TrueFilm(films), shuffled, far=False)
    assert of(result, "one_step_skill", case="increment") < 0.1


def test_the_anisotropy_of_another_run_leaves_less_skill(films, truth):
    # Each run is steered as the run after it: the images stay, α moves by one or from the last to the first.
    wrong = films.assign_coords(anisotropy=("run", np.roll(films.anisotropy.values, 1)))
    result = forecast(TrueFilm(films), wrong)
    for lead in (5, 10):
        found = of(result, "skill", case="increment", lead_time=lead)
        assert found < of(truth, "skill", case="increment", lead_time=lead) - 0.05


def test_a_film_from_noise_begins_at_no_saturation(tmp_path):
    noisy = CAMPAIGN.replace(
        system=FILM.model_copy(update={"start": "random"}), sweep_rate=(0.0,), field_table=((0, 0), (20, 0))
    )
    films = open_dataset(simulate(noisy, Store(tmp_path), workers=1)).load()
    result = forecast(TrueFilm(films), films)
    assert set(result.table["split"]) == {"random_start"}
    assert set(result.select(metric="rollout_error")["case"]) == {"from_start"}
    assert result.value("rollout_error", case="from_start", arm="paper") < 0.02


def test_without_the_far_part_there_are_only_single_frames(films):
    result = forecast(TrueFilm(films), films, far=False)
    assert "skill" not in set(result.table["metric"])
    assert set(result.table["arm"].dropna()) == {"paper", "extrapolation", "exact_rate", "persistence"}


# Rollouts


def test_a_field_that_jumps_is_followed_between_frames(films):
    stepped = CAMPAIGN.replace(
        anisotropy=(1.0, 2.0), sweep_rate=(0.0,), field_table=((0, 1.5), (3.3, 1.5), (3.3, 0.5), (9, 0.5))
    )
    data = films.isel(run=[0, 1]).assign_attrs(settings=stepped.model_dump_json())
    data = data.assign_coords(sweep_rate=("run", [0.0, 0.0]))
    drive = Drive((data, load_frames(data)))
    found = drive(np.array([0, 1, 1]), np.array([[3.29, 3.31, 100.0], [0.0, 0.0, 6.0]]))
    assert found[0, :, 1].tolist() == pytest.approx([1.5, 0.5, 0.5])
    assert found[1, :, 1].tolist() == pytest.approx([1.5, 1.5, 0.5])
    assert found[..., 0].tolist() == [[1.0, 1.5, 1.5]] * 2


@pytest.mark.parametrize(
    "knots", [((0.0, 1.0),), ((0.0, 1.0), (2.0, 0.0)), ((0.0, 1.0), (1.0, 1.0), (1.0, 0.5), (3.0, 0.0))]
)
def test_field_at_many_times_is_that_at_each(knots):
    field = ExternalField(*knots)
    times = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 9.0])
    assert field.at(times).tolist() == pytest.approx([field(time) for time in times])


def test_following_a_linear_flow_is_exponential_decay(films):
    data = films.isel(run=[0, 1])
    drive, z = Drive((data, load_frames(data))), torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    times = np.array([[0.0, 1.0, 3.0, 3.0], [0.0, 2.0, 2.0, 4.0]])
    states = follow(lambda state, at: -0.7 * state, z, drive, np.arange(2), times, longest=0.25)
    expected = z[:, None] * torch.exp(torch.tensor(-0.7 * times, dtype=torch.float32))[..., None]
    assert torch.allclose(states, expected, rtol=1e-3)


def test_readouts_of_the_frames_are_those_of_the_films(films):
    frames = np.array([0, 20, 40])
    found = readouts(films.magnetization.values[:, frames].astype(float), films, frames)
    assert found["energy"] == pytest.approx(films.energy.values[:, frames], rel=1e-5)
    assert found["mean_magnetization"] == pytest.approx(
        films.magnetization.values[:, frames].astype(float).mean(axis=(2, 3)), rel=1e-6
    )


@pytest.mark.parametrize("waves", [(4, 0), (0, 5), (3, 4)])
def test_peak_of_the_structure_factor_of_a_wave(waves):
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    image = np.cos(2 * np.pi * (waves[0] * x + waves[1] * y) / 64) + 0.3
    assert peak_wavenumber(image, 0.5) == pytest.approx(2 * np.pi * np.hypot(*waves) / 32)
    assert peak_wavenumber(np.ones((8, 8)), 1.0) == 0


# Baselines


def test_a_polynomial_finds_a_polynomial():
    draws = np.random.default_rng(0)
    z, controls = draws.uniform(-1, 1, (2000, 2)), draws.uniform(0, 1, (2000, 2))

    def rate(z, controls):
        return np.stack([z[:, 0] * z[:, 1] - 0.5 * controls[:, 1], -z[:, 1] + controls[:, 0] ** 2], axis=1)

    law = polynomial_flow(z, controls, rate(z, controls), noise=0.0)
    new = draws.uniform(-1, 1, (50, 2)), draws.uniform(0, 1, (50, 2))
    found = law(*(torch.tensor(part, dtype=torch.float32) for part in new))
    assert found.numpy() == pytest.approx(rate(*new), abs=0.02)


def test_a_free_field_needs_no_potential():
    settings = ModelSettings(latent=4, width=8, potential="none")
    model = ReducedModel(settings, (8, 8), {"anisotropy": [1.0], "sample": [0], "sweep_rate": [0.01]})
    z, controls = torch.randn(5, 4), torch.rand(5, 2)
    assert model.velocity(z, controls).shape == (5, 4)
    assert settings.label == "free_field"
    derivative = torch.func.vmap(torch.func.jacrev(model.velocity))(z, controls)
    assert (derivative - derivative.mT).abs().max() > 1e-3  # it is no slope of anything


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"mobility": "learned"}, "mobility = 'learned'"),
        ({"loss": "identified", "potential": "free"}, "potential"),
    ],
)
def test_settings_that_do_not_fit_a_free_field_are_refused(changes, name):
    with pytest.raises(InvalidSetting, match=name):
        ModelSettings.parse({"potential": "none", **changes})


# Pooling


def test_forms_of_metrics():
    above, below = np.array([1.0]), np.array([4.0])
    assert (root(above, below), ratio(above, below), skill(above, below)) == (0.5, 0.25, 0.75)


def test_intervals_of_shares_are_cut_where_no_share_can_lie():
    def member(parts: float, form) -> Sums:
        sums = Sums()
        sums.add(form, np.full(8, parts), np.ones(8), Label("rollout_diverged", "trained", "paper"))
        return sums

    for form, high in ((share, 1.0), (ratio, pytest.approx(0.5 + 4.303 * 0.5 / np.sqrt(3), rel=1e-3))):
        members = [member(parts, form) for parts in (0.0, 0.5, 1.0)]
        (entry,) = rows(members, {"trained": np.zeros(8, int)})
        assert (entry["low"], entry["high"]) == (0.0, high)


def test_intervals_hold_both_runs_and_members():
    label, draws = Label("rate_error", "trained", "paper"), np.random.default_rng(0)
    samples = {"trained": np.zeros(8, int)}

    def member(spread: float, offset: float) -> Sums:
        sums = Sums()
        sums.add(ratio, 1 + offset + spread * draws.normal(size=8), np.ones(8), label)
        return sums

    (alone,) = rows([member(0.1, 0.0)], samples)
    assert 0.02 < alone["high"] - alone["low"] < 0.3
    assert alone["low"] < alone["value"] < alone["high"]
    (apart,) = rows([member(0.0, -0.5), member(0.0, 0.5), member(0.0, 0.0)], samples)
    assert apart["value"] == pytest.approx(1.0)
    assert apart["high"] - apart["value"] == pytest.approx(4.303 * 0.5 / np.sqrt(3), rel=1e-3)
    assert apart["members"] == 3


def test_a_member_that_runs_away_does_not_hide_the_others():
    label = Label("skill", "trained", "paper", "increment", 10)
    errors = np.array([0.1, 0.1, 1000.0])

    def member(error: float) -> Sums:
        sums = Sums()
        sums.add(skill, np.full(8, error), np.ones(8), label)
        return sums

    (entry,) = rows([member(error) for error in errors], {"trained": np.zeros(8, int)})
    assert entry["value"] == pytest.approx(1 - errors.prod() ** (1 / 3))
    assert entry["low"] < entry["value"] < entry["high"] < 1
    (exact,) = rows([member(0.0), member(0.0)], {"trained": np.zeros(8, int)})
    assert exact["value"] == 1


def test_a_metric_to_which_no_run_contributes_has_no_row():
    sums = Sums()
    sums.add(ratio, np.zeros(6), np.zeros(6), Label("rollout_error", "trained", "paper", "onset"))
    assert rows([sums], {"trained": np.arange(6)}) == []


def test_advantage_is_paired_by_run():
    ours, theirs = Sums(), Sums()
    hard = np.array([1.0, 2.0, 30.0, 4.0, 50.0, 6.0])
    for sums, arm, factor in ((ours, "paper", 0.5), (theirs, "pod", 1.0)):
        sums.add(skill, factor * hard, np.ones(6), Label("skill", "trained", arm, "increment", 10))
    (entry,) = advantages([ours], [theirs], {"trained": np.zeros(6, int)}, rival="pod")
    # Runs differ by a factor of fifty, but in each ours is half as wrong.
    assert (entry["value"], entry["low"], entry["high"]) == pytest.approx((0.5, 0.5, 0.5))
    assert entry["case"] == "over pod"


# Is it a potential?


class Turning(ReducedModel):
    """A free field with a known share of rotation."""

    def __init__(self, films: xr.Dataset, turn: float) -> None:
        settings = SETTINGS.replace(potential="none", latent=64)
        super().__init__(settings, (8, 8), coverage([films], settings))
        self.autoencoder, self.turn = LinearAutoencoder(), turn

    def velocity(self, z, controls):
        return -z + self.turn * torch.roll(z, 1, -1) - self.turn * torch.roll(z, -1, -1)


def test_the_true_energy_falls_and_balances(films):
    model = TrueFilm(films)
    model.to(torch.float64)
    result = gradient_flow(model, films)
    assert of(result, "balance_error") < 0.01
    assert of(result, "rise", case="amount") < 0.01
    assert result.value("rise", split="trained", arm="true_energy", case="frequency") == 0


def test_the_true_energy_is_exact_on_the_runs_and_between_them(films):
    result = exact_energy(TrueFilm(films), films)
    for case in ("along", "between", "image", "decoder"):
        assert result.value("energy_r2", case=case) > 1 - 1e-6
    for case in ("along", "between", "motion"):
        assert result.value("slope_error", case=case) < 1e-3


def test_an_energy_without_disorder_is_not_exact(films):
    model = TrueFilm(films)
    model.disorder = torch.ones_like(model.disorder)
    result = exact_energy(model, films)
    assert result.value("energy_r2", case="decoder") > 1 - 1e-6  # that knows the film, and no model
    for case in ("along", "between"):
        assert result.value("slope_error", case=case) > 0.05


def test_averages_have_no_exact_energy(films):
    coarse = CAMPAIGN.replace(system=FILM.model_copy(update={"coarsen": 2}))
    with pytest.raises(InvalidSetting, match="coarsen = 2: must be 1"):
        exact_energy(TrueFilm(films), films.assign_attrs(settings=coarse.model_dump_json()))


def test_a_landscape_upside_down_rises(films):
    model = TrueFilm(films)
    true = model.potential
    model.potential = lambda z, controls: -true(z, controls)
    result = gradient_flow(model, films)
    assert of(result, "rise", case="amount") > 0.99
    assert of(result, "balance_error") > 1


@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_curl_is_told(tmp_path, turn):
    small = CAMPAIGN.replace(system=FILM.model_copy(update={"box": (8.0, 8.0)}), anisotropy=(2.0,))
    films = open_dataset(simulate(small, Store(tmp_path), workers=1)).load()
    result = gradient_flow(TrueFilm(films), Turning(films, turn), films)
    # The symmetric part is the identity; each row of the other holds the turn twice.
    expected = np.sqrt(2) * turn / np.sqrt(1 + 2 * turn**2)
    found = {
        case: result.value("curl_share", arm="free_field", case=case)
        for case in ("identity", "pullback", "constant")
    }
    assert found["identity"] == pytest.approx(expected, abs=1e-3)
    assert found["pullback"] == pytest.approx(expected, abs=1e-3)
    assert found["constant"] <= found["identity"] + 1e-6
