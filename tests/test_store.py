"""The store: keys, publication, interruption, and what it never deletes."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest
from filelock import FileLock

from nrp import store as store_module
from nrp.base import InvalidSetting
from nrp.store import Step, Store, content_key, default_root
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
from nrp.store import Step, Store
from nrp.systems.film import FilmSettings

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
    unwanted = [f"count/{other.name}", "partial/count-unfinished"]
    assert store.prune({kept.name}, dry_run=True) == unwanted
    assert store.prune({kept.name}) == unwanted
    assert [path for path, _ in store.entries()] == [kept]
    assert not list((store.root / "partial").iterdir())
    assert store.verify() == []


def test_prune_leaves_work_alone_that_is_being_done(store):
    def compute(folder):
        write(folder)
        assert Store(store.root).prune(set()) == []

    store.get(STEP, SETTINGS, compute)
    assert len(list(store.entries())) == 1


def test_the_results_lie_at_the_top_of_the_book(tmp_path, monkeypatch):
    monkeypatch.delenv("NRP_RUNS", raising=False)
    (tmp_path / "book" / "chapters").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "book" / "chapters")
    assert default_root() == tmp_path / "book" / "chapters" / "runs"
    (tmp_path / "book" / "_toc.yml").touch()
    assert default_root() == tmp_path / "book" / "runs"
    monkeypatch.setenv("NRP_RUNS", str(tmp_path / "elsewhere"))
    assert default_root() == tmp_path / "elsewhere"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NRP_RUNS", "~/runs")
    assert default_root() == tmp_path / "home" / "runs"
    monkeypatch.setenv("NRP_RUNS", "~nobody-of-that-name/runs")
    with pytest.raises(InvalidSetting, match=r"^NRP_RUNS = '~nobody"):
        default_root()


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(InvalidSetting, match=r"^runs = '.*file.*': must be a folder") as caught:
            Store(root).get(STEP, SETTINGS, write)
        assert "\n" not in str(caught.value)


def test_who_only_looks_writes_nothing(tmp_path):
    store = Store(tmp_path / "runs")
    assert (list(store.entries()), store.verify(thorough=False), store.verify(), store.prune(set())) == (
        [],
        [],
        [],
        [],
    )
    assert store.find(STEP, content_key(STEP, SETTINGS)) is None
    assert not (tmp_path / "runs").exists()


def cut(folder):
    (folder / "sub" / "value.txt").write_text("4")


def lose(folder):
    shutil.rmtree(folder / "sub")


def of_another(folder):
    record = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(record | {"key": 16 * "0"}))


DAMAGE = {
    "no provenance": lambda folder: (folder / "provenance.json").unlink(),
    "provenance is a folder": lambda folder: (
        (folder / "provenance.json").unlink(),
        (folder / "provenance.json").mkdir(),
    ),
    **{
        repr(text): lambda folder, text=text: (folder / "provenance.json").write_bytes(text)
        for text in (b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"key": 1', b"[" * 100_000)
    },
    "provenance of another": of_another,
    "data are gone": lose,
    "data are cut": cut,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_result_is_named_and_made_anew_or_removed_and_the_others_stay(store, damage, capsys):
    other = store.get(Step("count", 2), SETTINGS, write)
    folder = store.get(STEP, SETTINGS, write)
    damage(folder)
    [line] = store.verify()
    assert store.verify(thorough=False) == [line]
    assert line.startswith(f"count/{folder.name}: ")
    assert other in [path for path, _ in store.entries()]
    assert store.find(STEP, folder.name) is None

    assert store.get(STEP, SETTINGS, write) == folder
    told = capsys.readouterr().err
    assert told.startswith(f"count/{folder.name}: ")
    assert told.count("\n") == 1
    assert store.verify() == []
    assert (folder / "sub" / "value.txt").read_text() == "42"

    damage(folder)
    assert store.prune({folder.name, other.name}) == [f"count/{folder.name}"]
    assert [path for path, _ in store.entries()] == [other]


def test_a_file_of_a_file_manager_does_no_harm(store):
    folder = store.get(STEP, SETTINGS, write)
    for place in (folder, folder.parent, folder / "sub"):
        (place / ".DS_Store").write_text("icons")
    assert store.verify() == []
    assert store.prune({folder.name}) == []


def test_prune_removes_a_link_but_not_what_it_leads_to(store, tmp_path):
    folder, elsewhere = store.get(STEP, SETTINGS, write), tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    (folder.parent / "broken").symlink_to(tmp_path / "nowhere")
    (folder.parent / "empty").mkdir()
    assert store.get(STEP, SETTINGS, write) == folder
    assert store.prune({folder.name}) == ["count/broken", "count/empty"]
    assert store.prune(set()) == [f"count/{folder.name}"]
    assert (elsewhere / "sub" / "value.txt").exists()


def test_work_in_progress_that_is_no_folder_is_replaced(store):
    store.get(STEP, SETTINGS, write)
    partial = store.root / "partial" / f"count-{content_key(Step('count', 2), SETTINGS)}"
    partial.write_text("no folder")
    assert (store.get(Step("count", 2), SETTINGS, write) / "sub").is_dir()


def test_a_folder_that_is_taken_away_meanwhile_is_told_in_one_line(store):
    def compute(_):
        shutil.rmtree(store.root)
        raise KeyError("magnetization")

    with pytest.raises(FileNotFoundError, match="was taken away") as caught:
        store.get(STEP, SETTINGS, compute)
    assert "\n" not in str(caught.value)
    assert store.get(STEP, SETTINGS, write).is_dir()


def test_nothing_is_left_of_what_is_refused_at_once(store):
    def refuse(_):
        raise InvalidSetting("value = 42: must be another")

    with pytest.raises(InvalidSetting):
        store.get(STEP, SETTINGS, refuse)
    assert not [path for path in (store.root / "partial").iterdir() if path.is_dir()]


def test_who_waits_for_another_process_says_so(store, capsys, monkeypatch):
    monkeypatch.setattr(store_module, "_SECONDS_UNTIL_TOLD", 0.05)
    name = f"count-{content_key(STEP, SETTINGS)}"
    (store.root / "partial").mkdir(parents=True)
    waiting = threading.Thread(target=store.get, args=(STEP, SETTINGS, write))
    told = ""
    with FileLock(store.root / "partial" / f"{name}.lock"):
        waiting.start()
        while not told and waiting.is_alive():
            time.sleep(0.01)
            told = capsys.readouterr().err
    waiting.join()
    assert told == f"{name}: another process makes it; waiting for it\n"
    assert store.find(STEP, content_key(STEP, SETTINGS))
