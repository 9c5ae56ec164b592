"""Plans of trainings: which model, on which datasets, and how many members."""

from __future__ import annotations

from typing import Any

from nrp.base import Count, Settings
from nrp.pipeline.descriptor_campaigns import DescribedFilms
from nrp.reduction.descriptors import Family, columns
from nrp.reduction.settings import ModelSettings, Runs


class TrainingPlan(Settings):
    """A model of a profile: what is trained, on which datasets, and how many members."""

    settings: ModelSettings
    data: tuple[str, ...]
    members: Count = 1
    shown: bool = True
    """Whether a chapter shows it, so that it is trained before the chapters run."""


def plan_of(films: DescribedFilms, **changes: Any) -> TrainingPlan:
    """Return the plan of the arm `descriptors` for these films."""
    watched = Runs(sample=films.campaigns[films.sweeps[-1]].sample)
    settings = ModelSettings.parse({"arm": "descriptors", "validation": watched, **changes})
    return TrainingPlan(settings=settings, data=(*films.sweeps, *films.protocols))


def ablation_plans(films: DescribedFilms) -> dict[str, TrainingPlan]:
    """Return plans that differ in the families of descriptors that the model sees.

    The films are those of `descriptor_campaigns.persistent_films`.
    """
    families: dict[str, tuple[Family, ...]] = {
        "persistence": ("persistence",),
        "structure_factor": ("structure_factor",),
        "both": ("structure_factor", "persistence"),
        "all": ("statistics", "structure_factor", "persistence"),
    }
    return {
        f"seeing_{name}": plan_of(films, families=seen, modes=len(columns(seen))).replace(
            members=4, shown=False
        )
        for name, seen in families.items()
    }


def compared_plans(arm: TrainingPlan, more: str) -> dict[str, TrainingPlan]:
    """Return the arm of descriptors with many seeds, and what it is compared with.

    The names say what differs: the number of coordinates (``two``), the films (``sweeps`` alone, or those of
    ``three`` or ``twelve`` disorder samples, for which `more` is a dataset), the form of V, the mobility;
    ``free`` is a free field and ``pca`` has linear coordinates.  All see about as many frames in training.
    """
    arm = arm.replace(shown=False)
    epochs, sweeps = arm.settings.epochs, tuple(name for name in arm.data if name.startswith("many"))
    two, free = {"latent": 2}, {"potential": "none"}
    longer = {"epochs": round(1.75 * epochs)}
    some = {"epochs": round(1.4 * epochs), "held": {"sample": (3, 4, 5)}}
    twelve, shorter = (*arm.data, more), {"epochs": round(0.64 * epochs)}
    kinds: dict[str, tuple[dict[str, Any], tuple[str, ...], int]] = {
        "": ({}, arm.data, 10),
        "_free": (free, arm.data, 10),
        "_two": (two, arm.data, 10),
        "_two_free": (two | free, arm.data, 10),
        "_sweeps": (longer, sweeps, 5),
        "_two_sweeps": (two | longer, sweeps, 5),
        "_energy": ({"potential": "energy"}, arm.data, 10),
        "_growing": ({"potential": "growing"}, arm.data, 10),
        "_full": ({"mobility": "full"}, arm.data, 10),
        "_two_scalar": (two | {"mobility": "scalar"}, arm.data, 10),
        "_pca": ({"encoder": "pod", "modes": 0}, arm.data, 3),
        "_three_samples": (some, arm.data, 10),
        "_three_samples_free": (some | free, arm.data, 10),
        "_twelve_samples": (shorter, twelve, 10),
        "_twelve_samples_free": (shorter | free, twelve, 10),
    }
    return {
        f"descriptors{name}": arm.replace(
            settings=arm.settings.replace(**changes), data=data, members=members
        )
        for name, (changes, data, members) in kinds.items()
    }
