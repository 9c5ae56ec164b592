"""The way from the text of a chapter to its executed copy."""

import nbformat
import pytest
from nrp.settings import InvalidSetting

from nrp.book import chapters
from nrp.book.chapters import ChapterFailed, chapter_names, run_chapter, source_digest

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

CHAPTER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A chapter

```{code-cell} ipython3
:tags: [parameters]

profile = "book"
count = 1
length = 0.5
loud = False
```

```{code-cell} ipython3
import os
from nrp.settings import InvalidSetting
from nrp.store import default_root

if count == 13:
    raise InvalidSetting("count = 13: must be another number")
assert count < 10, f"{count} is too large\\nand bad luck"
print(profile, [count, length, loud], default_root() / "x")
```
"""


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
    assert printed(path) == f"mini [1, 0.5, False] {store.root / 'x'}\n"
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
        ({"size": 3}, ("size = 3", "profile, count, length, loud")),
        ({"count": "many"}, ("count = 'many'", "int")),
        ({"count": 1.5}, ("count = 1.5", "int")),
        ({"profile": "huge"}, ("profile = 'huge'", "mini, book, paper")),
        ({"profile": "../up"}, ("profile = '../up'",)),
        ({"count": 13}, ("count = 13: must be another number",)),
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


def test_failed_cell_is_named_and_the_old_copy_stays(run, capfd):
    old = run().read_bytes()
    with pytest.raises(ChapterFailed) as failed:
        run(count=11)
    message = str(failed.value)
    assert "\n" not in message
    assert all(word in message for word in ("01_first", "cell 3", "AssertionError", "too large"))
    path = run()
    assert path.read_bytes() == old
    kept = path.with_name("01_first.failed.ipynb")
    assert "AssertionError" in kept.read_text()
    assert str(kept) in message

    run(count=2)
    assert not kept.exists()


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


def test_changed_text_parameter_or_source_is_executed_again(root, run, monkeypatch):
    seen = {run().read_bytes(), run(count=4).read_bytes()}
    text = root / "chapters" / "01_first.md"
    text.write_text(text.read_text() + "\nMore.\n")
    seen.add(run(count=4).read_bytes())
    monkeypatch.setattr(chapters, "source_digest", lambda: "another")
    seen.add(run(count=4).read_bytes())
    assert len(seen) == 4


def test_source_digest_sees_code_and_data_of_the_package(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "module.py").write_text("x = 1\n")
    first = source_digest(tmp_path)
    (tmp_path / "part" / "module.pyc").write_bytes(b"compiled")
    assert source_digest(tmp_path) == first
    for name in ("calibration.json", "wisdom.txt"):
        (tmp_path / name).write_text("1")
        assert source_digest(tmp_path) != first
        (tmp_path / name).unlink()
    (tmp_path / "part" / "module.py").write_text("x = 2\n")
    assert source_digest(tmp_path) != first
    (tmp_path / "part" / "module.py").rename(tmp_path / "module.py")
    assert source_digest(tmp_path) != first
