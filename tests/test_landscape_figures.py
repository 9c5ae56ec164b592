"""The figures of a landscape learned from descriptors, drawn from results that are known."""

import numpy as np
import pytest
import torch
from matplotlib.container import ErrorbarContainer
from test_figures import check
from test_transitions import Known, cusp, films

from nrp.book.figures.landscape import Truth, control_folds, held_gaps, landscape, occupied_minima, stability
from nrp.evaluation import Observation, Result, row

ALPHAS = np.array([1.0, 2.0, 3.0])


def with_depth(z, alpha, h):
    """The cusp with a third coordinate, whose minimum lies at 1."""
    return cusp(0.7)(z[..., :2], alpha, h) + (z[..., 2] - 1) ** 2


class Deep(Known):
    """States in three dimensions: two descriptors, and one that the field tells."""

    def encode(self, images):
        return torch.cat([images, images[..., :1] / 2], dim=-1)


@pytest.fixture(scope="module")
def held():
    fields, levels = np.linspace(1.5, 0, 5), np.array([0.5, 0.9])
    curves = np.random.default_rng(0).random((4, 2, 3, 5))
    ends = np.arange(24.0).reshape(2, 2, 3, 2)
    return Result.of(
        [], alphas=ALPHAS, fields=fields, levels=levels, magnetization=curves, held_magnetization=ends
    )


def test_every_member_and_every_held_film_is_drawn(held):
    figure = check(occupied_minima(held, (1.1, 2.9)))
    assert [ax.get_title() for ax in figure.axes] == ["α = 1", "α = 3"]
    lines = figure.axes[1].get_lines()
    falling = [each for each in lines if each.get_linestyle() == "-" and len(each.get_xdata())]
    assert len(falling) == 4
    np.testing.assert_array_equal(falling[2].get_ydata(), held.arrays["magnetization"][2, 0, 2])
    (below,) = (each for each in lines if each.get_marker() == "^")
    np.testing.assert_array_equal(below.get_xdata(), [0.5, 0.5, 0.9, 0.9])
    np.testing.assert_array_equal(below.get_ydata(), held.arrays["held_magnetization"][1, :, 2].ravel())


def test_fields_of_model_and_film_are_told_apart():
    rows = [row("stability_field", 0.6 - a / 10, arm="exact", anisotropy=a) for a in ALPHAS]
    rows += [row("stability_field", 0.7, arm="films", anisotropy=a, low=0.6, high=0.8) for a in ALPHAS]
    rows += [
        row("stability_field", 0.5, case="falling", arm="descriptors", anisotropy=a, low=0.4, high=0.6)
        for a in ALPHAS
    ]
    rows += [
        row("fold_field", value, case=case, arm="descriptors", anisotropy=3.0, low=0.1, high=0.4)
        for case, value in (("falling", 0.2), ("rising", 0.3))
    ]
    (ax,) = check(stability(Result.of(rows))).axes
    drawn = {each.get_label(): each[0].get_xydata().tolist() for each in ax.containers}
    assert all(isinstance(each, ErrorbarContainer) for each in ax.containers)
    assert drawn["fold, falling"] == [[3.0, 0.2]]
    assert drawn["fold, rising"] == [[3.0, 0.3]]
    assert drawn["film, h at T_init"] == [[a, 0.7] for a in ALPHAS]
    assert "equally deep" not in drawn
    (exact,) = (each for each in ax.get_lines() if each.get_label() == "clean film unstable, $h_c$")
    np.testing.assert_allclose(exact.get_ydata(), 0.6 - ALPHAS / 10)
    assert {"8/π", "1 + 8/π"} == {text.get_text() for text in ax.texts}


def test_the_ends_of_films_and_flows_lie_side_by_side_for_each_field():
    def of(arm, start):
        return [
            row("held_gap", start + a, low=start, high=start + 4, case=case, arm=arm, anisotropy=a)
            for case in ("h = 1.1", "h = 0.9")
            for a in ALPHAS[:2]
        ]

    whole = [row("held_gap", 9.0, case="h = 0.9", arm="films")]
    first = Result.of([*of("films", 0.1), *of("descriptors", 0.2), *whole])
    other = Result.of(of("descriptors", 0.3))
    series = {"films": (first, "films"), "before": (other, "descriptors"), "after": (first, "descriptors")}
    figure = check(held_gaps(series))
    assert [ax.get_title() for ax in figure.axes] == ["h = 0.9", "h = 1.1"]
    for ax in figure.axes:
        drawn = {each.get_label(): each[0].get_ydata().tolist() for each in ax.containers}
        assert drawn == {"films": [1.1, 2.1], "before": [1.3, 2.3], "after": [1.2, 2.2]}


