"""Settings: what is refused, and how it is told."""

from typing import Literal

import pydantic
import pytest

from nrp.base import InvalidSetting, Settings
from nrp.pipeline import profile
from nrp.reduction import ModelSettings
from nrp.simulation import CampaignSettings
from nrp.store import Step, content_key
from nrp.systems import SYSTEMS
from nrp.systems.bead import BeadSettings
from nrp.systems.film import FilmSettings

BAD = [
    (FilmSettings, "box", -1.0, "greater than 0"),
    (FilmSettings, "box", float("nan"), "finite"),
    (FilmSettings, "box", "wide", "number"),
    (FilmSettings, "box", 1e9, "at most 16384"),
    (FilmSettings, "dx", 0.7, "divide box = 64"),
    (FilmSettings, "dx", 32.0, "at least 4"),
    (FilmSettings, "dx", 2.0, "divide 1"),
    (FilmSettings, "coarsen", 3, "divide the 128 points"),
    (FilmSettings, "coarsen", 0, "greater than or equal to 1"),
    (FilmSettings, "disorder", "pink\nnoise", "'quarter', 'unit_mean', 'zero_mean' or 'none'"),
    (FilmSettings, "disorder_strength", -0.3, "greater than or equal to 0"),
    (FilmSettings, "noise", float("inf"), "finite"),
    (FilmSettings, "stiffness", 0.0, "greater than 0"),
    (FilmSettings, "cutoff", 0.0, "greater than or equal to 0.001"),
    (BeadSettings, "pixels", 4, "greater than or equal to 8"),
    (BeadSettings, "bead_width", 0.0, "greater than 0"),
    (CampaignSettings, "anisotropy", (), "at least 1"),
    (CampaignSettings, "anisotropy", "many", "number"),
    (CampaignSettings, "anisotropy", 0.0, "greater than or equal to 0.000001"),
    (CampaignSettings, "anisotropy", 101.0, "less than or equal to 100"),
    (CampaignSettings, "sweep_rate", -0.1, "greater than or equal to 0"),
    (CampaignSettings, "sweep_rate", 1001.0, "less than or equal to 1000"),
    (CampaignSettings, "field_init", -1001.0, "greater than or equal to -1000"),
    (CampaignSettings, "field_final", 1001.0, "less than or equal to 1000"),
    (CampaignSettings, "sample", (0, 1, 0), "once"),
    (CampaignSettings, "frames", 1, "greater than or equal to 2"),
    (CampaignSettings, "frames", 2.5, "integer"),
    (CampaignSettings, "duration", 0.0, "greater than 0"),
    (CampaignSettings, "time_step", -0.1, "greater than or equal to 0.000001"),
    (CampaignSettings, "field_init", float("nan"), "finite"),
    (CampaignSettings, "field_final", float("inf"), "finite"),
    (CampaignSettings, "scheme", "euler", "'sbdf4' or 'etdrk4'"),
    (CampaignSettings, "tolerance", 0.0, "greater than or equal to 0.000001"),
    (CampaignSettings, "begin", -1.0, "greater than or equal to 0"),
    (FilmSettings, "start", "warm", "'equilibrium', 'uniform' or 'random'"),
    (FilmSettings, "start_level", float("nan"), "finite"),
    (FilmSettings, "start_level", -10.5, "greater than or equal to -10"),
    (CampaignSettings, "seed", -1, "greater than or equal to 0"),
    (CampaignSettings, "system", {"system": "sponge"}, ", ".join(map(repr, SYSTEMS))),
    (ModelSettings, "arm", "leg", "paper"),
    (ModelSettings, "latent", 0, "greater than or equal to 1"),
    (ModelSettings, "learning_rate", 0.0, "greater than 0"),
    (ModelSettings, "encoder", "convolutional", "'dense' or 'pod'"),
]


@pytest.mark.parametrize(("settings", "name", "value", "allowed"), BAD)
def test_one_line_names_the_setting_its_value_and_what_is_allowed(settings, name, value, allowed):
    with pytest.raises(InvalidSetting) as caught:
        settings.parse({name: value})
    message = str(caught.value)
    assert message.startswith((f"{name} = ", f"{name}: "))
    shown = list(value) if isinstance(value, tuple) and value else value
    assert repr(shown) in message
    assert allowed in message.partition(repr(shown))[2]
    assert "\n" not in message


