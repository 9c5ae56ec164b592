"""Is a curve continuous?  A test that can say no, and the smallest jump that it would have seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

_DEGREES = range(1, 7)
_MARGIN = 3
"""Points that must lie on either side of a jump."""


@dataclass(frozen=True)
class JumpTest:
    """A smooth curve (polynomial) weighed against the same curve with one jump."""

    position: float
    """Where the best jump lies."""
    jump: float
    """Its size, in units of the curve's range."""
    p_value: float
    """Share of smooth curves with the same noise in which as good a jump is found by chance."""
    degree: int
    """Of the smooth curve, by leave-one-out error."""
    noise: float
    """Standard deviation about the smooth curve, in units of the curve's range."""
    detectable: float
    """Smallest jump, in units of the range, found in at least 80 % of curves that have it; nan if none is.

    The jumps lie at random places, and the degree is kept.
    """


def jump_test(
    x: Float[ndarray, " n"], y: Float[ndarray, " n"], *, seed: int = 0, draws: int = 500
) -> JumpTest:
    """Test whether a curve jumps.

    The smooth description is a polynomial whose degree minimises the leave-one-out error; the other adds a
    step at the place that fits best.  The statistic is the gain in the sum of squares over the remainder; its
    distribution without a jump comes from `draws` smooth curves with the same noise (parametric bootstrap),
    and so do the detection rates of jumps put in on purpose.

    Parameters
    ----------
    x, y
        The curve, in order of x; at least 12 points.

    Raises
    ------
    ValueError
        If there are too few points.
    """
    if len(x) < 2 * _MARGIN + len(_DEGREES):
        raise ValueError(f"{len(x)} points: a jump test needs at least {2 * _MARGIN + len(_DEGREES)}")
    span = float(np.ptp(y)) or 1.0
    y = (y - y.mean()) / span
    degree = min(_DEGREES, key=lambda d: _leave_one_out(x, y, d))
    basis = _orthonormal(x, degree)
    steps, places = _steps(x, basis)
    smooth = basis @ (basis.T @ y)
    noise = float(np.sqrt(np.sum((y - smooth) ** 2) / (len(x) - degree - 1)))
    statistic, best = _gain(y[None], basis, steps)
    random = np.random.default_rng(seed)

    def draw(extra: ndarray | float = 0.0) -> ndarray:
        curves = smooth + extra + noise * random.normal(size=(draws, len(x)))
        return _gain(curves, basis, steps)[0]

    null = draw()
    limit = np.quantile(null, 0.95)
    jumps = np.stack([_raw_step(x, place) for place in random.choice(places, draws)])
    sizes = np.geomspace(1e-3, 2.0, 34)
    seen = [np.mean(draw(size * jumps) > limit) >= 0.8 for size in sizes]
    column = steps[:, best[0]]
    return JumpTest(
        position=float(places[best[0]]),
        jump=float(column @ y / (column @ _raw_step(x, places[best[0]]))),
        p_value=float((1 + np.sum(null >= statistic[0])) / (1 + draws)),
        degree=degree,
        noise=noise,
        detectable=float(sizes[np.argmax(seen)]) if any(seen) else np.nan,
    )


def _orthonormal(x: ndarray, degree: int) -> ndarray:
    scaled = 2 * (x - x.min()) / np.ptp(x) - 1
    return np.linalg.qr(np.vander(scaled, degree + 1))[0]


def _leave_one_out(x: ndarray, y: ndarray, degree: int) -> float:
    basis = _orthonormal(x, degree)
    leverage = np.sum(basis**2, axis=1)
    return float(np.mean(((y - basis @ (basis.T @ y)) / (1 - leverage)) ** 2))


def _raw_step(x: ndarray, place: float) -> ndarray:
    return np.where(x > place, 0.5, -0.5)


def _steps(x: ndarray, basis: ndarray) -> tuple[ndarray, ndarray]:
    """Return for each possible place the step made orthogonal to the smooth curves, of length 1."""
    places = (x[_MARGIN - 1 : -_MARGIN] + x[_MARGIN : len(x) - _MARGIN + 1]) / 2
    raw = np.stack([_raw_step(x, place) for place in places], axis=1)
    rest = raw - basis @ (basis.T @ raw)
    return rest / np.linalg.norm(rest, axis=0), places


def _gain(curves: ndarray, basis: ndarray, steps: ndarray) -> tuple[ndarray, ndarray]:
    """Return the best F-like statistic of each curve, and at which place."""
    rest = curves - curves @ basis @ basis.T
    explained = (rest @ steps) ** 2
    best = explained.argmax(axis=1)
    gain = explained.max(axis=1)
    return gain / (np.sum(rest**2, axis=1) - gain + 1e-300), best


def control_curves(x: Float[ndarray, " n"], width: float, noise: float, count: int) -> ndarray:
    """Return noisy smooth steps ``tanh((x − c)/width)/2`` at random places c; true jumps for width 0.

    Shape (count, n); the range of each without noise is 1.
    """
    random = np.random.default_rng([count, round(1e3 * width), round(1e3 * noise)])
    centres = random.uniform(np.quantile(x, 0.25), np.quantile(x, 0.75), size=(count, 1))
    distance = x - centres
    shape = np.sign(distance) if width == 0 else np.tanh(distance / width)
    return shape / 2 + noise * random.normal(size=shape.shape)
