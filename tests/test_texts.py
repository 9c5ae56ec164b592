"""What an author may get wrong in a text, in _toc.yml or in _config.yml: a line says where, and what."""

import re
from pathlib import Path

import pytest
from known import FRONT

from nrp.base import InvalidSetting
from nrp.book.texts import nothing_in_the_way, read_config, read_notebook, read_pages, read_text

TOP = Path(__file__).parents[1]

CELLS = """
# A chapter

```{code-cell} ipython3
:tags: [parameters]

profile = "book"
```
"""
TOC = """\
format: jb-book
root: chapters/index
chapters:
  - file: chapters/one
  - file: chapters/two
"""


@pytest.fixture
def top(tmp_path):
    """The top of a book with three pages of prose."""
    (tmp_path / "chapters").mkdir()
    for name in ("index", "one", "two"):
        (tmp_path / "chapters" / f"{name}.md").write_text(f"# {name}\n")
    (tmp_path / "_toc.yml").write_text(TOC)
    return tmp_path


def refused(path, line, *words, of):
    """Make sure that one line names the file, the line in it, and what is wrong."""
    with pytest.raises(InvalidSetting) as error:
        of()
    message = str(error.value)
    place = f"{path}, line {line}: " if line else f"{path}: "
    assert message.startswith(place)
    assert "\n" not in message
    assert all(word in message for word in words)


def test_pages_come_in_the_order_of_the_book(top):
    (top / "_toc.yml").write_text(TOC.replace("chapters/one", "chapters/one.md"))
    assert read_pages(top) == ["chapters/index", "chapters/one", "chapters/two"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, ["is empty"]),
        ("# nothing\n", None, ["is empty"]),
        ("- chapters/index\n", None, ["is a list"]),
        ("chapters/index\n", None, ["is a str"]),
        ("format: [jb-book\nroot: chapters/index\n", 2, ["is not YAML"]),
        ("format: jb-book\n\troot: chapters/index\n", 2, ["is not YAML", "\\t"]),
        ("format: jb-book\nchapters:\n- file: chapters/one\n", None, ["'root' key not found"]),
        ("format: book\nroot: chapters/index\n", 1, ["format", "book"]),
        (f"{TOC}  - file: chapters/one\n", 6, ["used multiple times", "chapters/one"]),
        (f"{TOC}  - file: chapters/index\n", 6, ["used multiple times", "chapters/index"]),
        (f"{TOC}  - file: chapters/three\n", 6, ["there is no text chapters/three.md"]),
        (f"{TOC}  - file: ../chapters/one\n", 6, ["../chapters/one"]),
        (f"{TOC}  - glob: chapters/*\n", 6, ["chapters/*"]),
        (f"{TOC}  - chapters/three\n", None, ["not a mapping"]),
        (f"{TOC}  - title: Three\n", None, ["does not contain one of"]),
        ("format: jb-book\nroot: chapters/index\nchapters:\n", 3, ["not a non-empty list"]),
        ("format: jb-book\nroot: chapters/index\ndefaults: off\n", None, []),
        ("format: jb-book\nroot: 3\n", None, []),
    ],
)
def test_faulty_table_of_contents(top, text, line, words):
    (top / "_toc.yml").write_text(text)
    refused(top / "_toc.yml", line, *words, of=lambda: read_pages(top))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, ["is empty"]),
        ("- title\n", None, ["is a list"]),
        ("off\n", None, ["is a bool"]),
        ("title: Book\nexecute: {timeout: 3\n", 3, ["is not YAML"]),
        ("title: Book\nexecute:\n", 2, ["execute", "None is not of type 'object'"]),
        ("title: Book\nexecute: off\n", 2, ["execute", "False is not of type 'object'"]),
        ("title: Book\n\nhtml: [a]\n", 3, ["html", "'a'"]),
        ("title: Book\nsphinx:\n  config: 3\n", 3, ["sphinx/config", "3 is not of type"]),
        ("title: 2021-13-45\n", None, ["is not YAML", "month"]),
    ],
)
def test_faulty_configuration(top, text, line, words):
    (top / "_config.yml").write_text(text)
    refused(top / "_config.yml", line, *words, of=lambda: read_config(top))