@pytest.mark.parametrize("name", ["anisotropy", "sweep_rate"])
def test_the_wrong_one_of_many_values_is_named(name):
    with pytest.raises(InvalidSetting, match=rf"^{name} = -2\.5: .*greater than or equal to 0(\.000001)?$"):
        CampaignSettings.parse({name: (1.0, -2.5)})


@pytest.mark.parametrize("name", ["anisotropy", "sample", "sweep_rate"])
def test_one_value_may_stand_for_several(name):
    assert CampaignSettings.parse({name: 2}) == CampaignSettings.parse({name: (2,)})


def test_a_wrong_setting_inside_the_system_is_named():
    with pytest.raises(InvalidSetting, match=r"^pixels = 4: "):
        CampaignSettings.parse({"system": {"system": "bead", "pixels": 4}})
    with pytest.raises(InvalidSetting, match=r"dx = 0\.3: must divide box = 64\.0"):
        CampaignSettings.parse({"system": {"system": "film", "dx": 0.3}})


@pytest.mark.parametrize("settings", [FilmSettings, BeadSettings, CampaignSettings, ModelSettings])
def test_an_unknown_setting_is_refused(settings):
    with pytest.raises(InvalidSetting, match=r"^colour: there is no such setting$"):
        settings.parse({"colour": "red"})


def test_disorder_needs_a_box_of_whole_cells():
    with pytest.raises(InvalidSetting, match=r"^box = 16\.5: must be a whole number"):
        FilmSettings.parse({"box": 16.5, "dx": 0.5, "coarsen": 1})
    assert FilmSettings(box=16.5, dx=0.5, coarsen=1, disorder="none").shape == (33, 33)


def test_a_run_without_sweep_needs_a_duration():
    for name, value, values in [
        ("sweep_rate", "0.01", {"field_init": 0}),
        ("sweep_rate", "0.0", {"sweep_rate": (0.01, 0)}),
        ("sweep_rate", "0.0", {"sweep_rate": (0,), "field_table": ((0, 1.5),)}),
        ("begin", "400.0", {"begin": 400}),
    ]:
        with pytest.raises(InvalidSetting, match=rf"^{name} = {value}: needs a duration"):
            CampaignSettings.parse(values)
        assert CampaignSettings.parse(values | {"duration": 6}).end(0.01) == 6 + values.get("begin", 0)
    assert CampaignSettings().end(0.01) == 300
    assert CampaignSettings(field_final=-1.5, field_loop=True).end(0.01) == 600


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ((), None),
        ((0.5, 0.5), None),
        ((1.5, 0.4), None),
        ((1.5, 0.4, 0.4), "above"),
        ((1.5, 1.5, 0.4, 0.4), "above"),
        ((1.5, 0.0, 0.0, 0.4, 0.4), "below"),
        ((1.5, 0.4, 0.4, 0.4), None),
        ((1.5, 0.4, 0.8, 0.0), None),
    ],
)
def test_a_held_field_is_reached_from_one_side(fields, side):
    table = tuple((10.0 * i, h) for i, h in enumerate(fields))
    campaign = CampaignSettings(field_table=table, sweep_rate=(0,) if fields else (0.01,))
    assert campaign.held_from == side


def test_a_table_of_the_field_goes_forward_in_time_and_needs_no_rate():
    table = ((0.0, 1.5), (30.0, 0.5), (30.0, 0.0), (20.0, 0.0))
    with pytest.raises(InvalidSetting, match=r"^field_table = \[\(0\.0, 1\.5\).*: its times must rise$"):
        CampaignSettings.parse({"field_table": table, "sweep_rate": (0,)})
    with pytest.raises(InvalidSetting, match=r"^sweep_rate = \[0\.01\]: must be 0 with a field_table$"):
        CampaignSettings.parse({"field_table": table[:3]})
    with pytest.raises(InvalidSetting, match=r"^field_table = nan: input should be a finite number$"):
        CampaignSettings.parse({"field_table": ((0, float("nan")),), "sweep_rate": (0,)})
    assert CampaignSettings(field_table=table[:3], sweep_rate=(0,)).end(0.0) == 30


