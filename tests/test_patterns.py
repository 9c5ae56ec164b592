"""Patterns over anisotropy and disorder, against films of discs and stripes."""

import numpy as np
import pytest
from known import SIDE, disc, disc_films, grid, image_of, ring, shape_films

from nrp.analysis.film.patterns import LABYRINTH, morphology, patterns
from nrp.reduction.persistence import persistence, persistence_image


def test_stretch_is_that_of_the_shape_whatever_the_number():
    discs = np.any([disc((x, y), 5) for x in (8, 24, 40, 56) for y in (8, 24, 40, 56)], axis=0)
    few = disc((8, 8), 5) | disc((40, 40), 5)
    assert morphology(image_of(discs), 1.0)["domain_stretch"] == pytest.approx(1, abs=0.1)
    assert morphology(image_of(few), 0.5)["domain_stretch"] == pytest.approx(1, abs=0.1)
    x, y = grid()
    long = morphology(image_of((x < 40) & (y < 10)), 1.0)["domain_stretch"]
    assert long == pytest.approx(100**2 / (4 * np.pi * 400), rel=0.15)  # a rectangle of 4:1
    assert long == pytest.approx(LABYRINTH, rel=0.15)


def test_what_goes_round_the_box_is_told_from_what_ends_before_the_seam():
    x, y = grid()
    found = morphology(image_of(x < 8), 1.0)
    assert found["round_the_box"] == 1
    assert found["euler_number"] == 0
    cut = morphology(image_of((x < 8) & (y < SIDE - 1)), 1.0)
    assert cut["round_the_box"] == 0
    assert cut["euler_number"] == 1


def test_what_lasts_is_counted_with_what_the_torus_has_itself():
    found = morphology(ring(), 1.0)
    assert found["lasting_components"] == 1
    assert found["lasting_holes"] == 3  # the ring's, and the two of the torus
    assert found["lasting_peaks"] == 2


def test_patterns_count_rise_and_fall_over_the_samples():
    result = patterns(disc_films(0, (1, 6, 5, 2)), disc_films(1, (1, 8, 7, 2)))
    counts = result.select(metric="negative_domains")
    assert counts["value"].tolist() == [1, 7, 6, 2]
    # Two samples of 6 and 8: mean 7, standard error 1, Student's t with one degree of freedom.
    assert counts["high"].iloc[1] == pytest.approx(7 + 12.706, rel=1e-4)
    assert (result.value("domain_peak"), result.value("domain_peak_place")) == (7, 2.0)
    assert (result.value("domain_rise"), result.value("domain_rise_place")) == (6, 1.5)
    assert (result.value("domain_fall"), result.value("domain_fall_place")) == (4, 3.5)


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
    assert result.value("topology_peak") == change["value"].max()
    assert result.value("topology_peak_place") in (1.5, 3.5)
    back = change["value"].iloc[2] / change["value"].max()
    assert result.value("topology_return_share") == pytest.approx(back)
    assert result.value("topology_noise_share") == 0
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
    assert np.isnan(islands.value("topology_return_share"))
