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
from nrp.base import InvalidSetting
from nrp.book.build import BuildFailed, build_book
from nrp.book.chapters import ChapterFailed, chapter_names
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
    """The folder with the pages, built where an earlier book knew a module that is gone."""
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


def tiny(root, index, *pages):
    """Make the top of a book with an index and other pages."""
    (root / "chapters").mkdir(parents=True, exist_ok=True)
    shutil.copytree(TOP / "chapters" / "assets", root / "chapters" / "assets")
    for name in ("_config.yml", "chapters/references.bib"):
        shutil.copy(TOP / name, root / name)
    listed = "".join(f"- file: chapters/{page}\n" for page in pages)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: chapters/index\nchapters:\n{listed}")
    (root / "chapters" / "index.md").write_text(index)


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


class TestTinyBook:
    """A book of one page and one chapter, with what can go wrong."""

    @pytest.fixture
    def root(self, tmp_path):
        tiny(tmp_path / "book", "# Index\n\nText.\n", "one")
        front = "---\njupytext: {text_representation: {extension: .md, format_name: myst}}\n"
        front += "kernelspec: {display_name: Python 3, language: python, name: python3}\n---\n"
        cells = '```{code-cell}\n:tags: [parameters]\nprofile = "book"\n```\n\n'
        cells += "```{code-cell}\nprint(profile)\n```\n"
        (tmp_path / "book" / "chapters" / "one.md").write_text(f"{front}# One\n\n{cells}")
        return tmp_path / "book"

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

    def test_text_with_a_byte_order_mark_is_a_chapter_like_any_other(self, root, store):
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
    def test_edited_book_is_refused_before_any_chapter_runs(self, root, store, name, data, words):
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
    def test_folder_where_a_file_should_be_is_named(self, root, store, name):
        way = root / "_build" / "mini" / name
        way.mkdir(parents=True)
        with pytest.raises(InvalidSetting) as refused:
            build_book("mini", root=root, store=store)
        assert str(refused.value).startswith(f"{way}: is in the way, it is a folder")

    def test_jupyter_book_builds_the_texts_by_itself(self, root, tmp_path):
        command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
        command += ["-W", "-n", "--keep-going", str(root)]
        environment = os.environ | {"NRP_RUNS": str(tmp_path / "runs")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "book" in (root / "_build" / "html" / "chapters" / "one.html").read_text()
        assert len(list((root / "_build" / ".jupyter_cache").iterdir())) == 1
