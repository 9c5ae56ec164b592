"""One result of several members: means with intervals over their seeds, and where they differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from nrp.analysis.diagnostics import States, diagnostics
from nrp.analysis.forecast import forecast
from nrp.analysis.onset import onset_curve
from nrp.analysis.result import COLUMNS, Result, mean_row, row
from nrp.reduction import ReducedModel, load_frames
from nrp.store import Step

MEMBERS = Step("members", 1)
LATENTS = Step("latents", 1)
_VALUES = ("value", "low", "high", "members", "profile", "key")


def members(*inputs: ReducedModel | xr.Dataset) -> Result:
    """Return the forecast and the diagnostics of an arm over its members.

    Rows: those of `nrp.analysis.forecast.forecast` and `nrp.analysis.diagnostics.diagnostics`, each a mean
    over members with its 95 % interval by Student's t; of numbers without a model, which are the same for
    all, the value alone.  ``gauge_spread``, the rms deviation of V between members at the same frames over
    the deviation of V along the runs; ``onset_gradient_correlation`` between the curves of pairs of members,
    mean and extremes.
    Arrays: ``alphas``, ``member_gradients`` (member, anisotropy), ‖∂V/∂z‖ at the onset; ``field`` (frame),
    ``response`` (member, anisotropy, frame), −∂V/∂h, and ``magnetization`` (anisotropy, frame), what it would
    be were V the energy; ``first_values``, the values of the first member in the order of the rows.

    Parameters
    ----------
    *inputs
        At least two models, and the datasets, of which the first holds one run per anisotropy.
    """
    models = [each for each in inputs if isinstance(each, ReducedModel)]
    datasets = [each for each in inputs if isinstance(each, xr.Dataset)]
    tables = []
    for model in models:
        results = (forecast(model, *datasets), diagnostics(model, *datasets))
        tables.append(pd.concat([result.table for result in results], ignore_index=True))
    columns = [name for name in COLUMNS if name not in _VALUES]
    values = np.array([table["value"].to_numpy(dtype=float) for table in tables])
    rows = []
    for i, labels in enumerate(tables[0][columns].to_dict("records")):
        common = {name: None if pd.isna(label) else label for name, label in labels.items()}
        of_model = common["arm"] in (models[0].settings.arm, "lookup")
        metric = common.pop("metric")
        if of_model:
            rows.append(mean_row(metric, values[:, i], members=len(models), **common))
        else:
            rows.append(row(metric, values[0, i], **common))
    films = datasets[0].sortby("anisotropy")
    states = [States(model, load_frames(films)) for model in models]
    potentials = np.stack([each.potential for each in states])
    spread = np.sqrt(potentials.var(axis=0, ddof=1).mean()) / potentials.std(axis=2).mean()
    arm = {"arm": models[0].settings.arm, "members": len(models)}
    gradients = np.stack([onset_curve(model, films) for model in models])
    alike = np.corrcoef(gradients)[np.triu_indices(len(models), 1)]
    extremes = {"case": "range", "low": alike.min(), "high": alike.max()}
    rows += [
        row("gauge_spread", spread, analysis="members", system="film", **arm),
        row("onset_gradient_correlation", alike.mean(), analysis="members", system="film", **arm, **extremes),
    ]
    return Result.of(
        rows,
        alphas=films.anisotropy.values,
        field=films.external_field.values[0],
        response=np.stack([each.moment for each in states]),
        magnetization=states[0].mean,
        member_gradients=gradients,
        first_values=values[0],
    )


def latent_dimensions(*inputs: ReducedModel | xr.Dataset) -> Result:
    """Return what models of several latent dimensions rebuild and explain.

    Rows: ``reconstruction_rmse`` and ``rate_error`` per split, with the case ``32 numbers``.
    """
    models = [each for each in inputs if isinstance(each, ReducedModel)]
    datasets = [each for each in inputs if isinstance(each, xr.Dataset)]
    rows = []
    for model in models:
        table = forecast(model, *datasets).table
        chosen = table[table["metric"].isin(["reconstruction_rmse", "rate_error"]) & table["case"].isna()]
        chosen = chosen[chosen["arm"] == model.settings.arm]
        rows += chosen.assign(case=f"{model.settings.latent} numbers").to_dict("records")
    return Result.of(rows)
