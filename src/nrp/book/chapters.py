"""Chapters: md:myst text, turned into a notebook by jupytext and executed by papermill.

The text is the only source.  The executed copy lies in ``<runs>/chapters/<profile>/<name>.ipynb``;
it is replaced as a whole, and only by a chapter that ran to its end.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import jupytext
import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from sphinx_external_toc.parsing import parse_toc_yaml

from nrp import __version__
from nrp.base import InvalidSetting
from nrp.pipeline.profiles import profile
from nrp.pipeline.published import published_folder
from nrp.store import Store

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package, whose code the chapters call."""


class ChapterFailed(RuntimeError):
    """A chapter did not run to its end; the message is one line."""


def page_names(root: Path | str) -> list[str]:
    """Return the pages of ``_toc.yml`` in its order, as paths without suffix."""
    tree = parse_toc_yaml(Path(root) / "_toc.yml")

    def below(page: str) -> Iterator[str]:
        yield page
        for child in tree[page].child_files():
            yield from below(child)

    return list(below(tree.root.docname))


def chapter_names(root: Path | str) -> list[str]:
    """Return the names of the chapters, the pages that have a kernel, in the order of the book."""
    return [
        Path(page).name
        for page in page_names(root)
        if (text := _text_path(root, Path(page).name)).is_file() and "kernelspec" in _metadata(text)
    ]


def source_digest(*folders: Path) -> str:
    """Return a hash of all that chapters read, the package and `published`: 16 digits of a SHA-256."""
    total = hashlib.sha256()
    for folder in folders or (PACKAGE, published_folder()):
        for path in sorted(p for kind in ("py", "json", "txt", "npz") for p in folder.rglob(f"*.{kind}")):
            total.update(f"{path.relative_to(folder).as_posix()}\n".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def run_chapter(name: str, parameters: Mapping[str, object], *, root: Path | str, store: Store) -> Path:
    """Return the executed copy of a chapter, executing it unless nothing has changed.

    Parameters
    ----------
    name
        Name of the chapter, such as ``06_validation``.
    parameters
        Values for names that the chapter declares in its cell tagged ``parameters``.  Text is read
        as papermill reads it: ``"3"`` is a number, ``"True"`` a truth value.
    root
        The top of the book, where ``_toc.yml`` lies.
    store
        Where the executed copy and the results of the chapter go.

    Raises
    ------
    InvalidSetting
        If there is no such chapter or parameter, or the value is not of the declared type.
    ChapterFailed
        If a cell fails.  The notebook up to there is kept as ``<name>.failed.ipynb``.
    """
    names = chapter_names(root)
    if name not in names:
        raise InvalidSetting(f"chapter = {name!r}: must be one of {', '.join(names)}")
    text = _text_path(root, name)
    notebook = jupytext.read(text)
    values = _checked(name, notebook, parameters)
    chosen = profile(str(values["profile"])).name
    key = _key(text, values)
    final = store.root / "chapters" / chosen / f"{name}.ipynb"
    if final.is_file() and nbformat.read(final, as_version=4).metadata.get("nrp") == key:
        _tell(f"{name}: nothing has changed")
        return final

    notebook.metadata["nrp"] = key
    failed = final.with_name(f"{name}.failed.ipynb")
    partial = final.with_name(f".{name}.{os.getpid()}.ipynb")
    final.parent.mkdir(parents=True, exist_ok=True)
    _tell(f"{name}: running with the profile {chosen}")
    start = time.monotonic()
    try:
        _execute(name, notebook, partial, values, cwd=text.parent, runs=store.root)
        partial.replace(final)
        failed.unlink(missing_ok=True)
    except ChapterFailed as error:
        partial.replace(failed)
        raise ChapterFailed(f"{error}; the notebook up to there is {failed}") from None
    finally:
        partial.unlink(missing_ok=True)
    _tell(f"{name}: done in {time.monotonic() - start:.0f} s")
    return final


def _execute(
    name: str,
    notebook: nbformat.NotebookNode,
    target: Path,
    values: Mapping[str, object],
    *,
    cwd: Path,
    runs: Path,
) -> None:
    # The first state is written here, for a kernel that dies at once leaves nothing behind.
    nbformat.write(notebook, target)
    try:
        with _environment(NRP_RUNS=str(runs)):
            done = papermill.execute_notebook(
                notebook,
                target,
                dict(values),
                kernel_name="python3",
                language="python",
                progress_bar=False,
                stderr_file=sys.stderr,
                cwd=cwd,
                extra_arguments=["--log-level=ERROR"],
            )
    except PapermillExecutionError as error:
        reason = next(iter(error.evalue.splitlines()), "")
        if error.ename == InvalidSetting.__name__:
            raise InvalidSetting(reason) from None
        line = next(iter(error.source.strip().splitlines()), "")
        raise ChapterFailed(
            f"{name}: cell {error.exec_count} ({line!r}) failed with {error.ename}: {reason}"
        ) from None
    except DeadKernelError:
        raise ChapterFailed(f"{name}: the kernel died") from None
    for cell in done.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("remove-cell")
    nbformat.write(done, target)


def _checked(
    name: str, notebook: nbformat.NotebookNode, parameters: Mapping[str, object]
) -> dict[str, object]:
    """Return the parameters with their declared types, and the profile in any case."""
    declared = papermill.inspect_notebook(notebook)
    if "profile" not in declared:
        raise InvalidSetting(f"chapter = {name!r}: must declare the parameter profile")
    for parameter in parameters:
        if parameter not in declared:
            raise InvalidSetting(
                f"{parameter} = {parameters[parameter]!r}: chapter {name} has no such parameter, "
                f"it has {', '.join(declared)}"
            )
    defaults = {parameter: _parsed(declared[parameter]["default"]) for parameter in declared}
    given = {"profile": defaults["profile"]} | dict(parameters)
    return {key: _typed(key, value, defaults[key]) for key, value in given.items()}


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


def _parsed(text: str) -> object:
    with suppress(ValueError, SyntaxError):
        return ast.literal_eval(text)
    return text


def _key(text: Path, values: Mapping[str, object]) -> str:
    recipe = [text.read_text(), values, source_digest(), __version__]
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def _text_path(root: Path | str, name: str) -> Path:
    return Path(root).resolve() / "chapters" / f"{name}.md"


def _metadata(text: Path) -> Mapping[str, object]:
    return jupytext.read(text).metadata


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
