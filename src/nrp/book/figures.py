"""The figures of the book.  Each takes results and returns a Matplotlib figure.

Lines differ in style as well as in colour, and images use a colour map that is even in lightness, so nothing
is told by colour alone.
"""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from numpy import ndarray

from nrp.evaluation import Result

BLUE, RED, GREY, GREEN = "#0072B2", "#C44E00", "#555555", "#00735C"
FIELD_MAP = "cividis"
STYLES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
"""One for each published member."""
PAIR = ({"color": BLUE, "linestyle": "-"}, {"color": RED, "linestyle": "--"})

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


def subplots(rows: int, columns: int, size: tuple[float, float], **options: bool):
    """Return a figure that pyplot has forgotten, so that a notebook shows it once, and its axes."""
    figure, axes = plt.subplots(rows, columns, figsize=size, **options)
    plt.close(figure)
    return figure, axes


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


def overview(curves: Result, transition: Result, alphas: tuple[float, float]) -> Figure:
    """Fig. 2 of the paper at a glance: potential, error of the prediction, gradient at onset."""
    a, b = curves.arrays, transition.arrays
    figure, axes = subplots(1, 3, (9.4, 2.9))
    for i, alpha in enumerate(alphas):
        color = PAIR[i]["color"]
        axes[0].plot(a["time"][i], a["potential"][0, i], **PAIR[i], label=f"α = {alpha:g}")
        axes[1].plot(a["time"][i], a["one_step"][0, i], **PAIR[i], label=f"one step, α = {alpha:g}")
        axes[1].plot(
            a["time"][i], a["persistence"][i], ":", color=color, label=f"doing nothing, α = {alpha:g}"
        )
    axes[2].plot(b["alphas"], b["onset_gradient"].mean(axis=0), "o-", ms=3, color=GREEN)
    axes[0].set(xlabel="time", ylabel="$V_{NN}$", title="A: potential")
    axes[1].set(xlabel="time", ylabel="rms error", title="A: prediction")
    axes[2].set(
        xlabel="anisotropy α", ylabel="‖∂V/∂z‖ at T_init", ylim=(0, None), title="C: gradient at onset"
    )
    axes[0].legend(fontsize=8)
    axes[1].legend(fontsize=7, loc="upper left")
    return figure


def bead_frames(films: xr.Dataset, *, run: int = 0, count: int = 6) -> Figure:
    """Frames of one film of the bead."""
    film = films.isel(run=run)
    chosen = np.linspace(0, film.sizes["frame"] - 1, count).astype(int)
    figure, axes = subplots(1, count, (8.2, 1.7))
    for ax, frame in zip(axes, chosen, strict=True):
        show_image(
            ax, film.intensity.values[frame], title=f"t = {film.time.values[frame]:.1f}", vmin=0, vmax=1
        )
    return figure


def bead_landscape(result: Result) -> Figure:
    """The landscape the bead slid in, and the one learned from its pictures."""
    axis, truth, learned = (result.arrays[name] for name in ("axis", "truth", "learned"))
    levels = np.linspace(0, np.quantile(truth, 0.97), 13)
    figure, axes = subplots(1, 3, (8.2, 2.9))
    for ax, values, title in ((axes[0], truth, "true U"), (axes[1], learned, "learned V, mapped to U")):
        ax.contourf(axis, axis, values, levels, cmap=FIELD_MAP, extend="both")
        ax.contour(axis, axis, values, levels[::2], colors="white", linewidths=0.6)
        ax.set(title=title, xlabel="x", ylabel="y", aspect="equal")
        ax.grid(False)
    middle = len(axis) // 2
    axes[2].plot(axis, truth[middle], **PAIR[0], label="true U")
    axes[2].plot(axis, learned[middle], **PAIR[1], label="learned V")
    axes[2].set(title="along y = 0", xlabel="x", ylabel="energy")
    axes[2].legend()
    return figure