def test_a_box_may_be_oblong():
    assert FilmSettings(box=8).box == (8, 8)
    assert FilmSettings(box=(8, 16), dx=0.5).shape == (16, 32)
    for wrong in [(8, 16.25), (16.25, 8)]:
        with pytest.raises(InvalidSetting, match=r"^dx = 0\.5: must divide box = 16\.25"):
            FilmSettings.parse({"box": wrong})
    with pytest.raises(InvalidSetting, match=r"^box = -1: .*greater than 0$"):
        FilmSettings.parse({"box": (8, -1)})


def test_a_clean_film_may_fill_any_box():
    settings = FilmSettings(box=6.283185307179586, dx=6.283185307179586 / 16, disorder="none")
    assert settings.shape == (16, 16)


@pytest.mark.parametrize("settings", [FilmSettings(), CampaignSettings(), profile("mini")])
def test_settings_cannot_be_changed(settings):
    name = next(iter(type(settings).model_fields))
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        setattr(settings, name, "other")


def test_a_changed_copy_is_checked_and_leaves_the_original():
    original = CampaignSettings()
    assert original.replace(frames=5).frames == 5
    assert original.frames == 101
    with pytest.raises(InvalidSetting, match=r"^frames = 1: "):
        original.replace(frames=1)


@pytest.mark.parametrize("name", ["mini", "book", "paper"])
def test_profiles_go_by_their_names(name):
    chosen = profile(name)
    assert chosen.name == name
    films, samples, *others = (chosen.datasets[each] for each in chosen.sweeps)
    grids = {alpha for campaign in (films, *others) for alpha in campaign.anisotropy}
    assert set(chosen.models["paper"].settings.held.anisotropy) < grids
    assert not set(samples.sample) & set(films.sample)
    rates = (films, *others)
    assert len({rate for campaign in rates for rate in campaign.sweep_rate}) == sum(
        len(campaign.sweep_rate) for campaign in rates
    )


def test_the_book_sweeps_as_the_paper_does():
    films = profile("book").datasets["films"]
    assert (films.field_init, films.sweep_rate, films.end(0.01)) == (1.5, (0.01,), 300)
    assert (films.anisotropy[0], films.anisotropy[-1]) == (1, 4)
    assert films.system.stiffness == 2
    assert films.system.dipolar == pytest.approx(0.63662, abs=5e-6)


def test_an_unknown_profile_is_refused():
    with pytest.raises(InvalidSetting, match=r"^profile = 'tiny': must be one of mini, book, paper$"):
        profile("tiny")


STEP = Step("count", 1)


class Fewer(Settings):
    """Settings as they were before another one was added, and its tag."""

    kind: Literal["plain"] = "plain"
    width: float = 1.0


class More(Fewer):
    height: float = 2.0


class Other(Settings):
    kind: Literal["other"] = "other"
    width: float = 1.0


class WithFewer(Settings):
    part: Fewer | Other = Fewer()
    parts: tuple[Fewer, ...] = ()


class WithMore(Settings):
    part: More | Other = More()
    parts: tuple[More, ...] = ()


def test_a_key_is_made_of_what_differs_from_the_defaults():
    assert content_key(STEP, Fewer(width=1)) == content_key(STEP, Fewer())
    assert content_key(STEP, Fewer(width=3)) != content_key(STEP, Fewer())
    campaign = CampaignSettings()
    assert content_key(STEP, campaign) == content_key(
        STEP, campaign.replace(frames=101, system=FilmSettings())
    )
    assert content_key(STEP, campaign) != content_key(STEP, campaign.replace(frames=102))


@pytest.mark.parametrize("width", [1.0, 3.0])
def test_a_new_setting_leaves_the_keys_of_old_results(width):
    old, new = Fewer(width=width), More(width=width)
    assert content_key(STEP, new) == content_key(STEP, old)
    assert content_key(STEP, WithMore(part=new, parts=(new,))) == content_key(
        STEP, WithFewer(part=old, parts=(old,))
    )
    assert content_key(STEP, new.replace(height=5)) != content_key(STEP, old)


def test_tags_always_count():
    assert Fewer().differing() == {"kind": "plain"}
    assert content_key(STEP, Other()) != content_key(STEP, Fewer())
    assert content_key(STEP, WithFewer(part=Other())) != content_key(STEP, WithFewer(part=Fewer()))
    systems = [kind.settings_type() for kind in SYSTEMS.values()]
    keys = {content_key(STEP, system) for system in systems}
    keys |= {content_key(STEP, CampaignSettings(system=system)) for system in systems}
    assert len(keys) == 2 * len(SYSTEMS)
