"""Controls: the whole way from film to test, for systems of which it is known whether they jump."""

import numpy as np
import pytest
from known import X

from nrp.analysis.transition.continuity import jump_rows
from nrp.analysis.transition.controls import (
    ControlSettings,
    Kind,
    power,
    quickened,
    run_control,
    run_controls,
)
from nrp.analysis.transition.jumps import LEVEL
from nrp.base import InvalidSetting
from nrp.evaluation import Result
from nrp.pipeline import profile
from nrp.reduction import ModelSettings
from nrp.simulation import CampaignSettings, open_dataset, simulate
from nrp.store import Store
from nrp.systems.bead import BeadSettings, Tilt
from nrp.systems.film import FilmSettings


def bead_control(change: float, *, duration: float = 4.0, epochs: int = 20) -> ControlSettings:
    tilt = Tilt(level=1.0, change=change, place=2.45)
    system = BeadSettings(pixels=12, well=0.5, tilt=tilt, start=0.2, centre=(-1.2, 0.0))
    campaign = CampaignSettings(
        system=system, anisotropy=tuple(np.round(X, 1).tolist()), field_init=0.0, duration=duration, frames=15
    )
    model = ModelSettings(latent=2, width=32, epochs=epochs)
    return ControlSettings(kind=Kind(system="bead", jump=change), campaign=campaign, model=model)


@pytest.fixture(scope="module")
def controls() -> list[Result]:
    return [run_control(bead_control(change)) for change in (0.0, 0.4)]


def p_value(control: Result, curve: str) -> float:
    rows = jump_rows(curve, control.arrays["alphas"], control.arrays[curve][None], power=False)
    return Result.of(rows).value("jump_p_value")


def test_a_jump_of_the_landscape_goes_all_the_way_to_the_test(controls):
    smooth, jumping = controls
    for curve in ("onset_time", "onset_rate", "separate_rate", "separate_gradient"):
        rows = jump_rows(curve, X, jumping.arrays[curve][None], power=False)
        found = Result.of(rows)
        assert p_value(smooth, curve) > LEVEL
        assert found.value("jump_p_value") < LEVEL
        assert found.value("jump_position") == pytest.approx(2.45)
    # The bead passes the middle at the speed of the tilt, so the rate of the image is known.
    rate = jumping.arrays["onset_rate"]
    assert rate[-1] / rate[0] == pytest.approx(1.2 / 0.8, rel=0.02)


def test_a_quickened_film_is_the_film_of_twice_the_mobility(tmp_path):
    usual = CampaignSettings(
        system=FilmSettings(box=16, coarsen=1),
        anisotropy=(1.5, 3.0),
        sweep_rate=(0.01,),
        frames=11,
        time_step=0.05,
    )
    # The same film, whose whole energy is twice as large: α, β, γ and the field.
    twice = usual.replace(
        system=usual.system.replace(stiffness=4.0, dipolar=4 / np.pi),
        anisotropy=(3.0, 6.0),
        sweep_rate=(0.04,),
        field_init=3.0,
        time_step=0.025,
    )
    slow, fast = (open_dataset(simulate(each, Store(tmp_path), workers=1)) for each in (usual, twice))
    quick = quickened(slow, 2.0)
    for name, scale in (("magnetization", 1), ("rate", 1), ("onset_time", 1), ("time", 1), ("energy", 2)):
        size = np.abs(fast[name].values).max()
        np.testing.assert_allclose(scale * quick[name].values, fast[name].values, atol=3e-3 * size)
    assert quick.sweep_rate.values.tolist() == [0.02, 0.02]


def test_a_jump_of_the_mobility_shows_in_the_onset_time():
    control = profile("mini").control(mobility=4)
    steady = control.replace(kind=control.kind.replace(mobility=1.0))
    jumping, usual = run_control(control), run_control(steady)
    assert p_value(jumping, "onset_time") < LEVEL < p_value(usual, "onset_time")
    above = usual.arrays["alphas"] > control.place
    for curve in ("onset_time", "onset_rate"):
        np.testing.assert_array_equal(jumping.arrays[curve][~above], usual.arrays[curve][~above])
    # A mobile film lags less behind its field.
    assert (jumping.arrays["onset_time"] < usual.arrays["onset_time"])[above].all()
    # The rate at the onset is not that of the usual film times the mobility: it is another state.
    multiplied = jumping.arrays["multiplied_rate"]
    np.testing.assert_allclose(multiplied / usual.arrays["onset_rate"], np.where(above, 4, 1))
    near = above & (usual.arrays["alphas"] < control.place + 0.5)
    ratio = (jumping.arrays["onset_rate"] / usual.arrays["onset_rate"])[near]
    assert jumping.value("mobility_response") == pytest.approx(np.exp(np.log(ratio).mean()))
    assert "multiplied_rate" not in usual.arrays


def test_power_counts_alarms_by_kind(controls):
    smooth, jumping = controls
    kinds = [Kind(system="bead", jump=change) for change in (0.0, 0.0, 0.4)]
    result = power([smooth, smooth, jumping], kinds=kinds)
    rate = result.select(metric="detection_rate", case="separate_rate", split="jump 0.4").iloc[0]
    assert (rate["value"], rate["high"], rate["members"]) == (1, 1, 1)
    for kind in ("smooth, no change", "smooth, all beads"):
        quiet = result.select(metric="false_alarm_rate", case="separate_rate", split=kind).iloc[0]
        assert (quiet["value"], quiet["low"], quiet["members"]) == (0, 0, 2)
        assert quiet["high"] == pytest.approx(1 - 0.025**0.5)  # Clopper and Pearson for 0 of 2
    assert result.value("rate_error", split="jump 0.4") == jumping.value("rate_error")
    assert "jump 0.4/separate_rate" in result.arrays


def test_controls_are_kept_and_their_films_are_not(tmp_path):
    store = Store(tmp_path)
    (folder,) = run_controls([bead_control(0.1, epochs=1)], store, workers=1)
    assert Result.load(folder).value("rate_error") > 0
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["control"]
    assert run_controls([bead_control(0.1, epochs=1)], store, workers=1) == [folder]


def test_a_control_that_ends_too_early_is_refused():
    with pytest.raises(InvalidSetting, match=r"duration = 0\.5: must be longer"):
        run_control(bead_control(0.0, duration=0.5, epochs=1))


def test_the_published_campaign_is_as_large_as_it_must_be():
    labels = [control.kind.label for control in profile("paper").controls]
    smooth = [label for label in labels if label.startswith("smooth")]
    assert len(smooth) >= 60
    jumps = {label for label in labels if label.startswith("jump")}
    assert len(jumps) >= 4
    assert all(labels.count(label) >= 30 for label in jumps)
    assert len({control.model_dump_json() for control in profile("paper").controls}) == len(labels)
