"""How many numbers an image needs: linear modes, networks of several sizes, the intrinsic dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from nrp.analysis.film.runs import nearest
from nrp.analysis.model.forecast import forecast
from nrp.analysis.registry import Dataset, Model, Needs, Observed, analysis
from nrp.evaluation import Observation, Result, row
from nrp.evaluation.observation import Observations
from nrp.reduction import ModelSettings, coverage, images_of, load_frames
from nrp.reduction.coordinates import leading_modes
from nrp.reduction.splits import by_split, split_names, trained_runs


def _needs_of_pod(profile) -> Needs:
    return {"datasets": tuple(Dataset(name) for name in profile.sweeps)}


def _options_of_pod(profile) -> dict[str, object]:
    paper = profile.models["paper"].settings
    return {"settings": paper, "modes": tuple(sorted({1, 2, 4, 8, 16, 32, 64, 128, paper.latent}))}


@analysis("pod", version=3, needs=_needs_of_pod, options=_options_of_pod, publish=True)
def pod_reconstruction(
    datasets: Sequence[xr.Dataset], *, settings: ModelSettings, modes: Sequence[int]
) -> Result:
    """Return how well the leading modes of a proper orthogonal decomposition rebuild each split.

    The modes come from the frames of the first dataset that a model with these settings is trained on, about
    their mean.

    Rows: ``reconstruction_rmse`` of the arm ``pod`` per split, with the number of modes as case.
    """
    training = datasets[0]
    trained_on = coverage([training], settings)
    seen = load_frames(training, trained_runs(training, settings)).images.flatten(0, 1)
    counts = [count for count in modes if count <= min(seen.shape)]
    mean, basis = leading_modes(seen, max(counts))
    names, rows = [split_names(data, settings, trained_on) for data in datasets], []
    for split, found in by_split(datasets, names).items():
        missed, pixels = np.zeros(len(counts)), 0
        for part in found:
            images = load_frames(part).images.flatten(0, 1) - mean
            # The modes are orthonormal, so what they miss is what is not in their coefficients.
            squares = (images @ basis).square().sum(dim=0).double().cumsum(0).numpy()
            whole = images.double().square().sum().item()
            missed += [max(whole - squares[count - 1], 0.0) for count in counts]
            pixels += images.numel()
        rows += [
            row("reconstruction_rmse", rmse, split=split, case=f"{count} modes", arm="pod")
            for count, rmse in zip(counts, np.sqrt(missed / pixels), strict=True)
        ]
    return Result.of(rows)


def final_frames(
    observation: Observation, alphas: Sequence[float]
) -> tuple[Float[ndarray, "2 run y x"], list[float]]:
    """Return final frames and what a model makes of them, and their anisotropies.

    For each anisotropy that is wanted, the first run with the nearest one is taken.
    """
    grid = observation.data["anisotropy"].values
    runs = nearest(grid, alphas)
    with torch.no_grad():
        rebuilt = observation.model.decode(observation.z[runs, -1])
    pair = torch.stack([observation.frames.images[runs, -1], rebuilt])
    return pair.reshape(*pair.shape[:2], *observation.model.shape).numpy(), grid[runs].tolist()


def _needs_of_latents(profile) -> Needs | None:
    others = [name for name in profile.models if name.startswith("latent_")]
    if not others:
        return None
    return {"models": tuple(Observed(Model(name), profile.sweeps) for name in (*others, "paper"))}


@analysis("latents", version=2, needs=_needs_of_latents, publish=True)
def latent_dimensions(models: Sequence[Observations]) -> Result:
    """Return what models of several latent dimensions rebuild and explain.

    Rows: ``reconstruction_rmse`` and ``rate_error`` per split, with the case ``32 numbers``.
    """
    rows = []
    for observations in models:
        settings = observations[0].model.settings
        result = forecast([observations], far=False)
        for metric in ("reconstruction_rmse", "rate_error"):
            chosen = result.select(metric=metric, case=None, arm=settings.arm)
            rows += Result(chosen.assign(case=f"{settings.latent} numbers")).records()
    return Result.of(rows)


@analysis("dimension", version=2, needs={"films": Dataset("films")})
def intrinsic_dimension(films: xr.Dataset, *, neighbours: Sequence[int] = (5, 10, 20, 40)) -> Result:
    """Return the intrinsic dimension of the images by Levina and Bickel's maximum likelihood.

    (Maximum likelihood estimation of intrinsic dimension, 2004.)  The estimate depends on how many
    neighbours are taken, so it is given for several; frames before the first negative pixel, which are all
    but uniform, are left out.

    Rows: ``intrinsic_dimension`` with the number of neighbours as case, with the quartiles of the single
    frames as `low` and `high`.

    Raises
    ------
    InvalidSetting
        If there are too few frames with a pattern, or they do not differ.
    """
    patterned = (images_of(films).min(("y", "x")) < 0).values
    images = load_frames(films).images[torch.from_numpy(patterned)]
    mean, basis = leading_modes(images, min(128, *images.shape))
    x = ((images - mean) @ basis).double().numpy()
    from skdim.id import MLE  # which takes half a second

    rows = []
    for count in neighbours:
        found = MLE().fit(x, n_neighbors=count)
        low, high = np.quantile(found.dimension_pw_, [0.25, 0.75])
        case = f"{count} neighbours"
        rows.append(row("intrinsic_dimension", found.dimension_, case=case, low=low, high=high))
    return Result.of(rows)
