"""Building the book: one page and one chapter, with what can go wrong."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nrp.base import InvalidSetting
from nrp.book import build
from nrp.book.build import BuildFailed, build_book
from nrp.book.chapters import ChapterFailed

TOP = Path(__file__).parents[1]


def tiny(root, index, *pages):
    """Make the top of a book with an index and other pages."""
    (root / "chapters").mkdir(parents=True, exist_ok=True)
    shutil.copytree(TOP / "chapters" / "assets", root / "chapters" / "assets")
    for name in ("_config.yml", "chapters/references.bib"):
        shutil.copy(TOP / name, root / name)
    listed = "".join(f"- file: chapters/{page}\n" for page in pages)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: chapters/index\nchapters:\n{listed}")
    (root / "chapters" / "index.md").write_text(index)


WHICH = shutil.which


@pytest.fixture(autouse=True)
def _without_npm(monkeypatch):
    """Small books without formulas need no scripts, which take long to fetch."""
    monkeypatch.setattr("shutil.which", lambda program: None if program == "npm" else WHICH(program))


@pytest.fixture
def root(tmp_path):
    tiny(tmp_path / "book", "# Index\n\nText.\n", "one")
    front = "---\njupytext: {text_representation: {extension: .md, format_name: myst}}\n"
    front += "kernelspec: {display_name: Python 3, language: python, name: python3}\n---\n"
    cells = '```{code-cell}\n:tags: [parameters]\nprofile = "book"\n```\n\n'
    cells += "```{code-cell}\nprint(profile)\n```\n"
    (tmp_path / "book" / "chapters" / "one.md").write_text(f"{front}# One\n\n{cells}")
    return tmp_path / "book"


def test_warning_ends_in_one_line_and_keeps_the_old_book(root, store):
    page = build_book("mini", root=root, store=store).with_name("chapters") / "index.html"
    old = page.read_bytes()
    (root / "chapters" / "index.md").write_text("# Index\n\n{doc}`nowhere`\n")
    for _ in range(2):  # the second time Sphinx must not have forgotten
        with pytest.raises(BuildFailed) as failed:
            build_book("mini", root=root, store=store)
        assert "\n" not in str(failed.value)
        assert "nowhere" in str(failed.value)
        assert "build.log" in str(failed.value)
    assert page.read_bytes() == old


def test_changed_page_is_built_again(root, store):
    html = build_book("mini", root=root, store=store).parent
    text = (root / "chapters" / "one.md").read_text()
    (root / "chapters" / "one.md").write_text(text.replace("print(profile)", "print(6 * 7)"))
    build_book("mini", root=root, store=store)
    assert "42" in (html / "chapters" / "one.html").read_text()


@pytest.mark.browser
def test_the_whole_book_is_printed_with_its_pictures(root, store):
    (root / "chapters" / "index.md").write_text("# Index\n\n![Seven films](assets/patterns.png)\n")
    pdf = build_book("mini", root=root, store=store, pdf=True).parents[1] / "book.pdf"
    printed = pdf.read_bytes()
    assert printed.startswith(b"%PDF")
    assert b"/Subtype /Image" in printed


def test_failed_chapter_stops_the_build(root, store):
    (root / "chapters" / "one.md").write_text(
        (root / "chapters" / "one.md").read_text().replace("print(profile)", "1 / 0")
    )
    with pytest.raises(ChapterFailed, match=r"one: cell 3 .* ZeroDivisionError"):
        build_book("mini", root=root, store=store)


def test_without_npm_pages_ask_the_network_and_it_is_said(store, monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda program: None)
    assert build._scripts(store) == {}
    assert "npm: is not installed; formulas and sliders" in capsys.readouterr().err


def test_a_printed_book_needs_a_browser(root, store, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda program: None)
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(InvalidSetting, match="pdf = True: needs Chromium"):
        build_book("mini", root=root, store=store, pdf=True)


def test_unknown_profile_is_refused(root, store):
    with pytest.raises(InvalidSetting, match="profile = 'huge'"):
        build_book("huge", root=root, store=store)


def test_text_with_a_byte_order_mark_is_a_chapter_like_any_other(root, store):
    text = root / "chapters" / "one.md"
    text.write_bytes(b"\xef\xbb\xbf" + text.read_bytes())
    html = build_book("mini", root=root, store=store).parent
    assert "<pre>mini\n</pre>" in re.sub("<span></span>", "", (html / "chapters/one.html").read_text())


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("_toc.yml", b"", "_toc.yml: is empty"),
        ("_config.yml", b"- a list\n", "_config.yml: is a list"),
        ("_config.yml", b"execute: off\n", "_config.yml, line 1: execute: False"),
        ("chapters/index.md", b"# Gr\xfc\xdfe\n", "index.md, line 1: the byte 0xfc is not UTF-8"),
        ("chapters/index.md", b"---\nprose: [\n---\n", "index.md, line 3: is not YAML"),
        ("chapters/one.md", b"```{code-cell}\n1 / 0\n```\n", "one.md, line 1: needs kernelspec"),
        ("_build", b"a note", "_build: is in the way, it is a file"),
        ("_build/mini/source", b"a note", "_build/mini/source: is in the way, it is a file"),
        ("_build/mini/html", b"a note", "_build/mini/html: is in the way, it is a file"),
    ],
)
def test_edited_book_is_refused_before_any_chapter_runs(root, store, name, data, words):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    with pytest.raises(InvalidSetting) as refused:
        build_book("mini", root=root, store=store)
    assert str(refused.value).startswith(f"{root}/")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == data
    assert not (store.root / "chapters").exists()


@pytest.mark.parametrize("name", ["source/chapters/one.ipynb", "source/_config.yml", "build.log"])
def test_folder_where_a_file_should_be_is_named(root, store, name):
    way = root / "_build" / "mini" / name
    way.mkdir(parents=True)
    with pytest.raises(InvalidSetting) as refused:
        build_book("mini", root=root, store=store)
    assert str(refused.value).startswith(f"{way}: is in the way, it is a folder")


def test_jupyter_book_builds_the_texts_by_itself(root, tmp_path):
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    command += ["-W", "-n", "--keep-going", str(root)]
    environment = os.environ | {"NRP_RUNS": str(tmp_path / "runs")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "book" in (root / "_build" / "html" / "chapters" / "one.html").read_text()
    assert len(list((root / "_build" / ".jupyter_cache").iterdir())) == 1
