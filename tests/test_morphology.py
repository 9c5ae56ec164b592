"""Morphology, persistence and the onset, against images with known answers."""

import numpy as np
import pytest
import xarray as xr
from nrp.analysis.morphology import (
    LABYRINTH,
    count_domains,
    describe,
    euler_number,
    formation,
    label_domains,
    mean_wavenumber,
    measure_domains,
    morphology,
    patterns,
    peak_wavenumber,
    peak_width,
    persistence,
    persistence_image,
    structure_factor,
    wall_length,
)
from nrp.analysis.onset import onset, onset_frame
from nrp.settings import CampaignSettings

SIDE = 64


def grid() -> tuple[np.ndarray, np.ndarray]:
    return np.meshgrid(np.arange(SIDE), np.arange(SIDE))


def disc(centre: tuple[float, float], radius: float) -> np.ndarray:
    """A disc on the torus."""
    x, y = (np.abs((axis - c + SIDE / 2) % SIDE - SIDE / 2) for axis, c in zip(grid(), centre, strict=True))
    return np.hypot(x, y) < radius


def image_of(phase: np.ndarray) -> np.ndarray:
    return np.where(phase, -1.0, 1.0)


# Domains


def test_a_disc_is_one_domain_wherever_it_lies():
    x, y = grid()
    disc = np.hypot(x - 32, y - 32) < 10
    assert count_domains(disc) == 1
    assert count_domains(np.roll(disc, (32, 32), (0, 1))) == 1  # over the corner of the box
    assert count_domains(np.roll(disc, 32, 0)) == 1
    assert count_domains(~disc) == 1


def test_stripes_round_the_torus_are_counted_once():
    x, _ = grid()
    assert count_domains(x % 16 < 8) == 4
    assert count_domains(np.roll(x % 16 < 8, 4, 1)) == 4  # the first is cut by the seam


def test_no_domain_and_all_domain():
    assert count_domains(np.zeros((8, 8), bool)) == 0
    assert count_domains(np.ones((8, 8), bool)) == 1


def test_diagonal_neighbours_do_not_touch():
    assert count_domains(np.eye(6, dtype=bool)[:4, :4]) == 4


@pytest.mark.parametrize("axis", [0, 1])
def test_length_of_straight_walls(axis):
    x, y = grid()
    stripe = np.where(np.abs((x, y)[axis] - 32) < 10, -1.0, 1.0)
    assert wall_length(stripe, 0.5) == pytest.approx(2 * SIDE * 0.5, rel=0.06)


def test_length_of_a_circle():
    x, y = grid()
    disc = np.where(np.hypot(x - 32, y - 32) < 20, -1.0, 1.0)
    assert wall_length(disc, 1.0) == pytest.approx(2 * np.pi * 20, rel=0.03)


@pytest.mark.parametrize("waves", [(4, 0), (0, 4), (5, 3), (-5, 3)])
def test_wavenumber_of_a_plane_wave(waves):
    x, y = grid()
    image = np.cos(2 * np.pi * (waves[0] * x + waves[1] * y) / SIDE)
    assert mean_wavenumber(image, 0.5) == pytest.approx(2 * np.pi * np.hypot(*waves) / (SIDE * 0.5))


def test_wavenumber_weighs_both_halves_of_the_spectrum():
    x, y = grid()
    # Equal power in k = 4 along x and k = 8 along y must give their mean.
    image = np.cos(2 * np.pi * 4 * x / SIDE) + np.cos(2 * np.pi * 8 * y / SIDE)
    assert mean_wavenumber(image, 1.0) == pytest.approx(2 * np.pi * 6 / SIDE)


def test_flat_image_has_no_pattern():
    flat = describe(np.ones((1, 8, 8)), 1.0)
    assert {name: values[0] for name, values in flat.items()} == {
        "negative_domains": 0,
        "negative_fraction": 0,
        "wall_density": 0,
        "pattern_wavenumber": 0,
    }


@pytest.mark.parametrize("centre", [(32, 32), (0, 32), (0, 0)])
def test_a_disc_has_its_area_and_no_elongation_wherever_it_lies(centre):
    domains = measure_domains(disc(centre, 10.2), 0.5)
    assert domains.area == pytest.approx([np.pi * 5.1**2], rel=0.03)
    assert domains.elongation == pytest.approx([1], abs=0.02)


@pytest.mark.parametrize("shift", [0, 30])
def test_a_rectangle_is_as_elongated_as_it_is(shift):
    x, y = grid()
    rectangle = np.roll((x < 24) & (y < 6), (shift + 30, shift), (0, 1))
    domains = measure_domains(rectangle | disc((50 + shift, 10 + shift), 3), 1.0)
    assert sorted(domains.area)[1] == 144
    assert domains.elongation[domains.area.argmax()] == pytest.approx(4, rel=1e-6)


