"""Chapters: md:myst text, turned into a notebook by jupytext and executed by papermill.

The text is the only source.  The executed copy lies in ``<runs>/chapters/<profile>/<name>.ipynb``, or with
other parameters in ``variants`` beside it.  It is replaced as a whole, only by a chapter that ran to its end.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbformat.validator import iter_validate
from papermill.exceptions import PapermillExecutionError

from nrp import __version__
from nrp.base import InvalidSetting
from nrp.book.texts import nothing_in_the_way, read_notebook, read_pages, read_text
from nrp.pipeline.parameters import PARAMETERS
from nrp.pipeline.profiles import PROFILES, Profile, profile
from nrp.pipeline.published import published_folder
from nrp.progress import tell
from nrp.store import Store

_WORDS = {"profile": f"how much is simulated and trained; one of {', '.join(PROFILES)}"}
"""What a parameter is that changes no setting."""
PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package, whose code the chapters call."""


class ChapterFailed(RuntimeError):
    """A chapter did not run to its end; the message is one line."""


def chapter_names(root: Path | str) -> list[str]:
    """Return the names of the chapters, the pages with code cells, in the order of the book.

    Raises
    ------
    InvalidSetting
        If ``_toc.yml`` or a page cannot be read.
    """
    top = Path(root).resolve()
    return [page.removeprefix("chapters/") for page in read_pages(top) if read_notebook(top, page)]


def parameter_lines(name: str, *, root: Path | str, profile: Profile) -> list[str]:
    """Return one line for each parameter of a chapter: type, unit, allowed range and value in the profile.

    Raises
    ------
    InvalidSetting
        If there is no such chapter, or it cannot be read.
    """
    declared = _declared(name, _notebook(name, Path(root).resolve()))
    return [
        PARAMETERS[parameter].line(parameter, profile)
        if parameter in PARAMETERS
        else f"{parameter}: {_WORDS.get(parameter, 'any value of this type')}; usually {default!r}"
        for parameter, default in declared.items()
    ]


