"""What lies in the repository is what its weights give."""

import json

import pandas as pd
import pytest

from nrp.analysis.model.forecast import forecast
from nrp.analysis.model.reconstruction import pod_reconstruction
from nrp.evaluation import Observation, Result, split
from nrp.pipeline import profile
from nrp.pipeline.published import published, published_folder, published_names
from nrp.reduction import ModelSettings, load_model
from nrp.simulation import open_dataset, simulate
from nrp.store import PROVENANCE, digest

PAPER = profile("paper")
LABELS = ("metric", "case", "lead_time")


def labels(table: pd.DataFrame) -> list[tuple]:
    """What tells the rows of one arm and split apart."""
    return [tuple(None if pd.isna(each) else each for each in row) for row in table[list(LABELS)].to_numpy()]


def first_values(result: Result, arm: str, names: set[tuple]) -> dict[tuple, float]:
    """The values of the first member, which are stored in the order that the rows of their names have."""
    rows = [name for name in labels(result.select(split="trained", arm=arm)) if name in names]
    return dict(zip(rows, result.arrays["first_values"].tolist(), strict=True))


@pytest.mark.parametrize("arm", PAPER.arms)
def test_stored_weights_give_the_stored_numbers(arm, book_store):
    model, (result, _) = load_model(published_folder() / arm / "model"), published(arm)
    films = [open_dataset(simulate(PAPER.datasets[name], book_store)) for name in PAPER.models[arm].data]
    seen = split([Observation(model, data) for data in films])["trained"]
    again = forecast([seen], far=False).select(split="trained", arm=arm)
    values = dict(zip(labels(again), again["value"], strict=True))
    assert values == pytest.approx(first_values(result, arm, set(values)), rel=0.02)
    # What is told of all members is about what is told of the first.
    for metric in ("reconstruction_rmse", "rate_error"):
        known = result.value(metric, split="trained", arm=arm, case=None)
        assert values[metric, None, None] == pytest.approx(known, rel=0.2)


@pytest.mark.parametrize("arm", PAPER.arms)
def test_published_models_are_those_of_the_profile(arm):
    folder = published_folder() / arm / "model"
    model, record = load_model(folder), json.loads((folder / PROVENANCE).read_text())
    assert model.settings == PAPER.models[arm].settings
    assert record["step"] == "train"
    assert ModelSettings.parse(record["settings"]) == model.settings
    assert record["digest"] == digest(folder)


@pytest.mark.parametrize("arm", PAPER.arms)
def test_published_intervals_are_over_members(arm):
    result, _ = published(arm)
    entry = result.select(metric="reconstruction_rmse", split="trained", arm=arm).iloc[0]
    assert entry["members"] == PAPER.models[arm].members
    assert entry["low"] < entry["value"] < entry["high"]
    assert entry["profile"] == "paper"


def test_published_pod_is_that_of_the_films(book_store):
    films = open_dataset(simulate(PAPER.datasets["films"], book_store))
    result, _ = published("pod")
    # The largest number of modes sets the accuracy.
    again = pod_reconstruction([films], settings=PAPER.models["paper"].settings, modes=(2, 8, 32, 128))
    for row in again.select(split="trained").to_dict("records"):
        stored = result.value(row["metric"], split="trained", case=row["case"])
        assert row["value"] == pytest.approx(stored, rel=1e-4)  # single precision, whatever the threads


def test_published_results_are_small_and_whole():
    sizes = [path.stat().st_size for path in published_folder().rglob("*") if path.is_file()]
    assert sum(sizes) < 25e6
    whole = set()
    for name in published_names():
        record = json.loads((published_folder() / name / PROVENANCE).read_text())
        # Benchmarks are written by hand, and beside the result of an arm lies its model.
        if "digest" in record and name not in PAPER.arms:
            assert record["digest"] == digest(published_folder() / name)
            whole.add(name)
    assert {"pod", "power", "sensitivity", "transition_paper"} <= whole