def test_a_stripe_round_the_torus_has_no_end():
    x, _ = grid()
    stripe = measure_domains(x < 8, 1.0)
    assert stripe.area.tolist() == [8 * SIDE]
    assert np.isnan(stripe.elongation).all()
    found = morphology(image_of(x < 8), 1.0)
    assert found["round_the_box"] == 1
    assert found["euler_number"] == 0
    # One that ends one pixel before the seam has ends.
    cut = (x < 8) & (grid()[1] < SIDE - 1)
    assert morphology(image_of(cut), 1.0)["round_the_box"] == 0
    assert morphology(image_of(cut), 1.0)["euler_number"] == 1


def test_labels_of_domains_over_the_seam_are_one():
    labels, count = label_domains(disc((0, 0), 5) | disc((32, 32), 5))
    assert count == 2
    assert labels[0, 0] == labels[-1, -1] == labels[0, -1] != labels[32, 32]


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        (disc((20, 20), 8), 1),
        (disc((0, 0), 8) | disc((32, 32), 8), 2),
        (disc((32, 32), 12) & ~disc((32, 32), 6), 0),
        (~disc((32, 32), 8), -1),  # the torus has 0
        (np.ones((SIDE, SIDE), bool), 0),
    ],
)
def test_euler_number_is_domains_less_holes(phase, number):
    assert euler_number(phase) == number


def test_stretch_is_that_of_the_shape_whatever_the_number():
    discs = np.any([disc((x, y), 5) for x in (8, 24, 40, 56) for y in (8, 24, 40, 56)], axis=0)
    few = disc((8, 8), 5) | disc((40, 40), 5)
    assert morphology(image_of(discs), 1.0)["domain_stretch"] == pytest.approx(1, abs=0.1)
    assert morphology(image_of(few), 0.5)["domain_stretch"] == pytest.approx(1, abs=0.1)
    x, y = grid()
    long = morphology(image_of((x < 40) & (y < 10)), 1.0)["domain_stretch"]
    assert long == pytest.approx(100**2 / (4 * np.pi * 400), rel=0.15)  # a rectangle of 4:1
    assert long == pytest.approx(LABYRINTH, rel=0.15)


# Structure factor


def test_structure_factor_of_a_wave_peaks_where_the_wave_is():
    x, _ = grid()
    wavenumber, factor = structure_factor(np.cos(2 * np.pi * 6 * x / SIDE), 0.5)
    assert wavenumber[factor.argmax()] == pytest.approx(2 * np.pi * 6 / (SIDE * 0.5))
    assert peak_wavenumber(np.cos(2 * np.pi * 6 * x / SIDE), 0.5) == pytest.approx(wavenumber[6])
    assert peak_width(np.cos(2 * np.pi * 6 * x / SIDE), 0.5) == pytest.approx(0, abs=1e-9)


def test_two_waves_are_as_wide_as_their_distance():
    x, y = grid()
    image = np.cos(2 * np.pi * 5 * x / SIDE) / 2 + np.cos(2 * np.pi * 8 * y / SIDE) / 2
    assert peak_width(image, 1.0) == pytest.approx(2 * np.pi * 1.5 / SIDE, rel=0.1)


def test_harmonics_of_sharp_walls_make_no_width():
    x, _ = grid()
    stripes = np.where(x % 16 < 5, 1.0, -1.0)  # 4 periods; all harmonics are there
    wavenumber, factor = structure_factor(stripes, 1.0)
    assert factor[8] > 0.1 * factor[4]
    assert peak_wavenumber(stripes, 1.0) == wavenumber[4]
    assert peak_width(stripes, 1.0) == pytest.approx(0, abs=1e-9)


def test_structure_factor_adds_up_to_the_variance():
    image = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    wavenumber, factor = structure_factor(image, 1.0)
    modes = np.bincount(
        np.rint(np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE) * SIDE, np.fft.fftfreq(SIDE) * SIDE)))
        .astype(int)
        .ravel()
    )
    assert (factor * modes[: len(factor)]).sum() / SIDE**4 == pytest.approx(image.var(), rel=1e-9)
    assert len(wavenumber) == len(factor)


# Persistence


def test_a_well_is_born_at_its_floor_and_dies_where_it_meets_a_deeper_one():
    image = np.ones((SIDE, SIDE))
    image[disc((10, 10), 4)] = -1.0
    image[disc((40, 40), 4)] = -0.5
    intervals = persistence(image, dimension=0)
    finite = intervals[np.isfinite(intervals[:, 1])]
    assert finite.tolist() == [[-0.5, 1.0]]
    assert intervals[~np.isfinite(intervals[:, 1])].tolist() == [[-1.0, np.inf]]


