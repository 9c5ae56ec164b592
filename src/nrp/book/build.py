"""The whole book as HTML: every chapter executed, then one run of jupyter-book.

``_build/<profile>`` holds ``source``, what Sphinx reads: executed notebooks in place of the texts;
``_build``, where Sphinx works; ``html``, the last book that was built without a warning; and ``build.log``.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat
import yaml
from papermill.exceptions import strip_color

from nrp import __version__
from nrp.base import InvalidSetting
from nrp.book.chapters import ChapterFailed, chapter_names, run_chapter
from nrp.book.texts import nothing_in_the_way, read_config, read_pages, read_text
from nrp.book.vendor import SPHINX_CONFIG, vendored_files
from nrp.parallel import map_tasks
from nrp.pipeline.profiles import profile as profile_of
from nrp.progress import tell
from nrp.store import Store, write_text

_STATUS = "chapters/status.md"

_CHAPTERS_AT_ONCE = 2
"""Each takes up to 5 GB."""
_API = Path("chapters/api")
"""Where Sphinx writes a page for each module."""
_TABLE = "```{nb-exec-table}\n```"
"""The directive that Sphinx fills where it executes the chapters itself."""
_PRINTING_TIME = 120_000
"""Milliseconds of the page's own time in which it must have set its formulas."""
_LIBRARIES = ("numpy", "scipy", "torch", "xarray", "zarr", "matplotlib", "ipywidgets")


class BuildFailed(RuntimeError):
    """Sphinx did not build the book without a warning; the message is one line."""


def build_book(profile: str, *, root: Path | str, store: Store, pdf: bool = False) -> Path:
    """Build the book and return its first page, ``_build/<profile>/html/index.html``.

    Below `root`, its top, lie ``_toc.yml`` and ``_config.yml``; the chapters find or leave their results in
    the store.  Where npm is, the scripts of the pages come with them, so that no page asks the network for
    anything.

    Parameters
    ----------
    profile
        ``mini``, ``book`` or ``paper``.
    root
        The top of the book.
    store
        Where results are.
    pdf
        Whether Chromium prints the whole book, too, to ``_build/<profile>/book.pdf``.

    Raises
    ------
    InvalidSetting
        If there is no such profile, a file of the book cannot be read, a file is in the way of a folder, or
        the book is to be printed and Chromium is not installed.
    ChapterFailed
        If a cell of a chapter fails.
    BuildFailed
        If Sphinx warns.  The book that was built before stays.
    """
    profile_of(profile)
    root = Path(root).resolve()
    config = read_config(root)
    names = chapter_names(root)
    target, browser = root / "_build" / profile, _browser() if pdf else ""
    with nothing_in_the_way():
        for folder in ("source/chapters", "_build", "html"):
            (target / folder).mkdir(parents=True, exist_ok=True)
    scripts = _scripts(store)
    executed = _execute(names, profile, root, store)
    files = _pages(root, executed)
    files |= {f"chapters/assets/vendor/{name}": path for name, path in scripts.items()}
    files["_config.yml"] = _config(config, profile, offline=bool(scripts))
    if _STATUS in files:
        files[_STATUS] = read_text(root / _STATUS).replace(_TABLE, _status(profile, executed))
    with nothing_in_the_way():
        changed = _stage(files, target / "source")
        if any(path.suffix not in (".md", ".ipynb") or not path.exists() for path in changed):
            # Sphinx copies styles and scripts only beside a page it writes, and keeps pages of the past.
            shutil.rmtree(target / "_build", ignore_errors=True)
        _run_sphinx(target / "source", target)
        _publish(target / "_build" / "html", target / "html")
        if pdf:
            _run_sphinx(target / "source", target, builder="singlehtml", strict=False)
            pages = target / "_build" / "singlehtml"
            # Its links start from the top of the folder, wherever in it the page lies.
            page = pages / "book.html"
            shutil.copy(pages / f"{read_pages(root)[0]}.html", page)
            _print(browser, page, target / "book.pdf")
    return target / "html" / "index.html"


def _scripts(store: Store) -> dict[str, Path]:
    """Return the scripts that pages need, or none if they cannot be had, and say so."""
    try:
        return vendored_files(store)
    except InvalidSetting as error:
        tell(f"book: {error}; formulas and sliders of these pages will need the network")
        return {}


def _browser() -> str:
    """Return Chromium: ``$CHROMIUM``, or the one that is installed."""
    if program := os.environ.get("CHROMIUM") or shutil.which("chromium"):
        return program
    raise InvalidSetting("pdf = True: needs Chromium, which is not installed; CHROMIUM may name it")


