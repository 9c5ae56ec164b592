"""The figures of potentials of descriptors: their errors, their rivals, and what their coordinates show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from nrp.book.figures.style import BLUE, GREEN, GREY, RED, error_bars, show_image, subplots
from nrp.evaluation import Result

_MARKERS = "osD^vP*X<>"
_COLORS = (BLUE, RED, GREEN, GREY, "black")


def rollout_errors(result: Result, models: Mapping[str, str], splits: Sequence[str]) -> Figure:
    """Errors of flows followed from the first frame, by split, beside the scatter of the samples.

    Parameters
    ----------
    result
        Of `nrp.analysis.model.premise.premise`.
    models
        By the names of groups or rivals, what they are called in the figure.
    splits
        Those that are shown, from left to right.
    """
    figure, ax = subplots(1, 1, (8.6, 4.4))
    rows = result.select(metric="rollout_error")
    where = np.arange(len(splits))
    for i, (arm, label) in enumerate(models.items()):
        here = rows[rows["arm"] == arm].set_index("split").reindex(splits)
        at = where + 0.7 * (i / max(len(models) - 1, 1) - 0.5)
        color, marker = _COLORS[i % len(_COLORS)], _MARKERS[i % len(_MARKERS)]
        error_bars(ax, at, here, ls="none", marker=marker, color=color, label=label, capsize=2)
    scatter = result.select(metric="sample_scatter").set_index("split")["value"]
    for place, split in enumerate(splits):
        if split in scatter.index:
            named = {} if place else {"label": "scatter of the samples"}
            ax.hlines(scatter[split], place - 0.45, place + 0.45, color=GREY, ls="--", lw=1.2, **named)
    ax.set_xticks(where, [split.replace("_", " ") for split in splits])
    ax.set(xlabel="films", ylabel="rollout error", yscale="log")
    figure.legend(fontsize=8, ncols=3, loc="outside upper center")
    return figure


_RATIOS = {"free_field_ratio": "error / free field", "scatter_ratio": "error / scatter of the samples"}


def error_ratios(result: Result, metric: str, models: Mapping[str, str], splits: Sequence[str]) -> Figure:
    """Rollout errors over those of like free fields, or over the scatter of the samples, by split.

    The metric is ``free_field_ratio`` or ``scatter_ratio``, the other parameters are those of
    `rollout_errors`.
    """
    figure, axes = subplots(1, len(splits), (8.6, 0.9 + 0.32 * len(models)), sharey=True, squeeze=False)
    rows = result.select(metric=metric)
    for ax, split in zip(axes[0], splits, strict=True):
        for place, arm in enumerate(models):
            here = rows[(rows["arm"] == arm) & (rows["split"] == split)]
            low, high = here["low"].iloc[0], here["high"].iloc[0]
            apart = not low <= 1 <= high
            ax.hlines(place, low, high, color=RED if apart else BLUE, lw=1.6)
            marker = "D" if apart else "o"
            ax.plot(here["value"], [place], marker, ms=5, color=RED if apart else BLUE)
        ax.axvline(1, color=GREY, lw=1, ls="--")
        ax.set(title=split.replace("_", " "), xlabel=_RATIOS[metric])
    axes[0, 0].set_yticks(range(len(models)), list(models.values()))
    axes[0, 0].set(ylabel="potential")
    axes[0, 0].invert_yaxis()
    return figure


def images_by_place(result: Result) -> Figure:
    """Images of films near the points of a grid over the first two coordinates."""
    images, places, alphas = (result.arrays[name] for name in ("images", "places", "anisotropy"))
    rows, columns = images.shape[:2]
    figure, axes = subplots(rows, columns, (1.35 * columns + 0.6, 1.5 * rows), squeeze=False)
    for i, j in np.ndindex(rows, columns):
        ax = axes[i, j]
        if np.isfinite(images[i, j]).all():
            picture = show_image(ax, images[i, j].astype(float), title=f"α = {alphas[i, j]:g}")
        else:
            ax.set_axis_off()
    for j in range(columns):
        axes[-1, j].set_axis_on()
        axes[-1, j].set(xticks=[], yticks=[], xlabel=f"$z_1$ = {places[-1, j, 0]:.2f}")
    for i in range(rows):
        axes[i, 0].set_axis_on()
        axes[i, 0].set(xticks=[], yticks=[], ylabel=f"$z_2$ = {places[i, 0, 1]:.2f}")
    figure.colorbar(picture, ax=axes, shrink=0.5, label="φ")
    return figure
