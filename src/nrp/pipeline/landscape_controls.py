"""Films of systems whose folds are known: controls of the folds that learned potentials of descriptors show.

They are filmed as the magnetic film is (see `nrp.pipeline.descriptor_campaigns`): sweeps, fields that are
held, reached from either side, fields that turn, and all that again for tests.  What is read from a potential
that was learned from them must be the fold that is there, and none where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nrp.pipeline.descriptor_campaigns import DescribedFilms, held_field, turning_field
from nrp.pipeline.sizes import steps
from nrp.simulation.settings import CampaignSettings
from nrp.systems.film import FilmSettings
from nrp.systems.film_theory import pattern_cost
from nrp.systems.swift_hohenberg import SwiftHohenbergSettings, stability_fields

Table = tuple[tuple[float, float], ...]
"""Points (time, h) of a field."""
_TRAINED, _WATCHED, _TESTED = (0, 1), (3,), (5,)
"""Samples.  Hexagons of these grow without a defect; at one, as in samples 2 and 4, they melt too early."""
_GROWTH = 150.0
"""Time in which hexagons grow from noise."""
_LAST = -0.3
"""Field in which no hexagons are left."""


@dataclass(frozen=True)
class _Plan:
    """The numbers of a control."""

    films: CampaignSettings
    anisotropy: tuple[float, ...]
    between: tuple[float, ...]
    """Those that are never trained on."""
    rates: tuple[float, ...]
    """Those trained on, the last two for a rate that is never trained on, and one beyond."""
    rest: float
    """Time for which a field is held."""
    levels: tuple[float, ...]
    other_levels: tuple[float, ...]
    """Fields that are held in training and in tests, in rising order."""

    def protocols(self, name: str, tables: dict[str, Table], *, test: bool) -> dict[str, CampaignSettings]:
        """Return campaigns with these fields, by name, of one sample at a part of the anisotropies."""
        anisotropy, sample = (self.between[::2], _TESTED) if test else (self.anisotropy[::2], _TRAINED[:1])
        changes: dict[str, Any] = {"anisotropy": anisotropy, "sample": sample, "sweep_rate": 0.0}
        changes |= {"field_loop": False, "frames": self.films.frames // 2 + 1}
        return {
            f"{name}_{key}": self.films.replace(field_table=table, **changes) for key, table in tables.items()
        }

    def looped(self, name: str, tables: Callable[[tuple[float, ...]], dict[str, Table]]) -> DescribedFilms:
        """Return all campaigns of a control whose field loops; `tables` makes its held fields of levels."""
        (*trained, unseen, beyond), few = self.rates, self.between[::3]
        sweeps = {
            name: self.films.replace(anisotropy=self.anisotropy, sample=_TRAINED, sweep_rate=trained),
            f"{name}_watched": self.films.replace(anisotropy=few, sample=_WATCHED, sweep_rate=trained[0]),
        }
        held = self.protocols(f"{name}_held", tables(self.levels), test=False)
        tests = {
            f"{name}_unseen": self.films.replace(anisotropy=self.between, sample=_TESTED, sweep_rate=unseen),
            f"{name}_beyond": self.films.replace(anisotropy=few, sample=_TESTED, sweep_rate=beyond),
        }
        tests |= self.protocols(f"{name}_unseen", tables(self.other_levels), test=True)
        return DescribedFilms(sweeps | held | tests, tuple(sweeps), tuple(held), tuple(tests))


def uniform_films(*, small: bool = False) -> DescribedFilms:
    """Return the campaigns of a film so stiff that no pattern fits into its box, or a few small ones.

    It stays nearly uniform and moves as φ' = αφ − αφ³ − (8/π)φ + h, which has an exact cusp: no fold for
    α < 8/π, and two beyond (`nrp.systems.film_theory.uniform_fold_field`).  Its disorder moves them a little,
    for a sample is a film with α times its mean λ, and lends the rings of the structure factor an amplitude
    that follows the state.  Noise in its place would decay at such rates in the first frame that no other
    motion counted.  Fields loop between both saturated states.
    """
    plan = replace(_UNIFORM, **_SMALL_UNIFORM) if small else _UNIFORM
    begin, rate = plan.films.field_init, plan.rates[-3]

    def tables(levels: tuple[float, ...]) -> dict[str, Table]:
        down = {f"down_{h:g}": held_field(begin, h, rate, plan.rest) for h in levels}
        up = {f"up_{h:g}": _opposite(held_field(begin, -h, rate, plan.rest)) for h in levels}
        return down | up | {"turn": turning_field(begin, levels[0], levels[-1], rate)}

    return plan.looped("uniform", tables)


def narrow_films(*, small: bool = False) -> DescribedFilms:
    """Return the campaigns of a film so narrow that only waves along it fit, or a few small ones.

    Its exchange and dipoles are twice the film's, at the same wavelength, so that without disorder waves set
    in softly up to α = Δ + 2/3 = 1.21, and beyond with a jump (`nrp.systems.film_theory.soft_below`).  Its
    disorder is the film's; it rounds the onset, and jumps begin between 1.3 and 1.6 (`narrow_loops`).  The
    field loops between the saturated film and one with waves, about the field at which the clean film becomes
    unstable.
    """
    plan = replace(_NARROW, **_SMALL_NARROW) if small else _NARROW
    begin, end, rate = plan.films.field_init, plan.films.field_final, plan.rates[0]

    def tables(levels: tuple[float, ...]) -> dict[str, Table]:
        down = {f"down_{h:g}": held_field(begin, h, rate, plan.rest) for h in levels}
        up = {f"up_{h:g}": _from_waves(begin, end, h, rate, plan.rest) for h in levels}
        return down | up | {"turn": turning_field(begin, levels[0], levels[-1], rate, end=end)}

    return plan.looped("narrow", tables)


def narrow_loops() -> CampaignSettings:
    """Return slow loops of the narrow film, which tell where its waves begin with a jump."""
    return _NARROW.films.replace(
        anisotropy=(1.0, 1.2, 1.3, 1.4, 1.5, 1.6, 1.9),
        sample=_TRAINED,
        sweep_rate=(0.0008, 0.0002),
        field_init=1.75,
        field_final=1.25,
        frames=401,
        time_step=0.2,
    )


def hexagon_films(*, small: bool = False) -> DescribedFilms:
    """Return the campaigns of a Swift–Hohenberg field whose hexagons melt as h falls, or a few small ones.

    The quadratic term g takes the place of α.  With r = −0.1 the uniform state is stable in every field below
    g = 0.55, and close above it no pattern grows within a film, so those g are left out.  Beyond, hexagons
    end in a fold, which slow sweeps find; it lies the further below the field at which the uniform state
    becomes unstable (`nrp.systems.swift_hohenberg.stability_fields`) the larger g is.

    All films begin uniform, but for a noise so faint that its decay does not show; hexagons grow from it
    before h falls.  There is no other seed, so that hexagons return the later the longer they have been
    gone, which no image shows.  Therefore only the fall of h shows a fold; the uniform state, whose end is a
    linear instability, is held in fields in which it is stable for every g; and where h turns, at the lowest
    g that has hexagons a visible rest of them is left, and at all others they have not melted.
    """
    plan = replace(_HEXAGONS, **_SMALL_HEXAGONS) if small else _HEXAGONS
    films, (*trained, unseen, beyond) = plan.films, plan.rates
    begin, few, everywhere = films.field_init, plan.between[::3], (*plan.anisotropy, *plan.between)
    stable = float(np.nanmin(stability_fields(np.array(everywhere), films.system.drive)[0]))

    def grown(table: Table) -> Table:
        return (0.0, begin), *((_GROWTH + time, h) for time, h in table)

    def tables(levels: tuple[float, ...]) -> dict[str, Table]:
        down = {f"down_{h:g}": grown(held_field(begin, h, trained[1], plan.rest)) for h in levels}
        uniform = {f"uniform_{h:g}": ((0.0, h), (plan.rest, h)) for h in levels if h < stable}
        low = min(h for h in levels if h >= 0)
        return down | uniform | {"turn": grown(turning_field(begin, low, begin, trained[1]))}

    def falls(name: str, rates: list[float], g: tuple[float, ...], sample: tuple[int, ...]) -> dict:
        falling = films.replace(anisotropy=g, sample=sample)
        fields = {rate: grown(held_field(begin, _LAST, rate, 0.1 * plan.rest)) for rate in rates}
        return {f"{name}_{rate:g}": falling.replace(field_table=table) for rate, table in fields.items()}

    sweeps = falls("hexagons", trained, plan.anisotropy, _TRAINED)
    sweeps |= falls("hexagons_watched", trained[:1], few, _WATCHED)
    held = plan.protocols("hexagons_held", tables(plan.levels), test=False)
    tests = falls("hexagons_unseen", [unseen], plan.between, _TESTED)
    tests |= falls("hexagons_beyond", [beyond], few, _TESTED)
    tests |= plan.protocols("hexagons_unseen", tables(plan.other_levels), test=True)
    return DescribedFilms(sweeps | held | tests, tuple(sweeps), tuple(held), tuple(tests))


def _opposite(table: Table) -> Table:
    return tuple((time, -h) for time, h in table)


def _from_waves(begin: float, end: float, level: float, rate: float, rest: float) -> Table:
    """Return a field that falls to the end, rises to a level and stays there for a time."""
    down, up = (begin - end) / rate, (level - end) / rate
    return (0.0, begin), (down, end), (down + up, level), (down + up + rest, level)


_UNIFORM = _Plan(
    films=CampaignSettings(
        system=FilmSettings(box=20, dx=0.5, coarsen=1, stiffness=50),
        field_init=0.8,
        field_final=-0.8,
        field_loop=True,
        frames=201,
    ),
    anisotropy=steps(1, 4, 0.2),
    between=steps(1.1, 3.9, 0.2),
    rates=(0.005, 0.01, 0.02, 0.014, 0.03),
    rest=60.0,
    levels=(-0.3, -0.15, 0.0, 0.15, 0.3),
    other_levels=(-0.22, -0.08, 0.08, 0.22),
)
_SMALL_UNIFORM: dict[str, Any] = {
    "films": _UNIFORM.films.replace(frames=41),
    "anisotropy": (1.0, 2.0, 3.0, 4.0),
    "between": (1.5, 2.5, 3.5),
    "rates": (0.05, 0.1, 0.07, 0.15),
    "rest": 20.0,
    "levels": (-0.2, 0.2),
    "other_levels": (-0.1, 0.1),
}
_STRENGTH = 4.0
"""β of the narrow film, twice the film's."""
_NARROW = _Plan(
    films=CampaignSettings(
        system=FilmSettings(
            box=(4, 88),
            dx=0.1,
            coarsen=1,
            stiffness=_STRENGTH,
            dipolar=_STRENGTH / np.pi,  # the wavenumber of the waves is 1, 14 times 2π/88
            cutoff=2 * _STRENGTH / (_STRENGTH + pattern_cost()),  # patterns need α > Δ, as in the film
        ),
        field_init=2.0,
        field_final=0.8,
        field_loop=True,
        frames=201,
        time_step=0.1,
    ),
    anisotropy=steps(0.7, 1.9, 0.1),
    between=steps(0.75, 1.85, 0.1),
    rates=(0.002, 0.004, 0.008, 0.0056, 0.012),
    rest=200.0,
    levels=(1.0, 1.2, 1.4, 1.6, 1.8),
    other_levels=(1.1, 1.3, 1.5, 1.7),
)
_SMALL_NARROW: dict[str, Any] = {
    "films": _NARROW.films.replace(frames=41),
    "anisotropy": (0.7, 1.1, 1.5, 1.9),
    "between": (0.9, 1.3, 1.7),
    "rates": (0.02, 0.04, 0.03, 0.06),
    "rest": 40.0,
    "levels": (1.2, 1.6),
    "other_levels": (1.3, 1.5),
}
_HEXAGONS = _Plan(
    films=CampaignSettings(
        system=SwiftHohenbergSettings(box=40, dx=1.0, coarsen=1, drive=-0.1, noise=3e-5),
        sweep_rate=0.0,
        field_init=0.15,
        field_table=((0.0, 0.15), (_GROWTH, 0.15)),
        time_step=0.2,
        frames=201,
    ),
    anisotropy=(*steps(0.2, 0.5, 0.1), *steps(0.8, 1.4, 0.1)),
    between=(*steps(0.25, 0.45, 0.1), *steps(0.85, 1.35, 0.1)),
    rates=(0.001, 0.002, 0.004, 0.003, 0.006),
    rest=200.0,
    levels=(-0.15, -0.1, -0.05, 0.0, 0.03, 0.06, 0.1),
    other_levels=(-0.125, -0.075, -0.025, 0.015, 0.045),
)
_SMALL_HEXAGONS: dict[str, Any] = {
    "films": _HEXAGONS.films.replace(frames=41),
    "anisotropy": (0.4, 0.8, 1.2),
    "between": (0.3, 1.0),
    "rates": (0.004, 0.006, 0.005, 0.008),
    "rest": 40.0,
    "levels": (-0.1, 0.0, 0.06),
    "other_levels": (-0.05, 0.03),
}
