"""One result of several members: means with intervals over their seeds, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nrp.analysis.model.curves import sweep_curves
from nrp.analysis.model.energy import diagnostics
from nrp.analysis.model.forecast import forecast
from nrp.analysis.model.gradient_flow import gradient_flow
from nrp.analysis.registry import Needs, Observed, analysis, members_of
from nrp.analysis.transition.reading import onset_curve
from nrp.evaluation import Result, row, split
from nrp.evaluation.observation import Observations
from nrp.evaluation.result import mean_row

_LABELS = ["metric", "case", "arm", "split", "anisotropy", "lead_time"]


def _needs(profile, arm: str) -> Needs | None:
    if profile.models[arm].members == 1:
        return None

    def observed(name: str) -> tuple[Observed, ...]:
        return tuple(Observed(model, profile.evaluated) for model in members_of(profile, name))

    fields, others = observed(f"free_field_{arm}"), observed(f"pod_{arm}")
    return {"arm": observed(arm), "fields": fields, "others": others}


def _options(profile, arm: str) -> dict[str, object]:
    return {"alphas": profile.figure_anisotropy}


@analysis("members", version=3, needs=_needs, options=_options, each="arm", publish=True)
def members(
    arm: Sequence[Observations],
    fields: Sequence[Observations],
    others: Sequence[Observations],
    *,
    alphas: Sequence[float],
) -> Result:
    """Return the forecast and the diagnostics of an arm over its members, of which there are at least two.

    The first dataset holds one run per anisotropy; `fields` are observations by members of the free field,
    `others` by those of further rivals.

    Rows: those of `nrp.analysis.model.forecast.forecast` and
    `nrp.analysis.model.gradient_flow.gradient_flow`, and those of `nrp.analysis.model.energy.diagnostics`,
    each a mean over members with its 95 % interval by Student's t; of numbers without a model, which are the
    same for all, the value alone.  ``gauge_spread``, the rms deviation of V between members at the same
    frames over the deviation of V along the runs; ``onset_gradient_correlation`` between the curves of pairs
    of members, mean and extremes.  Arrays: ``alphas``, ``member_gradients`` (member, anisotropy), ‖∂V/∂z‖ at
    the onset; ``field`` (frame), ``response`` (member, anisotropy, frame), −∂V/∂h, and ``magnetization``
    (anisotropy, frame), its value if V were the energy; those of `nrp.analysis.model.curves.sweep_curves` but
    for the images; ``first_values``, the values of the first member on the training runs, in the order of the
    forecast's rows.
    """
    films = [observations[0] for observations in arm]
    order = np.argsort(films[0].data["anisotropy"].values)
    films = [each.isel(run=order) for each in films]
    potentials = np.stack([each.potential.double().numpy() for each in films])
    spread = np.sqrt(potentials.var(axis=0, ddof=1).mean()) / potentials.std(axis=2).mean()
    gradients = np.stack([onset_curve(each) for each in films])
    alike = np.corrcoef(gradients)[np.triu_indices(len(arm), 1)]
    extremes = {"case": "range", "low": alike.min(), "high": alike.max()}
    name = films[0].arm
    common = {"arm": name, "members": len(arm)}
    rows = [
        *forecast(arm, [*others, *fields]).records(),
        *gradient_flow(arm, fields).records(),
        *_mean_rows([diagnostics(observations).table for observations in arm], name),
        row("gauge_spread", spread, **common),
        row("onset_gradient_correlation", alike.mean(), **common, **extremes),
    ]
    first = forecast([split(arm[0])["trained"]], far=False).select(split="trained", arm=name)
    curves = sweep_curves(films, alphas=alphas).arrays
    return Result.of(
        rows,
        alphas=films[0].data["anisotropy"].values,
        field=films[0].data["external_field"].values[0],
        response=np.stack([each.moment.double().numpy() for each in films]),
        magnetization=films[0].mean.double().numpy(),
        member_gradients=gradients,
        first_values=first["value"].to_numpy(),
        **{name: array for name, array in curves.items() if name not in ("alphas", "truth", "prediction")},
    )


def _mean_rows(tables: Sequence[pd.DataFrame], arm: str) -> list[dict]:
    """Return the rows of tables that differ in the member alone, as means with intervals."""
    rows = []
    for labels, part in pd.concat(tables).groupby(_LABELS, sort=False, dropna=False):
        columns = {key: None if pd.isna(label) else label for key, label in zip(_LABELS, labels, strict=True)}
        metric, values = str(columns.pop("metric")), part["value"].to_numpy()
        if columns["arm"] in (arm, "lookup"):
            rows.append(mean_row(metric, values, members=len(tables), **columns))
        else:
            rows.append(row(metric, values[0], **columns))
    return rows
