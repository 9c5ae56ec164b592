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
import torch
import traitlets
from IPython.display import HTML
from matplotlib import colormaps
from numpy import ndarray
from PIL import Image

from nrp.book.figures.style import FIELD_MAP, FIELD_RANGE
from nrp.evaluation import Observation, Result
from nrp.evaluation.rollouts import Drive, follow
from nrp.systems import DEFAULT_SYSTEM

_COLORS = 64
"""Of the pictures that lie in a page."""
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

    The box, the grid and the first disorder samples are those that the settings have by default, whatever the
    profile.

    Parameters
    ----------
    kernel
        Whether it is driven from Python, in a running notebook; otherwise it lies in the page.
    state
        Of ``anisotropy``, ``field``, ``sweep_rate``, ``sample`` and ``running``, what differs at the start.
    """
    settings = DEFAULT_SYSTEM.settings_type(dx=1.0, coarsen=1)  # one point for each cell of the disorder
    films = (DEFAULT_SYSTEM.draw(settings, anisotropy=1.0, seed=0, sample=i) for i in range(_SAMPLES))
    start = {"anisotropy": 1.0, "field": 1.5, "sweep_rate": 0.01, "sample": 0, "running": False}
    return _alive(
        "live_film",
        start | state | {"disorders": [_packed(np.asarray(film.disorder)) for film in films]},
        kernel=kernel,
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
    return HTML(
        f'<div id="nrp-{name}" class="nrp-alive">{words}</div>\n<script type="module">\n{script}</script>'
    )


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
    no prediction, is left out.  It begins where the film moves fastest.  The title begins the text that
    stands for each picture.
    """
    chosen = range(1, len(time))
    pictures = [
        _captioned(
            _png(truth[i], prediction[i]), f"{title}, t = {time[i]:.0f}: truth (left), prediction (right)"
        )
        for i in chosen
    ]
    fastest = int(np.square(np.diff(truth, axis=0)).mean(axis=(1, 2)).argmax())
    return _choice(pictures, "frame", f"{title}: choose a frame with the arrow keys", start=fastest)


def rollout_slider(observed: Observation, *, frames: int = 6, every: int = 2) -> widgets.VBox:
    """Return a slider over the anisotropy: the film above, and below it the flow of a model from its start.

    The flow is followed from the first frame under the field of the run; some frames are shown, evenly spaced
    in time, of every second run.
    """
    data, times, shape = observed.data, observed.times, observed.model.shape
    runs = np.argsort(data["anisotropy"].values, kind="stable")[::every]
    drive, longest = Drive((data, observed.frames)), observed.model.longest_step
    start = observed.z[torch.from_numpy(runs), 0]
    states = follow(observed.model.velocity, start, drive, runs, times[runs], longest=longest)
    chosen = np.linspace(0, times.shape[1] - 1, frames).round().astype(int)
    with torch.no_grad():
        flow = observed.model.decode(states[:, chosen]).unflatten(-1, shape).numpy()
    truth = observed.stored.images[torch.from_numpy(runs)][:, chosen].unflatten(-1, shape).numpy()
    pictures = []
    for i, run in enumerate(runs):
        moments = ", ".join(f"{time:.0f}" for time in times[run, chosen])
        what = f"α = {data['anisotropy'].values[run]:g}: the film (above) and the flow of V (below)"
        apart = [np.pad(each[i], ((0, 0), (0, 0), (0, 2)), constant_values=np.nan) for each in (truth, flow)]
        png = _png(*(np.concatenate(list(images), axis=1) for images in apart), axis=0)
        pictures.append(_captioned(png, f"{what} at t = {moments}"))
    return _choice(pictures, "α", "choose an anisotropy with the arrow keys", start=len(pictures) // 2)


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


def _captioned(png: str, words: str) -> widgets.HTML:
    image = f'<img alt="{words}" src="data:image/png;base64,{png}">'
    return widgets.HTML(f'<figure class="nrp-frame">{image}<figcaption>{words}</figcaption></figure>')


def _choice(pictures: list[widgets.HTML], name: str, words: str, *, start: int = 0) -> widgets.VBox:
    """Return a slider that shows one of several pictures; the browser links them."""
    stack = widgets.Stack(pictures, selected_index=start)
    slider = widgets.IntSlider(
        value=start,
        max=len(pictures) - 1,
        description=name,
        readout=False,  # the caption says what is chosen; the number of the picture says nothing
        tooltip=words,
        layout=widgets.Layout(width="95%", max_width="30rem"),
    )
    widgets.jslink((slider, "value"), (stack, "selected_index"))
    return widgets.VBox([slider, stack])


def _png(truth: ndarray, prediction: ndarray, *, axis: int = 1) -> str:
    """Return two images side by side, or with axis 0 the first one above the other, in 64 colours."""
    gap = np.full((len(truth), 3) if axis else (3, truth.shape[1]), np.nan)
    parts = (truth, gap, prediction) if axis else (prediction, gap, truth)  # y goes upwards
    both = np.concatenate(parts, axis=axis)[::-1]
    low, high = FIELD_RANGE
    shades = np.clip((both - low) / (high - low), 0, 1) * (_COLORS - 1)
    picture = Image.fromarray(np.where(np.isnan(shades), _COLORS, shades.round()).astype(np.uint8), "P")
    palette = colormaps[FIELD_MAP](np.linspace(0, 1, _COLORS), bytes=True)[:, :3]
    picture.putpalette([*palette.ravel().tolist(), 255, 255, 255])
    file = io.BytesIO()
    picture.save(file, format="png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