def _print(browser: str, page: Path, pdf: Path) -> None:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    budget = f"--virtual-time-budget={_PRINTING_TIME}"
    command = [browser, *options, budget, f"--print-to-pdf={pdf}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not pdf.exists():
        raise BuildFailed(f"book: Chromium could not print it: {done.stderr.strip().splitlines()[-1:]}")


def _execute(names: list[str], profile: str, root: Path, store: Store) -> dict[str, Path]:
    """Return the executed copies; where chapters fail, the first error is raised when all are done.

    Neighbours need the same results, and one would wait for the other.  So of the two that run at the same
    time one is from the first half of the book and one from the second.  The first page, which shows what the
    others compute, comes last.
    """
    first, *others = names
    half = -(-len(others) // 2)
    pairs = zip_longest(others[:half], others[half:])
    order = [*(name for pair in pairs for name in pair if name), first]
    tasks = [(name, profile, root, store) for name in order]
    title = f"running {len(tasks)} chapters"
    copies = map_tasks(_copy_or_error, tasks, workers=_CHAPTERS_AT_ONCE, title=title, here=True)
    if errors := [copy for copy in copies if isinstance(copy, Exception)]:
        for error in errors[1:]:
            tell(f"book: {error}")
        raise errors[0]
    by_name = dict(zip(order, copies, strict=True))
    return {name: by_name[name] for name in names}


def _copy_or_error(name: str, profile: str, root: Path, store: Store) -> Path | Exception:
    try:
        return run_chapter(name, {"profile": profile}, root=root, store=store)
    except (ChapterFailed, InvalidSetting) as error:
        return error


def _pages(root: Path, executed: dict[str, Path]) -> dict[str, Path | str]:
    """Return the files that Sphinx reads, by their names below the source folder."""
    files: dict[str, Path | str] = {"_toc.yml": root / "_toc.yml"}
    for path in sorted((root / "chapters").rglob("*")):
        name = path.relative_to(root)
        hidden = any(part.startswith(".") for part in name.parts)
        written = path.suffix in (".md", ".ipynb") or _API in name.parents
        if path.is_file() and not hidden and not written:
            files[name.as_posix()] = path
    for page in read_pages(root):
        copy = executed.get(page.removeprefix("chapters/"))
        files[f"{page}.ipynb" if copy else f"{page}.md"] = copy or root / f"{page}.md"
    return files


def _stage(files: dict[str, Path | str], source: Path) -> set[Path]:
    """Make the folder hold these files or texts, and return what had to be changed for it."""
    wanted = {source / name: content for name, content in files.items()}
    there = {path for path in source.rglob("*") if path.is_file() and source / _API not in path.parents}
    changed = there - set(wanted)
    for path in changed:
        path.unlink()
    for path, content in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            if not (path.is_file() and path.read_text() == content):
                write_text(path, content)
                changed.add(path)
        elif not (path.is_file() and filecmp.cmp(content, path)):
            shutil.copyfile(content, path)
            changed.add(path)
    return changed


def _config(config: dict[str, Any], profile: str, *, offline: bool) -> str:
    """Return the configuration of the book, with nothing left to execute."""
    config.setdefault("execute", {})["execute_notebooks"] = "off"
    footer = f"<p>Built with the profile <code>{profile}</code> of nrp {__version__}.</p>"
    config.setdefault("html", {})["extra_footer"] = footer
    if offline:
        sphinx = config.setdefault("sphinx", {})
        sphinx["config"] = (sphinx.get("config") or {}) | SPHINX_CONFIG
    return yaml.safe_dump(config, allow_unicode=True, sort_keys=False)


def _status(profile: str, executed: dict[str, Path]) -> str:
    """Return the table of the execution times, and the versions, in Markdown."""
    lines = ["| chapter | finished (UTC) | seconds |", "| :-- | :-- | --: |"]
    for name, path in executed.items():
        run = nbformat.read(path, as_version=4).metadata.papermill
        lines.append(f"| {{doc}}`{name}` | {run.end_time[:16]} | {run.duration:.0f} |")
    python = ".".join(str(part) for part in sys.version_info[:3])
    versions = ", ".join(f"{library} {version(library)}" for library in _LIBRARIES)
    lines += ["", f"Profile `{profile}`, nrp {__version__}, Python {python}, {versions}."]
    return "\n".join(lines)


def _run_sphinx(source: Path, target: Path, *, builder: str = "html", strict: bool = True) -> None:
    log = target / "build.log"
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    options = ["--path-output", str(target), "--builder", builder]
    options += ["-W", "-n", "--keep-going"] if strict else ["--quiet"]
    with log.open("w") as file:
        done = subprocess.run(
            [*command, *options, str(source)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode == 0:
        return
    # Sphinx would not repeat its warnings about pages that it has already read.
    shutil.rmtree(target / "_build", ignore_errors=True)
    lines = strip_color(log.read_text(errors="replace")).splitlines()
    wrong = [line for line in lines if "WARNING: " in line or "ERROR: " in line]
    wrong = wrong or [line for line in lines if "Error: " in line] or ["it gave no reason"]
    first = wrong[0].replace(f"{source}/", "")
    raise BuildFailed(f"book: Sphinx complains {len(wrong)} times, first: {first}; the log is {log}")


def _publish(built: Path, html: Path) -> None:
    """Put the finished pages where readers look for them, all at once."""
    fresh = html.with_name(".html")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        shutil.copytree(built, fresh)
    except shutil.Error as error:  # it holds a line for every file
        raise BuildFailed(f"book: {error.args[0][0][2]}") from None
    shutil.rmtree(html, ignore_errors=True)
    fresh.rename(html)
