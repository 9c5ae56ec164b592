"""The way from the text of a chapter to its executed copy."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from known import FRONT

from nrp.base import InvalidSetting
from nrp.book import chapters
from nrp.book.chapters import ChapterFailed, chapter_names, parameter_lines, run_chapter, source_digest
from nrp.pipeline import profile
from nrp.pipeline.parameters import PARAMETERS

TOC = """\
format: jb-book
root: chapters/index
parts:
  - caption: one
    chapters:
      - file: chapters/02_second
      - file: chapters/01_first
      - file: chapters/prose
"""

CHAPTER = (
    FRONT
    + """
# A chapter

```{code-cell} ipython3
:tags: [parameters]

profile = "book"
count = 1
length = 0.5
loud = False
latent = None
anisotropies = None
```

```{code-cell} ipython3
import os
from nrp.base import InvalidSetting
from nrp.store import default_root

if count == 13:
    raise InvalidSetting("count = 13: must be another number")
assert count < 10, f"{count} is too large\\nand bad luck"
print(profile, [count, length, loud], latent, anisotropies, default_root() / "x")
```
"""
)


@pytest.fixture
def root(tmp_path):
    """The top of a book with three chapters of which one is prose."""
    folder = tmp_path / "book" / "chapters"
    folder.mkdir(parents=True)
    (folder.parent / "_toc.yml").write_text(TOC)
    for name in ("index", "01_first", "02_second"):
        (folder / f"{name}.md").write_text(CHAPTER)
    (folder / "prose.md").write_text("# Prose\n\nNothing to execute.\n")
    return folder.parent


@pytest.fixture
def run(root, store):
    """Run the first chapter with the profile mini and other parameters."""

    def call(name="01_first", **parameters):
        return run_chapter(name, {"profile": "mini"} | parameters, root=root, store=store)

    return call


def printed(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return "".join(output["text"] for cell in cells for output in cell.outputs)


def test_chapters_are_the_pages_with_a_kernel_in_the_order_of_the_book(root):
    assert chapter_names(root) == ["index", "02_second", "01_first"]


def test_executed_copy_lies_under_its_profile_and_sees_the_store(run, store):
    path = run()
    assert path == store.root / "chapters" / "mini" / "01_first.ipynb"
    assert printed(path) == f"mini [1, 0.5, False] None None {store.root / 'x'}\n"
    assert sorted(file.name for file in path.parent.iterdir()) == ["01_first.ipynb"]


def test_text_gets_the_declared_type(run):
    assert "mini [3, 2.0, True]" in printed(run(count="3", length="2", loud="True"))


def test_injected_cell_is_not_shown_and_parameters_are_recorded(run):
    notebook = nbformat.read(run(count=2), as_version=4)
    (cell,) = [cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert "remove-cell" in cell.metadata.tags
    assert notebook.metadata.papermill.parameters == {"profile": "mini", "count": 2}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"size": 3}, ("size = 3", "profile, count, length, loud, latent, anisotropies")),
        ({"count": "many"}, ("count = 'many'", "int")),
        ({"count": 1.5}, ("count = 1.5", "int")),
        ({"profile": "huge"}, ("profile = 'huge'", "mini, book, paper")),
        ({"profile": "../up"}, ("profile = '../up'",)),
        ({"count": 13}, ("count = 13: must be another number",)),
        ({"latent": 0}, ("latent = 0", PARAMETERS["latent"].range)),
        ({"latent": "many"}, ("latent = 'many'", PARAMETERS["latent"].range)),
        ({"anisotropies": "(2.0,)"}, ("anisotropies = (2.0,)", PARAMETERS["anisotropies"].range)),
    ],
)
def test_wrong_parameter_is_refused_in_one_line(run, store, parameters, words):
    with pytest.raises(InvalidSetting) as refused:
        run(**parameters)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words)
    assert not list(store.root.rglob("*.ipynb"))


@pytest.mark.parametrize("name", ["03_third", "prose", "../chapters/01_first"])
def test_unknown_chapter_is_refused(run, name):
    with pytest.raises(InvalidSetting, match="must be one of index, 02_second, 01_first"):
        run(name)


def test_failed_cell_is_named_and_the_old_copy_stays(root, run, capfd):
    old = run().read_bytes()
    text = root / "chapters" / "01_first.md"
    text.write_text(CHAPTER.replace("if count == 13:", "assert False, 'bad\\nluck'\nif count == 13:"))
    with pytest.raises(ChapterFailed) as failed:
        run()
    message = str(failed.value)
    assert "\n" not in message
    assert all(word in message for word in ("01_first", "cell 3", "AssertionError", "bad"))
    text.write_text(CHAPTER)
    path = run()
    assert path.read_bytes() == old
    kept = path.with_name("01_first.failed.ipynb")
    assert "AssertionError" in kept.read_text()
    assert str(kept) in message

    text.write_text(CHAPTER + "\nMore.\n")
    run()
    assert not kept.exists()


def test_variant_leaves_the_page_of_the_book_alone(run, store):
    page = run()
    before = page.read_bytes(), page.stat().st_mtime_ns
    variant = run(count=2, anisotropies="(2, 3.5)", latent=8)
    assert variant.relative_to(page.parent).as_posix() == (
        "variants/01_first-anisotropies=2.0,3.5-count=2-latent=8.ipynb"
    )
    assert "[2, 0.5, False] 8 [2.0, 3.5]" in printed(variant)
    assert (page.read_bytes(), page.stat().st_mtime_ns) == before
    assert run(count=3) not in (page, variant)
    with pytest.raises(ChapterFailed, match=r"variants/01_first-count=11.failed.ipynb"):
        run(count=11)
    assert sorted(file.name for file in page.parent.iterdir()) == ["01_first.ipynb", "variants"]


@pytest.mark.parametrize("same", [{"count": "1"}, {"length": 0.5, "loud": "False"}, {"latent": "None"}])
def test_defaults_that_are_given_make_the_page_of_the_book(run, same, capfd):
    page = run()
    assert run(**same) == page
    assert "nothing has changed" in capfd.readouterr().err


def test_long_values_still_make_the_name_of_a_file(root, run):
    text = root / "chapters" / "01_first.md"
    text.write_text(CHAPTER.replace("loud = False", 'loud = False\nnote = ""'))
    first, second = run(note="../x" * 300), run(note="../x" * 300 + "y")
    assert first != second
    assert {len(path.name) < 200 and path.parent.name for path in (first, second)} == {"variants"}


def test_parameters_are_listed_with_what_is_allowed(root):
    lines = parameter_lines("01_first", root=root, profile=profile("mini"))
    assert [line.split(":")[0] for line in lines] == [
        "profile",
        "count",
        "length",
        "loud",
        "latent",
        "anisotropies",
    ]
    assert lines[0].startswith("profile: how much is simulated and trained; one of mini, book, paper")
    assert lines[1] == "count: any value of this type; usually 1"
    assert lines[4] == PARAMETERS["latent"].line("latent", profile("mini"))
    with pytest.raises(InvalidSetting, match="chapter = 'prose': must be one of index"):
        parameter_lines("prose", root=root, profile=profile("mini"))


DAMAGES = {
    "empty": lambda text: "",
    "cut": lambda text: text[: len(text) // 2],
    "a brace": lambda text: "{",
    "a list": lambda text: "[]",
    "nothing in it": lambda text: "{}",
    "a number": lambda text: "3",
    "not UTF-8": lambda text: text.encode() + b"\xff",
    "metadata lost": lambda text: json.dumps(json.loads(text) | {"metadata": {}}),
    "metadata a list": lambda text: json.dumps(json.loads(text) | {"metadata": []}),
    "cells lost": lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "cells"}),
    "cells a word": lambda text: json.dumps(json.loads(text) | {"cells": "x"}),
    "version a word": lambda text: json.dumps(json.loads(text) | {"nbformat": "x"}),
    "times lost": lambda text: text.replace("end_time", "time"),
}


def test_damaged_copy_is_made_anew(run, monkeypatch):
    path = run()
    whole = path.read_text()
    key = json.loads(whole)["metadata"]["nrp"]
    assert chapters._is_current(path, key)
    for damage, change in DAMAGES.items():
        data = change(whole)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        assert not chapters._is_current(path, key), damage
    assert printed(run()).startswith("mini")
    assert chapters._is_current(path, key)


@pytest.mark.parametrize("place", ["chapters", "chapters/mini", "chapters/mini/01_first.ipynb"])
def test_what_is_in_the_way_of_the_copy_is_named(run, store, place):
    way = store.root / place
    way.parent.mkdir(parents=True, exist_ok=True)
    way.mkdir() if place.endswith("ipynb") else way.write_text("a note")
    with pytest.raises(InvalidSetting) as refused:
        run()
    assert str(refused.value).startswith(f"{way}: is in the way, it is a f")


def test_interrupted_chapter_says_so_in_one_line(root, store):
    text = root / "chapters" / "01_first.md"
    text.write_text(CHAPTER.replace("import os", "import os, time; print('cell runs'); time.sleep(600)"))
    code = "from nrp.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "chapter", "01_first", "-p", "profile", "mini"]
    environment = os.environ | {"NRP_RUNS": str(store.root)}
    with subprocess.Popen(
        command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        partial = store.root / "chapters" / "mini"
        while not any("cell runs" in path.read_text() for path in partial.glob(".*.ipynb")):
            time.sleep(0.1)
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines() == [
        "01_first: running with the profile mini",
        "nrp chapter: stopped; the same command goes on from here",
    ]
    assert not list(partial.iterdir())


def test_dead_kernel_is_reported(root, run):
    text = root / "chapters" / "01_first.md"
    text.write_text(CHAPTER.replace("import os", "import os; os._exit(1)"))
    with pytest.raises(ChapterFailed, match="01_first: the kernel died"):
        run()


def test_unchanged_chapter_is_not_executed_again(run, capfd):
    path = run()
    before = path.stat().st_mtime_ns
    assert run(profile="mini") == path
    assert path.stat().st_mtime_ns == before
    assert "nothing has changed" in capfd.readouterr().err


def test_changed_text_or_source_is_executed_again(root, run, monkeypatch):
    seen = {run().read_bytes()}
    text = root / "chapters" / "01_first.md"
    text.write_text(text.read_text() + "\nMore.\n")
    seen.add(run().read_bytes())
    monkeypatch.setattr(chapters, "source_digest", lambda: "another")
    seen.add(run().read_bytes())
    assert len(seen) == 3


def test_source_digest_sees_code_and_data_of_the_package(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "module.py").write_text("x = 1\n")
    first = source_digest(tmp_path)
    (tmp_path / "part" / "__pycache__").mkdir()
    for name in ("module.pyc", "module.nbi"):  # of Python and of numba
        (tmp_path / "part" / "__pycache__" / name).write_bytes(b"compiled")
        assert source_digest(tmp_path) == first
    for name in ("calibration.json", "claims.yml", "weights.safetensors"):
        (tmp_path / name).write_text("1")
        assert source_digest(tmp_path) != first
        (tmp_path / name).unlink()
    (tmp_path / "part" / "module.py").write_text("x = 2\n")
    assert source_digest(tmp_path) != first
    (tmp_path / "part" / "module.py").rename(tmp_path / "module.py")
    assert source_digest(tmp_path) != first
