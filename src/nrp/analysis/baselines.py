"""Baselines that could win."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.linalg import svd

from nrp.analysis.result import Result, row
from nrp.reduction import coverage, load_frames, split_names
from nrp.reduction.splits import trained_runs
from nrp.settings import ModelSettings
from nrp.store import Step

POD = Step("pod", 1)


def pod_reconstruction(
    settings: ModelSettings, training: xr.Dataset, *others: xr.Dataset, modes: tuple[int, ...]
) -> Result:
    """Return how well the leading modes of a proper orthogonal decomposition rebuild each split.

    The modes come from the frames that a model with these settings is trained on, about their mean.

    Rows: ``reconstruction_rmse`` of the arm ``pod`` per split, with the number of modes as case.
    """
    seen_runs = trained_runs(training, settings)
    trained_on = coverage(training, settings)
    seen = load_frames(training, seen_runs).images.flatten(0, 1).numpy()
    mean = seen.mean(axis=0)
    _, _, basis = svd(seen - mean, full_matrices=False, overwrite_a=True)
    rows = []
    for data in (training, *others):
        names = split_names(data, trained_on)
        for split in sorted(set(names) - {""}):
            images = load_frames(data, names == split).images.flatten(0, 1).numpy() - mean
            total = np.mean(np.sum(images**2, axis=1))
            # The modes are orthonormal, so what they miss is what is not in their coefficients.
            captured = np.cumsum(np.mean((images @ basis[: max(modes)].T) ** 2, axis=0))
            rows += [
                row(
                    "reconstruction_rmse",
                    np.sqrt(max(total - captured[count - 1], 0) / images.shape[1]),
                    analysis="pod",
                    case=f"{count} modes",
                    system="film" if "disorder" in training else "bead",
                    arm="pod",
                    split=split,
                )
                for count in modes
                if count <= len(captured)
            ]
    return Result.of(rows)
