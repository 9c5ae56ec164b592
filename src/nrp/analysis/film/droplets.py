r"""A droplet model of ours: equal negative domains in a positive film, what they cost and when they pay.

It is made in the spirit of the earlier hand-made model, whose formula this book does not have, from the
energy of `nrp.systems.film`.  In a film of level m lie domains of depth A, radius R, and walls of width ξ,

.. math::

    \phi(r) = m - A\sum_i u(|r - r_i|), \qquad
    u(r) = \tfrac12\Big[\tanh\frac{r + R}{\xi} - \tanh\frac{r - R}{\xi}\Big].

A sharp disc would have an infinite energy: its transform falls off as k^{−3/2}, and the dipolar energy with
this kernel grows as ∫ k² û² dk.  Hence the walls.  If domains do not overlap, each costs, above the uniform
film,

.. math::

    E = \int \alpha\Big(\frac{\phi^4 - m^4}{4} - \frac{\phi^2 - m^2}{2}\Big) + \frac{\beta}{2}|\nabla\phi|^2
        + h A u + \frac{\gamma a_0}{2}(\phi^2 - m^2) \; dr - \frac{\gamma a_1}{2} A^2 K,

and K is ∫ k û² d²k/(2π)² for a domain by itself, or ``n Σ_G |G| û(G)²`` over the reciprocal vectors of a
lattice of density n, which holds the mutual energy too.  A *worm*, a straight domain of half-width R, is the
same in one dimension, per length.

At rest in the uniform state, E is ``c₂A² + c₃A³ + c₄A⁴``: a domain begins to pay, with a finite depth, where
``c₃² = 4c₂c₄``.  With the best ξ this happens at the level

.. math::

    m^2 = \max_{R/\xi} \frac{(\gamma a_1 K)^2 / (8\beta D) + (\alpha - \gamma a_0) U_2 / 2}
        {\alpha\,(3U_2/2 - U_3^2/U_4)}, \qquad U_n = \int u^n, \quad D = \int |\nabla u|^2 \quad (\xi = 1),

as a wave without depth does at ``m² = (1 − Δ/α)/3``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray
from scipy.special import j0

from nrp.analysis.film.runs import rises
from nrp.analysis.registry import Dataset, Outcome, analysis
from nrp.evaluation import Result, row
from nrp.evaluation.result import curve_rows
from nrp.simulation import settings_of
from nrp.systems.film import FilmSettings
from nrp.systems.film_theory import critical_field, uniform_cost, uniform_equilibrium

_FILM = FilmSettings(disorder="none")
_RATIOS = np.geomspace(0.3, 10, 100)
"""R/ξ among which the best is looked for."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


