"""The figures of potentials of descriptors, drawn from published and from made-up results."""

import numpy as np
from test_figures import check

from nrp.book.figures.comparison import by_split
from nrp.book.figures.descriptors import error_ratios, images_by_place, rollout_errors
from nrp.evaluation import Result
from nrp.pipeline.published import published

SPLITS = ("new_all", "field_hold")
MODELS = {"descriptors": "potential", "descriptors_two": "two", "lookup": "look-up"}


def test_every_model_and_split_has_its_error_and_the_scatter_beside_it():
    result, _ = published("premise")
    figure = check(rollout_errors(result, MODELS, SPLITS))
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_xticklabels()] == ["new all", "field hold"]
    first, *_ = (container.lines[0].get_ydata() for container in ax.containers)
    expected = [result.value("rollout_error", arm="descriptors", split=split) for split in SPLITS]
    np.testing.assert_allclose(np.asarray(first, dtype=float), expected)
    heights = {segment[0, 1] for lines in ax.collections for segment in lines.get_segments()}
    for split in SPLITS:
        assert float(result.value("sample_scatter", split=split)) in heights


def test_intervals_that_hold_one_are_told_from_those_that_do_not():
    result, _ = published("premise")
    models = {name: name for name in ("descriptors_growing", "descriptors_two")}
    figure = check(error_ratios(result, "free_field_ratio", models, ("new_all",)))
    markers = [line.get_marker() for line in figure.axes[0].get_lines() if line.get_marker() != "None"]
    rows = result.select(metric="free_field_ratio", split="new_all").set_index("arm").loc[list(models)]
    holds = (rows["low"] <= 1) & (rows["high"] >= 1)
    assert markers == ["o" if each else "D" for each in holds]
    assert set(markers) == {"o", "D"}


def test_places_without_an_image_are_left_white():
    images = np.random.default_rng(0).random((2, 3, 4, 4)).astype(np.float16)
    images[1, 2] = np.nan
    places = np.stack(np.meshgrid([0.0, 1.0, 2.0], [5.0, 6.0]), axis=-1)[::-1]
    result = Result.of([], images=images, places=places, anisotropy=np.full((2, 3), 2.5))
    figure = check(images_by_place(result))
    shown = [ax for ax in figure.axes if ax.images]
    assert len(shown) == 5
    assert figure.axes[3].get_xlabel() == "$z_1$ = 0.00"
    assert figure.axes[3].get_ylabel() == "$z_2$ = 5.00"


def test_models_stand_side_by_side_on_every_split():
    result, _ = published("identified")
    rows = result.select(metric="skill", case="increment", lead_time=10)
    names = {"identified": "ours", "lookup": "look-up"}
    figure = check(by_split({"a": rows, "b": rows}, names, label="skill", line=0, least=-1))
    first = figure.axes[0]
    splits = [text.get_text().replace(" ", "_") for text in first.get_yticklabels()]
    assert splits == list(dict.fromkeys(rows[rows["arm"].isin(list(names))]["split"]))
    drawn = [x for line in first.get_lines()[:-1] for x in line.get_xdata()]
    for arm in names:
        for split in splits:
            value = rows[(rows["arm"] == arm) & (rows["split"] == split)]["value"].iloc[0]
            assert max(value, -1) in drawn
    assert min(drawn) >= -1