def source_digest(*folders: Path) -> str:
    """Return a hash of all that chapters read, the package and `published`: 16 digits of a SHA-256."""
    total = hashlib.sha256()
    for folder in folders or (PACKAGE, published_folder()):
        written = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
        for path in sorted(path for path in written if path.is_file()):
            total.update(f"{path.relative_to(folder).as_posix()}\n".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def run_chapter(name: str, parameters: Mapping[str, object], *, root: Path | str, store: Store) -> Path:
    """Return the executed copy of a chapter, executing it unless nothing has changed.

    The parameters are values for names that the chapter declares in its cell tagged ``parameters``.  Text is
    read as papermill reads it: ``"3"`` is a number, ``"True"`` a truth value.  Below `root`, the top of the
    book, lies ``_toc.yml``; executed copy and results go to the store.

    Raises
    ------
    InvalidSetting
        If there is no such chapter or parameter, the value is not allowed, or the chapter cannot be read.
    ChapterFailed
        If a cell fails.  The notebook up to there is kept as ``<name>.failed.ipynb``.
    """
    top = Path(root).resolve()
    notebook = _notebook(name, top)
    values = _checked(name, notebook, parameters)
    chosen = profile(str(values["profile"])).name
    text = top / "chapters" / f"{name}.md"
    key = _key(text, values)
    final = store.root / "chapters" / chosen / f"{_copy_name(name, values)}.ipynb"
    failed = final.with_name(f"{final.stem}.failed.ipynb")
    partial = final.with_name(f".{final.stem[:100]}.{os.getpid()}.ipynb")
    with nothing_in_the_way():
        final.parent.mkdir(parents=True, exist_ok=True)
        for target in (final, failed):
            if target.is_dir():
                raise IsADirectoryError(None, None, target)
    if final.is_file() and _is_current(final, key):
        tell(f"{name}: nothing has changed")
        return final

    notebook.metadata["nrp"] = key
    tell(f"{name}: running with the profile {chosen}")
    start = time.monotonic()
    try:
        _execute(name, notebook, partial, values, text.parent, store.root)
        partial.replace(final)
        failed.unlink(missing_ok=True)
    except ChapterFailed as error:
        partial.replace(failed)
        raise ChapterFailed(f"{error}; the notebook up to there is {failed}") from None
    finally:
        partial.unlink(missing_ok=True)
    tell(f"{name}: done in {time.monotonic() - start:.0f} s")
    return final


def _notebook(name: str, top: Path) -> nbformat.NotebookNode:
    page = f"chapters/{name}"
    notebook = read_notebook(top, page) if page in read_pages(top) else None
    if notebook is None:
        raise InvalidSetting(f"chapter = {name!r}: must be one of {', '.join(chapter_names(top))}")
    return notebook


def _is_current(path: Path, key: str) -> bool:
    """Whether an executed copy is whole, and what would be made now."""
    try:
        copy = nbformat.from_dict(json.loads(path.read_bytes()))
        if not any(iter_validate(copy, version=4, version_minor=5)) and copy.metadata.papermill.end_time:
            return copy.metadata["nrp"] == key
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    tell(f"{path}: is damaged and made anew")
    return False


def _execute(
    name: str, notebook: nbformat.NotebookNode, target: Path, values: dict[str, object], cwd: Path, runs: Path
) -> None:
    # The first state is written here, for a kernel that dies at once leaves nothing behind.
    nbformat.write(notebook, target)
    try:
        with _environment(NRP_RUNS=str(runs)):
            done = papermill.execute_notebook(
                notebook,
                target,
                values,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                stderr_file=sys.stderr,
                iopub_timeout=60,  # seconds; on a busy machine many numbers take longer than the usual four
                cwd=cwd,
                extra_arguments=["--log-level=CRITICAL"],  # or the kernel of an interrupted cell complains
            )
    except PapermillExecutionError as error:
        reason = next(iter(error.evalue.splitlines()), "")
        if error.ename == InvalidSetting.__name__:
            raise InvalidSetting(reason) from None
        line = next(iter(error.source.strip().splitlines()), "")
        cell = f"cell {error.exec_count} ({line!r})"
        raise ChapterFailed(f"{name}: {cell} failed with {error.ename}: {reason}") from None
    except DeadKernelError:
        raise ChapterFailed(f"{name}: the kernel died") from None
    for cell in done.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("remove-cell")
    nbformat.write(done, target)


def _declared(name: str, notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """Return the parameters of a chapter with their defaults."""
    found = papermill.inspect_notebook(notebook)
    if "profile" not in found:
        wanted = "must declare the parameter profile in a cell tagged parameters"
        raise InvalidSetting(f"chapters/{name}.md: {wanted}")
    return {parameter: _parsed(entry["default"]) for parameter, entry in found.items()}


def _checked(
    name: str, notebook: nbformat.NotebookNode, parameters: Mapping[str, object]
) -> dict[str, object]:
    """Return the profile and those parameters whose values are not their defaults."""
    declared = _declared(name, notebook)
    values = {"profile": declared["profile"]}
    for parameter, given in parameters.items():
        if parameter not in declared:
            raise InvalidSetting(
                f"{parameter} = {given!r}: chapter {name} has no such parameter, it has {', '.join(declared)}"
            )
        default = declared[parameter]
        known = PARAMETERS.get(parameter)
        value = known.parse(parameter, given) if known else _typed(parameter, given, default)
        if parameter == "profile" or value != default:
            # In code that papermill writes, a tuple would be a text.
            values[parameter] = list(value) if isinstance(value, tuple) else value
    return values


def _typed(name: str, value: object, default: object) -> object:
    if isinstance(default, str):
        return str(value)
    parsed = _parsed(value) if isinstance(value, str) else value
    if isinstance(default, float) and type(parsed) is int:
        return float(parsed)
    if default is not None and type(parsed) is not type(default):
        kind = type(default).__name__
        raise InvalidSetting(f"{name} = {value!r}: must be of type {kind}, like {default!r}")
    return parsed


def _parsed(text: str) -> Any:
    with suppress(ValueError, SyntaxError):
        return ast.literal_eval(text)
    return text


def _copy_name(name: str, values: Mapping[str, object]) -> str:
    """Return the name of the executed copy; other parameters than the profile make it a variant."""
    words = [f"{parameter}={value}" for parameter, value in values.items() if parameter != "profile"]
    if not words:
        return name
    readable = re.sub(r"[^\w.,=+-]+", "", "-".join(sorted(words)))
    if len(readable) > 100:
        readable = f"{readable[:80]}-{hashlib.sha256(readable.encode()).hexdigest()[:8]}"
    return f"variants/{name}-{readable}"


def _key(text: Path, values: Mapping[str, object]) -> str:
    recipe = [read_text(text), values, source_digest(), __version__]
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if value is not None})
