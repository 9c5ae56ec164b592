"""The profiles ``mini``, ``book`` and ``paper``: which films are simulated and which models are trained.

Each holds its datasets and models by name.  All three come from one template: `mini` in a smaller size,
`paper` with what `book` has and more.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from nrp.analysis.transition.controls import ControlSettings, Kind
from nrp.base import Count, InvalidSetting, Positive, Settings
from nrp.pipeline.control_campaigns import (
    SMALL_TILTS,
    bead_controls,
    film_controls,
    first_order_control,
    paper_controls,
)
from nrp.pipeline.descriptor_campaigns import described_films, films_held_at, persistent_films
from nrp.pipeline.landscape_controls import hexagon_films, narrow_films, narrow_loops, uniform_films
from nrp.pipeline.plans import TrainingPlan, ablation_plans, compared_plans, plan_of
from nrp.pipeline.sizes import MANY_FILMS, MINI, Size, steps
from nrp.reduction.settings import ModelSettings, Runs
from nrp.simulation.settings import CampaignSettings
from nrp.systems.film import FilmSettings

PROFILES = ("mini", "book", "paper")
_SWEEPS = ("films", "samples", "rates", "held_rates")
_NOT_FOLLOWED = {
    name: ModelSettings.model_fields[name].default
    for name in ("rollout_frames", "rollout_starts", "rollout_weight", "rollout_noise")
} | {"epochs": 180}
"""Settings of the arm `identified` with no flow that is followed, and three times as many epochs."""
_VARIANTS: dict[str, dict[str, Any]] = {
    "box 64, dx = 0.5": {},
    "box 32": {"box": (32.0, 32.0)},
    "box 128": {"box": (128.0, 128.0)},
    "dx = 1": {"dx": 1.0, "coarsen": 1},
    "dx = 0.25": {"dx": 0.25, "coarsen": 4},
    "unit_mean": {"disorder": "unit_mean"},
    "zero_mean": {"disorder": "zero_mean"},
}
"""Boxes, grids and readings of the disorder whose onsets and final states are compared, by name."""


class Profile(Settings):
    """Everything that a reader may change at once: how much is simulated and trained."""

    name: Literal["mini", "book", "paper"]
    datasets: dict[str, CampaignSettings]
    """``films`` are the paper's data, one disorder sample at every anisotropy; ``samples`` are films with
    other disorder, and ``pictures`` such as can be described; ``rates`` are swept at other rates and
    ``held_rates`` at one that is never trained on; in ``steps`` the field jumps, in ``holds`` its sweep, at a
    rate of its own, stops half-way; ``fine`` films show every grid point; ``quenches`` begin with noise and
    have no field; ``beyond`` and ``beyond_rates`` lie outside the trained anisotropies and sweep rates;
    ``loops`` go to the opposite field and back; then the ``beads``, a ``mixture`` that parts, and the films
    of `variants`."""
    described: tuple[str, ...]
    """The datasets of which only descriptors are kept: sweeps of many films, fields that are held or turn,
    and those for tests (see `nrp.pipeline.descriptor_campaigns`)."""
    persistent: tuple[str, ...] = ()
    """Those of them whose descriptors hold persistence images, too."""
    unseen: tuple[str, ...]
    """Those of the described datasets that potentials of descriptors are judged by."""
    held_higher: tuple[str, ...] = ()
    """Films for tests that are held in higher fields than most potentials have seen."""
    variants: tuple[str, ...]
    """The datasets in other boxes, on other grids, and with other readings of the disorder."""
    sweeps: tuple[str, ...] = _SWEEPS
    """The datasets that a reconstruction is judged by."""
    evaluated: tuple[str, ...] = (*_SWEEPS, "steps", "holds", "quenches", "beyond", "beyond_rates")
    """The datasets that an arm is judged by."""
    models: dict[str, TrainingPlan]
    """By name: the arms and, in the profile that is published, their rivals and variants; and the
    ``bead``."""
    arms: tuple[str, ...] = ("paper", "identified")
    compared: tuple[str, ...] = ()
    """The models of descriptors that are compared over many seeds, the arm first."""
    controls: tuple[ControlSettings, ...]
    """Controls of the test for jumps."""
    figure_anisotropy: tuple[Positive, Positive]
    """The two anisotropies of Fig. 2A."""
    solver_box: Positive
    """Side of the box in which schemes and grids are compared."""
    solver_samples: Count
    """Samples over which that is done."""

    def changed(
        self, overrides: dict[str, dict[str, Any] | None]
    ) -> tuple[Profile, dict[str, dict[str, Any]]]:
        """Return the profile with other settings, and the options of analyses that are replaced.

        By the name of a dataset, a model or, for all else, a result: its new settings, of which those that
        are None change nothing.  A setting of a dataset is one of the campaign, or else of the system that
        it simulates.

        Raises
        ------
        InvalidSetting
            If there is no such setting of a dataset or model, or a value is not allowed.
        """
        datasets, models, options = dict(self.datasets), dict(self.models), {}
        for name, given in overrides.items():
            changes = {setting: value for setting, value in (given or {}).items() if value is not None}
            if name in datasets:
                datasets[name] = datasets[name].changed(**changes)
            elif name in models:
                plan = models[name]
                models[name] = plan.replace(settings=plan.settings.replace(**changes))
            elif changes:
                options[name] = changes
        return self.replace(datasets=datasets, models=models), options

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of the controls, each once."""
        return list(dict.fromkeys(control.kind for control in self.controls))

    def control(self, **fields: object) -> ControlSettings:
        """Return the first control whose kind has these fields.

        Raises
        ------
        KeyError
            If there is none.
        """
        for control in self.controls:
            if all(getattr(control.kind, name) == value for name, value in fields.items()):
                return control
        raise KeyError(fields)


