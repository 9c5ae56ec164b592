"""What an interrupted campaign has left: unharmed runs are kept, and damage is seen and made anew."""

import shutil

import pytest
import xarray as xr

from nrp.base import InvalidSetting
from nrp.simulation import SIMULATE, CampaignSettings, Run, open_dataset, simulate
from nrp.simulation.calibration import largest_calibrated
from nrp.simulation.run import Simulation, number_of_steps
from nrp.store import PROVENANCE, Store, content_key
from nrp.systems.film import FilmSettings

CAMPAIGN = CampaignSettings(
    system=FilmSettings(box=8, coarsen=1), anisotropy=(1.5, 2.5), sweep_rate=0.05, frames=5, duration=40
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("runs"))
    simulate(CAMPAIGN, store, workers=1)
    return store.folder(SIMULATE, content_key(SIMULATE, CAMPAIGN))


@pytest.fixture
def partial(finished, store):
    """The work of a command that was interrupted just before it could publish its data."""
    folder = store.root / "partial" / f"simulate-{finished.name}"
    shutil.copytree(finished, folder)
    (folder / PROVENANCE).unlink()
    return folder


def chunks(folder):
    return {p.relative_to(folder): p.stat().st_mtime_ns for p in folder.rglob("c/*/**/*") if p.is_file()}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def all_done_again(damage):
    return pytest.param(damage, {0, 1}, id=damage.__name__)


def one_done_again(damage):
    return pytest.param(damage, {1}, id=damage.__name__)


def metadata_cut(folder):
    (folder / "data.zarr" / "zarr.json").write_text("{")


def metadata_of_an_array_empty(folder):
    (folder / "data.zarr" / "energy" / "zarr.json").write_text("")


def array_gone(folder):
    shutil.rmtree(folder / "data.zarr" / "disorder")


def coordinate_damaged(folder):
    flip(folder / "data.zarr" / "anisotropy" / "c" / "0")


def data_gone(folder):
    shutil.rmtree(folder / "data.zarr")


def data_a_file(folder):
    shutil.rmtree(folder / "data.zarr")
    (folder / "data.zarr").touch()


def marks_a_file(folder):
    shutil.rmtree(folder / "done")
    (folder / "done").touch()


def framework_unknown(folder):
    (folder / "framework").unlink()


def image_cut(folder):
    path = folder / "data.zarr" / "magnetization" / "c" / "1" / "0" / "0" / "0"
    path.write_bytes(path.read_bytes()[:100])


def energy_gone(folder):
    (folder / "data.zarr" / "energy" / "c" / "1" / "0").unlink()


def state_flipped(folder):
    flip(folder / "data.zarr" / "final_state" / "c" / "1" / "0" / "0")


def mark_empty(folder):
    (folder / "done" / "1").write_text("")


def mark_no_text(folder):
    (folder / "done" / "1").write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(
    ("damage", "again"),
    [
        *map(all_done_again, (metadata_cut, metadata_of_an_array_empty, array_gone, coordinate_damaged)),
        *map(all_done_again, (data_gone, data_a_file, marks_a_file, framework_unknown)),
        *map(one_done_again, (image_cut, energy_gone, state_flipped, mark_empty, mark_no_text)),
    ],
)
def test_damage_is_told_in_one_line_and_made_anew(damage, again, partial, store, finished, capsys):
    before = chunks(partial)
    damage(partial)
    path = simulate(CAMPAIGN, store, workers=1)
    told = [line for line in capsys.readouterr().err.splitlines() if "made anew" in line]
    assert len(told) == (damage is not marks_a_file)
    changed = {
        p.parts[p.parts.index("c") + 1] for p, time in chunks(path.parent).items() if before[p] != time
    }
    assert changed >= {str(run) for run in again}
    assert changed <= {str(run) for run in again}
    expected = open_dataset(finished / "data.zarr").compute()
    xr.testing.assert_identical(open_dataset(path).compute(), expected)
    assert store.verify() == []


def test_what_is_unharmed_is_not_computed_again(partial, store, capsys):
    before = chunks(partial)
    path = simulate(CAMPAIGN, store, workers=1)
    assert chunks(path.parent) == before
    assert capsys.readouterr().err == ""


def test_a_run_that_was_broken_off_leaves_nothing_behind(partial, store, finished):
    (partial / "done" / "0").unlink()
    image_of_0 = partial / "data.zarr" / "rate" / "c" / "0" / "0" / "0" / "0"
    image_of_0.write_bytes(b"half of a chunk")
    path = simulate(CAMPAIGN, store, workers=1)
    expected = open_dataset(finished / "data.zarr").compute()
    xr.testing.assert_identical(open_dataset(path).compute(), expected)


@pytest.mark.parametrize("every", [1.0, 20.0])
def test_the_number_of_steps_is_known_beforehand(every):
    campaign = CAMPAIGN.with_frames_every(every)
    simulation = Simulation(campaign, Run(0.05, 0, 2.5))
    taken, step = 0, simulation._stepper.step

    def counted(*arguments):
        nonlocal taken
        taken += 1
        return step(*arguments)

    simulation._stepper.step = counted
    list(simulation)
    assert taken == pytest.approx(number_of_steps(campaign, Run(0.05, 0, 2.5)), rel=0.25)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"time_step": 1e-6, "duration": 200}, "time_step = 1e-06: a run takes 2.0e+08 steps"),
        ({"duration": 1e8}, "duration = 100000000.0: a run takes"),
        ({"duration": None, "sweep_rate": (0.05, 1e-300)}, "sweep_rate = 1e-300: a run takes"),
        (
            {"duration": None, "sweep_rate": 0.0, "field_table": ((0, 1.5), (1e9, 0))},
            "field_table = ((0.0, 1.5), (1000000000.0, 0.0)): a run takes",
        ),
    ],
)
def test_a_run_without_end_is_refused(changes, line, store):
    with pytest.raises(InvalidSetting) as caught:
        simulate(CAMPAIGN.replace(**changes), store, workers=1)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
    assert not list(store.root.glob("*/simulate*/*"))


def test_a_long_campaign_says_how_long(store, capsys):
    # Too long for a test: it is refused for want of a start after its length has been told.
    long = CAMPAIGN.replace(field_init=0.0, time_step=1e-5, system=FilmSettings(box=64))
    with pytest.raises(InvalidSetting, match="leaves φ = 0 for ever"):
        simulate(long, store, workers=1)
    [line] = [line for line in capsys.readouterr().err.splitlines() if "about" in line]
    assert line.startswith("simulating 2 runs of up to 4.0e+06 steps: this may take about ")


@pytest.mark.parametrize("scheme", ["sbdf4", "etdrk4"])
def test_a_step_beyond_the_calibration_is_told(scheme, store, capsys):
    campaign = CAMPAIGN.replace(scheme=scheme, anisotropy=2.0, duration=4, frames=2)
    limit = largest_calibrated(campaign, 2.0)
    for step, number in ((limit, 0), (1.01 * limit, 1)):
        simulate(campaign.replace(time_step=step), store, workers=1)
        told = [line for line in capsys.readouterr().err.splitlines() if "calibrated" in line]
        assert len(told) == number
    assert told[0].startswith(
        f"warning: time_step = {1.01 * limit:g}: the scheme {scheme} is calibrated up to"
    )
