"""Many seeds of models of descriptors: means, ratios to the scatter, and ratios to the free field."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from nrp.analysis.model.forecast import forecast
from nrp.analysis.model.premise import premise
from nrp.evaluation import Observation
from nrp.pipeline import profile
from nrp.reduction import ModelSettings, ReducedModel, coverage, load_frames
from nrp.reduction.described import described_films
from nrp.simulation import CampaignSettings, open_dataset
from nrp.store import Store
from nrp.systems.film import FilmSettings

CAMPAIGN = CampaignSettings(
    system=FilmSettings(box=40, dx=1.0, coarsen=1),
    anisotropy=(1.5, 3.0),
    sample=(0, 1),
    sweep_rate=0.05,
    frames=11,
)
WHERE = {"split": "new_all", "case": "from_saturation"}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("runs"))
    other = CAMPAIGN.replace(anisotropy=(2.0, 2.5), sample=(2, 3, 4), sweep_rate=0.04)
    return [open_dataset(described_films(each, store, workers=1)) for each in (CAMPAIGN, other)]


def members(films, count: int, **parts) -> list[ReducedModel]:
    """Models of so many seeds, as they are before training."""
    models = []
    for member in range(count):
        settings = ModelSettings.parse({"arm": "descriptors", "width": 8, "member": member, **parts})
        model = ReducedModel(settings, (35,), coverage(films[:1], settings))
        model.fit(load_frames(films[0]).images.flatten(0, 1))
        models.append(model)
    return models


@pytest.fixture(scope="module")
def groups(films):
    return {
        "arm": members(films, 3),
        "other": members(films, 2, latent=2),
        "free": members(films, 4, potential="none"),
    }


@pytest.fixture(scope="module")
def found(films, groups):
    return premise(films, **groups)


def errors(films, models) -> list[float]:
    return [
        forecast([[Observation(model, data) for data in films]]).value(
            "rollout_error", arm=model.settings.label, **WHERE
        )
        for model in models
    ]


def test_groups_have_the_errors_of_their_members(films, groups, found):
    for name, models in groups.items():
        assert found.value("rollout_error", arm=name, **WHERE) == pytest.approx(
            np.mean(errors(films, models))
        )
        entry = found.select(metric="rollout_error", arm=name, **WHERE).iloc[0]
        assert entry["members"] == len(models)
        assert entry["low"] < entry["value"] < entry["high"]
    scatter = found.value("sample_scatter", **WHERE)
    ratio = found.select(metric="scatter_ratio", arm="other", split="new_all").iloc[0]
    entry = found.select(metric="rollout_error", arm="other", **WHERE).iloc[0]
    for column in ("value", "low", "high"):
        assert ratio[column] == pytest.approx(entry[column] / scatter)
    # Rivals are those of the arm alone, and what it was trained on is told of it alone.
    assert {"lookup", "sindy"} <= set(found.table["arm"])
    assert set(found.select(split="trained")["arm"].dropna()) == {"arm", "lookup", "sindy"}


def test_a_potential_is_compared_with_the_free_field_that_is_like_it(films, groups, found):
    ours, theirs = (np.log(errors(films, groups[name])) for name in ("arm", "free"))
    ratio = found.select(metric="free_field_ratio", split="new_all").iloc[0]
    assert ratio["arm"] == "arm"
    assert ratio["case"] == "over free"
    assert ratio["value"] == pytest.approx(np.exp(ours.mean() - theirs.mean()), rel=1e-4)
    test = ttest_ind(ours, theirs, equal_var=False)
    assert found.value("p_value", split="new_all") == pytest.approx(test.pvalue, rel=1e-3)
    # The interval holds 1 just if the probability is 0.05 or more.
    assert (ratio["low"] < 1 < ratio["high"]) == (test.pvalue > 0.05)
    # In two coordinates there is no free field to compare with.
    assert set(found.select(metric="free_field_ratio")["arm"]) == {"arm"}


def test_the_published_profile_compares_ten_seeds_with_their_free_fields():
    paper = profile("paper")
    assert paper.compared[0] == "descriptors"
    fields = [name for name in paper.compared if name.endswith("_free")]
    assert len(fields) == 4
    alone = {f"descriptors{kind}" for kind in ("_sweeps", "_two_sweeps", "_pca", "_high")}
    assert {paper.models[name].members for name in set(paper.compared) - alone} == {10}
    for name in fields:
        ours, theirs = (paper.models[each] for each in (name.removesuffix("_free"), name))
        assert ours.settings.replace(potential="none") == theirs.settings
        assert ours.data == theirs.data


def test_three_six_and_twelve_samples_are_about_as_many_frames():
    paper, seen = profile("paper"), []
    for name, samples in (("_three_samples", 3), ("", 6), ("_twelve_samples", 12)):
        plan = paper.models[f"descriptors{name}"]
        held, watched = plan.settings.held.sample, plan.settings.validation.sample
        campaigns = [paper.datasets[each] for each in plan.data]
        kept = [set(each.sample) - set(held) - set(watched) for each in campaigns]
        assert len(set().union(*kept)) == samples
        films = [
            len(few) * len(each.anisotropy) * len(each.sweep_rate)
            for few, each in zip(kept, campaigns, strict=True)
        ]
        seen.append(plan.settings.epochs * sum(films))
        tests = set().union(*(paper.datasets[each].sample for each in paper.unseen if "beyond" not in each))
        assert tests.isdisjoint(set().union(*kept))
    assert max(seen) < 1.1 * min(seen)


def test_films_are_held_at_higher_fields_for_training_and_at_others_for_tests():
    paper = profile("paper")
    trained = [name for name in paper.models["descriptors_high"].data if name.startswith("high")]
    tests = paper.held_higher
    fields = [{paper.datasets[name].field_table[-1][1] for name in names} for names in (trained, tests)]
    assert fields[0].isdisjoint(fields[1])
    assert min(fields[0] | fields[1]) > max(
        paper.datasets[name].field_table[-1][1] for name in paper.models["descriptors"].data if "held" in name
    )
    for names in (trained, tests):
        ways = [paper.datasets[name].held_from for name in names]
        assert ways.count("above") == ways.count("below") == len(names) / 2
        lasting = {
            paper.datasets[name].field_table[-1][0] - paper.datasets[name].field_table[-2][0]
            for name in names
        }
        assert lasting == {200.0}
    samples = [set().union(*(paper.datasets[name].sample for name in names)) for names in (trained, tests)]
    assert samples[0].isdisjoint(samples[1])
