"""How a training went: the latent scale, and the loss on runs that were held back."""

from __future__ import annotations

import pandas as pd

from nrp.analysis.registry import Log, Needs, analysis
from nrp.evaluation import Result, row


def _needs(profile, arm: str) -> Needs:
    return {"log": Log(arm)}


@analysis("training", version=1, needs=_needs, options=lambda profile, arm: {"arm": arm}, each="arm")
def training(log: pd.DataFrame, *, arm: str) -> Result:
    """Return what the log of a training says, one row per epoch.

    Rows: ``latent_growth``, the latent scale of the last epoch over that of the first; ``epochs``, their
    number; ``best_epoch``, the one after which the loss on the validation runs is smallest, and
    ``validation_rise``, this loss at the end over its smallest value, both nan without such runs.
    """
    scale, seen = log["latent_scale"], log.dropna(subset="validation")
    watched = seen["validation"]
    values = {
        "latent_growth": scale.iloc[-1] / scale.iloc[0],
        "epochs": len(log),
        "best_epoch": seen["epoch"][watched.idxmin()] + 1 if len(seen) else float("nan"),
        "validation_rise": watched.iloc[-1] / watched.min() if len(seen) else float("nan"),
    }
    return Result.of([row(metric, value, arm=arm) for metric, value in values.items()])