def solver(result: Result) -> Figure:
    """Growth rates, order of convergence and energy balance."""
    a = result.arrays
    figure, axes = subplots(1, 3, (9.0, 2.9))
    axes[0].plot(a["wavenumber"], a["growth_theory"], color=BLUE, label="formula")
    axes[0].plot(a["wavenumber"], a["growth_measured"], "o", color=RED, mfc="none", label="solver")
    axes[0].set(xlabel="wavenumber k", ylabel="growth rate σ")
    for scheme, name, style in (("sbdf4", "SBDF4", "o-"), ("etdrk4", "ETDRK4", "s:")):
        axes[1].loglog(a["step"], a[f"{scheme}_error"], style, color=RED, mfc="none", label=name)
    guide = a["sbdf4_error"][-1] * (a["step"] / a["step"][-1]) ** 4
    axes[1].loglog(a["step"], guide, "--", color=GREY, label="fourth order")
    axes[1].set(xlabel="time step", ylabel="relative error")
    axes[1].set_xticks(a["step"], labels=[f"{step:g}" for step in a["step"]])
    axes[1].minorticks_off()
    axes[2].plot(a["time"], a["energy_change"], color=BLUE, label="dH/dt")
    axes[2].plot(a["time"][::40], a["energy_balance"][::40], "x", color=RED, label="−⟨φ_t²⟩ − ḣ⟨φ⟩")
    axes[2].set(xlabel="time", ylabel="per area")
    for ax in axes:
        ax.legend(fontsize=8)
    return figure


def time_steps(errors: dict[str, dict[str, list]], alphas: tuple[float, ...]) -> Figure:
    """The error at the end of the sweep against the time step, for both schemes."""
    figure, axes = subplots(1, 2, (8.2, 3.0), sharex=True, sharey=True)
    for ax, scheme in zip(axes, ("sbdf4", "etdrk4"), strict=True):
        for alpha, marker in zip(alphas, "os^D", strict=True):
            steps, values = np.transpose(errors[scheme][f"{alpha:.1f}"])
            ax.loglog(
                steps, values, f"{marker}-", color=plt.get_cmap(FIELD_MAP)(alpha / 5), label=f"α = {alpha:g}"
            )
        ax.set(title=scheme.upper(), xlabel="time step")
        ax.set_xticks([0.05, 0.1, 0.2, 0.5], labels=["0.05", "0.1", "0.2", "0.5"])
        ax.minorticks_off()
    axes[0].set(ylabel="relative error at t = 300")
    axes[0].legend(fontsize=8)
    return figure


def grids(result: Result) -> Figure:
    """One medium on three grids: the final states."""
    figure, axes = subplots(1, 3, (8.2, 2.8))
    for ax, dx in zip(axes, ("1", "0.5", "0.25"), strict=True):
        show_image(ax, result.arrays[f"final_{dx}"], title=f"dx = {dx}")
    return figure


def hysteresis(result: Result) -> Figure:
    """The mean magnetization against the field through a loop, by anisotropy and sweep rate."""
    a = result.arrays
    alphas, rates = np.unique(a["anisotropy"]), np.unique(a["sweep_rate"])
    figure, axes = subplots(1, len(alphas), (9.0, 2.7), sharey=True)
    for ax, alpha in zip(axes, alphas, strict=True):
        for rate, style in zip(rates, PAIR, strict=False):
            run = np.flatnonzero((a["anisotropy"] == alpha) & (a["sweep_rate"] == rate))[0]
            ax.plot(a["external_field"][run], a["magnetization"][run], **style, label=f"v = {rate:g}")
        ax.set(title=f"α = {alpha:g}", xlabel="field h")
    axes[0].set(ylabel="mean magnetization")
    axes[0].legend(fontsize=8)
    return figure


def reconstructions(films: xr.Dataset, rebuilt: ndarray, titles: list[str]) -> Figure:
    """Final frames of some runs (top) and what the autoencoder makes of them (bottom)."""
    truth = films.magnetization.values[:, -1]
    figure, axes = subplots(2, len(titles), (1.75 * len(titles) + 0.9, 3.8))
    for column, title in enumerate(titles):
        show_image(axes[0, column], truth[column], title=title)
        picture = show_image(axes[1, column], rebuilt[column])
    axes[0, 0].set_ylabel("truth")
    axes[1, 0].set_ylabel("rebuilt")
    figure.colorbar(picture, ax=axes, shrink=0.7, label="φ")
    return figure


SPLIT_STYLES = {
    "trained": {"color": BLUE, "marker": "o"},
    "new_anisotropy": {"color": GREEN, "marker": "s"},
    "new_disorder": {"color": RED, "marker": "^"},
    "new_sweep_rate": {"color": GREY, "marker": "D"},
}


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


def training(logs: dict[str, pd.DataFrame]) -> Figure:
    """The terms of the loss during training, one panel per arm, and the latent scales."""
    figure, axes = subplots(1, len(logs) + 1, (9.4, 3.1))
    skipped = ("epoch", "loss", "latent_scale", "validation")
    styles = list(zip((BLUE, RED, GREEN, GREY) * 2, (*STYLES, (0, (1, 3))), strict=False))
    for ax, (arm, log) in zip(axes, logs.items(), strict=False):
        for name, (color, line) in zip((n for n in log if n not in skipped), styles, strict=False):
            ax.semilogy(log.epoch, log[name], color=color, ls=line, lw=1.2, label=name)
        ax.set(title=f"arm {arm}", xlabel="epoch", ylabel="term of the loss")
        ax.legend(fontsize=7)
    for (arm, log), style in zip(logs.items(), PAIR, strict=True):
        axes[-1].semilogy(log.epoch, log.latent_scale, **style, label=arm)
    axes[-1].set(title="latent scale", xlabel="epoch")
    axes[-1].legend(fontsize=8)
    return figure


