"""What lies in the repository is what its weights give."""

import json

import pytest
from nrp.analysis.baselines import pod_reconstruction
from nrp.analysis.forecast import forecast
from nrp.book.study import PUBLISHED, Study
from nrp.settings import ARMS, profile

from nrp.reduction import load_model
from nrp.simulation import open_dataset, simulate
from nrp.store import PROVENANCE

BOOK = profile("paper")


@pytest.mark.parametrize("arm", ARMS)
def test_stored_weights_give_the_stored_numbers(arm, book_store):
    model = load_model(PUBLISHED / arm / "model")
    assert model.settings == BOOK.models[arm]
    result, _ = Study("paper", book_store).published(arm)
    names = ("films", "rates") if arm == "identified" else ("films",)
    films = [open_dataset(simulate(getattr(BOOK, name), book_store)) for name in names]
    again = forecast(model, *films, far=False).select(split="trained", arm=arm)
    assert again["value"].tolist() == pytest.approx(result.arrays["first_values"].tolist(), rel=0.02)
    # What is told of all members is about what is told of the first.
    for metric in ("reconstruction_rmse", "rate_error"):
        one = again[(again["metric"] == metric) & again["case"].isna()]["value"].item()
        assert result.value(metric, split="trained", arm=arm, case=None) == pytest.approx(one, rel=0.2)


@pytest.mark.parametrize("arm", ARMS)
def test_published_intervals_are_over_members(arm, book_store):
    result, _ = Study("paper", book_store).published(arm)
    entry = result.select(metric="reconstruction_rmse", split="trained", arm=arm).iloc[0]
    assert entry["members"] == BOOK.members
    assert entry["low"] < entry["value"] < entry["high"]
    assert entry["profile"] == "paper"
    record = json.loads((PUBLISHED / arm / "model" / PROVENANCE).read_text())
    assert record["step"] == "train"


def test_published_pod_is_that_of_the_films(book_store):
    films, paper = open_dataset(simulate(BOOK.films, book_store)), BOOK.models["paper"]
    result, _ = Study("paper", book_store).published("pod")
    again = pod_reconstruction(films, settings=paper, modes=(2, 8, 32, 128))  # the largest sets the accuracy
    for row in again.select(split="trained").to_dict("records"):
        stored = result.value(row["metric"], split="trained", case=row["case"])
        assert row["value"] == pytest.approx(stored, rel=1e-4)  # single precision, whatever the threads


def test_published_results_are_small():
    sizes = [path.stat().st_size for path in PUBLISHED.rglob("*") if path.is_file()]
    assert sum(sizes) < 25e6
