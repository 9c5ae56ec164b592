"""The test for jumps, its controls, separate potentials and the droplet model."""

import numpy as np
import pytest
import torch
import xarray as xr
from nrp.analysis.continuity import FEWEST, LEVEL, continuity, curve_rows, weigh
from nrp.analysis.controls import power, quickened, run_control, run_controls
from nrp.analysis.droplets import Shape, density, domain_energy, droplets, threshold
from nrp.analysis.sensitivity import sensitivity
from nrp.settings import (
    BeadSettings,
    CampaignSettings,
    ControlSettings,
    FilmSettings,
    InvalidSetting,
    ModelSettings,
    Tilt,
    profile,
)

from nrp.analysis import Result, row
from nrp.analysis.transition import interpolated, true_rates
from nrp.reduction import FrameData, ReducedModel, separate_slopes
from nrp.simulation import open_dataset, simulate
from nrp.store import Store
from nrp.systems import Film
from nrp.systems.film_theory import critical_field, uniform_equilibrium

X = np.linspace(1, 4, 31)


def noisy(curve: np.ndarray, seed: int, noise: float = 0.02) -> np.ndarray:
    return curve + noise * np.random.default_rng(seed).normal(size=curve.shape)


SMOOTH = {
    "line": X / 3,
    "wave": np.sin(2 * X) / 2,
    "wide step": np.tanh((X - 2.3) / 0.4) / 2,
    "steep step": np.tanh((X - 2.33) / 0.2) / 2,
    "step of one spacing": np.tanh((X - 2.35) / 0.1) / 2,
    "kink": np.abs(X - 2.2) / 2,
    "square root": np.sqrt(np.maximum(X - 2, 0)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_continuous_curves_seldom_raise_an_alarm(name):
    alarms = sum(weigh(X, noisy(SMOOTH[name], seed), power=False, draws=200).alarm for seed in range(12))
    assert alarms <= 1  # at a rate of 1 %, two or more of 12 happen in 0.6 % of the cases


@pytest.mark.parametrize("background", ["line", "wave", "wide step"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_jump_is_found_where_it_is_and_as_large_as_it_is(background, sign):
    found = weigh(X, noisy(SMOOTH[background] + 0.5 * sign * (X > 2.75), 3), power=False)
    assert found.alarm
    assert found.position == pytest.approx(2.75)
    assert found.jump == pytest.approx(0.5 * sign, abs=0.1)
    assert found.jump_interval[0] < 0.5 * sign < found.jump_interval[1]
    assert found.likelihood["jumping"] == 0


def test_a_kink_is_best_described_as_one():
    found = weigh(X, noisy(SMOOTH["kink"], 0, 0.005), power=False)
    assert found.likelihood["kinked"] == 0
    assert found.breakpoint == pytest.approx(2.2, abs=0.11)


def test_a_curve_without_noise_that_is_smooth_or_jumps():
    assert weigh(X, np.tanh((X - 2.5) / 0.3), power=False).p_value > 0.05
    assert weigh(X, X + 0.1 * (X > 1.95), power=False).alarm


def test_the_detectable_jump_is_the_one_that_is_detected():
    base = SMOOTH["line"]
    size = weigh(X, noisy(base, 1)).detectable
    seen = {
        share: np.mean(
            [
                weigh(X, noisy(base + share * size * (X > 2.45), 10 + i), power=False, draws=200).alarm
                for i in range(20)
            ]
        )
        for share in (0.3, 1.7)
    }
    assert seen[0.3] < 0.4
    assert seen[1.7] > 0.8
    assert weigh(X, noisy(base, 1, 0.1)).detectable > 2 * size


def test_points_with_large_errors_count_less():
    error = np.where(np.abs(X - 2.5) < 0.26, 0.5, 0.02)
    curve = noisy(SMOOTH["line"], 5)
    curve[13:17] += np.array([0.6, 0.6, 0.6, 0.6])  # a bump that the errors cover
    assert weigh(X, curve, power=False).p_value < weigh(X, curve, error=error, power=False).p_value
    assert not weigh(X, curve, error=error, power=False).alarm


def test_curves_that_cannot_be_weighed_are_refused():
    with pytest.raises(ValueError, match=f"at least {FEWEST}"):
        weigh(X[:8], X[:8])
    with pytest.raises(ValueError, match="evenly"):
        weigh(X**2, X)


def test_rows_of_a_curve_are_in_units_of_its_range():
    curves = 7 * np.stack([noisy(X > 2.45, seed) for seed in range(3)])
    rows = Result.of(curve_rows("onset_time", X, curves))
    assert rows.value("jump_size") == pytest.approx(1, abs=0.1)
    assert rows.value("jump_p_value", case="onset_time") < LEVEL
    assert rows.value("log_likelihood", split="jumping") == 0
    assert "smallest_detectable_factor" not in set(rows.table["metric"])
    one = Result.of(curve_rows("onset_time", X, noisy(SMOOTH["line"], 0)[None], power=False))
    assert "smallest_detectable_jump" not in set(one.table["metric"])


def test_rates_are_weighed_by_their_logarithm():
    # A rate that grows tenfold and scatters by factors; doubled above a place.
    rate = np.exp(np.log(10) * (X - 1) / 3 + 0.03 * np.random.default_rng(1).normal(size=X.shape))
    doubled = rate * np.where(X > 2.05, 2.0, 1.0)
    assert 1.1 < Result.of(curve_rows("onset_rate", X, rate[None])).value("smallest_detectable_factor") < 2
    rows = Result.of(curve_rows("onset_rate", X, doubled[None], power=False))
    assert rows.value("jump_p_value") < LEVEL
    factor = np.exp(rows.value("jump_size") * np.ptp(np.log(doubled)))
    assert factor == pytest.approx(2, rel=0.3)
    # The unit of a rate does not matter.
    again = Result.of(curve_rows("onset_rate", X, 7 * doubled[None], power=False))
    assert again.value("jump_size") == pytest.approx(rows.value("jump_size"))


def test_every_curve_of_a_reading_is_tested_with_its_arm():
    rows = [
        *(row("onset_rate", 1.0, anisotropy=a, system="film") for a in X),
        *(row("decoded_rate", 1.0, anisotropy=a, system="film", arm="paper", members=2) for a in X),
        *(row("onset_lag", 1.0, anisotropy=a, system="film") for a in X),
        row("onset_gradient_roughness", 0.1, arm="paper"),
    ]
    curves = {name: np.exp([noisy(X, 1), noisy(X, 2)]) for name in ("onset_rate", "decoded_rate")}
    result = continuity(Result.of(rows, alphas=X, onset_lag=np.ones_like(X), **curves))
    tests = result.select(metric="jump_p_value")
    assert tests["case"].tolist() == ["onset_rate", "decoded_rate"]
    assert tests["arm"].tolist() == [None, "paper"]
    assert tests["members"].tolist() == [None, 2]


# Readings


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


class Pixels(ReducedModel):
    """Two pixels that are their own latent state."""

    def __init__(self) -> None:
        super().__init__(ModelSettings(latent=2, width=8), (1, 2), {})

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return images

    def latent_rate(self, images: torch.Tensor, rates: torch.Tensor) -> torch.Tensor:
        return rates


def test_separate_potentials_know_no_other_run():
    time = torch.linspace(0, 3, 25)
    paths = [(torch.exp(-time), torch.exp(-2 * time)), (torch.exp(-3 * time), torch.exp(-time))]
    rates = [(-paths[0][0], -2 * paths[0][1]), (-3 * paths[1][0], -paths[1][1])]

    def data(runs: list[int]) -> FrameData:
        return FrameData(
            images=torch.stack([torch.stack(paths[i], dim=1) for i in runs]),
            rates=torch.stack([torch.stack(rates[i], dim=1) for i in runs]),
            controls=torch.stack([torch.stack([torch.full_like(time, i), -time], dim=1) for i in runs]),
            time=time.expand(len(runs), -1),
            energy=torch.zeros(len(runs), len(time)),
        )

    both = data([0, 1])
    slopes = separate_slopes(Pixels(), both)
    # The flow of each run, ż = −Kz with a K of its own, has a potential; one potential has not both.
    error = (slopes + both.rates).square().sum() / both.rates.square().sum()
    assert error.sqrt() < 0.02
    torch.testing.assert_close(separate_slopes(Pixels(), data([1]))[0], slopes[1])


# Controls


def bead_control(change: float, *, duration: float = 4.0, epochs: int = 20) -> ControlSettings:
    tilt = Tilt(level=1.0, change=change, place=2.45)
    system = BeadSettings(pixels=12, well=0.5, tilt=tilt, start=0.2, centre=(-1.2, 0.0))
    campaign = CampaignSettings(
        system=system, anisotropy=tuple(np.round(X, 1).tolist()), field_init=0.0, duration=duration, frames=15
    )
    kind = f"jump {change:g}" if change else "smooth, no change"
    model = ModelSettings(latent=2, width=32, epochs=epochs)
    return ControlSettings(kind=kind, campaign=campaign, model=model)


@pytest.fixture(scope="module")
def controls() -> list[Result]:
    return [run_control(bead_control(change)) for change in (0.0, 0.4)]


KINDS = [("bead", "smooth, no change"), ("bead", "jump 0.4")]


def p_value(control: Result, curve: str) -> float:
    rows = curve_rows(curve, control.arrays["alphas"], control.arrays[curve][None], power=False)
    return Result.of(rows).value("jump_p_value")


def test_a_jump_of_the_landscape_goes_all_the_way_to_the_test(controls):
    smooth, jumping = controls
    for curve in ("onset_time", "onset_rate", "separate_rate", "separate_gradient"):
        rows = curve_rows(curve, X, jumping.arrays[curve][None], power=False)
        found = Result.of(rows)
        assert p_value(smooth, curve) > LEVEL
        assert found.value("jump_p_value") < LEVEL
        assert found.value("jump_position") == pytest.approx(2.45)
    # The bead passes the middle at the speed of the tilt, so the rate of the image is known.
    rate = jumping.arrays["onset_rate"]
    assert rate[-1] / rate[0] == pytest.approx(1.2 / 0.8, rel=0.02)


def test_a_quickened_film_is_the_film_of_twice_the_mobility(tmp_path):
    usual = CampaignSettings(
        system=FilmSettings(box=16, coarsen=1),
        anisotropy=(1.5, 3.0),
        sweep_rate=(0.01,),
        frames=11,
        time_step=0.05,
    )
    # The same film, whose whole energy is twice as large: α, β, γ and the field.
    twice = usual.replace(
        system=usual.system.replace(stiffness=4.0, dipolar=4 / np.pi),
        anisotropy=(3.0, 6.0),
        sweep_rate=(0.04,),
        field_init=3.0,
        time_step=0.025,
    )
    slow, fast = (open_dataset(simulate(each, Store(tmp_path), workers=1)) for each in (usual, twice))
    quick = quickened(slow, 2.0)
    for name, scale in (("magnetization", 1), ("rate", 1), ("onset_time", 1), ("time", 1), ("energy", 2)):
        size = np.abs(fast[name].values).max()
        np.testing.assert_allclose(scale * quick[name].values, fast[name].values, atol=3e-3 * size)
    assert quick.sweep_rate.values.tolist() == [0.02, 0.02]


def test_a_jump_of_the_mobility_shows_in_the_onset_time():
    control = profile("mini").control("mobility × 4")
    jumping, usual = run_control(control), run_control(control.replace(mobility=1.0))
    assert p_value(jumping, "onset_time") < LEVEL < p_value(usual, "onset_time")
    above = usual.arrays["alphas"] > control.place
    for curve in ("onset_time", "onset_rate"):
        np.testing.assert_array_equal(jumping.arrays[curve][~above], usual.arrays[curve][~above])
    # A mobile film lags less behind its field.
    assert (jumping.arrays["onset_time"] < usual.arrays["onset_time"])[above].all()
    # The rate at the onset is not that of the usual film times the mobility: it is another state.
    multiplied = jumping.arrays["multiplied_rate"]
    np.testing.assert_allclose(multiplied / usual.arrays["onset_rate"], np.where(above, 4, 1))
    near = above & (usual.arrays["alphas"] < control.place + 0.5)
    ratio = (jumping.arrays["onset_rate"] / usual.arrays["onset_rate"])[near]
    assert jumping.value("mobility_response") == pytest.approx(np.exp(np.log(ratio).mean()))
    assert "multiplied_rate" not in usual.arrays


def test_power_counts_alarms_by_kind(controls):
    smooth, jumping = controls
    result = power(smooth, smooth, jumping, kinds=[KINDS[0], *KINDS], workers=1)
    rate = result.select(metric="detection_rate", case="separate_rate", split="jump 0.4").iloc[0]
    assert (rate["value"], rate["high"], rate["members"]) == (1, 1, 1)
    for kind in ("smooth, no change", "smooth, all beads"):
        quiet = result.select(metric="false_alarm_rate", case="separate_rate", split=kind).iloc[0]
        assert (quiet["value"], quiet["low"], quiet["members"]) == (0, 0, 2)
        assert quiet["high"] == pytest.approx(1 - 0.025**0.5)  # Clopper and Pearson for 0 of 2
    assert result.value("rate_error", split="jump 0.4") == jumping.value("rate_error")
    assert "jump 0.4/separate_rate" in result.arrays


def test_controls_are_kept_and_their_films_are_not(tmp_path):
    store = Store(tmp_path)
    (folder,) = run_controls([bead_control(0.1, epochs=1)], store, workers=1)
    assert Result.load(folder).value("rate_error") > 0
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["control"]
    assert run_controls([bead_control(0.1, epochs=1)], store, workers=1) == [folder]


def test_a_control_that_ends_too_early_is_refused():
    with pytest.raises(InvalidSetting, match=r"duration = 0\.5: must be longer"):
        run_control(bead_control(0.0, duration=0.5, epochs=1))


def test_the_published_campaign_is_as_large_as_it_must_be():
    labels = [control.kind for control in profile("paper").controls]
    smooth = [label for label in labels if label.startswith("smooth")]
    assert len(smooth) >= 60
    jumps = {label for label in labels if label.startswith("jump")}
    assert len(jumps) >= 4
    assert all(labels.count(label) >= 30 for label in jumps)
    assert len({control.model_dump_json() for control in profile("paper").controls}) == len(labels)


# Sensitivity


def test_domains_are_counted_per_area_and_missing_onsets_are_left_out():
    def film(box: float, onsets: list[float]) -> xr.Dataset:
        points = round(box)
        images = np.ones((2, 1, points, points))
        images[:, 0, 4:8, 4:8] = -1
        settings = CampaignSettings(system=FilmSettings(box=box, dx=1.0, coarsen=1))
        return xr.Dataset(
            {"magnetization": (("run", "frame", "y", "x"), images), "onset_time": ("run", onsets)},
            coords={
                "anisotropy": ("run", [2.0, 2.0]),
                "sample": ("run", [0, 1]),
                "x": np.arange(points) + 0.5,
            },
            attrs={"settings": settings.model_dump_json()},
        )

    result = sensitivity(film(64, [10.0, 12.0]), film(32, [11.0, np.nan]), names=("large", "small"))
    assert result.value("negative_domains", case="large") == 1
    assert result.value("negative_domains", case="small") == 4
    assert result.value("onset_time", case="large") == 11
    assert result.value("onset_time", case="small") == 11
    assert result.value("onset_share", case="small") == 0.5
    assert result.arrays["final_1"].shape == (1, 32, 32)


# Droplets


@pytest.mark.parametrize("external_field", [0.0, 0.6])
@pytest.mark.parametrize(
    ("anisotropy", "radius", "wall", "spacing"),
    [(1.0, 3.0, 1.2, 20.0), (2.0, 2.5, 0.9, 14.0), (4.0, 2.0, 0.7, 11.0)],
)
def test_lattice_energy_is_that_of_the_solver(anisotropy, radius, wall, spacing, external_field):
    dx, depth, level = 0.125, 1.7, 0.85
    # Two rows of a triangular lattice: a box of spacing × √3 spacing, with a height that the grid allows.
    height = round(np.sqrt(3) * spacing / dx) * dx
    settings = FilmSettings(box=(height, spacing), dx=dx, coarsen=1, disorder="none")
    film = Film(settings, anisotropy=anisotropy, disorder=np.ones(settings.shape))
    y, x = np.meshgrid(*(np.arange(n) * dx for n in settings.shape), indexing="ij")
    shape = Shape(radius, wall)
    centres = [
        (i * spacing + shift * spacing / 2, (j + shift / 2) * height)
        for i in range(-2, 4)
        for j in range(-2, 4)
        for shift in (0, 1)
    ]
    phi = level - depth * sum(shape.profile(np.hypot(x - a, y - b)) for a, b in centres)
    flat = np.full_like(phi, level)
    direct = film.energy(phi, external_field) - film.energy(flat, external_field)
    known = density(spacing) * domain_energy(
        shape, depth, level, anisotropy=anisotropy, external_field=external_field, spacing=spacing
    )
    assert known == pytest.approx(direct, rel=0.02)


def test_far_droplets_are_alone_and_near_ones_repel():
    shape = Shape(2.0, 0.8)
    common = {"anisotropy": 2.0, "external_field": 0.9}
    alone = domain_energy(shape, 1.8, 0.9, **common)
    far, near = (domain_energy(shape, 1.8, 0.9, spacing=s, **common) for s in (150.0, 10.0))
    assert far == pytest.approx(alone, rel=1e-3)
    assert near > far


def test_worm_is_a_long_stripe():
    dx, length = 0.125, 96.0
    settings = FilmSettings(box=(4.0, length), dx=dx, coarsen=1, disorder="none")
    film = Film(settings, anisotropy=2.0, disorder=np.ones(settings.shape))
    shape = Shape(1.5, 0.8, dimension=1)
    x = np.arange(settings.shape[1]) * dx - length / 2
    phi = np.broadcast_to(0.9 - 1.8 * shape.profile(x), settings.shape).copy()
    direct = (film.energy(phi, 0.5) - film.energy(np.full_like(phi, 0.9), 0.5)) * length
    assert domain_energy(shape, 1.8, 0.9, anisotropy=2.0, external_field=0.5) == pytest.approx(
        direct, rel=0.02
    )


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("anisotropy", [2.0, 3.5])
def test_at_the_threshold_a_domain_costs_nothing_and_is_the_best(anisotropy, dimension):
    field, shape, depth = threshold(anisotropy, dimension=dimension)
    level = uniform_equilibrium(field, anisotropy)
    common = {"anisotropy": anisotropy, "external_field": field}
    scale = abs(domain_energy(shape, depth / 2, level, **common))  # the barrier
    assert abs(domain_energy(shape, depth, level, **common)) < 1e-3 * scale
    for radius, wall, factor in (
        (1.15, 1, 1),
        (0.87, 1, 1),
        (1, 1.15, 1),
        (1, 0.87, 1),
        (1, 1, 1.1),
        (1, 1, 0.9),
    ):
        other = Shape(radius * shape.radius, wall * shape.wall, dimension)
        assert domain_energy(other, factor * depth, level, **common) > 0


def test_droplets_pay_before_waves_grow_at_large_anisotropy():
    assert threshold(3.0)[0] > critical_field(3.0)
    assert threshold(1.0)[0] < critical_field(1.0)


def test_thresholds_beside_the_measured_onset():
    alphas = np.linspace(1, 4, 13)
    times = np.stack([90 + 10 * (alphas - 1), 92 + 10 * (alphas - 1)])
    films = xr.Dataset(
        {"sweep_rate": ("run", [0.01])}, attrs={"settings": CampaignSettings().model_dump_json()}
    )
    result = droplets(films, Result.of([row("x", 0)], alphas=alphas, onset_times=times))
    assert result.value("onset_field", anisotropy=1.0) == pytest.approx(1.5 - 0.91)
    crossing = result.value("crossing", case="droplets before waves")
    assert threshold(crossing + 0.2)[0] > critical_field(crossing + 0.2)
    assert threshold(crossing - 0.2)[0] < critical_field(crossing - 0.2)
    # Above the threshold no lattice pays; below, its density grows from zero.
    best = result.arrays["best_density"]
    assert best[0] == 0
    assert (np.diff(best[1:]) > 0).all()
