"""The widgets of the book, which must work in a page without a kernel."""

import base64
import io
import re

import ipywidgets
import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.image import imread

from nrp.book.widgets import frame_slider, jump_test, loss_slider, rollout_slider
from nrp.evaluation import Observation, Result
from nrp.reduction import ModelSettings, ReducedModel, coverage, load_frames

SIDE = 5


def picture(slider: ipywidgets.VBox, place: int) -> str:
    """Return the HTML of one of the pictures that a slider chooses from."""
    return slider.children[1].children[place].value


def pixels(html: str) -> np.ndarray:
    """Return the picture that lies in the page."""
    data = re.search(r"base64,([^\"]+)", html).group(1)
    return imread(io.BytesIO(base64.b64decode(data)), format="png")


@pytest.fixture
def slider():
    truth, prediction = np.full((4, SIDE, SIDE), -1.0), np.full((4, SIDE, SIDE), 1.0)
    prediction[0] = np.nan  # there is no prediction of the first frame
    truth[2, 0] = 1.0
    return frame_slider(truth, prediction, np.array([0.0, 3.0, 6.0, 9.0]), title="α = 2")


def test_the_first_frame_has_no_prediction_and_is_left_out(slider):
    numbers, stack = slider.children
    assert len(stack.children) == 3
    assert numbers.max == 2
    assert "t = 3:" in picture(slider, 0)


def test_every_picture_says_in_words_what_it_shows(slider):
    for place, time in enumerate((3, 6, 9)):
        assert f'alt="α = 2, t = {time}: truth (left), prediction (right)"' in picture(slider, place)
    assert "arrow keys" in slider.children[0].tooltip


def test_truth_is_left_dark_where_negative_and_row_0_is_at_the_bottom(slider):
    image = pixels(picture(slider, 1))[..., :3].sum(axis=-1)
    left, right = image[:, :SIDE], image[:, -SIDE:]
    assert (left[:-1] < right[:-1]).all()
    assert np.array_equal(left[-1], right[-1])
    assert image.shape == (SIDE, 2 * SIDE + 3)
    assert (image[:, SIDE : SIDE + 3] == 3).all()  # white between them


def test_bars_grow_with_the_norms():
    result = Result.of(
        [],
        scales=np.array([0.1, 1.0, 10.0]),
        dynamics_loss=np.array([0.2, 2.0, 20.0]),
        reconstruction_loss=np.full(3, 4.0),
    )
    slider = loss_slider(result)
    widths = np.array(
        [[float(w) for w in re.findall(r"width: ([\d.]+)%", picture(slider, i))] for i in range(3)]
    )
    image, motion = widths.T
    assert np.ptp(image) == 0
    assert (np.diff(motion) > 0).all()
    assert widths.max() == 60
    assert slider.children[0].value == 2
    assert "s = 10" in picture(slider, 2)


def test_the_flow_stands_below_the_film_for_some_anisotropies(films):
    settings = ModelSettings.parse({"latent": 3, "width": 8})
    model = ReducedModel(settings, (16, 16), coverage([films], settings))
    model.fit(load_frames(films).images.flatten(0, 1))
    chosen = rollout_slider(Observation(model, films), frames=3)
    pictures = chosen.children[1].children
    assert [re.search(r'alt="α = ([\d.]+):', each.value).group(1) for each in pictures] == ["1", "2", "3"]
    shown = pixels(pictures[0].value)
    assert shown.shape[:2] == (2 * 16 + 3, 3 * (16 + 2))
    # The film is above, as in the dataset with y upwards, in 64 colours.
    first = films["magnetization"].values[0, 0, ::-1]
    shades = np.clip((first + 1.2) / 2.4, 0, 1) * 63
    expected = colormaps["cividis"](shades.round() / 63)[..., :3]
    np.testing.assert_allclose(shown[:16, :16, :3], expected, atol=0.02)


def test_a_live_widget_lies_in_the_page_or_is_driven_from_python():
    page = jump_test(jump=0.5).data
    assert "import " not in re.sub(r"/\*\*.*?\*/", "", page, flags=re.DOTALL)
    assert '"jump":0.5' in page
    assert page.count("</script>") == 1
    driven = jump_test(kernel=True, scatter=0.1)
    assert driven.scatter == 0.1
    driven.jump = 0.2
    assert driven.get_state()["jump"] == 0.2
