"""The figures of the model: its parts, its training, its pictures, and what its loss leaves free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from numpy import ndarray

from nrp.analysis.film.runs import nearest
from nrp.analysis.model.energy import stretching
from nrp.book.figures.style import BLUE, GREEN, GREY, PAIR, RED, STYLES, image_rows, subplots
from nrp.evaluation import Observation, Result

SPLIT_STYLES = {
    "trained": {"color": BLUE, "marker": "o"},
    "new_anisotropy": {"color": GREEN, "marker": "s"},
    "new_disorder": {"color": RED, "marker": "^"},
    "new_sweep_rate": {"color": GREY, "marker": "D"},
}


def framework() -> Figure:
    """Fig. 1: the networks, the potential in time, and the prediction that checks it."""
    figure, axes = subplots(1, 1, (8.2, 3.0))
    axes.set(xlim=(0, 8.2), ylim=(0, 3))
    axes.axis("off")

    def box(x: float, y: float, width: float, text: str, color: str) -> None:
        patch = FancyBboxPatch((x, y), width, 0.62, boxstyle="round,pad=0.06", fc="white", ec=color, lw=1.6)
        axes.add_patch(patch)
        axes.text(x + width / 2, y + 0.31, text, ha="center", va="center", fontsize=10)

    def arrow(start: tuple[float, float], end: tuple[float, float], style: str = "-") -> None:
        axes.add_patch(
            FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=GREY, linestyle=style)
        )

    box(0.1, 1.9, 1.0, "image $X_t$", GREY)
    box(1.8, 1.9, 1.1, "encoder $E$", BLUE)
    box(3.6, 1.9, 0.9, "state $z_t$", GREY)
    box(5.2, 1.9, 1.1, "decoder $D$", BLUE)
    box(7.0, 1.9, 1.0, r"image $\hat X_t$", GREY)
    box(3.0, 0.4, 2.1, r"potential $V(z, \alpha, h)$", RED)
    box(0.6, 0.4, 1.6, r"controls $\alpha,\ h(t)$", GREY)
    box(5.9, 0.4, 2.1, r"$\dot z = -\partial V / \partial z$", RED)
    for start, end in ((1.2, 1.72), (3.0, 3.52), (4.6, 5.12), (6.4, 6.92)):
        arrow((start, 2.21), (end, 2.21))
    arrow((4.05, 1.82), (4.05, 1.1))
    arrow((2.3, 0.71), (2.92, 0.71))
    arrow((5.2, 0.71), (5.82, 0.71))
    arrow((6.6, 1.1), (5.9, 1.82), "--")
    axes.text(6.5, 1.42, "one step ahead", fontsize=9, color=GREY)
    return figure


def reconstructions(pairs: ndarray, alphas: Sequence[float], *, held: Sequence[float]) -> Figure:
    """Final frames of some runs (top) and what the autoencoder makes of them (bottom).

    `pairs` are truth and rebuilt images (2, run, y, x), `held` the anisotropies that were held out.
    """
    titles = [f"α = {alpha:g}" + (", held out" if alpha in held else "") for alpha in alphas]
    truth, rebuilt = pairs
    return image_rows({"truth": truth, "rebuilt": rebuilt}, titles, (1.75 * len(alphas) + 0.9, 3.8))


def reconstruction_against_pod(pod: Result, networks: Result) -> Figure:
    """Reconstruction error of POD against its number of modes, with the autoencoders beside it."""
    figure, ax = subplots(1, 1, (6.4, 3.6))
    for split, style in SPLIT_STYLES.items():
        for result, line in ((pod, {"ls": "-", "lw": 1, "ms": 4}), (networks, {"ls": "--", "ms": 10})):
            rows = result.select(metric="reconstruction_rmse", split=split)
            curve = sorted(zip([int(case.split()[0]) for case in rows["case"]], rows["value"], strict=True))
            hollow = {"mfc": "none", "mew": 1.5} if result is networks else {}
            label = split.replace("_", " ") if result is pod else None
            ax.loglog(*zip(*curve, strict=True), label=label, **style, **line, **hollow)
    ax.set(xlabel="numbers per image", ylabel="reconstruction rmse")
    ax.legend(fontsize=8)
    return figure


_TERMS = {
    "reconstruction": "image",
    "dynamics": "velocity of z",
    "decoded": "velocity of the image",
    "isometry": "unit of z",
    "reference": "zero of V",
    "moment": "mean magnetization",
    "rollout": "followed flow",
}
"""The terms of the losses, in words."""


def training(logs: dict[str, pd.DataFrame]) -> Figure:
    """The terms of the loss during training, one panel per arm, and the latent scales."""
    figure, axes = subplots(1, len(logs) + 1, (9.4, 3.6))
    styles = zip((BLUE, RED, GREEN, GREY) * 2, (*STYLES, (0, (1, 3)), (0, (8, 3))), strict=False)
    looks = dict(zip(_TERMS, styles, strict=True))
    for ax, (arm, log) in zip(axes, logs.items(), strict=False):
        for name in [name for name in _TERMS if name in log]:
            color, line = looks[name]
            ax.semilogy(log.epoch, log[name], color=color, ls=line, lw=1.2, label=_TERMS[name])
        ax.set(title=f"arm {arm}", xlabel="epoch", ylabel="term, without its weight")
        ax.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    for (arm, log), style in zip(logs.items(), PAIR, strict=True):
        axes[-1].semilogy(log.epoch, log.latent_scale, **style, label=arm)
    axes[-1].set(title="latent scale", xlabel="epoch", ylabel="rms deviation of z")
    axes[-1].legend(fontsize=8)
    return figure


def explained(results: dict[str, Result]) -> Figure:
    """Explained variance of the latent velocity over the anisotropy, of the arms and of the look-up."""
    figure, axes = subplots(1, 2, (8.6, 3.2), sharey=True)
    for ax, split in zip(axes, ("trained", "new_sweep_rate"), strict=True):
        for (arm, result), style, dots in zip(results.items(), PAIR, (":", "-."), strict=True):
            for name, marker in ((arm, "o"), ("lookup", "")):
                rows = result.select(metric="explained_variance", split=split, arm=name, case=None)
                rows = rows.dropna(subset="anisotropy").sort_values("anisotropy")
                look = style if name == arm else {"color": style["color"], "linestyle": dots}
                label = name if name == arm else f"look-up of its velocity ({arm})"
                ax.plot(rows.anisotropy, rows.value.clip(lower=-1), marker=marker, ms=3, label=label, **look)
        ax.set(title=split.replace("_", " "), xlabel="anisotropy α", ylim=(-1.05, 1.05))
    axes[0].set(ylabel="explained variance of ż (cut at −1)")
    axes[0].legend(fontsize=7)
    return figure


def singular_values(results: dict[str, Result]) -> Figure:
    """The stretching of the decoder: singular values of J/√N, median and range over states."""
    figure, ax = subplots(1, 1, (6.4, 3.2))
    for (arm, result), style in zip(results.items(), PAIR, strict=True):
        low, median, high = stretching(result.arrays["singular_values"])
        rank = np.arange(1, len(median) + 1)
        ax.fill_between(rank, low, high, color=style["color"], alpha=0.2)
        ax.plot(rank, median, **style, label=arm)
    ax.axhline(1, color=GREY, lw=1, ls=":")
    ax.set(xlabel="rank", ylabel="singular value of J over rms", ylim=(0, None))
    ax.legend(fontsize=8)
    return figure


def clock(result: Result) -> Figure:
    """What a table of (α, h) explains of the velocity by sweep rate, made from one rate or from several.

    Filled marks stand for the rates that the table is made from.
    """
    a = result.arrays
    rates = a["sweep_rate"]
    figure, ax = subplots(1, 1, (6.0, 3.1))
    for case, style, values, own in zip(
        ("one rate", "several rates"), PAIR, a["explained"], a["made_from"], strict=True
    ):
        ax.plot(rates, values, **style, label=f"made from {case}")
        for marked, fill in ((own, style["color"]), (~own, "white")):
            ax.plot(rates[marked], values[marked], "o", color=style["color"], markerfacecolor=fill)
    ax.axhline(0, color=GREY, lw=1)
    ax.set(xscale="log", xlabel="sweep rate of the runs that are explained", ylabel="explained variance of ż")
    ax.set_xticks(rates, labels=[f"{rate:g}" for rate in rates])
    ax.minorticks_off()
    ax.legend(fontsize=8)
    return figure


def potential_and_energy(observation: Observation, alphas: Sequence[float]) -> Figure:
    """The learned potential and the true energy per area along runs, neither fitted to the other."""
    data, o = observation.data, observation
    figure, (axes,) = subplots(1, len(alphas), (8.8, 2.9), sharey=True, squeeze=False)
    for ax, run in zip(axes, nearest(data["anisotropy"].values, alphas), strict=True):
        ax.plot(o.times[run], o.frames.energy[run], **PAIR[0], label="true H per area")
        ax.plot(o.times[run], o.potential[run], **PAIR[1], label="learned V")
        title = f"α = {float(data.anisotropy[run]):g}, v = {float(data.sweep_rate[run]):g}"
        ax.set(title=title, xlabel="time")
    axes[0].set(ylabel="energy per area")
    axes[0].legend(fontsize=8)
    return figure


def responses(members: dict[str, Result], run: int) -> Figure:
    """What the members say of −∂V/∂h along one sweep, and the mean magnetization, for each arm."""
    figure, axes = subplots(1, 2, (8.6, 2.9), sharey=True)
    for ax, (arm, result) in zip(axes, members.items(), strict=True):
        a = result.arrays
        ax.plot(a["field"], a["magnetization"][run], color=GREY, lw=5, alpha=0.4, label="mean magnetization")
        for curve, style in zip(a["response"][:, run], STYLES, strict=False):
            ax.plot(a["field"], curve, ls=style, color=BLUE, lw=1.2)
        ax.plot([], [], color=BLUE, label="−∂V/∂h, one curve per member")
        ax.set(title=f"arm {arm}, α = {a['alphas'][run]:g}", xlabel="external field h")
        ax.invert_xaxis()
    axes[0].set(ylabel="−∂V/∂h")
    axes[0].legend(fontsize=8)
    return figure


def freedoms(result: Result, *, run: int) -> Figure:
    """What Eq. (2) leaves free: the scale of z, and a function of the controls added to V."""
    a = result.arrays
    figure, axes = subplots(1, 2, (8.2, 3.0))
    axes[0].loglog(a["scales"], a["reconstruction_loss"], "o-", color=BLUE, label="‖X − X̂‖")
    axes[0].loglog(a["scales"], a["dynamics_loss"], "s--", color=RED, label="‖dz/dt + ∂V/∂z‖")
    axes[0].set(xlabel="scale s of the latent space", ylabel="mean norm")
    axes[0].legend(fontsize=8)
    axes[1].plot(a["time"][run], a["potential"][run], **PAIR[0], label="V as trained")
    axes[1].plot(a["time"][run], a["shifted_potential"][run], **PAIR[1], label="V + c(h), same loss")
    axes[1].set(xlabel="time", ylabel="V", title=f"α = {a['alphas'][run]:g}")
    axes[1].legend(fontsize=8)
    return figure
