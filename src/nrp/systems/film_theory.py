"""What is known of the film in closed form, to hold the solver and the book against.

Everything here is for the clean film (λ = 1), by linear or weakly nonlinear analysis of the
equation in `nrp.systems.film`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nrp.base import Values
from nrp.systems.film import Film, FilmSettings, dispersion

_DEFAULT = FilmSettings()


def pattern_cost(settings: FilmSettings = _DEFAULT) -> float:
    """Return Δ = min L(k): patterns need α > Δ at h = 0."""
    best = np.pi * settings.dipolar / settings.stiffness
    return float(dispersion(best, settings))


def uniform_cost(settings: FilmSettings = _DEFAULT) -> float:
    """Return L(0) = γ a₀, which is 8/π with the defaults."""
    return float(dispersion(0.0, settings))


def growth_rate(
    wavenumber: Values, anisotropy: float, uniform: float, settings: FilmSettings = _DEFAULT
) -> Values:
    """Return σ(k) = α(1 − 3φ₀²) − L(k), the growth rate of a wave about the uniform state φ₀."""
    return anisotropy * (1 - 3 * uniform**2) - dispersion(wavenumber, settings)


def uniform_equilibrium(external_field: float, anisotropy: float, settings: FilmSettings = _DEFAULT) -> float:
    """Return the largest root of αφ³ − (α − L(0))φ = h: the saturated state."""
    return Film.saturation(settings, anisotropy=anisotropy, external_field=external_field)


def uniform_decay(
    time: ndarray | float, start: float, anisotropy: float, settings: FilmSettings = _DEFAULT
) -> ndarray | float:
    """Return the uniform mode φ(t) at h = 0, started from φ₀ (a Bernoulli equation)."""
    r = anisotropy - uniform_cost(settings)
    damping = 2 * time if r == 0 else np.expm1(2 * r * time) / r
    return start * np.exp(r * time) / np.sqrt(1 + anisotropy * start**2 * damping)


def critical_magnetization(
    anisotropy: Float[ndarray, "*a"] | float, settings: FilmSettings = _DEFAULT
) -> Float[ndarray, "*a"] | float:
    """Return φ_c, at which the saturated state becomes linearly unstable; φ_c² = (1 − Δ/α)/3."""
    return np.sqrt((1 - pattern_cost(settings) / np.asarray(anisotropy, dtype=float)) / 3)


def critical_field(
    anisotropy: Float[ndarray, "*a"] | float, settings: FilmSettings = _DEFAULT
) -> Float[ndarray, "*a"] | float:
    """Return h_c = αφ_c³ − (α − L(0))φ_c, the field of the loss of stability.

    Negative values (α > 1 + 8/π with the defaults) are not reached by a sweep that ends at h = 0.
    """
    alpha = np.asarray(anisotropy, dtype=float)
    phi = critical_magnetization(alpha, settings)
    return alpha * phi**3 - (alpha - uniform_cost(settings)) * phi


def soft_below(settings: FilmSettings = _DEFAULT) -> float:
    r"""Return the α below which stripes set in softly where the saturated state becomes unstable.

    About the uniform state φ₀ the stripes A cos kx of the fastest-growing wave also shift the mean and bring
    a wave of half their length, so that, with q = −3αφ₀,

    .. math::

        \dot A = \sigma A + \Big(q^2 \Big(\frac{1}{|\sigma(0)|} + \frac{1}{2|\sigma(2k)|}\Big)
            - \frac{3\alpha}{4}\Big) A^3.

    They set in softly where the bracket is negative; with φ₀² = (1 − Δ/α)/3 of `critical_magnetization` that
    is ``α < Δ + 1/(4S)``, where ``S = 1/(L(0) − Δ) + 1/(2(L(2k) − Δ))``.  Beyond, they begin with a jump.
    With the defaults this is Δ + 1/3, below every α of the paper.
    """
    best, cost = np.pi * settings.dipolar / settings.stiffness, pattern_cost(settings)
    share = 1 / (uniform_cost(settings) - cost) + 1 / (2 * (float(dispersion(2 * best, settings)) - cost))
    return cost + 1 / (4 * share)


def uniform_fold_field(
    anisotropy: Float[ndarray, "*a"] | float, settings: FilmSettings = _DEFAULT
) -> Float[ndarray, "*a"] | float:
    """Return h_s ≤ 0, at which the upper uniform state ends when h falls; the lower one ends at −h_s.

    A film that stays uniform moves as φ' = (α − L(0))φ − αφ³ + h.  Where its state at rest vanishes, the
    slope of that force is 0, too: φ_s² = (α − L(0))/(3α), and so h_s = −(2/3)(α − L(0))φ_s.  For α ≤ L(0)
    there is one uniform state in every field, and the result is nan.  Patterns are left out of account.
    """
    alpha = np.asarray(anisotropy, dtype=float)
    excess = alpha - uniform_cost(settings)
    excess = np.where(excess > 0, excess, np.nan)
    return -2 / 3 * excess * np.sqrt(excess / (3 * alpha))


def stripe_energy(anisotropy: float, settings: FilmSettings = _DEFAULT) -> float:
    """Return the energy per area of the stripes φ = A cos x at h = 0, −(α − Δ)²/(6α), close to α = Δ."""
    return -((anisotropy - pattern_cost(settings)) ** 2) / (6 * anisotropy)


def wall_width(anisotropy: float, settings: FilmSettings = _DEFAULT) -> float:
    """Return ξ of the wall φ = tanh(x/ξ) of a film without dipoles, √(2β/α)."""
    return float(np.sqrt(2 * settings.stiffness / anisotropy))


def wall_energy(anisotropy: float, settings: FilmSettings = _DEFAULT) -> float:
    """Return the energy per length of that wall, (2√2/3)√(αβ)."""
    return float(2 * np.sqrt(2) / 3 * np.sqrt(anisotropy * settings.stiffness))
