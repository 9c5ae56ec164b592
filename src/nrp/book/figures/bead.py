"""The figures of the bead, whose landscape is known."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from nrp.book.figures.style import FIELD_MAP, PAIR, show_image, subplots
from nrp.evaluation import Result


def frames(films: xr.Dataset, *, count: int = 6) -> Figure:
    """Frames of the first film of the bead."""
    film = films.isel(run=0)
    chosen = np.linspace(0, film.sizes["frame"] - 1, count).astype(int)
    figure, axes = subplots(1, count, (8.2, 1.7))
    for ax, frame in zip(axes, chosen, strict=True):
        title = f"t = {film.time.values[frame]:.1f}"
        show_image(ax, film.intensity.values[frame], title=title, vmin=0, vmax=1)
    return figure


def landscape(result: Result) -> Figure:
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