@dataclass(frozen=True)
class Shape:
    """The integrals of u over the plane, for a disc (dimension 2), or across a worm (dimension 1)."""

    radius: float
    wall: float
    dimension: int = 2

    @property
    def _distances(self) -> tuple[ndarray, ndarray]:
        """Distances from the middle, and their weights in an integral."""
        end = self.radius + 10 * self.wall
        r, weight = end / 2 * (_NODES + 1), end / 2 * _WEIGHTS
        return r, weight * (2 * np.pi * r if self.dimension == 2 else 2.0)

    def profile(self, distance: Float[ndarray, "*d"]) -> Float[ndarray, "*d"]:
        """Return u, 1 inside and 0 outside."""
        inner, outer = ((distance + side * self.radius) / self.wall for side in (1, -1))
        return (np.tanh(inner) - np.tanh(outer)) / 2

    def transform(self, wavenumber: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
        """Return û(k)."""
        r, weight = self._distances
        wave = j0 if self.dimension == 2 else np.cos
        return wave(np.multiply.outer(wavenumber, r)) @ (weight * self.profile(r))

    @property
    def moments(self) -> Float[ndarray, " power"]:
        """U₁ to U₄, the integrals of the powers of u."""
        r, weight = self._distances
        return np.array([weight @ self.profile(r) ** power for power in range(1, 5)])

    @property
    def steepness(self) -> float:
        """D, the integral of the squared gradient of u."""
        r, weight = self._distances
        inner, outer = ((r + side * self.radius) / self.wall for side in (1, -1))
        return float(weight @ ((np.tanh(outer) ** 2 - np.tanh(inner) ** 2) / (2 * self.wall)) ** 2)

    @property
    def own(self) -> float:
        """K of a domain by itself."""
        k, weight = 6 / self.wall * (_NODES + 1), 6 / self.wall * _WEIGHTS
        weight = weight * (k / (2 * np.pi) if self.dimension == 2 else 1 / np.pi)
        return float(weight @ (k * self.transform(k) ** 2))

    def in_lattice(self, spacing: float) -> float:
        """Return K of a disc in a triangular lattice with that distance of neighbours."""
        shortest = 4 * np.pi / (np.sqrt(3) * spacing)
        most = int(np.ceil(12 / self.wall / shortest))
        i, j = np.meshgrid(np.arange(-most, most + 1), np.arange(-most, most + 1))
        shells, count = np.unique(i**2 + j**2 + i * j, return_counts=True)
        k = shortest * np.sqrt(shells)
        return float(density(spacing) * count @ (k * self.transform(k) ** 2))


def density(spacing: Float[ndarray, "*s"] | float) -> Float[ndarray, "*s"] | float:
    """Return the number of domains per area in a triangular lattice."""
    return 2 / (np.sqrt(3) * spacing**2)


def domain_energy(
    shape: Shape,
    depth: float,
    level: float,
    *,
    anisotropy: float,
    external_field: float,
    spacing: float | None = None,
    film: FilmSettings = _FILM,
) -> float:
    """Return what a domain costs (a worm: per length) above the uniform film, which need not be at rest.

    The level is m, the depth A; `spacing` is the distance of neighbours in a triangular lattice, without
    which the domain is alone.
    """
    u1, u2, u3, u4 = shape.moments
    m, local = level, uniform_cost(film)
    force = external_field + anisotropy * (m - m**3) - local * m  # of the uniform film, 0 at rest
    dipolar = shape.own if spacing is None else shape.in_lattice(spacing)
    second = (anisotropy * (3 * m**2 - 1) + local) * u2 + film.stiffness * shape.steepness
    second -= 2 * np.pi * film.dipolar * dipolar
    return float(
        force * u1 * depth
        + second / 2 * depth**2
        - anisotropy * m * u3 * depth**3
        + anisotropy / 4 * u4 * depth**4
    )


def threshold(
    anisotropy: float, *, dimension: int = 2, film: FilmSettings = _FILM
) -> tuple[float, Shape, float]:
    """Return the field below which a domain (a worm: dimension 1) pays, with its shape and depth there.

    The field and the depth are nan where it never does before it has no depth.
    """
    u2, u3, u4, steep, dipolar = _unit_shapes(dimension)
    gain = 2 * np.pi * film.dipolar * dipolar
    cost = uniform_cost(film)
    above = gain**2 / (8 * film.stiffness * steep) + (anisotropy - cost) * u2 / 2
    squares = above / (anisotropy * (1.5 * u2 - u3**2 / u4))
    best = int(squares.argmax())
    level = float(np.sqrt(squares[best])) if squares[best] > 0 else np.nan
    wall = float(2 * film.stiffness * steep[best] / gain[best])
    shape = Shape(float(_RATIOS[best]) * wall, wall, dimension)
    depth = 2 * level * float(u3[best] / u4[best])
    return float(anisotropy * level**3 - (anisotropy - cost) * level), shape, depth


@cache
def _unit_shapes(dimension: int) -> tuple[ndarray, ...]:
    """Return U₂, U₃, U₄, D and K of the shapes with ξ = 1."""
    shapes = [Shape(float(ratio), 1.0, dimension) for ratio in _RATIOS]
    moments = np.array([shape.moments for shape in shapes]).T
    return (*moments[1:], *np.array([(shape.steepness, shape.own) for shape in shapes]).T)


@analysis("droplets", version=3, needs={"films": Dataset("films"), "onsets": Outcome("onset")})
def droplets(films: xr.Dataset, onsets: Result, *, anisotropy: float = 2.0) -> Result:
    """Return the thresholds of the droplet model over anisotropy, beside those of waves and of the film.

    Rows per anisotropy: ``droplet_field`` and ``worm_field``, below which a single disc, or a worm, pays;
    ``critical_field``, below which a wave without depth grows; ``onset_field``, at which the film has its
    first negative point, mean over the samples with the 95 % interval of the mean (Student's t).
    ``crossing``, the anisotropy above which, as case, ``droplets before waves``, ``worms before waves`` and
    ``worms at the onset`` pay at higher fields than those begin; null where there is none.
    ``density_share``, the best density of a lattice over the largest one here, with the field less the
    threshold of a droplet as case.
    Arrays: ``alphas`` and these fields; at one anisotropy, ``fields``, ``densities``, the ``lattice_energy``
    (field, density) per area of domains with the shape that they have at their threshold, and
    ``best_density`` (field).

    The films say how the field is swept; `anisotropy` is that of the lattices.
    """
    alphas = onsets.arrays["alphas"]
    sweep = settings_of(films)
    rate = float(films.sweep_rate[0])
    onset_fields = np.maximum(sweep.field_init - rate * onsets.arrays["onset_times"], sweep.field_final)
    film = sweep.system.replace(disorder="none")
    curves = {
        "droplet_field": np.array([threshold(alpha, film=film)[0] for alpha in alphas]),
        "worm_field": np.array([threshold(alpha, dimension=1, film=film)[0] for alpha in alphas]),
        "critical_field": np.asarray(critical_field(alphas, film)),
    }
    rows = [each for name, curve in curves.items() for each in curve_rows(name, curve[None], alphas)]
    rows += curve_rows("onset_field", onset_fields, alphas)
    curves["onset_field"] = onset_fields.mean(axis=0)
    for case, first, second in (
        ("droplets before waves", "droplet_field", "critical_field"),
        ("worms before waves", "worm_field", "critical_field"),
        ("worms at the onset", "worm_field", "onset_field"),
    ):
        # Where a difference first becomes positive, if it ever does.
        place = min(rises(alphas, curves[first] - curves[second]), default=np.nan)
        rows.append(row("crossing", place, case=case))
    highest, shape, depth = threshold(anisotropy, film=film)
    shifts = (0.05, 0.0, -0.05, -0.1, -0.15)
    fields = highest + np.array(shifts)
    closest = 2 * (shape.radius + 2 * shape.wall)
    spacings = closest * np.geomspace(1, 8, 60)
    densities = np.asarray(density(spacings))
    cost = partial(domain_energy, shape, depth, anisotropy=anisotropy, film=film)

    def energy(field: float, spacing: float) -> float:
        level = uniform_equilibrium(field, anisotropy, film)
        return cost(level, external_field=field, spacing=spacing)

    lattice = densities * np.array([[energy(field, spacing) for spacing in spacings] for field in fields])
    best = np.where(lattice.min(axis=1) < 0, densities[lattice.argmin(axis=1)], 0.0)
    for shift, share in zip(shifts, best / best.max(), strict=True):
        rows.append(row("density_share", share, case=f"{shift:+g}", anisotropy=anisotropy))
    lattices = {"fields": fields, "densities": densities, "lattice_energy": lattice, "best_density": best}
    return Result.of(rows, alphas=alphas, **lattices, **curves)
