"""One result of several members: means with intervals over their seeds, and where they differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from nrp.analysis.diagnostics import States, diagnostics
from nrp.analysis.forecast import forecast, sweep_curves
from nrp.analysis.gradient_flow import gradient_flow
from nrp.analysis.result import COLUMNS, Result, mean_row, row
from nrp.analysis.transition import onset_curve
from nrp.reduction import ReducedModel, by_split, load_frames, parted
from nrp.store import Step

MEMBERS = Step("members", 2)
LATENTS = Step("latents", 1)
_VALUES = ("value", "low", "high", "members", "profile", "key")


def members(*inputs: ReducedModel | xr.Dataset, alphas: tuple[float, ...]) -> Result:
    """Return the forecast and the diagnostics of an arm over its members.

    Rows: those of `nrp.analysis.forecast.forecast` and `nrp.analysis.gradient_flow.gradient_flow`, and those
    of `nrp.analysis.diagnostics.diagnostics`, each a mean over members with its 95 % interval by Student's t;
    of numbers without a model, which are the same for all, the value alone.
    ``gauge_spread``, the rms deviation of V between members at the same frames over the deviation of V along
    the runs; ``onset_gradient_correlation`` between the curves of pairs of members, mean and extremes.
    Arrays: ``alphas``, ``member_gradients`` (member, anisotropy), ‖∂V/∂z‖ at the onset; ``field`` (frame),
    ``response`` (member, anisotropy, frame), −∂V/∂h, and ``magnetization`` (anisotropy, frame), what it would
    be were V the energy; those of `nrp.analysis.forecast.sweep_curves` but for the images; ``first_values``,
    the values of the first member on the training runs, in the order of the forecast's rows.

    Parameters
    ----------
    *inputs
        At least two models of the arm, then those of its rivals, and the datasets, of which the first holds
        one run per anisotropy.
    alphas
        The runs of the curves.
    """
    models, datasets = parted(inputs)
    arm = [each for each in models if each.settings.label == models[0].settings.label]
    fields = [each for each in models if each.settings.potential == "none"]
    films = datasets[0].sortby("anisotropy")
    curves = sweep_curves(*arm, films, alphas=alphas)
    tables = [forecast(*inputs).table, gradient_flow(*arm, *fields, *datasets).table]
    states = [States(model, load_frames(films)) for model in arm]
    potentials = np.stack([each.potential for each in states])
    spread = np.sqrt(potentials.var(axis=0, ddof=1).mean()) / potentials.std(axis=2).mean()
    gradients = np.stack([onset_curve(model, films) for model in arm])
    alike = np.corrcoef(gradients)[np.triu_indices(len(arm), 1)]
    extremes = {"case": "range", "low": alike.min(), "high": alike.max()}
    common = {"analysis": "members", "system": "film", "arm": arm[0].settings.arm, "members": len(arm)}
    rows = [
        *(entry for table in tables for entry in table.to_dict("records")),
        *_mean_rows([diagnostics(model, *datasets) for model in arm], arm[0].settings.arm),
        row("gauge_spread", spread, **common),
        row("onset_gradient_correlation", alike.mean(), **common, **extremes),
    ]
    seen = by_split(datasets, arm[0].settings, arm[0].trained_on)["trained"]
    first = forecast(arm[0], *seen, far=False).select(split="trained", arm=arm[0].settings.arm)
    return Result.of(
        rows,
        alphas=films.anisotropy.values,
        field=films.external_field.values[0],
        response=np.stack([each.moment for each in states]),
        magnetization=states[0].mean,
        member_gradients=gradients,
        first_values=first["value"].to_numpy(dtype=float),
        **{name: array for name, array in curves.arrays.items() if name not in ("truth", "prediction")},
    )


def _mean_rows(results: list[Result], arm: str) -> list[dict]:
    """Return the rows of results that differ in the member alone, as means with intervals."""
    tables = [result.table for result in results]
    columns = [name for name in COLUMNS if name not in _VALUES]
    values = np.array([table["value"].to_numpy(dtype=float) for table in tables])
    rows = []
    for i, labels in enumerate(tables[0][columns].to_dict("records")):
        common = {name: None if pd.isna(label) else label for name, label in labels.items()}
        metric = common.pop("metric")
        if common["arm"] in (arm, "lookup"):
            rows.append(mean_row(metric, values[:, i], members=len(tables), **common))
        else:
            rows.append(row(metric, values[0, i], **common))
    return rows


def latent_dimensions(*inputs: ReducedModel | xr.Dataset) -> Result:
    """Return what models of several latent dimensions rebuild and explain.

    Rows: ``reconstruction_rmse`` and ``rate_error`` per split, with the case ``32 numbers``.
    """
    models, datasets = parted(inputs)
    rows = []
    for model in models:
        table = forecast(model, *datasets, far=False).table
        chosen = table[table["metric"].isin(["reconstruction_rmse", "rate_error"]) & table["case"].isna()]
        chosen = chosen[chosen["arm"] == model.settings.arm]
        rows += chosen.assign(case=f"{model.settings.latent} numbers").to_dict("records")
    return Result.of(rows)
