"""The store: keys, publication, interruption, and what it never deletes."""

import json
import re
import subprocess
import sys

import pytest

from nrp.base import InvalidSetting
from nrp.store import Step, Store, content_key, copy_out, default_root
from nrp.systems.film import FilmSettings

STEP = Step("count", 1)
SETTINGS = FilmSettings()


def write(folder):
    (folder / "sub").mkdir(exist_ok=True)
    (folder / "sub" / "value.txt").write_text("42")


def test_the_same_recipe_has_the_same_key():
    key = content_key(STEP, SETTINGS, ("a", "b"))
    assert key == content_key(Step("count", 1), FilmSettings(box=64), ("a", "b"))
    assert re.fullmatch("[0-9a-f]{16}", key)


@pytest.mark.parametrize(
    "recipe",
    [
        (Step("count", 2), SETTINGS, ()),
        (Step("other", 1), SETTINGS, ()),
        (STEP, FilmSettings(box=32), ()),
        (STEP, SETTINGS, ("a",)),
        (STEP, SETTINGS, ("a", "b")),
        (STEP, SETTINGS, ("b", "a")),
    ],
)
def test_another_recipe_has_another_key(recipe):
    others = {content_key(STEP, SETTINGS), content_key(STEP, SETTINGS, ("a", "c"))}
    assert content_key(*recipe) not in others
    assert content_key(STEP, SETTINGS, ("a", "b")) != content_key(STEP, SETTINGS, ("b", "a"))


