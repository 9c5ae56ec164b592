"""The figures of the patterns and their onset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrp.analysis.film.patterns import LABYRINTH
from nrp.analysis.film.runs import nearest
from nrp.book.figures.style import (
    BLUE,
    FIELD_MAP,
    GREEN,
    GREY,
    PAIR,
    RED,
    STYLES,
    error_bars,
    image_rows,
    interval,
    mark,
    subplots,
)
from nrp.evaluation import Result

_MARKS = tuple(zip((BLUE, RED, GREEN, GREY, "black"), STYLES, "os^Dv", strict=True))


def final_patterns(patterns: Result, alphas: Sequence[float]) -> Figure:
    """The magnetization at the end of the sweep, one picture per anisotropy."""
    a = patterns.arrays
    places = nearest(a["alphas"], alphas)
    titles = [f"α = {alpha:g}" for alpha in a["alphas"][places]]
    return image_rows({"": a["final_states"][places]}, titles, (9.0, 1.9))


def descriptors(result: Result) -> Figure:
    """Number, shape and spacing of the domains in the final state, over the anisotropy."""
    figure, axes = subplots(2, 4, (11.0, 5.0), sharex=True)
    panels = (
        ("negative_domains", "negative domains in the box"),
        ("domain_area", "mean area of a domain"),
        ("domain_elongation", "elongation (ellipse)"),
        ("domain_stretch", "stretch of the domains"),
        ("euler_number", "Euler number of φ < 0"),
        ("wall_density", "wall length per area"),
        ("peak_wavenumber", "peak wavenumber"),
        ("peak_width", "width of the peak"),
    )
    for ax, (name, label) in zip(axes.flat, panels, strict=True):
        _with_interval(ax, result, name)
        ax.set(ylabel=label)
    stretch = axes[0, 3]
    stretch.axhline(LABYRINTH, color=RED, ls="--", lw=1, label="a labyrinth above")
    stretch.set(yscale="log")
    stretch.set_yticks((1, 2, 5, 10), labels=("1", "2", "5", "10"))
    stretch.minorticks_off()
    for ax in (axes[0, 0], stretch):
        ax.legend(fontsize=8)
    for ax in axes[1]:
        ax.set(xlabel="anisotropy α")
    return figure


def _with_interval(ax: Axes, result: Result, name: str) -> None:
    """Draw the mean of a descriptor over the anisotropy, and its interval."""
    rows = result.select(metric=name)
    value, low, high = interval(rows)
    ax.fill_between(rows.anisotropy, low, high, color=BLUE, alpha=0.2, label="95 % interval")
    ax.plot(rows.anisotropy, value, "o-", ms=3, color=BLUE, label="mean over samples")


def persistence_diagrams(patterns: Result, alphas: Sequence[float]) -> Figure:
    """Birth and death of the components of one film per anisotropy, and persistence images over samples."""
    every, images, pairs = (
        patterns.arrays[name] for name in ("alphas", "persistence_images", "persistence_pairs")
    )
    figure, axes = subplots(2, len(alphas), (9.4, 5.0), squeeze=False)
    senses = ((1, "o", BLUE, "dark, from below"), (-1, "^", RED, "bright, from above"))
    for (top, bottom), place in zip(axes.T, nearest(every, alphas), strict=True):
        alpha = every[place]
        for sense, marker, color, label in senses:
            here = pairs[(pairs[:, 0] == alpha) & (pairs[:, 1] == sense)]
            top.plot(*here[:, 2:].T, marker, ms=3, color=color, mfc="none", label=label)
        top.plot((-1.3, 1.3), (-1.3, 1.3), color=GREY, lw=1)
        top.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal", title=f"α = {alpha:g}", xlabel="birth")
        bottom.imshow(np.sqrt(images[place, 0]), origin="lower", cmap=FIELD_MAP, extent=(-1.5, 1.5, 0, 3))
        bottom.set(xlabel="birth")
        bottom.grid(visible=False)
    axes[0, 0].set(ylabel="death")
    axes[1, 0].set(ylabel="persistence")
    axes[0, -1].legend(fontsize=7, loc="lower right")
    return figure


def topology_change(patterns: Result) -> Figure:
    """By how much the topology changes from one anisotropy to the next, beside the share of labyrinths."""
    figure, axes = subplots(1, 2, (8.6, 2.9))
    rows = patterns.select(metric="topology_change")
    axes[0].plot(rows.anisotropy, rows.value, "o-", ms=3, color=BLUE)
    axes[0].axhline(patterns.value("topology_noise"), color=GREY, ls=":", label="other samples alone")
    axes[0].legend(fontsize=8)
    axes[0].set(xlabel="anisotropy α", ylabel="change of the persistence images", ylim=(0, None))
    rows = patterns.select(metric="labyrinth_share")
    error_bars(axes[1], rows.anisotropy, rows, marker="o", ls="", color=BLUE)
    for name in ("labyrinth_end", "labyrinth_return"):
        if np.isfinite(place := patterns.value(name)):
            axes[1].axvline(place, color=RED, ls="--", lw=1)
    axes[1].set(xlabel="anisotropy α", ylabel="share of labyrinths", ylim=(-0.05, 1.05))
    return figure


def formation(result: Result, alphas: Sequence[float]) -> Figure:
    """How domains appear and merge: their number in time, the share that merges, and how long it takes."""
    a = result.arrays
    figure, axes = subplots(1, 3, (9.6, 3.0))
    for place, (color, line, _) in zip(nearest(a["alphas"], alphas), _MARKS, strict=False):
        number = a["domains_in_time"][:, place].mean(axis=0)
        axes[0].plot(a["time"][place], number, ls=line, color=color, label=f"α = {a['alphas'][place]:g}")
    axes[0].set(xlabel="time", ylabel="negative domains")
    axes[0].legend(fontsize=8)
    _with_interval(axes[1], result, "merged_share")
    axes[1].set(xlabel="anisotropy α", ylabel="share of domains that is lost", ylim=(-0.05, 1.05))
    times = {"domain_time": "half of the domains", "filling_time": "half of the area"}
    for (name, label), style in zip(times.items(), PAIR, strict=True):
        rows = result.select(metric=name)
        axes[2].plot(rows.anisotropy, rows.value, label=label, **style)
    axes[2].set(xlabel="anisotropy α", ylabel="time from the onset", ylim=(0, None))
    axes[2].legend(fontsize=8)
    return figure


def onset_times(result: Result) -> Figure:
    """T_init over the anisotropy, beside the loss of stability of the clean film and its two thresholds."""
    a = result.arrays
    figure, ax = subplots(1, 1, (6.4, 3.4))
    ax.plot(a["alphas"], a["onset_times"].T, ".", color=RED, ms=4, alpha=0.6)
    ax.plot(a["alphas"], a["onset_times"].mean(axis=0), color=RED, label="T_init, disordered (dots: samples)")
    ax.plot(a["alphas"], a["critical_time"], "--", color=BLUE, label="clean film loses stability")
    for threshold, label in zip(a["thresholds"], ("8/π", "1 + 8/π"), strict=True):
        mark(ax, threshold, label, color=GREY, linestyle=":")
    ax.set(xlabel="anisotropy α", ylabel="time")
    ax.legend(fontsize=8)
    return figure


def sensitivity(result: Result, cases: Sequence[str]) -> Figure:
    """Onset time and number of final domains over the anisotropy, for several boxes or grids."""
    figure, axes = subplots(1, 2, (9.0, 3.2))
    # On a curve as steep as that of the onset a shift to the side would look like a delay.
    for ax, metric, apart in zip(axes, ("onset_time", "negative_domains"), (0.0, 0.02), strict=True):
        for place, (case, (color, line, marker)) in enumerate(zip(cases, _MARKS, strict=False)):
            rows = result.select(metric=metric, case=case)
            at = rows.anisotropy + apart * place
            error_bars(ax, at, rows, color=color, ls=line, marker=marker, label=case)
        ax.set(xlabel="anisotropy α")
    axes[0].set(ylabel="onset time")
    axes[1].set(ylabel="negative domains per 64 × 64", ylim=(0, None))
    axes[0].legend(fontsize=8)
    return figure


def readings(result: Result, cases: dict[str, str], alphas: Sequence[float]) -> Figure:
    """Final states for the readings of λ(r), one row each, at some anisotropies."""
    a = result.arrays
    names, places = result.table["case"].unique().tolist(), nearest(a["alphas"], alphas)
    rows = {label: a[f"final_{names.index(case)}"][places] for case, label in cases.items()}
    titles = [f"α = {alpha:g}" for alpha in a["alphas"][places]]
    return image_rows(rows, titles, (8.6, 1.75 * len(cases)))
