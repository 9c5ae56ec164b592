"""The whole book, built with the profile mini, warnings being errors."""

import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import nrp
from nrp.book.build import build_book
from nrp.book.chapters import chapter_names
from nrp.book.texts import read_pages

TOP = Path(__file__).parents[1]
PAGES = read_pages(TOP)
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
    """The folder with the pages, built anew where an earlier book knew a module that is gone."""
    shutil.rmtree(book_root / "_build", ignore_errors=True)
    stale = book_root / "_build" / "mini" / "source" / "chapters" / "api" / "nrp.of_the_past.rst"
    stale.parent.mkdir(parents=True)
    stale.write_text("Past\n====\n\n.. automodule:: nrp.of_the_past\n")
    listed = ".. autosummary::\n   :toctree:\n   :recursive:\n\n   nrp.of_the_past\n"
    stale.with_name("nrp.rst").write_text(f"nrp\n===\n\n{listed}")
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


def test_second_build_changes_nothing(html, book_root, book_store):
    folders = html / "_sources" / "chapters", book_store.root / "chapters" / "mini"
    before = {path: path.read_bytes() for folder in folders for path in folder.glob("*.ipynb")}
    assert len(before) == 2 * len(CHAPTERS)
    build_book("mini", root=book_root, store=book_store)
    assert {path: path.read_bytes() for path in before} == before


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


class Places(HTMLParser):
    """Collects the described names of a page, the links to their sources, and what the page fetches."""

    def __init__(self, path):
        super().__init__()
        self.named, self.sources, self.fetched, self._open = {}, {}, [], None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "dt":
            self._open = given.get("id")
            self.named[self._open] = ""
        if tag == "a" and self._open and "_modules/" in given.get("href", ""):
            self.sources[self._open] = given["href"]
        if tag in ("script", "img", "link", "iframe"):
            self.fetched += [given.get("src") or given.get("href") or ""]

    def handle_endtag(self, tag):
        if tag == "dt":
            self._open = None


@pytest.fixture(scope="module")
def api_pages(html):
    """The page of each module, parsed."""
    return {path.stem: Places(path) for path in (html / "chapters" / "api").glob("*.html")}


def test_every_module_has_a_page_and_no_other_has(api_pages):
    modules = {module.name for module in pkgutil.walk_packages(nrp.__path__, "nrp.")}
    assert set(api_pages) == modules


def test_every_function_and_class_with_words_is_there_with_its_source(html, api_pages):
    documented = 0
    for module, page in api_pages.items():
        for name, value in vars(sys.modules.get(module) or __import__(module, fromlist="_")).items():
            own = getattr(value, "__module__", None) == module and not name.startswith("_")
            if own and (inspect.isfunction(value) or inspect.isclass(value)) and value.__doc__:
                documented += 1
                link = page.sources[f"{module}.{name}"]
                path, _, place = link.partition("#")
                text = (html / "chapters" / "api" / path).resolve().read_text()
                assert f'id="{place}"' in text
                assert name in text
    assert documented > 100


def test_module_of_the_list_is_reached_from_the_contents(html):
    page = (html / "chapters" / "api" / "nrp.systems.film.html").read_text()
    assert 'href="nrp.systems.html"' in page
    assert 'href="api/nrp.systems.html"' in (html / "chapters" / "api.html").read_text()


def test_only_formulas_are_fetched_from_elsewhere(html):
    """The offline book has their script in it."""
    outside = {
        address
        for path in (html / "chapters" / "api", html / "_modules")
        for page in path.rglob("*.html")
        for address in Places(page).fetched
        if re.match("(https?:)?//", address) and "mathjax" not in address
    }
    assert outside == set()
