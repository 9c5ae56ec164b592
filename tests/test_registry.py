"""Analyses register themselves with what they need."""

import pytest

from nrp.analysis import registry
from nrp.analysis.registry import Dataset, Observed, Outcome, analysis, requests
from nrp.base import InvalidSetting
from nrp.evaluation import Result, row
from nrp.pipeline import Study, profile


@pytest.fixture
def own_list(monkeypatch):
    """A list of analyses that this test may add to."""
    monkeypatch.setattr(registry, "_ANALYSES", list(registry._ANALYSES))


def test_each_profile_has_what_its_models_allow():
    mini, paper = (requests(profile(name)) for name in ("mini", "paper"))
    assert {"forecast_paper", "forecast_identified", "bead_forecast", "patterns", "solver"} <= set(mini)
    # Several members, other latent dimensions and fine films are trained for what is published alone.
    many = {
        "members_paper",
        "members_identified",
        "latents",
        "exact_energy",
        "premise",
        "ablation",
        "map",
        "melting",
        "late_motion",
        "slow_loops",
    }
    many |= {f"held_states_{kind}" for kind in ("descriptors", "sweeps")}
    many |= {f"held_higher_{kind}" for kind in ("descriptors", "high")}
    kinds = ("descriptors", "high", "sweeps", "two", "growing")
    kinds += ("uniform", "uniform_stopped", "narrow", "hexagons")
    assert set(paper) - set(mini) == many | {f"transitions_{kind}" for kind in kinds}
    assert len(mini["forecast_paper"].needs["arm"]) == 1
    assert len(paper["members_paper"].needs["arm"]) == profile("paper").models["paper"].members


@pytest.mark.parametrize("name", ["mini", "book", "paper"])
def test_all_that_analyses_need_is_there(name, store):
    study = Study(name, store)
    keys = study.keys()
    assert len(keys) > len(study.datasets) + len(study.models)
    assert all(isinstance(key, str) and len(key) == 16 for key in keys)


def test_an_analysis_is_registered_by_its_decorator(own_list, store):
    @analysis("halves", version=1, needs={"films": Dataset("films")}, options=lambda profile: {"of": 3.0})
    def halves(films, *, of):
        return Result.of([row("half", of / 2), row("runs", films.sizes["run"])])

    film = {"box": 8, "dx": 1.0, "anisotropy": (1.0, 2.0), "frames": 2, "sweep_rate": 0.5}
    study = Study("mini", store, films=film)
    found = study.result("halves")
    assert (found.value("half"), found.value("runs")) == (1.5, 2)
    assert set(found.table["analysis"]) == {"halves"}
    assert set(found.table["system"]) == {"film"}
    other = Study("mini", store, films=film, halves={"of": 5.0}).result("halves")
    assert other.value("half") == 2.5
    assert set(other.table["key"]).isdisjoint(found.table["key"])


def test_an_analysis_of_each_arm_has_the_name_of_the_arm(own_list):
    def needs(profile, arm):
        return {"observations": Observed(registry.members_of(profile, arm)[0], ("films",))}

    @analysis("glance", version=1, needs=needs, each="arm")
    def glance(observations):
        raise AssertionError("nothing is computed before it is asked for")

    names = {name for name in requests(profile("mini")) if name.startswith("glance")}
    assert names == {"glance_paper", "glance_identified"}


def test_a_profile_without_what_is_needed_has_no_such_result(own_list):
    @analysis("absent", version=1, needs=lambda profile: None)
    def absent():
        raise AssertionError

    assert "absent" not in requests(profile("mini"))


def test_only_options_can_be_replaced():
    request = requests(profile("mini"))["droplets"]
    assert request.needs == {"films": Dataset("films"), "onsets": Outcome("onset")}
    assert request.replaced({"anisotropy": 3.0}).options == {"anisotropy": 3.0}
    for wrong in ("films", "colour"):
        with pytest.raises(InvalidSetting, match=f"^{wrong}: there is no such setting$"):
            request.replaced({wrong: 1})
