"""The external field h(t) of a run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nrp.base import InvalidSetting, reason
from nrp.simulation.settings import CampaignSettings


class ExternalField:
    """h(t), straight between knots ``(time, h)`` and constant before and after them.

    Knots come in the order of time; two at one time are a jump, after which the later one holds.
    """

    def __init__(self, *knots: tuple[float, float]) -> None:
        self._knots = knots
        changes = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(knots)]
        self.kinks = tuple(sorted({time for time, _ in knots}))
        """The times at which h may have a kink or a jump; multistep schemes begin anew at each."""
        self.is_sharp = any(abs(rise) > 0.1 * length for length, rise in changes)
        """Whether h jumps, or changes by more than 0.1 per unit of time."""

    @classmethod
    def of(cls, campaign: CampaignSettings, sweep_rate: float) -> ExternalField:
        """Return the field of a run: its table, or a sweep, there and back for a loop."""
        if campaign.field_table:
            return cls(*campaign.field_table)
        first, last = campaign.field_init, campaign.field_final
        if sweep_rate == 0:
            return cls((0.0, first))
        turn = campaign.sweep_time(sweep_rate)
        back = [(2 * turn, first)] if campaign.field_loop else []
        return cls((0.0, first), (turn, last), *back)

    def __call__(self, time: float) -> float:
        """Return h at a time, from the right at a jump."""
        return self.piece(time)(time)

    def at(self, times: Float[ndarray, "*time"]) -> Float[ndarray, "*time"]:
        """Return h at many times, at a jump from the right."""
        knots, values = np.array(self._knots).T
        after = np.searchsorted(knots, times, side="right")
        left, right = np.maximum(after - 1, 0), np.minimum(after, len(knots) - 1)
        length = knots[right] - knots[left]
        share = (times - knots[left]) / np.where(length > 0, length, 1.0)
        return values[left] + np.where(length > 0, share, 0.0) * (values[right] - values[left])

    def slope(self, time: float) -> float:
        """Return dh/dt at a time, from the right."""
        piece = self.piece(time)
        return piece(time + 1) - piece(time)

    def piece(self, time: float) -> Callable[[float], float]:
        """Return the straight line that h follows from a time to the next kink."""
        return self._pieces[bisect_right(self._knots, time, key=lambda knot: knot[0])]

    @cached_property
    def _pieces(self) -> list[Callable[[float], float]]:
        (_, first), (_, last) = self._knots[0], self._knots[-1]
        between = [_line(*pair) for pair in pairwise(self._knots)]
        return [lambda _: first, *between, lambda _: last]


def _line(left: tuple[float, float], right: tuple[float, float]) -> Callable[[float], float]:
    (start, value), (end, final) = left, right
    slope = (final - value) / (end - start) if end > start else 0.0
    return lambda time: value + slope * (time - start)


def read_table(path: Path) -> tuple[tuple[float, float], ...]:
    """Return the rows (time, h) of a CSV file with two columns and no header.

    Raises
    ------
    InvalidSetting
        If the file cannot be read as such.
    """
    wanted = f"field_table = {str(path)!r}: must hold lines of two numbers, time and field, and no header"
    try:
        # Some spreadsheets begin a file with a mark of its encoding.
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = (line.split(",") for line in lines if line.strip())
        table = tuple((float(time), float(field)) for time, field in rows)
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"{wanted} ({reason(error)})") from None
    if not table:
        raise InvalidSetting(f"{wanted} (it is empty)")
    return table
