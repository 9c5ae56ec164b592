"""What an author writes: the texts of the pages, ``_toc.yml`` and ``_config.yml``, read and checked.

Whatever cannot be read raises `InvalidSetting` with one line: the file, the line in it, and what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import jupytext
import nbformat
import yaml
from jupytext.myst import MystMetadataParsingError
from sphinx_external_toc.parsing import MalformedError, parse_toc_data

from nrp.base import InvalidSetting

_FRONT = ("display_name", "language", "name")
_CELL = re.compile(r"^ *[`~:]{3,}\{code-cell\}", re.MULTILINE)


def read_pages(root: Path) -> list[str]:
    """Return the pages of ``_toc.yml`` in its order, as paths from the top of the book, without suffix.

    Raises
    ------
    InvalidSetting
        If it cannot be read, or names a page twice, or one that is not there.
    """
    path = root / "_toc.yml"
    text, tree = _mapping(path)
    try:
        site = parse_toc_data(tree)
    except (MalformedError, AttributeError, TypeError, ValueError) as error:
        # Names in braces are those that are allowed, in any order.
        named = re.search(r"'([^']+)'", re.sub(r"{.*?}", "", str(error)))
        _refuse(path, str(error), _line_with(named[1], text) if named else None)

    def below(page: str) -> Iterator[str]:
        yield page
        for child in site[page].child_files():
            yield from below(child)

    pages = [page.removesuffix(".md") for page in below(site.root.docname)]
    for page in [*site.globs(), *pages]:
        if not (page.startswith("chapters/") and (root / f"{page}.md").is_file()):
            _refuse(path, f"{page}: there is no text {page}.md below chapters/", _line_with(page, text))
    return pages


def read_config(root: Path) -> dict[str, Any]:
    """Return ``_config.yml``.

    Raises
    ------
    InvalidSetting
        If it cannot be read, or Jupyter Book does not know what it says.
    """
    # It loads half of Jupyter, which chapters do not need.
    from jupyter_book.config import get_validator

    path = root / "_config.yml"
    text, config = _mapping(path)
    for error in get_validator().iter_errors(config):
        place = "/".join(map(str, error.path))
        where = _line_with(f"{error.path[-1]}:", text) if error.path else None
        _refuse(path, f"{place + ': ' if place else ''}{error.message}", where)
    return config


def read_notebook(root: Path, page: str) -> nbformat.NotebookNode | None:
    """Return a page with code cells as a notebook, and None for one without.

    Raises
    ------
    InvalidSetting
        If it cannot be read, or does not say how its cells are executed.
    """
    path = root / f"{page}.md"
    text = read_text(path)
    front, end = _front_matter(path, text)
    if not _CELL.search(text, end):
        return None
    kernel = front.get("kernelspec")
    if not (isinstance(kernel, Mapping) and all(isinstance(kernel.get(name), str) for name in _FRONT)):
        wanted = f"needs kernelspec with {', '.join(_FRONT)}, because the page has code cells"
        _refuse(path, wanted, _line_with("kernelspec:", text[:end]) or 1)
    if kernel["language"] != "python":
        wanted = f"language = {kernel['language']!r}: must be python"
        _refuse(path, wanted, _line_with("language:", text[:end]))
    written = front.get("jupytext")
    written = written.get("text_representation") if isinstance(written, Mapping) else None
    if not (isinstance(written, Mapping) and written.get("format_name") == "myst"):
        wanted = "needs jupytext: text_representation: format_name: myst, because the page has code cells"
        _refuse(path, wanted, _line_with("jupytext:", text[:end]) or 1)
    try:
        return jupytext.reads(text, fmt="md:myst")
    except (MystMetadataParsingError, yaml.YAMLError) as error:
        place = re.search(r"at line (\d+)", str(error))
        _refuse(path, str(error), int(place[1]) if place else None)


def read_text(path: Path) -> str:
    """Return a text of the book; a byte order mark before it is dropped.

    Raises
    ------
    InvalidSetting
        If there is none, or it is not UTF-8.
    """
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        _refuse(path, f"cannot be read ({error.strerror})")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(path, f"the byte {data[error.start]:#04x} is not UTF-8; save the text as UTF-8", line)


@contextmanager
def nothing_in_the_way() -> Iterator[None]:
    """Say which file stands where a folder should be made, or which folder where a file should be.

    Raises
    ------
    InvalidSetting
        With the path of that file or folder.
    """
    try:
        yield
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        path = Path(error.filename2 or error.filename)
        path = next((each for each in (path, *path.parents) if each.exists()), path)
        kind = "a folder" if path.is_dir() else "a file"
        raise InvalidSetting(f"{path}: is in the way, it is {kind}; move it elsewhere") from None


def _front_matter(path: Path, text: str) -> tuple[Mapping[str, Any], int]:
    """Return what stands between the first two lines of dashes, and where it ends."""
    if not text.startswith("---\n"):
        return {}, 0
    closed = re.compile(r"^---\s*$", re.MULTILINE).search(text, 4)
    if closed is None:
        _refuse(path, "the front matter that begins here has no end; it needs a second line ---", 1)
    front = _yaml(path, text[4 : closed.start()], skipped=1)
    if not isinstance(front, Mapping):
        _refuse(path, "the front matter must consist of names with values", 1)
    return front, closed.end()


def _mapping(path: Path) -> tuple[str, dict[str, Any]]:
    text = read_text(path)
    values = _yaml(path, text)
    if not isinstance(values, dict):
        kind = "is empty" if values is None else f"is a {type(values).__name__}"
        _refuse(path, f"{kind}; must consist of names with values")
    return text, values


def _yaml(path: Path, text: str, *, skipped: int = 0) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # a date may be impossible
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)
        _refuse(path, f"is not YAML: {reason}", mark.line + 1 + skipped if mark else None)


def _line_with(words: str, text: str) -> int | None:
    """Return the number of the last line with these words."""
    numbers = [number for number, line in enumerate(text.splitlines(), start=1) if words in line]
    return numbers[-1] if numbers else None


def _refuse(path: Path, reason: str, line: int | None = None) -> NoReturn:
    place = f"{path}, line {line}" if line else f"{path}"
    raise InvalidSetting(f"{place}: {' '.join(reason.split())}")
