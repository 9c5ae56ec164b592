"""Colours, line styles and the parts that several figures share."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

BLUE, RED, GREY, GREEN = "#0072B2", "#C44E00", "#555555", "#00735C"
FIELD_MAP = "cividis"
FIELD_RANGE = (-1.2, 1.2)
"""Of φ, from the darkest colour to the brightest."""
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


def panels(count: int, size: tuple[float, float], **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes in a row, as a list also if there is only one."""
    figure, axes = subplots(1, count, size, squeeze=False, **options)
    return figure, list(axes[0])


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


def band(ax: Axes, time: ndarray, values: ndarray, *, color: str, linestyle: str, label: str) -> None:
    """Draw the mean of some curves and the range they fill."""
    ax.fill_between(time, values.min(axis=0), values.max(axis=0), color=color, alpha=0.25)
    ax.plot(time, values.mean(axis=0), color=color, linestyle=linestyle, lw=1.2, label=label)