def test_files_of_this_book_are_in_order():
    assert read_config(TOP)["execute"]["execute_notebooks"] == "cache"
    assert read_pages(TOP)[0] == "chapters/index"


@pytest.mark.parametrize("name", ["_toc.yml", "_config.yml"])
@pytest.mark.parametrize("instead", ["nothing", "folder"])
def test_missing_file_is_named(top, name, instead):
    (top / name).unlink(missing_ok=True)
    if instead == "folder":
        (top / name).mkdir()
    reader = read_pages if name == "_toc.yml" else read_config
    refused(top / name, None, "cannot be read", of=lambda: reader(top))


@pytest.mark.parametrize(
    ("data", "line", "word"),
    [
        ("# Größe\n".encode("latin-1"), 1, "0xf6"),
        (b"# Two\n\nlines\n\xff\n", 4, "0xff"),
        ("# Two\n".encode("utf-16"), 1, "0xff"),
        (b"# cut \xce", 1, "0xce"),
    ],
)
def test_text_that_is_not_utf8(top, data, line, word):
    path = top / "chapters" / "one.md"
    path.write_bytes(data)
    refused(path, line, word, "UTF-8", of=lambda: read_notebook(top, "chapters/one"))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_marks_of_other_editors_change_nothing(top, mark, end):
    """A byte order mark, or line ends of two characters, are what some editors write."""
    path = top / "chapters" / "one.md"
    path.write_bytes(mark + (FRONT + CELLS).replace("\n", end).encode())
    assert read_text(path) == FRONT + CELLS
    notebook = read_notebook(top, "chapters/one")
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code"]
    assert notebook.cells[1].source == 'profile = "book"'
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("text", ["# Prose\n", f"{FRONT}# Prose\n", "---\ntitle: x\n---\n# Prose\n"])
def test_page_without_cells_is_no_notebook(top, text):
    (top / "chapters" / "one.md").write_text(text)
    assert read_notebook(top, "chapters/one") is None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (CELLS, 1, ["kernelspec"]),
        (f"---\ntitle: x\n---\n{CELLS}", 1, ["kernelspec"]),
        (FRONT.replace("  language: python\n", "") + CELLS, 6, ["kernelspec", "language"]),
        (FRONT.replace("kernelspec:", "kernelspec: python3\nother:") + CELLS, 6, ["kernelspec"]),
        (FRONT.replace("name: python3", "name: 3") + CELLS, 6, ["kernelspec"]),
        (FRONT.replace("language: python", "language: R") + CELLS, 8, ["'R'", "python"]),
        (FRONT.replace("format_name: myst", "format_name: markdown") + CELLS, 2, ["myst"]),
        (FRONT.replace("jupytext:", "other:") + CELLS, 1, ["myst"]),
        (FRONT.rsplit("---", 1)[0] + CELLS, 1, ["has no end"]),
        (FRONT.replace("name: python3", "name: [python3") + CELLS, 10, ["is not YAML"]),
        (FRONT.replace("  name: python3", "\tname: python3") + CELLS, 9, ["is not YAML"]),
        (f"---\n- a list\n---\n{CELLS}", 1, ["names with values"]),
        (f"---\n---\n{CELLS}", 1, ["names with values"]),
        (FRONT + CELLS.replace("[parameters]", "[parameters"), 14, ["YAML"]),
        (FRONT + CELLS.replace(":tags: [parameters]", "---\ntags: {\n---"), 14, ["YAML"]),
    ],
)
def test_faulty_chapter(top, text, line, words):
    path = top / "chapters" / "one.md"
    path.write_text(text)
    refused(path, line, *words, of=lambda: read_notebook(top, "chapters/one"))


@pytest.mark.parametrize("below", ["", "more/folders", "page.md"])
def test_file_where_a_folder_should_be(tmp_path, below):
    way = tmp_path / "folder"
    way.write_text("a note")
    with (
        pytest.raises(InvalidSetting, match=re.escape(f"{way}: is in the way, it is a file")),
        nothing_in_the_way(),
    ):
        (way / below).mkdir(parents=True, exist_ok=True)
    assert way.read_text() == "a note"