def explained(results: dict[str, Result]) -> Figure:
    """Explained variance of the latent velocity over the anisotropy, of the arms and of the look-up."""
    figure, axes = subplots(1, 2, (8.6, 3.2), sharey=True)
    for ax, split in zip(axes, ("trained", "new_sweep_rate"), strict=True):
        for (arm, result), style, dots in zip(results.items(), PAIR, (":", "-."), strict=True):
            for name, marker in ((arm, "o"), ("lookup", "")):
                rows = result.select(metric="explained_variance", split=split, arm=name, case=None)
                rows = rows[rows["anisotropy"].notna()].astype({"anisotropy": float, "value": float})
                rows = rows.sort_values("anisotropy")
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
        values = result.arrays["singular_values"][:, ::-1]
        values = values / np.sqrt(np.mean(values**2))
        rank = np.arange(1, values.shape[1] + 1)
        ax.fill_between(rank, *np.quantile(values, [0.05, 0.95], axis=0), color=style["color"], alpha=0.2)
        ax.plot(rank, np.median(values, axis=0), **style, label=arm)
    ax.axhline(1, color=GREY, lw=1, ls=":")
    ax.set(xlabel="rank", ylabel="singular value of J over rms", ylim=(0, None))
    ax.legend(fontsize=8)
    return figure


def clock(result: Result) -> Figure:
    """What a table of (α, h) explains of the velocity, made from one sweep rate or from several."""
    figure, ax = subplots(1, 1, (6.0, 2.9))
    splits, cases = ("trained", "new_sweep_rate"), ("one rate", "several rates")
    for i, (case, color, hatch) in enumerate(zip(cases, (BLUE, RED), ("", "//"), strict=True)):
        values = [result.value("explained_variance", case=case, split=split) for split in splits]
        places = np.arange(2) + 0.36 * (i - 0.5)
        bars = ax.bar(places, values, 0.34, color="white", edgecolor=color, hatch=hatch, label=f"from {case}")
        ax.bar_label(bars, fmt="%.2f", fontsize=8)
    ax.axhline(0, color=GREY, lw=1)
    ax.set_xticks(range(2), labels=["runs it is made from", "a rate it has not seen"])
    ax.set(ylabel="explained variance of ż")
    ax.grid(visible=False, axis="x")
    ax.legend(fontsize=8)
    return figure


def potential_and_energy(runs: list[dict[str, ndarray]], titles: list[str]) -> Figure:
    """The learned potential and the true energy per area along runs, neither fitted to the other."""
    figure, axes = subplots(1, len(runs), (8.8, 2.9), sharey=True)
    for ax, run, title in zip(axes, runs, titles, strict=True):
        ax.plot(run["time"], run["energy"], **PAIR[0], label="true H per area")
        ax.plot(run["time"], run["potential"], **PAIR[1], label="learned V")
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


def potential_and_error(curves: Result, alphas: tuple[float, float]) -> Figure:
    """Fig. 2A: V in time and the error one step ahead for two anisotropies; between them the true H."""
    a = curves.arrays
    figure, axes = subplots(3, 1, (8.2, 6.6), sharex=True)
    for i, alpha in enumerate(alphas):
        color = PAIR[i]["color"]
        axes[0].plot(a["time"][i], a["potential"][0, i], **PAIR[i], label=f"α = {alpha:g}")
        axes[1].plot(a["time"][i], a["energy"][i], **PAIR[i], label=f"α = {alpha:g}")
        axes[2].plot(a["time"][i], a["one_step"][0, i], **PAIR[i], label=f"one step ahead, α = {alpha:g}")
        axes[2].plot(
            a["time"][i], a["persistence"][i], ":", color=color, label=f"doing nothing, α = {alpha:g}"
        )
    for letter, (i, frame) in zip("abcdef", labelled_frames(curves), strict=True):
        x, y = a["time"][i, frame], a["potential"][0, i, frame]
        axes[0].plot(x, y, "o", color=PAIR[i]["color"], ms=5)
        axes[0].annotate(letter, (x, y), textcoords="offset points", xytext=(4, 5), fontweight="bold")
    axes[0].set(ylabel="$V_{NN}$")
    axes[1].set(ylabel="true H per area")
    axes[2].set(xlabel="time", ylabel="rms error")
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
        _band(top, time, a["potential"][:, column], **style, label="V, all members")
        _band(bottom, time, a["one_step"][:, column], **style, label="one step ahead")
        rebuilt = a["reconstruction"][:, column].mean(axis=0)
        bottom.plot(time, rebuilt, color=GREEN, ls="-.", lw=1.2, label="reconstruction")
        bottom.plot(time, a["persistence"][column], color=GREY, ls=":", label="doing nothing")
        top.set(title=f"α = {alpha:g}")
        bottom.set(xlabel="time")
        for ax in (top, bottom):
            ax.legend(fontsize=7)
    axes[0, 0].set(ylabel="energy per area")
    axes[1, 0].set(ylabel="rms error")
    return figure


