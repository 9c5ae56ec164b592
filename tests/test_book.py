"""The whole book, built with the profile mini, warnings being errors."""

import os
import pkgutil
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from nrp.settings import InvalidSetting

import nrp
from nrp.book.build import BuildFailed, build_book
from nrp.book.chapters import ChapterFailed, chapter_names, page_names

TOP = Path(__file__).parents[1]
PAGES = page_names(TOP)
CHAPTERS = chapter_names(TOP)


class Pictures(HTMLParser):
    """Collects what a page shows: the text of its pictures, the links, the ids of its places."""

    def __init__(self, path):
        super().__init__()
        self.unnamed, self.links, self.ids = [], [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "img" and not (given.get("alt") or "").strip():
            self.unnamed.append(given.get("src"))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        self.ids.add(given.get("id"))


@pytest.fixture(scope="session")
def html(book_root, book_store):
    """The folder with the pages."""
    return build_book("mini", root=book_root, store=book_store).parent


@pytest.fixture(scope="session")
def pages(html):
    """Every page by its name, parsed."""
    return {page: Pictures(html / f"{page}.html") for page in PAGES}


def test_every_page_of_the_table_of_contents_is_there(html):
    assert (html / "index.html").is_file()
    assert [page for page in PAGES if not (html / f"{page}.html").is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_has_words(pages, page):
    assert pages[page].unnamed == []


@pytest.mark.parametrize("page", PAGES)
def test_no_page_shows_an_error(html, page):
    text = (html / f"{page}.html").read_text()
    assert "Traceback" not in text
    assert 'class="system-message' not in text


@pytest.mark.parametrize("page", PAGES)
def test_every_link_inside_the_book_arrives(html, pages, page):
    lost = []
    for link in pages[page].links:
        path, _, place = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (html / f"{page}.html").parent / path if path else html / f"{page}.html"
        here = target.resolve().relative_to(html.resolve()).with_suffix("").as_posix()
        if not target.exists() or (place and here in pages and place not in pages[here].ids):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_executed_notebook_is_offered(html, pages, chapter):
    offered = f"../_sources/chapters/{chapter}.ipynb"
    assert offered in pages[f"chapters/{chapter}"].links
    assert '"execution_count": 1' in (html / "chapters" / offered).read_text()


def test_second_build_changes_nothing(html, book_root, book_store, capfd):
    page = html / "_sources" / "chapters" / "index.ipynb"
    before = page.read_bytes()
    build_book("mini", root=book_root, store=book_store)
    assert page.read_bytes() == before
    assert capfd.readouterr().err.count("nothing has changed") == len(CHAPTERS)


def test_check_cells_hold_when_the_notebooks_run_again(html, book_store):
    copies = sorted((book_store.root / "chapters" / "mini").glob("[!.]*.ipynb"))
    assert [path.stem for path in copies] == sorted(CHAPTERS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider", *copies],
        env=os.environ | {"NRP_RUNS": str(book_store.root)},
        cwd=book_store.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_is_on_the_page_of_the_package():
    text = (TOP / "chapters" / "api.md").read_text()
    modules = {
        module.name
        for module in pkgutil.walk_packages(nrp.__path__, "nrp.")
        if not module.name.endswith("__main__")
    }
    assert modules == set(re.findall(r"automodule:: (\S+)", text))


class TestTinyBook:
    """A book of one page and one chapter, with what can go wrong."""

    @pytest.fixture
    def root(self, tmp_path):
        folder = tmp_path / "book" / "chapters"
        shutil.copytree(TOP / "chapters" / "assets", folder / "assets")
        for name in ("_config.yml", "chapters/references.bib"):
            shutil.copy(TOP / name, folder.parent / name)
        (folder.parent / "_toc.yml").write_text(
            "format: jb-book\nroot: chapters/index\nchapters:\n- file: chapters/one\n"
        )
        front = "---\njupytext: {text_representation: {extension: .md, format_name: myst}}\n"
        front += "kernelspec: {display_name: Python 3, language: python, name: python3}\n---\n"
        cells = '```{code-cell}\n:tags: [parameters]\nprofile = "book"\n```\n\n'
        cells += "```{code-cell}\nprint(profile)\n```\n"
        (folder / "one.md").write_text(f"{front}# One\n\n{cells}")
        (folder / "index.md").write_text("# Index\n\nText.\n")
        return folder.parent

    def test_warning_ends_in_one_line_and_keeps_the_old_book(self, root, store):
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

    def test_changed_page_is_built_again(self, root, store):
        html = build_book("mini", root=root, store=store).parent
        text = (root / "chapters" / "one.md").read_text()
        (root / "chapters" / "one.md").write_text(text.replace("print(profile)", "print(6 * 7)"))
        build_book("mini", root=root, store=store)
        assert "42" in (html / "chapters" / "one.html").read_text()

    def test_failed_chapter_stops_the_build(self, root, store):
        (root / "chapters" / "one.md").write_text(
            (root / "chapters" / "one.md").read_text().replace("print(profile)", "1 / 0")
        )
        with pytest.raises(ChapterFailed, match=r"one: cell 3 .* ZeroDivisionError"):
            build_book("mini", root=root, store=store)

    def test_offline_book_needs_npm(self, root, store, monkeypatch):
        monkeypatch.setenv("PATH", str(root))
        with pytest.raises(InvalidSetting, match="offline = True: needs npm"):
            build_book("mini", root=root, store=store, offline=True)

    def test_unknown_profile_is_refused(self, root, store):
        with pytest.raises(InvalidSetting, match="profile = 'huge'"):
            build_book("huge", root=root, store=store)

    def test_jupyter_book_builds_the_texts_by_itself(self, root, tmp_path):
        command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
        command += ["-W", "-n", "--keep-going", str(root)]
        environment = os.environ | {"NRP_RUNS": str(tmp_path / "runs")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "book" in (root / "_build" / "html" / "chapters" / "one.html").read_text()
        assert len(list((root / "_build" / ".jupyter_cache").iterdir())) == 1
