"""The figures of the potential in time and of the predictions made from it."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrp.analysis.model.curves import labelled_frames
from nrp.book.figures.style import (
    DOTTED_PAIR,
    GREEN,
    GREY,
    LOOKS,
    PAIR,
    STYLES,
    band,
    error_bars,
    image_rows,
    subplots,
)
from nrp.evaluation import Result


def overview(curves: Result, transition: Result, alphas: tuple[float, float]) -> Figure:
    """Fig. 2 of the paper at a glance: potential, error of the prediction, gradient at onset."""
    b = transition.arrays
    figure, axes = subplots(1, 3, (9.4, 3.2))
    _potential_and_error(axes[0], axes[1], curves, alphas)
    axes[2].plot(b["alphas"], b["onset_gradient"].mean(axis=0), "o-", ms=3, color=GREEN)
    axes[0].set(xlabel="time", title="after 2A: potential")
    axes[1].set(xlabel="time", title="after 2A: error one step ahead")
    axes[2].set(
        xlabel="anisotropy α", ylabel="‖∂V/∂z‖", ylim=(0, None), title="after 2C: gradient in the first frame"
    )
    axes[0].legend(fontsize=8)
    figure.legend(
        *axes[1].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        fontsize=8,
        title="prediction",
    )
    return figure


def _potential_and_error(top: Axes, bottom: Axes, curves: Result, alphas: tuple[float, float]) -> None:
    a = curves.arrays
    for i, alpha in enumerate(alphas):
        top.plot(a["time"][i], a["potential"][0, i], **PAIR[i], label=f"α = {alpha:g}")
        bottom.plot(a["time"][i], a["one_step"][0, i], **PAIR[i], label=f"one step ahead, α = {alpha:g}")
        nothing = f"doing nothing, α = {alpha:g}"
        bottom.plot(a["time"][i], a["persistence"][i], **DOTTED_PAIR[i], label=nothing)
    top.set(ylabel="$V_{NN}$")
    bottom.set(ylabel="rms error")


def potential_and_error(curves: Result, alphas: tuple[float, float]) -> Figure:
    """Fig. 2A: V in time and the error one step ahead for two anisotropies; between them the true H."""
    a = curves.arrays
    figure, axes = subplots(3, 1, (8.2, 6.6), sharex=True)
    _potential_and_error(axes[0], axes[2], curves, alphas)
    for i, alpha in enumerate(alphas):
        axes[1].plot(a["time"][i], a["energy"][i], **PAIR[i], label=f"α = {alpha:g}")
    for letter, (i, frame) in zip("abcdef", labelled_frames(a["time"], a["onset_time"]), strict=True):
        x, y = a["time"][i, frame], a["potential"][0, i, frame]
        axes[0].plot(x, y, "o", color=PAIR[i]["color"], ms=5)
        axes[0].annotate(letter, (x, y), textcoords="offset points", xytext=(4, 5), fontweight="bold")
    axes[1].set(ylabel="true H per area")
    axes[2].set(xlabel="time")
    for ax in axes:
        ax.legend(fontsize=8)
    return figure


def gauge_fixed(members: Result, alphas: tuple[float, float]) -> Figure:
    """Fig. 2A with nothing left free: V of every member on the true H, and the errors with their measures."""
    a = members.arrays
    figure, axes = subplots(2, 2, (9.0, 5.0), sharex="col")
    for column, alpha in enumerate(alphas):
        time, style = a["time"][column], PAIR[column]
        top, bottom = axes[0, column], axes[1, column]
        top.plot(time, a["energy"][column], color=GREY, lw=5, alpha=0.4, label="true H per area")
        band(top, time, a["potential"][:, column], **style, label="V, all members")
        band(bottom, time, a["one_step"][:, column], **style, label="one step ahead")
        rebuilt = a["reconstruction"][:, column].mean(axis=0)
        bottom.plot(time, rebuilt, color=GREEN, ls="-.", lw=1.2, label="reconstruction")
        bottom.plot(time, a["persistence"][column], color=GREY, ls=":", label="doing nothing")
        top.set(title=f"α = {alpha:g}", ylabel="energy per area")
        bottom.set(xlabel="time", ylabel="rms error")
        for ax in (top, bottom):
            ax.legend(fontsize=7)
    return figure


def skill_by_lead(result: Result, names: Mapping[str, str]) -> Figure:
    """Skill in the increment form against the lead time, of arms and what they are called, with intervals."""
    figure, axes = subplots(1, 3, (9.4, 3.4), sharey=True)
    rows = result.select(metric="skill", case="increment")
    looks = dict(zip(names, zip(LOOKS, STYLES, strict=False), strict=False))
    for ax, split in zip(axes, ("trained", "new_sweep_rate", "new_disorder"), strict=True):
        for i, (arm, ((color, marker), line)) in enumerate(looks.items()):
            curve = rows[(rows["arm"] == arm) & (rows["split"] == split)].sort_values("lead_time")
            at = curve["lead_time"] * (1 + 0.04 * (i - 2))
            error_bars(ax, at, curve, cut=-1, color=color, ls=line, marker=marker, label=names[arm])
        ax.axhline(0, color=GREY, lw=1)
        ax.set(xscale="log", title=split.replace("_", " "), xlabel="frames ahead", ylim=(-1.05, 1.05))
        ax.set_xticks((1, 2, 5, 10, 30), labels=("1", "2", "5", "10", "30"))
        ax.minorticks_off()
    axes[0].set(ylabel="skill (cut at −1)")
    axes[0].legend(fontsize=7)
    return figure


def six_frames(curves: Result, alphas: tuple[float, float]) -> Figure:
    """Fig. 2B: truth beside prediction one step ahead, for the frames a to f."""
    a = curves.arrays
    points = labelled_frames(a["time"], a["onset_time"])
    titles = [
        f"{letter}: α = {alphas[run]:g}\nt = {a['time'][run, frame]:.0f}"
        for letter, (run, frame) in zip("abcdef", points, strict=True)
    ]
    rows = {name: [a[name][point] for point in points] for name in ("truth", "prediction")}
    return image_rows(rows, titles, (9.2, 3.6))
