"""Copies of results: where they may lie, and what they never replace."""

import json

import numpy as np
import pytest
import zarr

from nrp.base import InvalidSetting
from nrp.outputs import check_target, copy_out, kind_of


def make_dataset(path, *, attributes=("key", "settings")):
    group = zarr.open_group(path, mode="w", attributes=dict.fromkeys(attributes, "{}"))
    group.create_array("energy", data=np.ones((2, 3)), chunks=(1, 3))
    with pytest.warns(UserWarning, match="Consolidated"):
        zarr.consolidate_metadata(path)
    return path


def make_model(path):
    path.mkdir(parents=True)
    (path / "weights.safetensors").write_bytes(b"weights")
    (path / "settings.json").write_text('{"model": {}, "trained_on": {}}')
    (path / "training.csv").write_text("epoch,loss\n")
    return path


def make_result(path):
    path.mkdir(parents=True)
    (path / "provenance.json").write_text('{"step": "onset", "key": "0"}')
    return path


MAKERS = {"dataset": make_dataset, "model": make_model, "result": make_result}


@pytest.mark.parametrize("kind", MAKERS)
def test_an_output_is_replaced_as_a_whole_by_one_of_its_kind(kind, tmp_path):
    source, target = MAKERS[kind](tmp_path / "source"), tmp_path / "new" / "out"
    assert kind_of(source) == kind
    copy_out(source, target)
    before = {path.name: path.stat().st_ino for path in target.iterdir()}
    copy_out(source, target)
    after = {path.name: path.stat().st_ino for path in target.iterdir()}
    assert set(before) == set(after) == {path.name for path in source.iterdir()}
    assert before != after
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def foreign_folder(path):
    path.mkdir()
    (path / "thesis.tex").write_text("years of work")


def foreign_file(path):
    path.write_text("years of work")


def empty_folder(path):
    path.mkdir()


def link_to_an_output(path):
    path.symlink_to(make_dataset(path.with_name("elsewhere")))


def broken_link(path):
    path.symlink_to(path.with_name("nowhere"))


def foreign_arrays(path):
    make_dataset(path, attributes=("title",))


def with_notes(path):
    (make_dataset(path) / "notes.txt").write_text("years of work")


def with_notes_below(path):
    (make_dataset(path) / "energy" / "c" / "notes.txt").write_text("years of work")


def with_an_array_of_its_own(path):
    zarr.open_group(make_dataset(path), mode="r+").create_array("mine", data=np.ones(3))


def with_a_linked_array(path):
    (make_dataset(path) / "energy").rename(path.with_name("energy"))
    (path / "energy").symlink_to(path.with_name("energy"))


def metadata_alone(path):
    path.mkdir()
    (path / "zarr.json").write_text("{}")


def no_json(path):
    path.mkdir()
    (path / "zarr.json").write_bytes(b"\xff")


def model_with_notes(path):
    (make_model(path) / "notes.txt").write_text("years of work")


FOREIGN = [
    *(foreign_folder, foreign_file, empty_folder, link_to_an_output, broken_link, foreign_arrays, with_notes),
    *(with_notes_below, with_an_array_of_its_own, with_a_linked_array, metadata_alone, no_json),
    *(model_with_notes, make_model, make_result),
]


def tree(top):
    return {path: path.is_file() and path.read_bytes() for path in top.rglob("*")}


@pytest.mark.parametrize("make", FOREIGN)
def test_what_is_not_an_output_of_the_kind_is_refused_and_kept(make, tmp_path):
    source, target = make_dataset(tmp_path / "source"), tmp_path / "out"
    make(target)
    before = tree(tmp_path)
    for attempt in (
        lambda: check_target(target, "dataset", root=tmp_path / "runs"),
        lambda: copy_out(source, target),
    ):
        with pytest.raises(InvalidSetting, match=r"^out = '.*out': must not exist") as caught:
            attempt()
        assert "\n" not in str(caught.value)
        assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "place",
    [
        *(
            "runs",
            "runs/store",
            "runs/store/simulate/0",
            "runs/store/new/deep",
            "runs/partial/x",
            ".",
            "link/x",
        ),
        *("runs/chapters/book", "film.zarr", "film.zarr/new", "./runs/../film.zarr", "films", "films/a.zarr"),
        *("linked.zarr", "/", "..", "file/below", "n" * 300, "m" * 90 + "/" + "n" * 300, "/proc/film.zarr"),
    ],
)
def test_places_that_are_refused_before_any_work(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_dataset(tmp_path / "film.zarr")
    make_dataset(tmp_path / "films" / "a.zarr")
    make_dataset(tmp_path / "real" / "b.zarr")
    (tmp_path / "linked.zarr").symlink_to(tmp_path / "real" / "b.zarr")
    (tmp_path / "runs" / "store" / "simulate").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "store")
    (tmp_path / "file").touch()
    before, here = tree(tmp_path), type(tmp_path)
    inputs = [here("film.zarr"), here("films/a.zarr"), here("linked.zarr")]
    with pytest.raises(InvalidSetting, match=r"^out = '.*': must ") as caught:
        check_target(here(place), "dataset", root=tmp_path / "runs", inputs=inputs)
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "place", ["new", "new/deep/er", "runs/film.zarr", "film2.zarr", "films2/a.zarr", "ünï"]
)
def test_places_that_are_allowed_are_left_as_they_were(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film = make_dataset(tmp_path / "film.zarr")
    before = tree(tmp_path)
    check_target(type(film)(place), "dataset", root=tmp_path / "runs", inputs=[film])
    assert tree(tmp_path) == before


def test_a_model_is_known_by_its_record(tmp_path):
    model = make_model(tmp_path / "model")
    (model / "settings.json").write_text(json.dumps([]))
    assert kind_of(model) == ""