@cache
def profile(name: str) -> Profile:
    """Return the profile of that name.

    Raises
    ------
    InvalidSetting
        If there is no such profile.
    """
    if name not in PROFILES:
        raise InvalidSetting(f"profile = {name!r}: must be one of {', '.join(PROFILES)}")
    if name == "paper":
        return _paper(profile("book"))
    return _template(MINI if name == "mini" else Size())


def _template(size: Size) -> Profile:
    films = CampaignSettings(
        system=size.film, anisotropy=steps(1, 4, size.step), sweep_rate=size.sweep_rate, frames=size.frames
    )
    coarse, sparse = steps(1, 4, size.coarse_step), steps(1, 4, 0.5)

    def with_field(*table: tuple[float, float], **changes: Any) -> CampaignSettings:
        return films.replace(anisotropy=sparse, sweep_rate=0.0, field_table=table, **changes)

    first, second, end = size.jumps
    stop, rest = size.hold
    datasets = {
        "films": films,
        "pictures": films.replace(system=size.described_film),
        "samples": films.replace(sample=tuple(range(1, size.samples + 1))),
        "rates": films.replace(anisotropy=coarse, sweep_rate=size.rates),
        "held_rates": films.replace(anisotropy=coarse, sample=(0, size.samples), sweep_rate=size.held_rate),
        "steps": with_field((0, 1.5), (first, 1.5), (first, 0.5), (second, 0.5), (second, 0), (end, 0)),
        "holds": with_field((0, 1.5), (stop, 0.4), (rest, 0.4)),
        "quenches": with_field((0, 0), (size.quench, 0), system=size.film.replace(start="random")),
        "beyond": films.replace(anisotropy=size.beyond),
        "beyond_rates": films.replace(anisotropy=steps(1, 4, size.beyond_step), sweep_rate=size.beyond_rate),
        "fine": films.replace(
            system=size.fine_film, anisotropy=steps(1, 4, 0.25), sweep_rate=size.fine_rates
        ),
        "loops": films.replace(
            anisotropy=steps(1, 4, size.loop_step),
            sweep_rate=size.loop_rates,
            field_init=2.5,
            field_final=-2.5,
            field_loop=True,
            frames=size.loop_frames,
        ),
        "beads": CampaignSettings(
            system=size.bead,
            anisotropy=1.0,
            sample=tuple(range(size.bead_samples)),
            field_init=0.0,
            duration=6.0,
            frames=size.bead_frames,
            time_step=size.bead_step,
        ),
        "mixture": films.replace(
            system=size.mixture, anisotropy=1.0, sweep_rate=0.0, field_init=0.0, duration=100.0
        ),
    }
    many = described_films(films.replace(system=size.described_film), **size.described)
    held = Runs(anisotropy=size.held)
    unseen = Runs(sample=tuple(range(size.bead_trained, size.bead_samples)))
    identified = ModelSettings.parse({"arm": "identified", "held": held, **size.identified})
    return Profile(
        name=size.name,
        datasets=datasets | _variants(films, size.variant_scale) | many.campaigns,
        described=tuple(many.campaigns),
        unseen=many.tests,
        variants=tuple(_VARIANTS),
        models={
            "paper": TrainingPlan(settings=ModelSettings(held=held, **size.paper), data=("films",)),
            "identified": TrainingPlan(settings=identified, data=("films", "rates")),
            "descriptors": plan_of(many, **size.descriptors),
            "bead": TrainingPlan(
                settings=ModelSettings(held=unseen, **size.bead_model | {"latent": 2}), data=("beads",)
            ),
        },
        controls=_controls(films, small=size.name == "mini"),
        figure_anisotropy=size.figure_anisotropy,
        solver_box=size.solver_box,
        solver_samples=size.solver_samples,
    )


