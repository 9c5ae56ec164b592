"""Models side by side on every split: points and intervals instead of a table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nrp.book.figures.style import GREY, LOOKS, interval, subplots


def by_split(
    panels: Mapping[str, pd.DataFrame],
    names: Mapping[str, str],
    *,
    label: str,
    column: str = "arm",
    line: float | None = None,
    least: float | None = None,
) -> Figure:
    """Points with their intervals, a line for each split and a marker for each model.

    Parameters
    ----------
    panels
        By their titles, rows of a result; a split that is in none of them is left out.
    names
        By the values of `column`, what the models are called; others are left out.
    label
        What is measured.
    column
        The column that tells the models apart.
    line
        A value to hold the others against.
    least
        Smallest value that is drawn; what lies lower stands there, as a marker that is open.
    """
    chosen = {title: rows[rows[column].isin(list(names))] for title, rows in panels.items()}
    splits = list(dict.fromkeys(split for rows in chosen.values() for split in rows["split"]))
    height = 1.0 + len(splits) * (0.16 + 0.11 * len(names))
    figure, axes = subplots(1, len(panels), (8.6, height), sharey=True, squeeze=False)
    for ax, (title, rows) in zip(axes[0], chosen.items(), strict=True):
        for i, (model, words) in enumerate(names.items()):
            color, marker = LOOKS[i % len(LOOKS)]
            here = rows[rows[column] == model].drop_duplicates("split").set_index("split").reindex(splits)
            at = np.arange(len(splits)) + 0.7 * ((i + 0.5) / len(names) - 0.5)
            value = here["value"]
            shown, low, high = (each.clip(lower=least) for each in interval(here))
            ax.hlines(at, low, high, color=color, lw=1.3)
            inside = (value == shown).to_numpy()
            for part, face in ((inside, color), (~inside, "white")):
                look = {"marker": marker, "ms": 4.5, "ls": "none", "color": color, "markerfacecolor": face}
                ax.plot(shown[part], at[part], **look, label=words if face == color else None)
        if line is not None:
            ax.axvline(line, color=GREY, lw=1, ls="--")
        ax.set(xlabel=label, title=title)
        for edge in np.arange(len(splits) - 1) + 0.5:
            ax.axhline(edge, color=GREY, lw=0.3)
        ax.grid(axis="y", visible=False)
    axes[0, 0].set_yticks(range(len(splits)), [split.replace("_", " ") for split in splits])
    axes[0, 0].set(ylabel="split")
    axes[0, 0].invert_yaxis()
    handles, words = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, words, fontsize=8, ncols=min(len(names), 6), loc="outside upper center")
    return figure
