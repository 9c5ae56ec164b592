"""Widgets that work in a page without a kernel."""

from __future__ import annotations

import base64
import io

import ipywidgets as widgets
import numpy as np
from matplotlib import colormaps
from matplotlib.image import imsave
from numpy import ndarray

from nrp.book.figures.style import FIELD_MAP, FIELD_RANGE
from nrp.evaluation import Result


def frame_slider(truth: ndarray, prediction: ndarray, time: ndarray, *, title: str) -> widgets.VBox:
    """Return a time slider over pairs of images, truth on the left and prediction on the right.

    All pictures lie in the page and the browser links slider and picture, so no kernel is needed.  The
    slider answers to the arrow keys.  Images have the shape (frame, y, x); the first frame, of which there is
    no prediction, is left out.  The title begins the text that stands for each picture.
    """
    chosen = range(1, len(time))
    pictures = [
        widgets.HTML(
            f'<figure class="nrp-frame"><img alt="{title}, t = {time[i]:.0f}: truth left, '
            f'prediction right" src="data:image/png;base64,{_png(truth[i], prediction[i])}">'
            f"<figcaption>t = {time[i]:.0f}: truth (left), prediction (right)</figcaption></figure>"
        )
        for i in chosen
    ]
    return _choice(pictures, "frame", f"{title}: choose a frame with the arrow keys")


def loss_slider(result: Result) -> widgets.VBox:
    """Return a slider over the scale of the latent space that shows both norms of Eq. (2) as bars.

    The result is that of `nrp.analysis.model.identifiability.demonstrations`.
    """
    columns = [result.arrays[name] for name in ("scales", "reconstruction_loss", "dynamics_loss")]
    widest = np.log10(1 + np.max(columns[1:]))

    def bar(name: str, value: float) -> str:
        width = 60 * np.log10(1 + value) / widest
        return f'<div>{name}: {value:.3g}<div class="nrp-bar" style="width: {width:.1f}%"></div></div>'

    pictures = [
        widgets.HTML(
            f'<figure class="nrp-loss"><figcaption>z multiplied by s = {scale:g}, V by s²</figcaption>'
            f"{bar('image term ‖X − X̂‖', image)}{bar('motion term ‖dz/dt + ∂V/∂z‖', motion)}</figure>"
        )
        for scale, image, motion in zip(*columns, strict=True)
    ]
    return _choice(pictures, "scale", "choose a scale of the latent space with the arrow keys", start=2)


def _choice(pictures: list[widgets.HTML], name: str, words: str, *, start: int = 0) -> widgets.VBox:
    """Return a slider that shows one of several pictures; the browser links them."""
    stack = widgets.Stack(pictures, selected_index=start)
    slider = widgets.IntSlider(
        value=start,
        max=len(pictures) - 1,
        description=name,
        tooltip=words,
        layout=widgets.Layout(width="95%", max_width="30rem"),
    )
    widgets.jslink((slider, "value"), (stack, "selected_index"))
    return widgets.VBox([slider, stack])


def _png(truth: ndarray, prediction: ndarray) -> str:
    gap = np.full((len(truth), 3), np.nan)
    both = np.concatenate([truth, gap, prediction], axis=1)
    low, high = FIELD_RANGE
    colors = colormaps[FIELD_MAP](np.clip((both - low) / (high - low), 0, 1), bytes=True)
    colors[np.isnan(both)] = 255
    file = io.BytesIO()
    imsave(file, colors, format="png", origin="lower")
    return base64.b64encode(file.getvalue()).decode()