def _variants(films: CampaignSettings, scale: int) -> dict[str, CampaignSettings]:
    """Return the films whose final states and onsets are compared with those of the paper's film."""
    films = films.replace(anisotropy=steps(1, 4, 0.5), sample=(0, 1), frames=2)
    found = {}
    for name, changes in _VARIANTS.items():
        film = FilmSettings(**changes)
        system = film.replace(box=tuple(side / scale for side in film.box))
        # Four times the points take four times the time.
        few = {"sample": 0} if name in ("box 128", "dx = 0.25") else {}
        found[name] = films.replace(system=system, **few)
    return found


def _controls(films: CampaignSettings, *, small: bool) -> tuple[ControlSettings, ...]:
    beads = bead_controls(SMALL_TILTS[:: 3 if small else 1], range(1 if small else 2))
    both = (*beads, first_order_control(0))
    if small:
        both = tuple(each.smaller(0.075 if each.kind.first_order else 0.25) for each in both)
    return *both, *(each for factor in (1, 4) for each in film_controls(films, factor, (0,)))


def _paper(book: Profile) -> Profile:
    """Return the profile whose results are published: more samples, members, rivals and controls."""
    plans = {name: book.models[name].settings for name in book.arms}
    paper, identified = plans["paper"], plans["identified"]
    models = {name: plan.replace(members=1 if name == "bead" else 5) for name, plan in book.models.items()}

    def add(name: str, settings: ModelSettings, like: str, members: int = 5) -> None:
        models[name] = TrainingPlan(settings=settings, data=book.models[like].data, members=members)

    for arm, settings in plans.items():
        add(f"pod_{arm}", settings.replace(encoder="pod", modes=0), arm)
        add(f"free_field_{arm}", settings.replace(potential="none"), arm)
    for latent in (2, 8, 64):
        add(f"latent_{latent}", paper.replace(latent=latent), "paper", members=1)
    many = described_films(book.datasets["films"], **MANY_FILMS)
    # Six samples for training, after those that are trained on, watched and for tests.
    more = {"many_more": many.campaigns["many"].replace(sample=tuple(range(12, 18)))}
    compared = compared_plans(plan_of(many), *more)
    models |= compared
    high = films_held_at(many, (0.8, 1.0, 1.2), (0.9, 1.1))
    models["descriptors_high"] = plan_of(many, epochs=4).replace(
        data=(*many.sweeps, *many.protocols, *high.protocols), members=5, shown=False
    )
    known = {"uniform": uniform_films(), "narrow": narrow_films(), "hexagons": hexagon_films()}
    for (name, films), epochs in zip(known.items(), (9, 9, 12), strict=True):
        models[name] = plan_of(films, epochs=epochs).replace(members=5, shown=False)
    held = Runs(anisotropy=(1.75, 3.25), sweep_rate=0.014)
    models["fine"] = TrainingPlan(
        settings=identified.replace(held=held, validation=Runs(), **_NOT_FOLLOWED), data=("fine",), members=5
    )
    persistent = persistent_films(described_films(book.datasets["films"], **Size().described))
    models |= ablation_plans(persistent)
    loops = {"narrow_loops": narrow_loops()}
    campaigns = [more, loops, *(films.campaigns for films in (many, high, *known.values(), persistent))]
    described = {name: campaign for each in campaigns for name, campaign in each.items()}
    datasets = book.datasets | described
    datasets["samples"] = datasets["samples"].replace(sample=tuple(range(1, 10)))
    for name in book.variants:
        datasets[name] = datasets[name].replace(anisotropy=steps(1, 4, 0.25), sample=tuple(range(5)))
    return book.replace(
        name="paper",
        datasets=datasets,
        models=models,
        described=tuple(described),
        persistent=tuple(persistent.campaigns),
        unseen=many.tests,
        held_higher=high.tests,
        compared=(*compared, "descriptors_high"),
        controls=paper_controls(book.datasets["films"], paper),
    )
