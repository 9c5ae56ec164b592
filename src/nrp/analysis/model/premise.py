"""Whether a potential is as good as a free field: many seeds of many kinds of models of descriptors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from scipy.stats import ttest_ind

from nrp.analysis.model.forecast import add_flow, add_scatter
from nrp.analysis.registry import Dataset, Model, Needs, analysis, members_of
from nrp.evaluation import Label, Observation, Pool, Result, row, split
from nrp.evaluation.rivals import Law, laws_of
from nrp.evaluation.scene import scenes_of
from nrp.reduction import ReducedModel, load_frames

_WITH_RIVALS = 5
"""Members of the arm whose states also make the rivals."""


def _needs(profile) -> Needs | None:
    if not profile.compared:
        return None
    films = (*profile.models["descriptors"].data, *profile.unseen)
    groups: dict[str, tuple[Model, ...]] = {name: members_of(profile, name) for name in profile.compared}
    return {"films": tuple(map(Dataset, films)), **groups}


def _needs_of_ablation(profile) -> Needs | None:
    names = [name for name, plan in profile.models.items() if plan.settings.families]
    if not names:
        return None
    groups = {name: members_of(profile, name) for name in names}
    return {"films": tuple(map(Dataset, profile.persistent)), **groups}


@analysis("ablation", version=1, needs=_needs_of_ablation, publish=True)
@analysis("premise", version=1, needs=_needs, publish=True)
def premise(films: Sequence[xr.Dataset], **groups: Sequence[ReducedModel]) -> Result:
    """Return the errors of groups of models on films that they have not seen, and compare them.

    A group holds models that differ in their seed.  The first is the arm, of whose states the rivals
    ``lookup`` and ``sindy`` are made (`nrp.evaluation.rivals.laws_of`).

    Rows, each the mean over seeds with its 95 % interval, under the name of the group as the arm:
    ``rollout_error``, ``rollout_diverged``, ``rate_error`` and ``reconstruction_rmse`` as in
    `nrp.analysis.model.forecast.forecast`, of the flow followed from the first frame; ``scatter_ratio``, the
    rollout error over ``sample_scatter``, about the least that a model can have which is not told the
    disorder; ``free_field_ratio``, the rollout error over that of the free field which is like it in all
    else, by logarithms, with the interval and, as ``p_value``, the two-sided probability of Welch's t test
    over seeds.
    """
    pool, frames = Pool(), [load_frames(data) for data in films]
    arm, *_ = groups.values()
    for name, models in groups.items():
        own_numbers = models[0].settings.families != arm[0].settings.families
        for member, model in enumerate(models):
            seen = [Observation(model, data, kept) for data, kept in zip(films, frames, strict=True)]
            if member == 0 and (models is arm or own_numbers):
                for of_split, parts in split(seen).items():
                    for part in parts:
                        add_scatter(pool, of_split, part, name if own_numbers else None)
            with_rivals = models is arm and member < _WITH_RIVALS
            scenes = [scene for scene in scenes_of(seen) if with_rivals or scene.split != "trained"]
            own, *rivals = laws_of(scenes, rivals=with_rivals)
            for law in (Law(name, own.velocity, own=True), *rivals):
                add_flow(pool, scenes, law, member=member)
    entries = pool.rows()
    errors = {label: _by_seed(pool, label) for label in pool if label.metric == "rollout_error"}
    scatter = {(e["split"], e["arm"]): e["value"] for e in entries if e["metric"] == "sample_scatter"}
    splits = {name for name, _ in scatter}
    for entry in [e for e in entries if e["metric"] == "rollout_error" and e["split"] in splits]:
        least = scatter.get((entry["split"], entry["arm"]), scatter.get((entry["split"], None)))
        ends = {name: entry[name] for name in ("value", "low", "high") if entry[name] is not None}
        columns = {name: end / least for name, end in ends.items()}
        columns |= {name: entry[name] for name in ("arm", "split", "members")}
        entries.append(row("scatter_ratio", columns.pop("value"), **columns))
    return Result.of([*entries, *_against_free_fields(groups, errors)])


def _by_seed(pool: Pool, label: Label) -> np.ndarray:
    above, below = pool.sums(label).sum(axis=1).T
    return above / below


def _against_free_fields(
    groups: dict[str, Sequence[ReducedModel]], errors: dict[Label, np.ndarray]
) -> Iterator[dict]:
    """Yield the rows of each group that has a free field which is like it in all else."""

    def like(model: ReducedModel) -> tuple:
        bare = model.settings.replace(potential="none", mobility="unit", member=0)
        return bare, str(model.trained_on)

    fields = {
        like(models[0]): name for name, models in groups.items() if models[0].settings.potential == "none"
    }
    for name, models in groups.items():
        field = fields.get(like(models[0]))
        if field in (None, name):
            continue
        for label in [label for label in errors if label.arm == name]:
            if (like_it := label._replace(arm=field)) not in errors:
                continue
            ours, theirs = np.log(errors[label]), np.log(errors[like_it])
            common = {"arm": name, "split": label.split, "case": f"over {field}", "members": len(ours)}
            test = ttest_ind(ours, theirs, equal_var=False)
            ends = test.confidence_interval()
            low, high = float(np.exp(ends.low)), float(np.exp(ends.high))
            value = float(np.exp(ours.mean() - theirs.mean()))
            yield row("free_field_ratio", value, low=low, high=high, **common)
            yield row("p_value", test.pvalue, **common)