def test_folds_of_a_control_are_counted_and_drawn_beside_the_truth():
    rows = [
        row("fold_share", share, case="falling", anisotropy=a, members=5)
        for a, share in zip(ALPHAS, (0.0, 0.2, 1.0), strict=True)
    ]
    rows += [
        row("fold_field", 0.4, case="falling", anisotropy=2.0, members=1),
        row("fold_field", 0.2, case="falling", anisotropy=3.0, low=0.1, high=0.4, members=5),
        row("fold_field", 0.7, case="rising", anisotropy=3.0, low=0.6, high=0.8, members=5),
    ]
    rows.append(row("fold_share", 0.4, case="falling", members=5))
    result = Result.of(rows, fields=np.linspace(1, -1, 3))
    truth = Truth(
        "exact", np.array([2.5, 3.0]), np.array([0.0, 0.1]), {2.4: "here", 2.6: "there"}, (2.4, 2.6)
    )
    panels = {"a film": (result, "α", "lower left", truth), "another": (result, "g", "upper left", truth)}
    figure = check(control_folds(panels))
    for ax, title in zip(figure.axes, ("a film", "another"), strict=True):
        assert ax.get_title() == title
        assert ax.get_xlim()[0] < 1  # where no member has a fold there is room for the number, too
        assert ax.get_ylim() == pytest.approx((-0.2, 0.6))
        (folds,) = ax.containers
        np.testing.assert_allclose(folds[0].get_xydata(), [[2, 0.4], [3, 0.2]])
        (bars,) = folds[2]
        np.testing.assert_allclose(bars.get_segments()[1][:, 1], [0.1, 0.4])
        words = {text.get_position()[0]: text.get_text() for text in ax.texts}
        assert words == {1: "0", 2: "1", 3: "5", 2.4: "here", 2.6: "there"}
        (exact,) = (each for each in ax.get_lines() if each.get_label() == "exact")
        np.testing.assert_allclose(exact.get_xydata(), [[2.5, 0], [3, 0.1]])
        (band,) = (each for each in ax.patches if each.get_label() == "not known")
        assert (band.get_x(), band.get_width()) == pytest.approx((2.4, 0.2))


@pytest.mark.parametrize("kind", ["two", "three"])
def test_minima_and_saddles_are_where_they_are(kind):
    data = films(1.0, 3.0)
    model = Known(cusp(0.7)) if kind == "two" else Deep(with_depth)
    # The films pass through both wells.
    images = np.zeros(data["descriptors"].shape, dtype=np.float32)
    images[..., 0], images[..., 1] = [3.0, 0.1, -2.5], [0.1, -0.1, 0.2]
    data = data.assign(descriptors=(data["descriptors"].dims, images))
    figure = check(landscape(Observation(model, data), [(3.2, 0.7), (1.0, 0.75)]))
    assert [ax.get_title() for ax in figure.axes] == ["α = 3, h = 0.7", "α = 1, h = 0.75"]
    two, one = ({each.get_label(): each.get_xydata() for each in ax.get_lines()} for ax in figure.axes)
    places = two["minimum"][two["minimum"][:, 0].argsort()]
    np.testing.assert_allclose(places, [[-np.sqrt(0.5), 0], [np.sqrt(0.5), 0]], atol=1e-5)
    np.testing.assert_allclose(two["saddle"], [[0, 0]], atol=1e-5)
    assert one["minimum"].shape == (1, 2)
    assert len(one["saddle"]) == 0
    # At h = 0.75 the films are in their second frame, seen in units of the deviations.
    np.testing.assert_allclose(one["films at h"], np.tile([0.05, -0.2], (4, 1)), atol=1e-6)