def _band(ax: Axes, time: ndarray, values: ndarray, *, color: str, linestyle: str, label: str) -> None:
    """Draw the mean of some curves and the range they fill."""
    ax.fill_between(time, values.min(axis=0), values.max(axis=0), color=color, alpha=0.25)
    ax.plot(time, values.mean(axis=0), color=color, linestyle=linestyle, lw=1.2, label=label)


def skill_by_lead(result: Result) -> Figure:
    """Skill in the increment form against the lead time, of an arm and its rivals, with intervals."""
    figure, axes = subplots(1, 3, (9.4, 3.4), sharey=True)
    rows = result.select(metric="skill", case="increment")
    styles = zip((BLUE, GREY, GREEN, RED, "black"), STYLES, "osD^v", strict=True)
    looks = dict(zip(rows["arm"].unique(), styles, strict=False))
    for ax, split in zip(axes, ("trained", "new_sweep_rate", "new_disorder"), strict=True):
        for i, (arm, (color, line, marker)) in enumerate(looks.items()):
            curve = rows[(rows["arm"] == arm) & (rows["split"] == split)].sort_values("lead_time")
            values, low, high = (
                curve[name].fillna(curve["value"]).astype(float).clip(lower=-1)
                for name in ("value", "low", "high")
            )
            at = curve["lead_time"].astype(float) * (1 + 0.04 * (i - 2))
            style = {"color": color, "ls": line, "marker": marker, "ms": 4, "lw": 1.2}
            ax.errorbar(at, values, [values - low, high - values], **style, label=arm.replace("_", " "))
        ax.axhline(0, color=GREY, lw=1)
        ax.set(xscale="log", title=split.replace("_", " "), xlabel="frames ahead", ylim=(-1.05, 1.05))
        ax.set_xticks((1, 2, 5, 10, 30), labels=("1", "2", "5", "10", "30"))
        ax.minorticks_off()
    axes[0].set(ylabel="skill (cut at −1)")
    axes[0].legend(fontsize=7)
    return figure


def labelled_frames(curves: Result) -> list[tuple[int, int]]:
    """Return (run, frame) of the points a to f: for both runs before, shortly after onset, and the end."""
    time, onset = curves.arrays["time"], curves.arrays["onset_time"]
    last = time.shape[1] - 1
    points = []
    for run in range(2):
        first = int(np.searchsorted(time[run], onset[run]))
        points += [(run, max(first - 2, 1)), (run, min(first + 3, last - 1)), (run, last)]
    return points


def six_frames(curves: Result, alphas: tuple[float, float]) -> Figure:
    """Fig. 2B: truth beside prediction one step ahead, for the frames a to f."""
    a = curves.arrays
    points = labelled_frames(curves)
    figure, axes = subplots(2, 6, (9.2, 3.6))
    for column, (letter, (run, frame)) in enumerate(zip("abcdef", points, strict=True)):
        title = f"{letter}: α = {alphas[run]:g}\nt = {a['time'][run, frame]:.0f}"
        show_image(axes[0, column], a["truth"][run, frame], title=title)
        picture = show_image(axes[1, column], a["prediction"][run, frame])
    axes[0, 0].set_ylabel("truth")
    axes[1, 0].set_ylabel("prediction")
    figure.colorbar(picture, ax=axes, shrink=0.7, label="φ")
    return figure


def show_image(ax: Axes, values: ndarray, *, title: str = "", vmin: float = -1.2, vmax: float = 1.2):
    """Draw one field and return the picture, for its colour bar."""
    picture = ax.imshow(values, origin="lower", cmap=FIELD_MAP, vmin=vmin, vmax=vmax)
    ax.set_title(title, fontsize=9)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    return picture