def test_persistence_knows_that_the_box_is_closed():
    image = np.ones((SIDE, SIDE))
    image[disc((0, 0), 6)] = -1.0  # four corners, one well
    assert len(persistence(image, dimension=0)) == 1
    x, _ = grid()
    stripe = persistence(np.where(x < 8, -1.0, 1.0), dimension=1)
    # The loop along the stripe is there with the stripe, that across it with the rest; both last for ever.
    assert sorted(stripe[:, 0]) == [-1.0, 1.0]
    assert np.isinf(stripe[:, 1]).all()


def test_a_ring_has_a_hole_as_deep_as_its_inside_is_high():
    image = np.ones((SIDE, SIDE))
    image[disc((32, 32), 12)] = -1.0
    image[disc((32, 32), 6)] = 0.4
    loops = persistence(image, dimension=1)
    assert [-1.0, 0.4] in loops.tolist()
    found = morphology(image, 1.0)
    assert found["lasting_components"] == 1
    assert found["lasting_holes"] == 3  # the ring's, and the two of the torus
    assert found["lasting_peaks"] == 2


def test_persistence_image_weighs_by_persistence():
    deep, shallow = (persistence_image(np.array([[-1.0, death]])) for death in (1.0, 0.0))
    assert deep.sum() == pytest.approx(2 * shallow.sum(), rel=0.02)
    row, column = np.unravel_index(deep.argmax(), deep.shape)
    assert row / 20 * 3 == pytest.approx(2, abs=0.2)
    assert column / 20 * 3 - 1.5 == pytest.approx(-1, abs=0.2)
    both = persistence_image(np.array([[-1.0, 1.0], [-1.0, 0.0], [-1.0, np.inf]]))
    np.testing.assert_allclose(both, deep + shallow)
    assert not persistence_image(np.zeros((0, 2))).any()


# Patterns over anisotropy


