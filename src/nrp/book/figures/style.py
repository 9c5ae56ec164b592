"""Colours, line styles and the parts that several figures share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

BLUE, RED, GREY, GREEN = "#0072B2", "#C44E00", "#555555", "#00735C"
FIELD_MAP = "cividis"
FIELD_RANGE = (-1.2, 1.2)
"""Of φ, from the darkest colour to the brightest."""
LOOKS = tuple(zip((BLUE, RED, GREEN, GREY, "black", "#9A6A00"), "osD^vP", strict=True))
"""Colours and markers of models side by side, one for each."""
STYLES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
"""One for each published member."""
PAIR: tuple[dict[str, Any], ...] = ({"color": BLUE, "linestyle": "-"}, {"color": RED, "linestyle": "--"})
DOTTED_PAIR: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": ":"},
    {"color": RED, "linestyle": (0, (1, 3))},
)
"""What belongs to the lines of `PAIR` and must be told from them, such as doing nothing."""

mpl.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "figure.facecolor": "white",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "font.size": 10,
        "savefig.dpi": 110,
    }
)


def subplots(rows: int, columns: int, size: tuple[float, float], **options: Any):
    """Return a figure that pyplot has forgotten, so that a notebook shows it once, and its axes."""
    figure, axes = plt.subplots(rows, columns, figsize=size, **options)
    plt.close(figure)
    return figure, axes


def interval(rows: pd.DataFrame) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Return the values of some rows and the ends of their intervals; without one, the value itself."""
    return rows["value"], rows["low"].fillna(rows["value"]), rows["high"].fillna(rows["value"])


def show_image(
    ax: Axes, values: ndarray, *, title: str = "", vmin: float = FIELD_RANGE[0], vmax: float = FIELD_RANGE[1]
):
    """Draw one field and return the picture, for its colour bar."""
    picture = ax.imshow(values, origin="lower", cmap=FIELD_MAP, vmin=vmin, vmax=vmax)
    ax.set_title(title, fontsize=9)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    return picture


def image_rows(
    rows: Mapping[str, Iterable[ndarray]], titles: Sequence[str], size: tuple[float, float]
) -> Figure:
    """Return rows of fields with their labels at the left, titles above the first, and one colour bar."""
    figure, axes = subplots(len(rows), len(titles), size, squeeze=False)
    for line, (label, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label)
        for ax, image in zip(line, images, strict=True):
            picture = show_image(ax, image)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=9)
    figure.colorbar(picture, ax=axes, shrink=0.7, label="φ")
    return figure


def band(ax: Axes, x: ndarray, curves: ndarray, *, color: str, linestyle: Any, label: str) -> None:
    """Draw the mean of some curves and the range they fill."""
    ax.fill_between(x, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.2)
    ax.plot(x, curves.mean(axis=0), color=color, linestyle=linestyle, lw=1.4, label=label)


def error_bars(ax: Axes, x: Any, rows: pd.DataFrame, *, cut: float = -np.inf, **style: Any) -> None:
    """Draw the values of some rows and their intervals, cut where they are lower than wanted."""
    value, low, high = (each.clip(lower=cut) for each in interval(rows))
    ax.errorbar(x, value, [value - low, high - value], ms=4, lw=1.2, **style)


def mark(ax: Axes, x: float, words: str, *, color: str, linestyle: Any, top: bool = False) -> None:
    """Draw an upright line with words along it, at its foot or at its top."""
    ax.axvline(x, color=color, linestyle=linestyle, lw=1)
    y, va = (0.98, "top") if top else (0.02, "bottom")
    look: dict[str, Any] = {"color": color, "fontsize": 8, "rotation": 90, "ha": "right", "va": va}
    ax.text(x, y, words, transform=ax.get_xaxis_transform(), **look)