def test_a_key_does_not_depend_on_the_process():
    code = (
        "from nrp.store import *; from nrp.systems.film import FilmSettings;"
        "print(content_key(Step('count', 1), FilmSettings()))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == content_key(STEP, SETTINGS)


def test_a_result_is_computed_once_and_found_again(store):
    calls = []

    def compute(folder):
        calls.append(folder)
        write(folder)

    first = store.get(STEP, SETTINGS, compute)
    second = Store(store.root).get(STEP, SETTINGS, compute)
    assert first == second
    assert len(calls) == 1
    assert (first / "sub" / "value.txt").read_text() == "42"
    assert store.get(Step("count", 2), SETTINGS, compute) != first
    assert len(calls) == 2


def test_a_result_carries_its_provenance(store):
    folder = store.get(STEP, SETTINGS, write, inputs=("abc",))
    [(path, record)] = store.entries()
    assert path == folder == store.folder(STEP, record["key"])
    assert record == json.loads((folder / "provenance.json").read_text())
    assert record["key"] == content_key(STEP, SETTINGS, ("abc",))
    assert (record["step"], record["step_version"], record["inputs"]) == ("count", 1, ["abc"])
    assert FilmSettings.parse(record["settings"]) == SETTINGS


COMPETITOR = """
import sys, time
from nrp.systems.film import FilmSettings
from nrp.store import Step, Store

def compute(folder):
    with open(sys.argv[2], "a") as log:
        log.write("computed\\n")
    time.sleep(0.5)
    (folder / "value.txt").write_text("42")

print(Store(sys.argv[1]).get(Step("count", 1), FilmSettings(), compute) / "value.txt")
"""


def test_two_processes_compute_a_result_once(tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", COMPETITOR, str(tmp_path / "runs"), str(log)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    paths = {child.communicate()[0].strip() for child in children}
    assert [child.returncode for child in children] == [0, 0, 0]
    assert len(paths) == 1
    with open(paths.pop()) as value:
        assert value.read() == "42"
    assert log.read_text() == "computed\n"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_crash_publishes_nothing_and_leaves_its_work_for_the_next_call(store, error):
    def crash(folder):
        (folder / "half").write_text("done before the crash")
        raise error

    with pytest.raises(error):
        store.get(STEP, SETTINGS, crash)
    assert not list(store.entries())
    assert not store.folder(STEP, content_key(STEP, SETTINGS)).exists()
    found = []

    def resume(folder):
        found.append((folder / "half").read_text())

    folder = store.get(STEP, SETTINGS, resume)
    assert found == ["done before the crash"]
    assert (folder / "half").exists()


def test_a_folder_without_provenance_is_no_result(store):
    folder = store.folder(STEP, content_key(STEP, SETTINGS))
    folder.mkdir(parents=True)
    (folder / "stray").touch()
    store.get(STEP, SETTINGS, write)
    assert sorted(p.name for p in folder.iterdir()) == ["provenance.json", "sub"]


def test_verify_sees_a_changed_byte_a_lost_file_and_a_new_one(store):
    folder = store.get(STEP, SETTINGS, write)
    value = folder / "sub" / "value.txt"
    assert store.verify() == []
    for spoil, mend in [
        (lambda: value.write_text("43"), lambda: value.write_text("42")),
        (value.unlink, lambda: value.write_text("42")),
        ((folder / "new").touch, (folder / "new").unlink),
        (lambda: value.rename(folder / "moved"), lambda: (folder / "moved").rename(value)),
    ]:
        spoil()
        [line] = store.verify()
        assert f"count/{folder.name}" in line
        mend()
        assert store.verify() == []


def test_prune_keeps_what_is_asked_and_removes_the_rest(store):
    kept = store.get(STEP, SETTINGS, write)
    other = store.get(Step("count", 2), SETTINGS, write)
    (store.root / "partial" / "count-unfinished").mkdir()
    assert store.prune({kept.name}) == [f"count/{other.name}", "partial/count-unfinished"]
    assert [path for path, _ in store.entries()] == [kept]
    assert not list((store.root / "partial").iterdir())
    assert store.verify() == []


def test_prune_leaves_work_alone_that_is_being_done(store):
    def compute(folder):
        write(folder)
        assert Store(store.root).prune(set()) == []

    store.get(STEP, SETTINGS, compute)
    assert len(list(store.entries())) == 1


@pytest.mark.parametrize("name", ["zarr.json", "provenance.json"])
def test_copy_out_replaces_an_earlier_output(tmp_path, name):
    source, target = tmp_path / "source", tmp_path / "new" / "out"
    source.mkdir()
    (source / name).write_text("{}")
    copy_out(source, target)
    (target / "stale").touch()
    (source / "fresh").touch()
    copy_out(source, target)
    assert sorted(p.name for p in target.iterdir()) == sorted(["fresh", name])
    assert [p.name for p in target.parent.iterdir()] == ["out"]


def foreign_folder(path):
    path.mkdir()
    (path / "thesis.tex").write_text("years of work")


def foreign_file(path):
    path.write_text("years of work")


def link_to_an_output(path):
    elsewhere = path.with_name("elsewhere")
    elsewhere.mkdir()
    (elsewhere / "zarr.json").write_text("years of work")
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("make", [foreign_folder, foreign_file, link_to_an_output])
def test_copy_out_refuses_what_is_not_ours_and_keeps_it(tmp_path, make):
    source, target = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "zarr.json").write_text("{}")
    make(target)
    before = {p: p.is_file() and p.read_text() for p in tmp_path.rglob("*")}
    with pytest.raises(InvalidSetting, match=r"^out = '.*out': must not exist") as caught:
        copy_out(source, target)
    assert "\n" not in str(caught.value)
    assert {p: p.is_file() and p.read_text() for p in tmp_path.rglob("*")} == before


def test_the_results_lie_at_the_top_of_the_book(tmp_path, monkeypatch):
    monkeypatch.delenv("NRP_RUNS", raising=False)
    (tmp_path / "book" / "chapters").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "book" / "chapters")
    assert default_root() == tmp_path / "book" / "chapters" / "runs"
    (tmp_path / "book" / "_toc.yml").touch()
    assert default_root() == tmp_path / "book" / "runs"
    monkeypatch.setenv("NRP_RUNS", str(tmp_path / "elsewhere"))
    assert default_root() == tmp_path / "elsewhere"


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSetting, match=r"^runs = '.*file': must be a folder") as caught:
        Store(tmp_path / "file")
    assert "\n" not in str(caught.value)
