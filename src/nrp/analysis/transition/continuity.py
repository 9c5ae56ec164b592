"""The test for jumps, put to every curve that is read at the onset.

Rates and gradients scatter by factors, so their logarithms are weighed; times and numbers as they are.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nrp.analysis.registry import Needs, Published, analysis
from nrp.analysis.transition.jumps import FEWEST, LEVEL, weigh
from nrp.base import InvalidSetting
from nrp.evaluation import Result, row

_TINY = np.finfo(float).tiny
_AS_THEY_ARE = ("onset_time", "negative_domains", "final_domains")
"""Curves that are no rates."""


def _needs(profile, arm: str) -> Needs:
    # Of the published members, whatever the profile: one training tells nothing of their scatter.
    return {"reading": Published(f"transition_{arm}")}


@analysis("continuity", version=3, needs=_needs, each="arm")
def continuity(reading: Result, *, level: float = LEVEL, every: int = 1) -> Result:
    """Return the tests of all curves of `nrp.analysis.transition.reading.transition`.

    Rows: those of `jump_rows`, with the curve as case; ``tests`` and ``alarms``, the number of curves that
    are tested and of those with a p value below the level, with the arm.  Array: the ``alphas`` of the tests.
    Only each `every`-th anisotropy is taken.

    Raises
    ------
    InvalidSetting
        If too few anisotropies are left.
    """
    alphas, rows = reading.arrays["alphas"][::every], []
    if len(alphas) < FEWEST:
        raise InvalidSetting(f"every = {every}: leaves {len(alphas)} anisotropies, and {FEWEST} are needed")
    for name in dict.fromkeys(reading.table.loc[reading.table["anisotropy"].notna(), "metric"]):
        curves = reading.arrays[name]
        if curves.ndim == 2:
            of = reading.select(metric=name).iloc[0]
            columns = {"arm": of["arm"], "members": of["members"]}
            rows += jump_rows(name, alphas, curves[:, ::every], level=level, **columns)
    tests = [entry["value"] for entry in rows if entry["metric"] == "jump_p_value"]
    of = {"arm": reading.table["arm"].dropna().iloc[0]}
    rows += [row("tests", len(tests), **of), row("alarms", sum(p < level for p in tests), **of)]
    return Result.of(rows, alphas=alphas)


def weighed(name: str, curves: Float[ndarray, "*units a"]) -> Float[ndarray, "*units a"]:
    """Return curves as they are weighed: the logarithm of rates and gradients, all else as it is."""
    return curves if name in _AS_THEY_ARE else np.log(np.maximum(curves, _TINY))


def jump_rows(
    name: str,
    alphas: Float[ndarray, " a"],
    curves: Float[ndarray, "unit a"],
    *,
    power: bool = True,
    level: float = LEVEL,
    **columns: object,
) -> list[dict]:
    """Return the rows of the test of the mean of curves; three or more of them give its errors their ratios.

    The name becomes the case, and says whether the logarithm is taken.
    ``jump_p_value``; ``jump_size``, with the interval of `Continuity.jump_interval`,
    ``smallest_detectable_jump`` and ``curve_noise``, in units of the range of the curve that is weighed; for
    a logarithm ``smallest_detectable_factor``; ``jump_position`` and ``breakpoint`` in α; and
    ``log_likelihood`` of each description over the best, with the name of the description as split.
    Unless `power`, no detectable jump is looked for.
    """
    by_factors, curves = name not in _AS_THEY_ARE, weighed(name, curves)
    mean = curves.mean(axis=0)
    span = np.ptp(mean) or 1.0
    error = None
    if len(curves) > 2:
        spread = curves.std(axis=0, ddof=1)
        # The spread over a few units is itself uncertain: half of it is that of all anisotropies.
        error = np.sqrt((spread**2 + np.mean(spread**2)) / 2) if spread.any() else None
    test = weigh(alphas, mean, error=error, power=power, level=level)
    low, high = (size / span for size in test.jump_interval)
    columns |= {"case": name}
    rows = [
        row("jump_p_value", test.p_value, **columns),
        row("jump_size", test.jump / span, low=low, high=high, **columns),
        row("jump_position", test.position, **columns),
        row("breakpoint", test.breakpoint, **columns),
        row("curve_noise", test.noise / span, **columns),
    ]
    if power:
        rows.append(row("smallest_detectable_jump", test.detectable / span, **columns))
    if power and by_factors:
        rows.append(row("smallest_detectable_factor", np.exp(test.detectable), **columns))
    likelihoods = test.likelihood.items()
    return rows + [row("log_likelihood", value, **columns | {"split": kind}) for kind, value in likelihoods]
