"""Studies: what an override changes, what it leaves, what is refused, and what is published."""

import numpy as np
import pytest

from nrp.analysis.model.forecast import forecast
from nrp.analysis.registry import Dataset, Model, Outcome, Published
from nrp.base import InvalidSetting
from nrp.evaluation import split
from nrp.pipeline import Study, profile
from nrp.pipeline import published as published_module
from nrp.pipeline import study as study_module
from nrp.pipeline.profiles import TrainingPlan
from nrp.pipeline.published import published, published_names
from nrp.reduction import ModelSettings, Runs, load_model
from nrp.simulation import CampaignSettings
from nrp.store import digest
from nrp.systems.film import FilmSettings

BEADS = {"landscape", "bead_forecast"}


def keys_of(study: Study) -> dict[str, str]:
    """The key of every dataset, model and result; a model may have the name of a dataset."""
    parts = {Dataset: study.datasets, Model: study.models, Outcome: study.results}
    return {
        f"{kind.__name__} {name}": study._key(kind(name)) for kind, names in parts.items() for name in names
    }


def changed(store, **overrides: dict) -> set[str]:
    """What has another key than in the profile."""
    usual, other = keys_of(Study("mini", store)), keys_of(Study("mini", store, **overrides))
    assert usual.keys() == other.keys()
    return {name for name in usual if usual[name] != other[name]}


def outcomes(*names: str) -> set[str]:
    return {f"Outcome {name}" for name in names}


def test_another_sweep_rate_changes_what_depends_on_the_films_and_nothing_else(store):
    found = changed(store, films={"sweep_rate": 0.03})
    # Published readings, and all that is not made of the films.
    kept = {
        *BEADS,
        "hysteresis",
        "solver",
        "sensitivity",
        "power",
        "continuity_paper",
        "continuity_identified",
        "descriptor_forecast",
        "meaning",
    }
    results = set(Study("mini", store).results)
    assert found == {"Dataset films", "Model paper", "Model identified"} | outcomes(*results - kept)


def test_other_settings_of_a_model_change_its_results_alone(store):
    found = changed(store, identified={"epochs": 3})
    each = ("training", "forecast", "diagnostics", "gradient_flow", "transition")
    assert found == {"Model identified"} | outcomes("clock", *(f"{name}_identified" for name in each))
    # What is not trained on changes no model.
    found = changed(store, holds={"frames": 11})
    assert {name for name in found if not name.startswith("Outcome")} == {"Dataset holds"}


def test_options_of_a_result_change_it_and_what_is_made_of_it(store):
    assert changed(store, solver={"box": 4.0}) == outcomes("solver")
    assert changed(store, continuity_paper={"every": 2}) == outcomes("continuity_paper")
    assert changed(store, solver={"box": 4.0}, droplets={"anisotropy": 3.0}) == outcomes("solver", "droplets")


def test_a_setting_of_the_system_is_reached_through_its_dataset(store):
    study = Study("mini", store, films={"disorder_strength": 0.1, "frames": 11})
    assert study.profile.datasets["films"].system.disorder_strength == 0.1
    assert study.profile.datasets["films"].frames == 11
    assert study.is_changed


def test_a_parameter_of_tables_alone_is_a_change_too(store):
    assert Study.of("mini", store, lead_time=1).is_changed
    assert not Study.of("mini", store, lead_time=None).is_changed


def test_none_changes_nothing(store):
    study = Study("mini", store, films={"sweep_rate": None}, paper=None, solver={"box": None})
    assert not study.is_changed
    assert keys_of(study) == keys_of(Study("mini", store))


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"nothing": {"box": 4}}, "name = 'nothing': must be one of films, "),
        ({"films": {"colour": 1}}, "colour: there is no such setting"),
        ({"films": {"sweep_rate": -1}}, "sweep_rate = -1: "),
        ({"films": {"dx": 0.3}}, "dx = 0.3: must divide "),
        ({"paper": {"latent": 0}}, "latent = 0: "),
        ({"paper": {"colour": 1}}, "colour: there is no such setting"),
        ({"solver": {"colour": 1}}, "colour: there is no such setting"),
        ({"patterns": {"films": 1}}, "films: there is no such setting"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_line(store, overrides, line):
    with pytest.raises(InvalidSetting) as refused:
        Study("mini", store, **overrides)
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name"), [("dataset", "x"), ("model", "x"), ("result", "x"), ("published", "x")]
)
def test_names_that_are_not_there_are_refused_with_those_that_are(store, kind, name):
    with pytest.raises(InvalidSetting, match=r"^name = 'x': must be one of "):
        getattr(Study("mini", store), kind)(name)


