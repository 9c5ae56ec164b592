"""The figures of the solver and its films."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from nrp.book.figures.style import BLUE, FIELD_MAP, GREY, PAIR, RED, image_rows, subplots
from nrp.evaluation import Result


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
    states = {f"dx = {dx}": result.arrays[f"final_{dx}"] for dx in ("1", "0.5", "0.25")}
    return image_rows({"": states.values()}, list(states), (8.2, 2.5))


def hysteresis(result: Result) -> Figure:
    """The mean magnetization against the field through a loop, by anisotropy and sweep rate."""
    a = result.arrays
    alphas, rates = np.unique(a["anisotropy"]), np.unique(a["sweep_rate"])
    figure, (axes,) = subplots(1, len(alphas), (9.0, 2.7), sharey=True, squeeze=False)
    for ax, alpha in zip(axes, alphas, strict=True):
        for rate, style in zip(rates, PAIR, strict=False):
            run = np.flatnonzero((a["anisotropy"] == alpha) & (a["sweep_rate"] == rate))[0]
            ax.plot(a["external_field"][run], a["magnetization"][run], **style, label=f"v = {rate:g}")
        ax.set(title=f"α = {alpha:g}", xlabel="field h")
    axes[0].set(ylabel="mean magnetization")
    axes[0].legend(fontsize=8)
    return figure
