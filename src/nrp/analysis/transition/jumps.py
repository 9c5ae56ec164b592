r"""Is a curve continuous?  Three descriptions weighed against each other, by a test that can say no.

A curve is taken at values of α that lie some step apart.  It is described as

- *smooth*: a polynomial, to which a steep but smooth change ``tanh((α − c)/w)`` may be added, with w at least
  one step;
- *kinked*: a polynomial, and ``|α − c|``;
- *jumping*: a polynomial, and a step at c.

Degree, place and width of each are those with the smallest leave-one-out error.  So what is called a jump
is a change that takes place within about a step of α: no curve can tell more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from ruptures import Dynp

LEVEL = 0.01
"""A p value below this is an alarm, by default."""
POWER = 0.8
"""The share of curves in which a detectable jump is found."""
_DEGREES = range(1, 6)
_MARGIN = 3
"""Points that must lie on either side of a change."""
_WIDTHS = (1.0, 1.5, 2.5, 4.0, 7.0)
"""Of the steep change, in steps of α."""
_TINY = np.finfo(float).tiny
FEWEST = 2 * _MARGIN + len(_DEGREES) + 2


@dataclass(frozen=True)
class Continuity:
    """What `weigh` finds.  Sizes are in the units of the curve."""

    likelihood: dict[str, float]
    """Leave-one-out log-likelihood of each description, over that of the best one: at most 0."""
    p_value: float
    """Share of continuous curves with the same noise in which a jump describes as much more as here."""
    jump: float
    """Its estimate, with sign."""
    jump_interval: tuple[float, float]
    """Where 95 % of the estimates lie for curves that have this jump and this noise."""
    position: float
    """Where the jump would be."""
    breakpoint: float
    """Where two straight lines fit best, by `ruptures`."""
    noise: float
    """Standard deviation about the best continuous description (for a point of median error)."""
    detectable: float
    """Smallest jump for which an alarm is raised in 80 % of curves; nan if twice the range is not enough."""


class _Shapes(NamedTuple):
    """All shapes of one description."""

    residual: Float[ndarray, "shape point point"]
    """The residual of a curve, as a matrix that acts on it."""
    left_out: Float[ndarray, "shape pair"]
    """The mean square of what is left over if each point is predicted from the others, as a form in the
    products of pairs of points."""
    size: Float[ndarray, "shape point"]
    """The size of the jump or change as a sum over the points."""
    place: Float[ndarray, " shape"]
    free: Float[ndarray, " shape"]
    """Number of fitted numbers."""


def weigh(
    x: Float[ndarray, " n"],
    y: Float[ndarray, " n"],
    *,
    error: Float[ndarray, " n"] | None = None,
    draws: int = 500,
    power: bool = True,
    level: float = LEVEL,
) -> Continuity:
    """Weigh the three descriptions of a curve.

    The statistic is by how much the leave-one-out log-likelihood of the jumping description exceeds those of
    the others.  Its distribution without a jump comes from `draws` curves with the best continuous
    description and the same noise (parametric bootstrap), in which everything is chosen again.

    Parameters
    ----------
    x, y
        The curve, in order of x, evenly spaced.
    error
        Standard errors of y, of which only the ratios count; by default all are the same.
    draws
        Curves drawn.
    power
        Whether the smallest detectable jump is looked for, with jumps at random places.
    level
        The p value below which a curve is said to jump.

    Raises
    ------
    ValueError
        If there are too few points, or they are not evenly spaced.
    """
    if len(x) < FEWEST:
        raise ValueError(f"{len(x)} points: must be at least {FEWEST}")
    if not np.allclose(np.diff(x), np.diff(x)[0]):
        raise ValueError("x: must be evenly spaced")
    error = np.ones_like(x) if error is None else error / np.median(error)
    shapes = _shapes(tuple(x.tolist()), tuple(error.tolist()))
    curve, random = (y - y.mean()) / error, np.random.default_rng(0)
    likelihood, best = _likelihoods(curve[None], shapes)
    statistic = _statistic(likelihood)[0]
    continuous = max(("smooth", "kinked"), key=lambda name: likelihood[name][0])
    fit, noise = _fit(curve, shapes[continuous], int(best[continuous][0]))
    jumping = shapes["jumping"]
    place = int(best["jumping"][0])

    def draw(mean: ndarray) -> ndarray:
        return mean + noise * random.normal(size=(draws, len(x)))

    null = _statistic(_likelihoods(draw(fit), shapes)[0])
    with_jump, with_noise = _fit(curve, jumping, place)
    again = with_jump + with_noise * random.normal(size=(draws, len(x)))
    chosen = _likelihoods(again, {"jumping": jumping})[1]["jumping"]
    estimates = np.einsum("mn,mn->m", jumping.size[chosen], again)
    best_of_all = max(values[0] for values in likelihood.values())
    detectable = np.nan
    if power:
        limit = np.quantile(null, 1 - level)
        steps = np.sign(x - random.choice(np.unique(jumping.place), draws)[:, None]) / 2 / error

        def seen(size: float) -> float:
            return float(np.mean(_statistic(_likelihoods(draw(fit + size * steps), shapes)[0]) > limit))

        detectable = _smallest(seen, 2 * float(np.ptp(y)))
    lines = Dynp(model="linear", min_size=_MARGIN, jump=1)
    split = lines.fit(np.column_stack([curve, 1 / error, x / error])).predict(n_bkps=1)[0]
    return Continuity(
        likelihood={name: float(values[0] - best_of_all) for name, values in likelihood.items()},
        p_value=float((1 + np.sum(null >= statistic)) / (1 + draws)),
        jump=float(jumping.size[place] @ curve),
        jump_interval=tuple(np.quantile(estimates, [0.025, 0.975]).tolist()),
        position=float(jumping.place[place]),
        breakpoint=float(x[split - 1 : split + 1].mean()),
        noise=noise,
        detectable=detectable,
    )


@lru_cache(maxsize=8)
def _shapes(x: tuple[float, ...], error: tuple[float, ...]) -> dict[str, _Shapes]:
    """Return the shapes of each description, which depend on the curve's x and relative errors alone."""
    at, weight = np.array(x), 1 / np.array(error)
    middles = (at[1:] + at[:-1]) / 2
    between = middles[_MARGIN - 1 : -(_MARGIN - 1)]
    anywhere = np.sort(np.concatenate([at[_MARGIN - 1 : 1 - _MARGIN], between]))
    widths, centres = np.meshgrid(np.array(_WIDTHS) * (at[1] - at[0]), anywhere, indexing="ij")
    steep = np.tanh((at - centres[..., None]) / widths[..., None]).reshape(-1, len(at)) / 2
    none = _described(at, weight, np.array([np.nan]), np.empty((1, len(at), 0)), free=0)
    smooth = _described(at, weight, centres.ravel(), steep[..., None], free=3)
    return {
        "smooth": _Shapes(*map(np.concatenate, zip(none, smooth, strict=True))),
        "kinked": _described(at, weight, anywhere, np.abs(at - anywhere[:, None])[..., None], free=2),
        "jumping": _described(at, weight, between, np.sign(at - between[:, None])[..., None] / 2, free=2),
    }


