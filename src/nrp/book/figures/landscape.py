"""The figures of a landscape learned from descriptors: its minima, where they vanish, its level sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from nrp.analysis.film.runs import nearest
from nrp.analysis.potential.occupied import in_double
from nrp.analysis.potential.stationary import Points, stationary_points
from nrp.book.figures.style import BLUE, GREEN, GREY, LOOKS, RED, error_bars, mark, subplots
from nrp.evaluation import Observation, Result
from nrp.reduction import ReducedModel
from nrp.systems.film_theory import pattern_cost, uniform_cost

_POINTS, _STARTS = 80, 60
"""Points along each axis of a map, and states from which stationary points are looked for."""


def occupied_minima(held: Result, alphas: Sequence[float]) -> Figure:
    """The mean magnetization of the minimum that is occupied on the ways down and up, one line per member.

    Markers: where films end that are held in a field, reached from above and from below.
    """
    a = held.arrays
    figure, axes = subplots(1, len(alphas), (9.4, 3.1), sharey=True, squeeze=False)
    sides: tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...] = (
        ("falling", "from above", {"color": BLUE, "ls": "-"}, {"color": BLUE, "marker": "v"}),
        ("rising", "from below", {"color": RED, "ls": "--"}, {"color": RED, "marker": "^", "mfc": "white"}),
    )
    for ax, place in zip(axes[0], nearest(a["alphas"], alphas), strict=True):
        for side, (way, reached, line, point) in enumerate(sides):
            curves, ends = a["magnetization"][:, side, place], a["held_magnetization"][side, :, place]
            ax.plot(a["fields"], curves.T, lw=0.8, **line)
            ax.plot([], [], lw=0.8, label=f"minimum, {way}", **line)
            fields = a["levels"].repeat(ends.shape[1])
            ax.plot(fields, ends.ravel(), ls="none", ms=5, label=f"held film, {reached}", **point)
        ax.set(title=f"α = {a['alphas'][place]:g}", xlabel="external field h")
    axes[0, 0].set(ylabel="mean magnetization")
    axes[0, 0].legend(fontsize=7)
    return figure


def held_gaps(series: Mapping[str, tuple[Result, str]]) -> Figure:
    """How far what is reached from above and from below lies apart, one panel for each field that is held.

    By its label: a result and the arm that is read from it.  Intervals at 95 %, of films over samples, of
    potentials over members.
    """
    tables = {
        label: held.select(metric="held_gap", arm=arm).dropna(subset="anisotropy")
        for label, (held, arm) in series.items()
    }
    cases = sorted(set().union(*(table["case"] for table in tables.values())))
    figure, axes = subplots(1, len(cases), (9.0, 3.4), sharey=True, squeeze=False)
    for ax, case in zip(axes[0], cases, strict=True):
        for place, ((label, table), (color, marker)) in enumerate(zip(tables.items(), LOOKS, strict=False)):
            rows = table[table["case"] == case]
            beside = rows["anisotropy"] + 0.06 * (place - 1)
            error_bars(ax, beside, rows, color=color, marker=marker, ls="none", capsize=2, label=label)
        ax.set(title=case, xlabel="anisotropy α")
    highest = max(table["value"].max() for table in tables.values())
    axes[0, 0].set(ylabel="distance of both ends", ylim=(-0.1 * highest, 1.25 * highest))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), fontsize=8, ncols=4, loc="outside upper center")
    return figure


def stability(result: Result) -> Figure:
    """The fields at which the occupied minimum vanishes or moves fastest, beside those of the film.

    Upright: α = 8/π and 1 + 8/π.  Intervals at 95 % over members, of the film over samples.
    """
    table = result.table
    figure, ax = subplots(1, 1, (7.4, 4.6))
    shown: tuple[tuple[str, str | None, str | None, str, dict[str, Any]], ...] = (
        ("stability_field", None, "exact", "clean film unstable, $h_c$", {"color": "black", "ls": "-"}),
        ("stability_field", None, "films", "film, h at T_init", {"color": GREY, "ls": ":", "marker": "s"}),
        (
            "stability_field",
            "falling",
            None,
            "minimum moves fastest",
            {"color": BLUE, "ls": "--", "marker": "o", "mfc": "white"},
        ),
        (
            "fold_field",
            "falling",
            None,
            "fold, falling",
            {"color": RED, "ls": "none", "marker": "v", "zorder": 4},
        ),
        (
            "fold_field",
            "rising",
            None,
            "fold, rising",
            {"color": RED, "ls": "none", "marker": "^", "mfc": "white"},
        ),
        ("deepest_field", None, None, "equally deep", {"color": GREEN, "ls": "none", "marker": "D"}),
    )
    highest = 0.0
    for metric, case, arm, label, style in shown:
        rows = table[(table["metric"] == metric) & table["anisotropy"].notna()]
        rows = rows[rows["case"].isna() if case is None else rows["case"] == case]
        rows = rows[~rows["arm"].isin(["exact", "films"]) if arm is None else rows["arm"] == arm]
        if rows["low"].notna().any():
            error_bars(ax, rows["anisotropy"], rows, label=label, capsize=2, **style)
        elif len(rows):
            ax.plot(rows["anisotropy"], rows["value"], label=label, ms=4, lw=1.2, **style)
        highest = max(highest, rows["value"].max() if len(rows) else 0.0)
    cost = uniform_cost()
    for place, words in ((cost, "8/π"), ((3 * cost - pattern_cost()) / 2, "1 + 8/π")):
        mark(ax, place, words, color=GREY, linestyle=(0, (1, 2)), top=True)
    # Intervals of two or three members may be many times as long.
    ax.set(xlabel="anisotropy α", ylabel="external field h", ylim=(-0.1 * highest, 1.25 * highest))
    figure.legend(fontsize=8, ncols=3, loc="outside upper center")
    return figure


class Truth(NamedTuple):
    """What is known of a control: a line of fields with its label, and from where on there are folds."""

    label: str
    anisotropy: ndarray
    field: ndarray
    thresholds: Mapping[float, str]
    """Anisotropies, with the words along their upright lines."""
    open_between: tuple[float, float] | None = None
    """Anisotropies between which it is not known whether there is a fold."""


def control_folds(controls: Mapping[str, tuple[Result, str, str, Truth]]) -> Figure:
    """The falling folds of learned potentials beside the truth, one panel for each control.

    By its title: the result, what its anisotropies are, the corner of the legend, and the truth.  Above, how
    many members have a fold; intervals at 95 % over these, none where only one has a fold.
    """
    figure, axes = subplots(1, len(controls), (9.4, 3.6), squeeze=False)
    for ax, (title, (result, label, corner, truth)) in zip(axes[0], controls.items(), strict=True):
        shares = result.select(metric="fold_share", case="falling").dropna(subset="anisotropy")
        folds = result.select(metric="fold_field", case="falling")
        error_bars(ax, folds["anisotropy"], folds, color=RED, ls="none", marker="v", label="fold, learned")
        ax.plot(truth.anisotropy, truth.field, color="black", ls="--", label=truth.label)
        if truth.open_between is not None:
            ax.axvspan(*truth.open_between, color=GREY, alpha=0.15, lw=0, label="not known")
        for place, words in truth.thresholds.items():
            mark(ax, place, words, color=GREY, linestyle=":", top=True)
        for alpha, share, members in shares[["anisotropy", "value", "members"]].to_numpy():
            words = f"{round(share * members)}"
            ax.text(alpha, 1.02, words, transform=ax.get_xaxis_transform(), fontsize=7, ha="center")
        # Intervals of two or three members may be many times as long.
        values = np.append(truth.field, folds["value"])
        margin, ends = 0.5 * np.ptp(values), shares["anisotropy"]
        around = 0.04 * np.ptp(ends)
        ax.set(
            xlabel=label,
            xlim=(ends.min() - around, ends.max() + around),
            ylim=(values.min() - margin, values.max() + margin),
        )
        ax.set_title(title, fontsize=9, pad=14)
        ax.legend(fontsize=7, loc=corner)
    axes[0, 0].set_ylabel("external field h")
    return figure


def landscape(observation: Observation, panels: Sequence[tuple[float, float]]) -> Figure:
    """Level sets of V over two coordinates at some (α, h), closer together where V is lower.

    Grey lines are encoded runs with that anisotropy, small dots where they are when the field is h, filled
    circles minima, and crosses saddles.  Of three coordinates the slice through the deepest minimum is shown.
    """
    model = in_double(observation.model)
    figure, axes = subplots(1, len(panels), (3.3 * len(panels) + 0.4, 3.5), squeeze=False)
    data = observation.data
    for ax, (alpha, field) in zip(axes[0], panels, strict=True):
        found = float(data["anisotropy"][nearest(data["anisotropy"].values, [alpha])[0]])
        runs = np.flatnonzero(data["anisotropy"].values == found)
        z, h = observation.z[torch.from_numpy(runs)], data["external_field"].values[runs]
        flat = z.flatten(0, 1).double()
        starts = flat[np.linspace(0, len(flat) - 1, min(_STARTS, len(flat))).astype(int)]
        points = stationary_points(model.potential, torch.tensor([found, field]), starts)
        _draw_levels(ax, model, found, field, flat, points)
        ax.plot(*z[..., :2].numpy().T, color=GREY, lw=0.5, alpha=0.6)
        at = [_place(times, states, field) for times, states in zip(h, z.numpy(), strict=True)]
        ax.plot(*np.array(at)[:, :2].T, ".", color=BLUE, ms=5, label="films at h")
        saddles = points.z[(points.curvatures[:, 0] < 0) & (points.curvatures[:, 1:] > 0).all(dim=1)]
        ax.plot(*points.minima.z[:, :2].T, "o", color=RED, mec="white", ms=9, label="minimum")
        ax.plot(*saddles[:, :2].T, "X", color="black", mec="white", ms=9, label="saddle")
        ax.set(title=f"α = {found:g}, h = {field:g}", xlabel="$z_1$")
    axes[0, 0].set(ylabel="$z_2$")
    axes[0, 0].legend(fontsize=7)
    return figure


def _draw_levels(
    ax: Axes, model: ReducedModel, alpha: float, field: float, seen: torch.Tensor, points: Points
) -> None:
    """Draw the level sets of V over the first two coordinates, around minima and states that are seen."""
    shown = torch.cat([seen, points.minima.z])
    low, high = shown.min(dim=0).values, shown.max(dim=0).values
    margin = 0.1 * (high - low)
    x, y = (
        torch.linspace(float(low[i] - margin[i]), float(high[i] + margin[i]), _POINTS, dtype=torch.float64)
        for i in range(2)
    )
    deepest = points.minima.z[0] if len(points.minima.z) else seen.mean(dim=0)
    z = deepest.repeat(_POINTS, _POINTS, 1)
    z[..., 0], z[..., 1] = torch.meshgrid(x, y, indexing="xy")
    controls = torch.tensor([alpha, field], dtype=torch.float64)
    with torch.no_grad():
        values = model.potential(z, controls.expand(_POINTS, _POINTS, 2)).numpy()
        highest = float(model.potential(seen, controls.expand(len(seen), 2)).max())
    levels = values.min() + (highest - values.min()) * np.linspace(0.08, 1.2, 18) ** 2
    ax.contourf(x, y, values, [values.min(), *levels], cmap="Greys_r", alpha=0.3, extend="max")
    ax.contour(x, y, values, levels, colors="black", linewidths=0.5, linestyles="solid", alpha=0.6)


def _place(fields: ndarray, states: ndarray, field: float) -> ndarray:
    """Return the state of a run in the frame whose field is nearest."""
    return states[int(np.abs(fields - field).argmin())]
