"""The figures of the test for jumps, its controls and the droplet model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from nrp.analysis.transition.continuity import weighed
from nrp.analysis.transition.controls import ControlSettings, Kind
from nrp.book.figures.style import BLUE, GREEN, GREY, PAIR, RED, STYLES, band, error_bars, mark, subplots
from nrp.evaluation import Result

TESTED = {
    "onset_gradient": "gradient, first frame",
    "onset_gradient_interpolated": "gradient, at T_init",
    "separate_gradient": "separate potentials",
    "decoded_rate": "decoded rate",
    "separate_rate": "decoded, separate",
    "onset_rate": "true rate",
    "onset_time": "onset time",
    "negative_domains": "final domains",
}
"""The main curves of the test, in words."""


def onset_gradient(result: Result, published: Result) -> Figure:
    """Fig. 2C: the gradient of V at T_init over anisotropy, several trainings, and the lag of the frame."""
    a, b = result.arrays, published.arrays
    figure, axes = subplots(1, 3, (9.6, 3.1))
    seen, gradient = ~a["held"], a["onset_gradient"][0]
    axes[0].plot(a["alphas"], gradient, color=BLUE, lw=1)
    axes[0].plot(a["alphas"][seen], gradient[seen], "o", color=BLUE, label="trained on")
    axes[0].plot(a["alphas"][~seen], gradient[~seen], "s", color=RED, mfc="white", label="held out")
    axes[0].set(xlabel="anisotropy α", ylabel="‖∂V/∂z‖ in the first frame", ylim=(0, None))
    for one, style in zip(b["onset_gradient"], STYLES, strict=False):
        axes[1].plot(b["alphas"], one / one.mean(), ls=style, color=BLUE, lw=1)
    axes[1].set(xlabel="anisotropy α", ylabel="‖∂V/∂z‖ over its mean", ylim=(0, None))
    axes[2].plot(a["alphas"], a["onset_lag"], "o-", ms=4, color=GREEN)
    axes[2].set(xlabel="anisotropy α", ylabel="from T_init to the frame", ylim=(0, None))
    axes[0].legend(fontsize=8)
    return figure


def companions(results: dict[str, Result]) -> Figure:
    """The onset in units of the image: true rate of change, and decoded rates of joint and separate V."""
    figure, axes = subplots(1, len(results), (9.4, 3.3), sharey=True)
    for ax, (arm, result) in zip(axes, results.items(), strict=True):
        a = result.arrays
        for name, label, color, line in (
            ("onset_rate", "true, samples", GREY, "-"),
            ("decoded_rate", "decoded, one V for all α", BLUE, "--"),
            ("separate_rate", "decoded, one V for each α", RED, ":"),
        ):
            band(ax, a["alphas"], a[name], color=color, linestyle=line, label=label)
        ax.set(title=f"arm {arm}", xlabel="anisotropy α", ylim=(0, None))
    axes[0].set(ylabel="rms of ∂φ/∂t at T_init")
    axes[0].legend(fontsize=8)
    return figure


def moments(result: Result) -> Figure:
    """The gradient at other moments, its part along unstable directions, and that on other disorder."""
    a = result.arrays
    figure, axes = subplots(1, 3, (9.8, 3.3))
    for ax, name, label, color, line in (
        (axes[0], "gradient 10 before", "10 before T_init", GREY, "-"),
        (axes[0], "onset_gradient_interpolated", "at T_init", BLUE, "--"),
        (axes[0], "gradient 10 after", "10 after T_init", RED, ":"),
        (axes[0], "gradient at the fastest", "where the film is fastest", GREEN, "-."),
        (axes[1], "onset_gradient", "the whole gradient", BLUE, "-"),
        (axes[1], "unstable_gradient", "along unstable directions", RED, "--"),
        (axes[2], "gradient on other samples", "other disorder", RED, "--"),
    ):
        band(ax, a["alphas"], a[name], color=color, linestyle=line, label=label)
    first = a["onset_gradient_interpolated"][0]
    axes[2].plot(a["alphas"], first, color=BLUE, lw=1.4, label="its own sample")
    for ax in axes:
        ax.set(xlabel="anisotropy α", ylabel="‖∂V/∂z‖", ylim=(0, None))
        ax.legend(fontsize=7)
    return figure


def tested_curves(result: Result, tests: Result) -> Figure:
    """The curves of the test, each over its range, with the best place for a jump."""
    a, alphas = result.arrays, tests.arrays["alphas"]
    shown = np.isin(a["alphas"], alphas)
    figure, axes = subplots(2, len(TESTED) // 2, (9.8, 4.6), sharex=True, sharey=True)
    for ax, (name, words) in zip(axes.flat, TESTED.items(), strict=True):
        curve = weighed(name, a[name]).mean(axis=0)[shown]
        p = tests.value("jump_p_value", case=name)
        ax.plot(alphas, (curve - curve.min()) / np.ptp(curve), "o-", ms=3, color=BLUE)
        ax.axvline(tests.value("jump_position", case=name), ls="--", color=RED)
        ax.set_title(f"{words}, p = {p:.3f}", fontsize=9)
    for ax in axes[1]:
        ax.set(xlabel="α")
    for ax in axes[:, 0]:
        ax.set(ylabel="curve over its range")
    return figure


def beads(power: Result) -> Figure:
    """What is read at the onset of beads in landscapes that change smoothly, or jump, at a known α."""
    kinds = power.select(system="bead", metric="rate_error")["split"].tolist()
    figure, axes = subplots(1, len(kinds), (9.6, 3.1), sharey=True)
    a, read = power.arrays, {"decoded_rate": "one V for all α", "separate_rate": "one V for each α"}
    for ax, kind in zip(axes, kinds, strict=True):
        alphas, truth = a[f"{kind}/alphas"], a[f"{kind}/onset_rate"]
        ax.plot(alphas, truth / truth.mean(), color=GREY, lw=4, alpha=0.5, label="true rate")
        for (name, label), style in zip(read.items(), PAIR, strict=True):
            ax.plot(alphas, a[f"{kind}/{name}"] / truth.mean(), lw=1.4, label=label, **style)
        ax.set(title=kind, xlabel="anisotropy α")
    axes[0].set(ylabel="rate at the onset over its mean")
    axes[0].legend(fontsize=8)
    return figure


def detection(power: Result, kinds: Sequence[Kind]) -> Figure:
    """How often the test raises an alarm, against the size of the jump and the width of a smooth change."""
    sides = {
        "detection_rate": {k.label: f"{k.jump:g}" for k in kinds if k.jump},
        "false_alarm_rate": {
            k.label: f"width {k.width:g}" if k.width else "no change" for k in kinds if k.smooth
        },
    }
    figure, axes = subplots(1, 2, (9.0, 3.4), sharey=True)
    styles = {
        "onset_gradient_interpolated": ("one V for all α", BLUE, "o", "-"),
        "separate_gradient": ("one V for each α", RED, "s", "--"),
        "onset_rate": ("true rate", GREY, "^", ":"),
    }
    for shift, (curve, (label, color, marker, line)) in enumerate(styles.items()):
        for ax, (metric, names) in zip(axes, sides.items(), strict=True):
            rows = power.select(metric=metric, case=curve, system=kinds[0].system)
            rows = rows.set_index("split").loc[list(names)]
            at = np.arange(len(rows)) + 0.12 * (shift - 1)
            error_bars(ax, at, rows, color=color, marker=marker, ls=line, label=label, capsize=2)
            ax.set_xticks(np.arange(len(rows)), labels=list(names.values()), fontsize=8)
    axes[0].set(
        xlabel="jump, as a share of the mean rate", ylabel="share of runs with an alarm", ylim=(-0.05, 1.05)
    )
    axes[1].set(xlabel="smooth change of half the mean rate")
    axes[0].legend(fontsize=8)
    return figure


def mobile_films(power: Result, usual: ControlSettings, jumping: ControlSettings) -> Figure:
    """One film as it is, and with a mobility that jumps at some place: rate at the onset and onset time."""
    a = power.arrays
    figure, axes = subplots(1, 2, (8.6, 3.0))
    factor = jumping.kind.mobility
    films = (usual.kind.label, "mobility × 1"), (jumping.kind.label, f"mobility × {factor:g} above")
    shown = {"onset_rate": "rms of ∂φ/∂t at T_init", "onset_time": "T_init"}
    for ax, (curve, words) in zip(axes, shown.items(), strict=True):
        for (kind, label), style in zip(films, PAIR, strict=True):
            ax.plot(a[f"{kind}/alphas"], a[f"{kind}/{curve}"], lw=1.4, label=label, **style)
        ax.axvline(jumping.place, color=GREY, ls="--", lw=1)
        ax.set(xlabel="anisotropy α", ylabel=words)
        ax.legend(fontsize=8)
    return figure


def hexagons(power: Result, kind: Kind, end: float) -> Figure:
    """A Swift–Hohenberg field: what is read at the onset, and the domains of the final state.

    Dashed: where stripes become unstable.
    """
    a = power.arrays
    figure, axes = subplots(1, 2, (8.6, 3.0))
    shown = {"onset_rate": "rms of ∂φ/∂t at T_init", "final_domains": "domains at the end"}
    looks = ({"color": BLUE, "marker": "o"}, {"color": RED, "marker": "s"})
    for ax, (curve, words), look in zip(axes, shown.items(), looks, strict=True):
        ax.plot(a[f"{kind.label}/alphas"], a[f"{kind.label}/{curve}"], ms=3, **look)
        ax.set(xlabel="strength g of the quadratic term", ylabel=words, ylim=(0, None))
        ax.axvline(end, color=GREY, ls="--", lw=1)
    return figure


def smooth_and_sharp(result: Result) -> Figure:
    """The gradient at onset and the number of final domains on one axis of anisotropy."""
    a = result.arrays
    figure, ax = subplots(1, 1, (6.4, 3.2))
    shown = {
        "onset_gradient_interpolated": "‖∂V/∂z‖ at T_init",
        "negative_domains": "negative domains in the final state",
    }
    for (name, label), style in zip(shown.items(), PAIR, strict=True):
        curve = a[name].mean(axis=0)
        ax.plot(a["alphas"], curve / curve.max(), label=label, **style)
    ax.set(xlabel="anisotropy α", ylabel="share of the largest value", ylim=(0, 1.05))
    ax.legend(fontsize=8)
    return figure


def landau() -> Figure:
    """The potential ax² − x⁴ + x⁶ for three values of a, and its minima over a."""
    figure, axes = subplots(1, 2, (9.0, 3.1))
    x = np.linspace(0, 1, 201)
    for a, line in zip((0.36, 0.25, 0.1), STYLES, strict=False):
        axes[0].plot(x, a * x**2 - x**4 + x**6, ls=line, color=BLUE, label=f"a = {a:g}")
    axes[0].axhline(0, color=GREY, lw=1)
    axes[0].set(xlabel="x", ylabel="V(x)", ylim=(-0.12, 0.2))
    axes[0].legend(fontsize=8)
    # By its derivative V is at rest where a = 2x² − 3x⁴: at a minimum beyond x² = 1/3, at a maximum before.
    for level, line in ((np.linspace(1 / 3, 0.72, 101), "-"), (np.linspace(0, 1 / 3, 101), "--")):
        axes[1].plot(2 * level - 3 * level**2, np.sqrt(level), ls=line, color=BLUE)
    axes[1].plot([0, 0.4], [0, 0], "-", [-0.12, 0], [0, 0], "--", color=BLUE)
    for a, words in ((0, "stability lost"), (1 / 4, "equal depth"), (1 / 3, "fold")):
        mark(axes[1], a, words, color=RED, linestyle=(0, (1, 2)), top=True)
    axes[1].set(xlabel="a", ylabel="x at rest", xlim=(-0.12, 0.4), ylim=(-0.05, 1.3))
    return figure


def thresholds(result: Result, patterns: Result) -> Figure:
    """The fields below which droplets, worms and waves pay, and the field of the first negative point."""
    a = result.arrays
    figure, axes = subplots(1, 2, (9.4, 3.5))
    for name, label, color, line in (
        ("droplet_field", "a droplet pays", BLUE, "-"),
        ("worm_field", "a worm pays", RED, "--"),
        ("critical_field", "a wave grows (clean film)", GREY, ":"),
        ("onset_field", "first negative point, measured", "black", "-."),
    ):
        axes[0].plot(a["alphas"], a[name], color=color, ls=line, label=label)
    for name in ("labyrinth_end", "labyrinth_return"):
        if np.isfinite(place := patterns.value(name)):
            mark(axes[0], place, name.replace("_", " "), color=GREEN, linestyle=(0, (1, 2)), top=True)
    axes[0].set(xlabel="anisotropy α", ylabel="external field h")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=8)
    for field, energy, line in zip(a["fields"], a["lattice_energy"], STYLES, strict=True):
        axes[1].plot(a["densities"], energy, ls=line, color=BLUE, label=f"h = {field:.2f}")
    axes[1].axhline(0, color=GREY, lw=1)
    axes[1].set(xlabel="droplets per area", ylabel="energy per area above the uniform film")
    axes[1].legend(fontsize=8)
    return figure