def test_published_results_never_change(store):
    overrides = {"films": {"sweep_rate": 0.03}, "paper": {"latent": 4}}
    usual, other = Study("mini", store), Study("mini", store, **overrides)
    for name in published_names():
        assert other._key(Published(name)) == usual._key(Published(name)) == published(name)[1]["key"]
    assert other.published("pod").records() == usual.published("pod").records()


def test_a_profile_of_single_members_has_nothing_to_publish(store):
    with pytest.raises(InvalidSetting, match="profile = 'mini': trains one member; must train several"):
        Study("mini", store).publish()


# A profile that is computed in seconds, with two members and their rivals


@pytest.fixture(scope="module")
def tiny():
    mini = profile("mini")
    films = CampaignSettings(
        system=FilmSettings(box=8, dx=1.0, coarsen=1),
        anisotropy=(1.0, 1.5, 2.0, 2.5),
        sweep_rate=0.05,
        frames=31,
        time_step=0.1,
    )
    paper = ModelSettings(latent=2, width=8, batch=50, epochs=2, held=Runs(anisotropy=(1.5,)))
    settings = {
        "paper": paper,
        "pod_paper": paper.replace(encoder="pod"),
        "free_field_paper": paper.replace(potential="none"),
    }
    plans = {name: TrainingPlan(settings=each, data=("films",), members=2) for name, each in settings.items()}
    samples = films.replace(sample=(1, 2))
    return mini.replace(
        datasets={
            **mini.datasets,
            "films": films,
            "samples": samples,
            "small box": samples.replace(frames=2),
        },
        models={**mini.models, **plans},
        arms=("paper",),
        sweeps=("films", "samples"),
        evaluated=("films", "samples"),
        variants=("small box",),
        controls=mini.controls[:1],
        figure_anisotropy=(1.0, 2.0),
    )


@pytest.fixture(scope="module")
def printed(tiny, tmp_path_factory):
    """A study that has published its results into a folder of its own, and that folder."""
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_module, "profile", lambda name: tiny)
        patch.setattr(study_module, "published_folder", lambda: folder)
        patch.setattr(published_module, "published_folder", lambda: folder)
        study = Study("mini", study_module.Store(tmp_path_factory.mktemp("runs")))
        study.publish()
        yield study, folder


def test_results_are_published_with_the_model_of_each_arm(printed):
    study, folder = printed
    names = ["paper", "pod", "power", "sensitivity", "transition_paper"]
    assert published_names() == names
    model = load_model(folder / "paper" / "model")
    assert model.settings == study.profile.models["paper"].settings
    for name in names:
        result, record = published(name)
        assert set(result.table["profile"]) == {"paper"}
        assert set(result.table["key"]) == {record["key"]}
    _, record = published("pod")
    assert digest(folder / "pod") == record["digest"]


def test_published_errors_are_those_of_members_and_rivals(printed):
    study, _ = printed
    result = study.published("paper")
    entries = result.select(metric="rate_error", split="trained", case=None)
    members = dict(zip(entries["arm"], entries["members"], strict=True))
    assert members == {"paper": 2, "lookup": 2, "sindy": 2, "pod": 2, "free_field": 2}
    over = {"over pod", "over free_field", "over lookup", "over sindy"}
    assert over <= set(result.select(metric="advantage", arm="paper", lead_time=10)["case"])
    assert set(result.select(metric="curl_share")["arm"]) == {"free_field"}
    assert result.value("onset_gradient_correlation", column="low") <= 1


def test_the_published_model_gives_the_published_values(printed):
    study, folder = printed
    seen = split(study.observed("paper", "films"))["trained"]
    again = forecast([seen], far=False).select(split="trained", arm="paper")
    stored = study.published("paper").arrays["first_values"]
    assert again["value"].to_numpy() == pytest.approx(stored, rel=1e-6)
    weights = load_model(folder / "paper" / "model").state_dict()
    assert all(
        np.array_equal(weights[name], value) for name, value in study.model("paper").state_dict().items()
    )


def test_members_share_the_frames_of_a_dataset(printed):
    study, _ = printed
    (first,), (second,) = (study.observed("paper", "films", member=i) for i in range(2))
    assert first.frames is second.frames
    assert first.model.settings.member == 0
    assert second.model.settings.member == 1


def test_publishing_again_computes_nothing_and_replaces_what_is_there(printed, monkeypatch):
    study, folder = printed
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(study_module.Store, "get", None)  # nothing is asked of the store but where it lies
    study.publish()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_stored_results_stand_beside_the_published_ones(printed):
    study, _ = printed
    rows = study.stored_rows()
    found = {entry["analysis"] for entry in rows}
    assert {"members", "pod", "power", "onset", "patterns"} <= found
    assert "hysteresis" not in found  # nobody has asked for it
