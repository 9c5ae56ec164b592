"""The films from which potentials of descriptors are learned, and others to test them on.

Sweeps alone are not enough: nucleation is slow, and a model that has seen no film at rest takes what is slow
for a minimum.  So there are also fields that are held, reached from above and from below, and fields that
turn round.
"""

from __future__ import annotations

from typing import NamedTuple

from nrp.simulation.settings import CampaignSettings

_RISE = 0.3
"""By how much a field that turns rises, where it is held at one level alone."""


def persistent_films(films: DescribedFilms) -> DescribedFilms:
    """Return the same campaigns under other names: those of which persistence images are kept, too.

    These take long, so that of the films for tests only sweeps are among them.
    """

    def named(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"persistent_{name}" for name in names)

    tests = tuple(name for name in films.tests if not films.campaigns[name].field_table)[:1]
    kept = (*films.sweeps, *films.protocols, *tests)
    campaigns = {f"persistent_{name}": films.campaigns[name] for name in kept}
    return DescribedFilms(campaigns, named(films.sweeps), named(films.protocols), named(tests))


class DescribedFilms(NamedTuple):
    """Campaigns by name, and what each is for."""

    campaigns: dict[str, CampaignSettings]
    sweeps: tuple[str, ...]
    """Trained on, or watched."""
    protocols: tuple[str, ...]
    """Trained on besides: held and turned fields."""
    tests: tuple[str, ...]
    """Never trained on: other disorder at other anisotropies, rates and fields; and one rate beyond those."""


def held_field(begin: float, level: float, rate: float, rest: float) -> tuple[tuple[float, float], ...]:
    """Return the table of a field that falls from `begin` to a level and stays there for a time."""
    there = (begin - level) / rate
    return (0.0, begin), (there, level), (there + rest, level)


def field_from_below(begin: float, level: float, rate: float, rest: float) -> tuple[tuple[float, float], ...]:
    """Return the table of a field that falls to zero, rests, rises to a level and stays there for a time."""
    down, pause = begin / rate, 0.25 * rest
    up = down + pause + level / rate
    return (0.0, begin), (down, 0.0), (down + pause, 0.0), (up, level), (up + rest, level)


def turning_field(
    begin: float, low: float, high: float, rate: float, *, end: float = 0.0
) -> tuple[tuple[float, float], ...]:
    """Return the table of a field that falls to one level, rises to another, and falls to its end."""
    first = (begin - low) / rate
    second = first + (high - low) / rate
    return (0.0, begin), (first, low), (second, high), (second + (high - end) / rate, end)


def described_films(
    films: CampaignSettings,
    *,
    anisotropy: tuple[float, ...],
    between: tuple[float, ...],
    samples: int,
    rates: tuple[float, ...],
    rest: float,
    levels: tuple[float, ...],
    other_levels: tuple[float, ...],
) -> DescribedFilms:
    """Return the campaigns of a profile.

    Parameters
    ----------
    films
        What all of them share.
    anisotropy, between
        Those trained on, and those between them that are not.
    samples
        Number of disorder samples that are trained on; two more are watched, four more are for tests.
    rates
        Sweep rates trained on, the last two for a rate that is never trained on, and one beyond.
    rest
        Time for which a field is held.
    levels, other_levels
        Fields that are held in training and in tests.
    """
    begin, (*trained, unseen, beyond) = films.field_init, rates
    watched, others = (samples, samples + 1), tuple(range(samples + 2, samples + 6))
    sweeps = {
        "many": films.replace(anisotropy=anisotropy, sample=tuple(range(samples)), sweep_rate=trained),
        "many_watched": films.replace(anisotropy=between[::3], sample=watched, sweep_rate=trained[0]),
    }
    tests = {
        "many_unseen": films.replace(anisotropy=between, sample=others, sweep_rate=unseen),
        "many_beyond": films.replace(
            anisotropy=anisotropy[::3], sample=tuple(range(min(samples, 3))), sweep_rate=beyond
        ),
    }

    def protocols(name: str, few: CampaignSettings, at: tuple[float, ...]) -> dict[str, CampaignSettings]:
        high = at[-1] if len(at) > 1 else at[0] + _RISE
        turn = turning_field(begin, at[0], high, films.sweep_rate[0])
        held = _held(name, few, at, films.sweep_rate[0], rest)
        return held | {f"{name}_turn": few.replace(sweep_rate=0.0, field_table=turn)}

    few = films.replace(anisotropy=anisotropy[::2], sample=tuple(range(min(samples, 3))))
    trained_on = protocols("held", few, levels)
    tests |= protocols("unseen", films.replace(anisotropy=between[::2], sample=others), other_levels)
    return DescribedFilms(sweeps | trained_on | tests, tuple(sweeps), tuple(trained_on), tuple(tests))


def films_held_at(
    films: DescribedFilms, levels: tuple[float, ...], others: tuple[float, ...]
) -> DescribedFilms:
    """Return films that are held at further levels in training, and at others in tests.

    All else is as in the films that are given, which are held, too.
    """
    trained, test = (
        next(films.campaigns[name] for name in names if films.campaigns[name].held_from)
        for names in (films.protocols, films.tests)
    )
    (_, begin), (arrived, level), (end, _) = trained.field_table
    times = round((begin - level) / arrived, 12), end - arrived
    held, tests = _held("high", trained, levels, *times), _held("unseen_high", test, others, *times)
    return DescribedFilms(held | tests, (), tuple(held), tuple(tests))


def _held(
    name: str, few: CampaignSettings, at: tuple[float, ...], rate: float, rest: float
) -> dict[str, CampaignSettings]:
    """Return campaigns in which the field is held at each of these levels, from above and from below."""
    begin = few.field_init
    tables = {f"{name}_down_{h:g}": held_field(begin, h, rate, rest) for h in at}
    tables |= {f"{name}_up_{h:g}": field_from_below(begin, h, rate, rest) for h in at}
    return {key: few.replace(sweep_rate=0.0, field_table=table) for key, table in tables.items()}