def _described(
    x: Float[ndarray, " point"],
    weight: Float[ndarray, " point"],
    places: Float[ndarray, " change"],
    changes: Float[ndarray, "change point added"],
    *,
    free: int,
) -> _Shapes:
    """Return polynomials of all degrees with each change added, which has `free` numbers to choose."""
    scaled = 2 * (x - x.min()) / np.ptp(x) - 1
    parts = []
    for degree in _DEGREES:
        powers = np.broadcast_to(np.vander(scaled, degree + 1), (len(places), len(x), degree + 1))
        columns = np.concatenate([powers, changes], axis=2) * weight[:, None]
        inverse = np.linalg.pinv(columns)
        residual = np.eye(len(x)) - columns @ inverse
        left_out = residual / np.maximum(residual.diagonal(axis1=1, axis2=2), 1e-6)[..., None]
        forms = left_out.mT @ left_out / len(x)
        count = np.full(len(places), degree + 1 + free)
        parts.append((residual, _packed(forms), inverse[:, -1], places, count))
    return _Shapes(*map(np.concatenate, zip(*parts, strict=True)))


def _likelihoods(
    curves: Float[ndarray, "curve point"], shapes: dict[str, _Shapes]
) -> tuple[dict[str, ndarray], dict[str, ndarray]]:
    """Return the leave-one-out log-likelihood of each description for each curve, and the best shape."""
    points = curves.shape[1]
    first, second = np.triu_indices(points)
    products = curves[:, first] * curves[:, second]
    floor = 1e-14 * np.mean(curves**2, axis=1)  # of the rounding
    likelihood, best = {}, {}
    for name, each in shapes.items():
        square = each.left_out @ products.T
        best[name] = square.argmin(axis=0)
        likelihood[name] = -points / 2 * np.log(np.maximum(square.min(axis=0), floor) + _TINY)
    return likelihood, best


def _packed(forms: Float[ndarray, "shape point point"]) -> Float[ndarray, "shape pair"]:
    """Return symmetric forms as their coefficients of the products of pairs."""
    first, second = np.triu_indices(forms.shape[-1])
    return np.where(first == second, 1, 2) * forms[:, first, second]


def _statistic(likelihood: dict[str, ndarray]) -> ndarray:
    return likelihood["jumping"] - np.maximum(likelihood["smooth"], likelihood["kinked"])


def _fit(curve: ndarray, shapes: _Shapes, shape: int) -> tuple[ndarray, float]:
    """Return a description of a curve, and the standard deviation about it."""
    rest = shapes.residual[shape] @ curve
    return curve - rest, float(np.sqrt(rest @ rest / (len(curve) - shapes.free[shape])))


def _smallest(seen, largest: float) -> float:
    """Return by bisection of its logarithm the smallest size that is seen often enough."""
    if seen(largest) < POWER:
        return np.nan
    low, high = 1e-4 * largest, largest
    for _ in range(9):
        middle = np.sqrt(low * high)
        low, high = (low, middle) if seen(middle) >= POWER else (middle, high)
    return float(high)
