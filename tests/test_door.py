"""The door: what data from anywhere must be, what is understood, and the line that refuses all else."""

import json
import shutil

import numpy as np
import pytest
import torch
import xarray as xr
import zarr

from nrp import progress
from nrp.analysis.model.forecast import forecast
from nrp.base import InvalidSetting
from nrp.cli import main
from nrp.evaluation import Observation
from nrp.evaluation.rollouts import Drive
from nrp.reduction import ModelSettings, ReducedModel, coverage, images_of, load_frames
from nrp.reduction.splits import split_names
from nrp.simulation import CampaignSettings, open_dataset, settings_of, simulate, system_of
from nrp.store import PROVENANCE, Store
from nrp.systems import SYSTEMS
from nrp.systems.film import FilmSettings

CAMPAIGN = CampaignSettings(
    system=FilmSettings(box=8.0, dx=0.5, coarsen=2), anisotropy=(1.0, 2.0, 3.0), sweep_rate=(0.05,), frames=21
)
SETTINGS = ModelSettings(latent=2, width=8)
FRAME, IMAGE = ("run", "frame"), ("run", "frame", "y", "x")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The path of a film of three runs, in a store."""
    return simulate(CAMPAIGN, Store(tmp_path_factory.mktemp("runs")), workers=1)


@pytest.fixture(scope="module")
def film(stored):
    """The film in memory."""
    return xr.open_zarr(stored, consolidated=False, chunks=None).load().drop_encoding()


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Write a dataset as a folder that its owner names, and return its path."""
    monkeypatch.setenv("NRP_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    def write(data):
        data.drop_encoding().to_zarr("own.zarr", mode="w", consolidated=False)
        return "own.zarr"

    progress.tell_once.cache_clear()
    return write


def foreign(film):
    """The film without a word about where it comes from."""
    return film.drop_attrs(deep=False)


def with_nan(values):
    changed = values.astype(float).copy()
    changed.values.flat[-1] = np.nan
    return changed


REFUSED = {
    "no anisotropy": (lambda d: d.drop_vars("anisotropy"), "variable 'anisotropy' is missing"),
    "no time": (lambda d: d.drop_vars("time"), "variable 'time' is missing"),
    "no field": (lambda d: d.drop_vars("external_field"), "variable 'external_field' is missing"),
    "no rates": (lambda d: d.drop_vars("rate"), "'rate' is missing.* time derivative of the images"),
    "no images": (lambda d: d.drop_vars("magnetization"), "field = 'magnetization': must name"),
    "nothing": (lambda d: xr.Dataset(), "must be a Zarr store that holds runs"),
    "two fields": (lambda d: foreign(d.assign(other=d.magnetization)), "attribute 'field' names; has 2"),
    "field a number": (lambda d: d.assign_attrs(field=3), "field = 3: must name"),
    "controls a word": (lambda d: d.assign_attrs(controls="heat"), "controls = 'heat': must be a list"),
    "controls absent": (lambda d: d.assign_attrs(controls=["heat"]), "variable 'heat' is missing"),
    "settings cut": (
        lambda d: d.assign_attrs(settings='{"system":'),
        "settings: must be those of a campaign",
    ),
    "settings a list": (lambda d: d.assign_attrs(settings="[]"), "settings: must be those of a campaign"),
    "settings unknown": (
        lambda d: d.assign_attrs(settings={"colour": 1}),
        "colour: there is no such setting",
    ),
    "trials": (
        lambda d: d.rename(run="trial"),
        r"has the dimensions \(trial, frame, y, x\); must have \(run",
    ),
    "rows": (lambda d: d.rename(y="row"), r"\(run, frame, row, x\)"),
    "steps": (lambda d: d.rename(frame="step"), r"\(run, step, y, x\)"),
    "colours": (
        lambda d: d.assign(rate=d.rate.expand_dims(channel=3)),
        r"'rate' has the dimensions \(channel",
    ),
    "one pixel of each": (
        lambda d: d.assign(rate=d.rate[..., 0, 0]),
        r"'rate' has the dimensions \(run, frame\)",
    ),
    "one time": (lambda d: d.assign_coords(time=1.0), "'time' must rise"),
    "one frame": (lambda d: d.isel(frame=[0]), "dimension 'frame' has the length 1; must be at least 2"),
    "no frame": (lambda d: d.isel(frame=[]), "dimension 'frame' has the length 0"),
    "no run": (lambda d: d.isel(run=[]), "dimension 'run' has the length 0; must be at least 1"),
    "shuffled": (lambda d: d.isel(frame=[0, 3, 1, 2]), "'time' must rise"),
    "twice": (lambda d: d.isel(frame=[0, 1, 1, 2]), "'time' must rise"),
    "lost times": (lambda d: d.assign_coords(time=0 * d.time), "'time' must rise"),
    "nan time": (
        lambda d: d.assign_coords(time=with_nan(d.time)),
        "'time' holds values that are not finite, .*: 1 of 63",
    ),
    "nan α": (
        lambda d: d.assign_coords(anisotropy=with_nan(d.anisotropy)),
        "'anisotropy' holds values that are not finite, .*: 1 of 3",
    ),
    "nan field": (
        lambda d: d.assign(external_field=with_nan(d.external_field)),
        "'external_field' holds values that are not finite",
    ),
    "dates": (
        lambda d: d.assign_coords(time=(FRAME, (1e9 * d.time.values).astype("datetime64[ns]"))),
        "'time' holds values of the type datetime64",
    ),
    "cropped": (lambda d: d.isel(x=slice(0, 6)), r"images of \(8, 6\) pixels; must be \(8, 8\)"),
    "another field": (
        lambda d: d.assign(external_field=d.external_field / 2),
        "'external_field' is not what",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_dataset_of_runs_is_refused_in_one_line_that_names_it(case, film, put):
    change, told = REFUSED[case]
    path = put(change(film))
    with pytest.raises(InvalidSetting, match=rf"^data = 'own\.zarr': .*{told}") as caught:
        open_dataset(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"zarr_format": 3, "node_type": "group", "attributes": []}']
)
@pytest.mark.parametrize("part", ["", "time"])
def test_metadata_that_are_none_are_refused_in_one_line(part, text, film, put, tmp_path):
    path = put(film)
    (tmp_path / path / part / "zarr.json").write_text(text)
    with pytest.raises(InvalidSetting, match=r"^data = 'own\.zarr': ") as caught:
        open_dataset(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["time", "anisotropy", "onset_time", "magnetization", "rate", "energy"])
def test_a_damaged_chunk_is_told_with_its_variable_and_file(name, film, put, tmp_path):
    path = put(film)
    chunk = next(file for file in sorted((tmp_path / path / name / "c").rglob("*")) if file.is_file())
    chunk.write_bytes(chunk.read_bytes()[:9])
    with pytest.raises(InvalidSetting, match=rf"^data = 'own\.zarr': the variable '{name}' cannot be read"):
        load_frames(open_dataset(path))


@pytest.mark.parametrize("name", ["magnetization", "rate"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_images_that_no_network_can_take_are_refused_where_they_are_read(name, value, film, put):
    changed = film[name].astype(float).copy()
    changed[1, 3, 2, 2] = value
    data = open_dataset(put(film.assign({name: changed})))
    with pytest.raises(
        InvalidSetting,
        match=rf"^data = 'own\.zarr': the variable '{name}' holds values that are not finite, .*: 1 of 4032",
    ):
        load_frames(data)
    assert torch.isfinite(load_frames(data, np.array([True, False, True])).images).all()


UNDERSTOOD = {
    "shared time": lambda d: d.assign_coords(time=("frame", d.time.values[0])),
    "shared field": lambda d: d.assign(external_field=("frame", d.external_field.values[0])),
    "frames last": lambda d: d.transpose(..., "frame"),
    "frames first": lambda d: d.transpose("frame", ...),
    "all turned round": lambda d: d.transpose("x", "y", "frame", "run", ...),
    "no name of the images": lambda d: (d.attrs.pop("field"), d)[1],
    "settings a mapping": lambda d: d.assign_attrs(settings=json.loads(d.attrs["settings"])),
    "time in seconds": lambda d: d.assign_coords(time=(FRAME, d.time.values, {"units": "seconds"})),
    "no positions": lambda d: d.drop_vars(["x", "y"]),
    "no sample": lambda d: d.drop_vars("sample"),
    "no sweep rate": lambda d: d.drop_vars("sweep_rate"),
}


@pytest.mark.parametrize("case", UNDERSTOOD)
def test_what_can_be_understood_gives_the_same_frames(case, film, put, capsys):
    data = open_dataset(put(UNDERSTOOD[case](film.copy())))
    for name, values in vars(load_frames(film)).items():
        torch.testing.assert_close(getattr(load_frames(data), name), values, rtol=0, atol=0)
    assert settings_of(data) == CAMPAIGN
    assert data.sweep_rate.values.tolist() == [0.05] * 3  # its settings know it, where it is missing
    told = capsys.readouterr().err.splitlines()
    assert len(told) == ("no s" in case)
    assert all("data = 'own.zarr'" in line for line in told)


def test_images_are_not_read_before_they_are_asked_for(film, put):
    data = open_dataset(put(film.transpose("frame", ...)))
    assert not data["magnetization"].variable._in_memory
    assert not data["rate"].variable._in_memory


def test_whole_numbers_are_read_as_floating_point_numbers(film, put):
    counts = (100 * film.magnetization).astype(np.int16)
    data = open_dataset(put(film.assign(magnetization=counts)))
    assert images_of(data).dtype.kind == "f"
    np.testing.assert_array_equal(images_of(data).values, counts.values)
    torch.testing.assert_close(load_frames(data).images, torch.tensor(counts.values).float().flatten(2))


def test_what_is_missing_is_taken_for_one_value_with_one_line(film, put, capsys):
    data = open_dataset(put(foreign(film).drop_vars(["sample", "sweep_rate", "onset_time", "disorder"])))
    assert data["sample"].values.tolist() == data["sweep_rate"].values.tolist() == [0, 0, 0]
    assert np.isnan(data["onset_time"]).all()
    [line] = capsys.readouterr().err.splitlines()
    assert "sample = 0 and sweep_rate = 0" in line
    with pytest.raises(InvalidSetting, match=r"'settings' is missing"):
        system_of(data, 0)


def test_a_system_without_its_disorder_is_refused(film, put):
    with pytest.raises(InvalidSetting, match=r"^data = 'own\.zarr': the variable 'disorder' is missing"):
        system_of(open_dataset(put(film.drop_vars("disorder"))), 0)


def test_a_field_of_unknown_protocol_goes_straight_from_frame_to_frame(film, put):
    data = open_dataset(put(foreign(film).assign(external_field=film.external_field**2)))
    drive, times, h = Drive((data, load_frames(data))), data.time.values, data.external_field.values
    middle = (times[:, 3] + times[:, 4]) / 2
    found = drive(np.arange(3), np.stack([times[:, 3], middle]))[..., 1].numpy()
    np.testing.assert_allclose(found, [h[:, 3], (h[:, 3] + h[:, 4]) / 2], rtol=1e-6)


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize("name", ["anisotropy", "sample", "x"])
def test_words_instead_of_numbers_are_refused(name, film, put):
    words = (film[name].dims, [f"no {number}" for number in range(film[name].size)])
    path = put(film.assign_coords({name: words}))
    with pytest.raises(
        InvalidSetting, match=rf"^data = 'own\.zarr': the variable '{name}' holds values of the"
    ):
        open_dataset(path)


# keys


def test_only_an_entry_of_a_store_keeps_its_key(stored, film, put, tmp_path):
    assert open_dataset(stored).attrs["key"] == stored.parent.name
    link = tmp_path / "link.zarr"
    link.symlink_to(stored, target_is_directory=True)
    assert open_dataset(link).attrs["key"] == stored.parent.name
    path = put(film)
    for record in (
        {},
        {"step": "train", "key": film.attrs["key"]},
        {"step": "simulate", "key": film.attrs["key"]},
    ):
        (tmp_path / PROVENANCE).write_text(json.dumps(record))  # beside the data
        before = open_dataset(path).attrs["key"]
        assert before != film.attrs["key"]
        group = zarr.open_group(path, mode="r+")
        group["magnetization"][:] = 0.5 * group["magnetization"][:]
        assert open_dataset(path).attrs["key"] != before


def test_a_copy_of_an_entry_elsewhere_is_not_trusted(stored, tmp_path):
    copy = tmp_path / stored.parent.name
    shutil.copytree(stored.parent, copy)
    assert open_dataset(copy / stored.name).attrs["key"] != stored.parent.name


def test_what_lies_behind_links_counts_for_the_key(film, put, tmp_path):
    path = tmp_path / put(film)
    (path / "magnetization").rename(tmp_path / "elsewhere")
    (path / "magnetization").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    before = open_dataset(path).attrs["key"]
    images = zarr.open_array(tmp_path / "elsewhere", mode="r+")
    images[0, 0] = 0.25
    assert open_dataset(path).attrs["key"] != before


# runs that go on


def test_runs_go_on_from_their_last_frame_alone(film, put, tmp_path):
    later = CAMPAIGN.replace(begin=float(film.time[0, 10]), duration=3.0, frames=2, sweep_rate=(0.0,))
    with pytest.raises(
        InvalidSetting, match=r"^data = .*'final_state' of run 0 is not the state that its last"
    ):
        simulate(later, Store(tmp_path / "a"), start=put(film.isel(frame=slice(0, 11))), workers=1)
    later = later.replace(begin=float(film.time[0, -1]))
    path = simulate(later, Store(tmp_path / "a"), start=put(film), workers=1)
    first = open_dataset(path)["magnetization"][:, 0]
    np.testing.assert_allclose(first, film["magnetization"][:, -1], atol=1e-6)


# evaluation


def still(film):
    return film.assign(magnetization=0 * film.magnetization + 0.3, rate=0 * film.rate)


EVALUATED = {
    "two frames": lambda d: d.isel(frame=[0, 1]),
    "three frames far apart": lambda d: d.isel(frame=[0, 7, 20]),
    "five frames": lambda d: d.isel(frame=slice(0, 5)),
    "unequal times": lambda d: d.isel(frame=[0, 1, 2, 4, 5, 6, 9, 10, 11, 12, 13, 17, 18, 20]),
    "one run": lambda d: d.isel(run=[1]),
    "constant images": still,
    "one constant run": lambda d: xr.where(d.anisotropy == 2, still(d), d, keep_attrs=True)[
        list(d.data_vars)
    ],
    "no motion": lambda d: d.assign(rate=0 * d.rate),
    "large images": lambda d: d.assign(magnetization=1e6 * d.magnetization, rate=1e6 * d.rate),
    "no settings": foreign,
    "no settings, few frames": lambda d: foreign(d.isel(frame=slice(0, 3))).drop_vars("disorder"),
}


@pytest.mark.parametrize("case", EVALUATED)
def test_data_of_little_content_are_evaluated(case, film):
    data = EVALUATED[case](film)
    model = ReducedModel(SETTINGS, (8, 8), coverage([film], SETTINGS)).eval()
    rows = forecast([[Observation(model, data)]]).records()
    assert all(entry["value"] is None or np.isfinite(entry["value"]) for entry in rows)
    found = {entry["metric"] for entry in rows}
    assert {"reconstruction_rmse", "persistence_rmse", "image_deviation"} <= found
    assert ("readout_error" in found) == (
        case in ("unequal times", "one run", "one constant run", "no motion", "large images")
    )
    assert ("rollout_error" in found) == (case != "constant images")


def test_extrapolation_follows_the_line_whatever_the_times(film):
    times = np.array([0.0, 1.0, 3.0, 3.5, 7.0])
    slope = film.rate[:, 0].drop_vars("time")
    images = film.magnetization[:, 0].drop_vars("time") + slope * xr.DataArray(times, dims="frame")
    line = foreign(film.isel(frame=slice(0, 5))).assign(magnetization=images.transpose(*IMAGE))
    line = line.assign_coords(time=(FRAME, np.tile(times, (3, 1))))
    model = ReducedModel(SETTINGS, (8, 8), coverage([film], SETTINGS)).eval()
    scene_rows = forecast([[Observation(model, line)]], far=False)
    first = np.sqrt(np.mean(slope.values**2))  # the first step, for which there is no line, is 1 long
    found = scene_rows.value("one_step_rmse", arm="extrapolation", case=None)
    assert found == pytest.approx(first / 2, rel=1e-4)  # over four steps


def test_swift_hohenberg_data_are_named_by_their_start(film, tmp_path):
    kind = SYSTEMS["swift_hohenberg"]
    system = kind.settings_type(box=8.0, dx=0.5)
    campaign = CAMPAIGN.replace(system=system, anisotropy=(0.5, 1.0), sample=(0, 1), frames=3)
    data = open_dataset(simulate(campaign, Store(tmp_path), workers=1))
    assert isinstance(system_of(data, 0), kind)
    seen = {"anisotropy": [0.5], "sample": [0], "sweep_rate": [0.05]}
    names = split_names(data, SETTINGS, seen)
    expected = {(0.5, 0): "trained", (1.0, 0): "new_anisotropy", (0.5, 1): "random_start", (1.0, 1): ""}
    pairs = zip(data.anisotropy.values, data["sample"].values, strict=True)
    random = campaign.system.start == "random"
    assert names.tolist() == ["random_start" if random else expected[pair] for pair in pairs]


# the command line


@pytest.mark.parametrize(
    "case", ["no anisotropy", "rows", "one frame", "shuffled", "settings cut", "nan time"]
)
@pytest.mark.parametrize("command", ["train", "evaluate", "simulate"])
def test_every_command_refuses_such_data_with_one_line(command, case, film, put, tmp_path, capsys):
    path = put(REFUSED[case][0](film))
    model = ReducedModel(SETTINGS, (8, 8), coverage([film], SETTINGS))
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")
    arguments = {
        "train": ["--data", path, "--epochs", "1", "--out", "out"],
        "evaluate": ["--data", path, "--model", "model"],
        "simulate": [
            "--continue",
            path,
            "--sweep-rate",
            "0",
            "--duration",
            "3",
            "--every",
            "1",
            "--out",
            "out",
        ],
    }
    assert main([command, *arguments[command]]) == 2
    out, err = capsys.readouterr()
    assert not out
    [line] = err.splitlines()
    assert line.startswith(f"nrp {command}: data = 'own.zarr': ")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "runs" / "store").exists()


@pytest.mark.parametrize("option", ["--hold-alpha", "--validate-alpha"])
@pytest.mark.parametrize("value", ["2.00001", "99"])
def test_an_anisotropy_that_no_run_has_is_neither_held_nor_watched(option, value, film, put, capsys):
    assert main(["train", "--data", put(film), option, "2", option, value, "--epochs", "1"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"nrp train: {option[2:].replace('-', '_')} = [{float(value)}]: ")
    assert "[1.0, 2.0, 3.0]" in line
