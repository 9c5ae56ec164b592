"""Widgets that work in a page without a kernel.

Those of ``javascript`` compute in the page: `live_film`, `landscape_map` and `jump_test`.  With
``kernel=True`` they are driven from Python, too: ``film = live_film(kernel=True)``, then
``film.anisotropy = 2``.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets
from IPython.display import HTML
from matplotlib import colormaps
from matplotlib.image import imsave
from numpy import ndarray

from nrp.book.figures.style import FIELD_MAP, FIELD_RANGE
from nrp.evaluation import Result
from nrp.systems.film import FilmSettings, draw_disorder

_SAMPLES = 3
"""Disorder samples among which the reader of a live film chooses."""
_HOST = """
const state = %s, listeners = {};
const model = {
  get: (name) => state[name],
  set: (name, value) => {
    if (state[name] === value) return;
    state[name] = value;
    (listeners[`change:${name}`] ?? []).forEach((listener) => listener());
  },
  save_changes: () => {},
  on: (event, listener) => (listeners[event] ??= []).push(listener),
};
render({ model, el: document.getElementById("%s") });
"""
"""What stands for the kernel in a page: a state that listeners can watch."""


def live_film(*, kernel: bool = False, **state: Any) -> HTML | anywidget.AnyWidget:
    """Return the film, integrated in the page while the reader turns the field.

    The box, the grid and the first disorder samples are those of `nrp.systems.film`, whatever the profile.

    Parameters
    ----------
    kernel
        Whether it is driven from Python, in a running notebook; otherwise it lies in the page.
    state
        Of ``anisotropy``, ``field``, ``sweep_rate``, ``sample`` and ``running``, what differs at the start.
    """
    cells = [draw_disorder(FilmSettings(dx=1.0), seed=0, sample=sample) for sample in range(_SAMPLES)]
    start = {"anisotropy": 1.0, "field": 1.5, "sweep_rate": 0.01, "sample": 0, "running": False}
    return _alive(
        "live_film", start | state | {"disorders": [_packed(each) for each in cells]}, kernel=kernel
    )


def landscape_map(result: Result, *, kernel: bool = False, **state: Any) -> HTML | anywidget.AnyWidget:
    """Return a map of V(z, α, h) with films in it; the reader turns α and h, and lets the state roll.

    Parameters
    ----------
    result
        Of `nrp.analysis.potential.map.potential_map`.
    kernel
        As for `live_film`.
    state
        Of ``anisotropy`` and ``field``, what differs at the start.
    """
    arrays = result.arrays
    weights = {
        name.removeprefix("weight ").removeprefix("network."): {
            "shape": list(values.shape),
            "data": _packed(values),
        }
        for name, values in arrays.items()
        if name.startswith("weight ")
    }
    of_runs = ("alphas", "samples", "rates", "intervals", "z", "field")
    keys = ("anisotropy", "sample", "sweep_rate", "interval", "z", "h")
    runs = [dict(zip(keys, each, strict=True)) for each in zip(*_rounded(arrays, of_runs), strict=True)]
    ends = [
        {"anisotropy": alpha, "h": field, "way": "above" if above else "below", "z": z}
        for alpha, field, above, z in zip(
            *_rounded(arrays, ("end_alphas", "end_fields", "end_above", "end_z")), strict=True
        )
    ]
    extent = np.round(arrays["extent"].astype(float), 2).tolist()
    data = {"weights": weights, "runs": runs, "ends": ends, "extent": extent}
    return _alive("landscape", {"anisotropy": 3.0, "field": 0.5} | state | data, kernel=kernel)


def jump_test(*, kernel: bool = False, **state: Any) -> HTML | anywidget.AnyWidget:
    """Return a curve whose jump the reader moves, with the test of `nrp.analysis.transition.jumps` put to it.

    Parameters
    ----------
    kernel
        As for `live_film`.
    state
        Of ``jump``, ``place``, ``scatter`` and ``seed``, what differs at the start.
    """
    start = {"jump": 0.3, "place": 2.55, "scatter": 0.05, "seed": 1}
    return _alive("jump", start | state, kernel=kernel)


def javascript(name: str) -> str:
    """Return the source of a widget as one module, with what it imports in it."""
    folder = files("nrp.book").joinpath("javascript")
    source = folder.joinpath(f"{name}.js").read_text(encoding="utf-8")
    for line, imported in re.findall(r'^(import .* from "\./(\w+\.js)";\n)', source, flags=re.MULTILINE):
        source = source.replace(line, folder.joinpath(imported).read_text(encoding="utf-8"))
    return source


def _alive(name: str, state: Mapping[str, Any], *, kernel: bool) -> HTML | anywidget.AnyWidget:
    if kernel:
        traits = {key: traitlets.Any(value).tag(sync=True) for key, value in state.items()}
        return type(name, (anywidget.AnyWidget,), {"_esm": javascript(name), **traits})()
    told = json.dumps(state, separators=(",", ":")).replace("</", "<\\/")
    script = javascript(name) + _HOST % (told, f"nrp-{name}")
    words = "<noscript>This figure moves where scripts may run.</noscript>"
    return HTML(f'<div id="nrp-{name}">{words}</div>\n<script type="module">\n{script}</script>')


def _packed(values: ndarray) -> str:
    """Return numbers as base64 of little-endian single precision."""
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


def _rounded(arrays: Mapping[str, ndarray], names: tuple[str, ...]) -> list[list]:
    """Return arrays as lists of numbers that are written shortly."""
    return [np.round(arrays[name].astype(float), 3).tolist() for name in names]


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