def disc_films(sample: int, numbers: tuple[int, ...]) -> xr.Dataset:
    """One frame per run, with that many negative discs, in the layout of all datasets."""
    x, y = grid()
    centres = [(8 + 16 * (i % 4), 8 + 16 * (i // 4)) for i in range(max(numbers))]
    discs = [np.hypot(x - cx, y - cy) < 4 for cx, cy in centres]
    images = [np.where(np.any(discs[:n], axis=0) if n else np.zeros_like(x), -1.0, 1.0) for n in numbers]
    count = len(numbers)
    return xr.Dataset(
        {
            "magnetization": (("run", "frame", "y", "x"), np.array(images)[:, None]),
            "onset_time": ("run", 100.0 - 10 * np.arange(count) + 5 * sample),
            "external_field": (("run", "frame"), np.full((count, 1), 1.5)),
        },
        coords={
            "anisotropy": ("run", 1.0 + np.arange(count)),
            "sample": ("run", np.full(count, sample)),
            "sweep_rate": ("run", np.full(count, 0.01)),
            "time": (("run", "frame"), np.zeros((count, 1))),
            "x": np.arange(SIDE) + 0.5,
        },
        attrs={"settings": CampaignSettings().model_dump_json()},
    )


def test_patterns_count_rise_and_fall_over_the_samples():
    result = patterns(disc_films(0, (1, 6, 5, 2)), disc_films(1, (1, 8, 7, 2)))
    counts = result.select(metric="negative_domains")
    assert counts["value"].tolist() == [1, 7, 6, 2]
    # Two samples of 6 and 8: mean 7, standard error 1, Student's t with one degree of freedom.
    assert counts["high"].iloc[1] == pytest.approx(7 + 12.706, rel=1e-4)
    assert result.value("domain_peak", anisotropy=2.0) == 7
    assert result.value("domain_rise", anisotropy=1.5) == 6
    assert result.value("domain_fall", anisotropy=3.5) == 4


def test_stripes_are_a_labyrinth_and_discs_are_not():
    films, samples = (shape_films(sample, ("stripe", "discs", "discs", "stripe")) for sample in (0, 1))
    result = patterns(films, samples)
    shares = result.select(metric="labyrinth_share")
    assert shares["value"].tolist() == [1, 0, 0, 1]
    assert shares["low"].iloc[0] == pytest.approx(0.025**0.5)  # Clopper and Pearson for 2 of 2
    assert 1 < result.value("labyrinth_end") < 2
    assert 3 < result.value("labyrinth_return") < 4
    ends = result.select(metric="labyrinth_end").iloc[0]
    assert ends["low"] == ends["high"] == ends["value"]  # the samples are alike
    change = result.select(metric="topology_change").astype({"value": float})
    assert change["value"].tolist()[1] == pytest.approx(0, abs=1e-12)
    assert change["value"].iloc[0] > 0.1
    assert result.value("topology_noise") == 0
    mixed = patterns(*(shape_films(sample, (shape,) * 4) for sample, shape in enumerate(("stripe", "discs"))))
    # The mean of two that differ by d has the variance d²/4, and the difference of two such means twice that;
    # over a mean size of which the noise itself has no part.
    stripe, discs = (
        np.array([persistence_image(persistence(sign * image, dimension=0)) for sign in (1, -1)])
        for image in shape_films(0, ("stripe", "discs")).magnetization.values[:, 0]
    )
    size = np.linalg.norm((stripe + discs) / 2, axis=(1, 2)).mean()
    noise = np.linalg.norm(stripe - discs, axis=(1, 2)).mean() / np.sqrt(2) / size
    assert mixed.value("topology_noise") == pytest.approx(noise)
    islands = patterns(*(shape_films(sample, ("discs",) * 4) for sample in (0, 1)))
    assert np.isnan(islands.value("labyrinth_end"))


def shape_films(sample: int, shapes: tuple[str, ...]) -> xr.Dataset:
    """Films whose only frame shows a long stripe or eight discs."""
    films = disc_films(sample, (1,) * len(shapes))
    discs = np.any([disc((x, y), 5) for x in (8, 24, 40, 56) for y in (16, 48)], axis=0)
    stripe = grid()[0] < 8
    images = [image_of(stripe if shape == "stripe" else discs) for shape in shapes]
    return films.assign(magnetization=(films.magnetization.dims, np.array(images)[:, None]))


def test_formation_sees_domains_appear_and_merge():
    def film(sample: int) -> xr.Dataset:
        # Nothing, then one disc, four discs, and all four in one stripe; onset at t = 5.
        four = np.any([disc((x, 32), 6) for x in (8, 24, 40, 56)], axis=0)
        stripe = np.abs(grid()[1] - 32) < 9
        frames = [np.zeros((SIDE, SIDE), bool), disc((8, 32), 6), four, stripe]
        images = np.array([[image_of(frame) for frame in frames]])
        return xr.Dataset(
            {"magnetization": (("run", "frame", "y", "x"), images), "onset_time": ("run", [5.0])},
            coords={
                "anisotropy": ("run", [1.0]),
                "sample": ("run", [sample]),
                "time": (("run", "frame"), [[0.0, 10.0, 20.0, 30.0]]),
            },
        )

    result = formation(film(0), film(1))
    assert result.value("most_domains") == 4
    assert result.value("merged_share") == 0.75
    assert result.value("domain_time") == pytest.approx(10 + 10 / 3 - 5)  # two of four, between 1 and 4
    assert result.arrays["domains_in_time"][0, 0].tolist() == [0, 1, 4, 1]
    areas = result.arrays["fraction_in_time"][0, 0]
    share = (areas[3] / 2 - areas[2]) / (areas[3] - areas[2])
    assert 0 < share < 1
    assert result.value("filling_time") == pytest.approx(20 + 10 * share - 5)


# Onset


def test_onset_is_the_first_frame_with_a_negative_pixel():
    images = np.ones((2, 5, 3, 3))
    images[0, 2, 1, 1] = -0.1
    images[0, 4] = -1
    assert onset_frame(images).tolist() == [2, -1]


def test_late_onsets_are_those_after_the_clean_film_is_unstable():
    films, samples = disc_films(0, (1, 1, 1, 1)), disc_films(4, (1, 1, 1, 1))
    result = onset(films, samples)
    # Onsets 100, 90, 80, 70 and 120, 110, 100, 90; the clean film: 84.0, 99.1, 131 and, at α = 4, never.
    assert result.arrays["critical_time"][:2] == pytest.approx([84.0, 99.3], abs=1.0)
    assert np.isnan(result.arrays["critical_time"][3])
    assert result.value("late_onset_share") == 3 / 8
    assert result.value("onset_time", case="range", anisotropy=2.0) == 100
    where = {"metric": "onset_time", "anisotropy": 2.0}
    assert result.select(case="range", **where)[["low", "high"]].iloc[0].tolist() == [90, 110]
    # Two samples, 90 and 110: standard error 10, Student's t with one degree of freedom.
    assert result.select(case="mean", **where)["high"].iloc[0] == pytest.approx(100 + 127.06, rel=1e-4)
    assert result.value("onset_spread", anisotropy=2.0) == pytest.approx(np.sqrt(200))
    assert result.value("onset_lead", anisotropy=2.0) == pytest.approx(99.3 - 100, abs=0.3)
    np.testing.assert_allclose(result.arrays["thresholds"], [8 / np.pi, 1 + 8 / np.pi])
