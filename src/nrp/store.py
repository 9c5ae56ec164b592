"""Results on disk by content: computed once, published atomically, with their provenance.

The key of a result is a hash of the step that made it, the version of that step, its settings and
the keys of its inputs.  Whoever asks for a result gets the stored one, or waits while it is made.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nrp import __version__
from nrp.base import InvalidSetting, Settings
from nrp.progress import tell

PROVENANCE = "provenance.json"
_NOT_CONTENT = (PROVENANCE, ".DS_Store")  # the second is left by a file manager that looks into a folder
_SECONDS_UNTIL_TOLD = 2.0  # that a process waits for another one


@dataclass(frozen=True)
class Step:
    """A kind of computation; raise `version` whenever the same settings give other results."""

    name: str
    version: int


def content_key(step: Step, settings: Settings, inputs: tuple[str, ...] = ()) -> str:
    """Return the key of a result: 16 hexadecimal digits of a SHA-256.

    Of the settings only what differs from the defaults counts, so that a new setting leaves old results
    valid.  Whoever changes a default must raise the version of the step.
    """
    recipe = [step.name, step.version, settings.differing(), list(inputs)]
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def book_root() -> Path | None:
    """Return the top of the book: the nearest folder, from the working one upwards, with a ``_toc.yml``."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "_toc.yml").is_file()), None)


def default_root() -> Path:
    """Return the folder of the results: ``$NRP_RUNS``, or ``runs`` at the top of the book, or in this folder.

    Raises
    ------
    InvalidSetting
        If ``$NRP_RUNS`` begins with the home of a user whom this machine does not know.
    """
    if not (chosen := os.environ.get("NRP_RUNS")):
        return (book_root() or Path.cwd()) / "runs"
    try:
        return Path(chosen).expanduser()
    except RuntimeError:
        raise InvalidSetting(f"NRP_RUNS = {chosen!r}: must begin with the home of a known user") from None


class Store:
    """Results of all steps below one folder.

    A finished result is the folder ``<root>/store/<step>/<key>``.  Work in progress lies in
    ``<root>/partial/<step>-<key>``, where an interrupted step finds again what it had done.  Nothing is
    written before a result is made.

    Raises
    ------
    InvalidSetting
        If the root is no folder, or, when a result is made, cannot be written.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = (Path(root) if root is not None else default_root()).resolve()
        if self.root.exists() and not self.root.is_dir():
            raise InvalidSetting(f"runs = {str(self.root)!r}: must be a folder that can be written")

    def folder(self, step: Step, key: str) -> Path:
        """Return where the result lies, or would lie."""
        return self.root / "store" / step.name / key

    def find(self, step: Step, key: str) -> Path | None:
        """Return the folder of a finished result with all its files, or None."""
        folder = self.folder(step, key)
        return None if _damage(folder) else folder

    def get(
        self, step: Step, settings: Settings, compute: Callable[[Path], None], inputs: tuple[str, ...] = ()
    ) -> Path:
        """Return the folder of a result, computing it first if it is not there, or has lost files.

        Its key is made of all but `compute`; `inputs` are keys of other results.  What computes it is called
        with a folder to write into, which may hold what an interrupted call has left, and which gets its
        final name only when the call returns.

        Raises
        ------
        FileNotFoundError
            If the folder of the work is taken away meanwhile.
        """
        key = content_key(step, settings, inputs)
        if found := self.find(step, key):
            return found
        partial = self._writable("partial") / f"{step.name}-{key}"
        with _locked(partial):
            if found := self.find(step, key):  # made by another process while we waited
                return found
            final = self.folder(step, key)
            if os.path.lexists(final):
                tell(f"{_name(final)}: {_damage(final)}; it is made anew")
                remove(final)
            if os.path.lexists(partial) and not partial.is_dir():
                remove(partial)
            partial.mkdir(exist_ok=True)
            start = time.perf_counter()
            _compute(compute, partial)
            files, size = _extent(partial)
            record = {
                "step": step.name,
                "step_version": step.version,
                "key": key,
                "settings": settings.model_dump(mode="json"),
                "inputs": list(inputs),
                "package_version": __version__,
                "seconds": round(time.perf_counter() - start, 3),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
                "python": platform.python_version(),
                "files": files,
                "bytes": size,
                "digest": digest(partial),
            }
            write_text(partial / PROVENANCE, json.dumps(record, indent=1, sort_keys=True))
            final.parent.mkdir(parents=True, exist_ok=True)
            partial.rename(final)
        return final

    def entries(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield every finished result whose provenance can be read, with that provenance, oldest first."""
        found = [(path, record) for path in self._folders() if isinstance(record := _record(path), dict)]
        yield from sorted(found, key=lambda entry: entry[1]["finished"])

    def verify(self, *, thorough: bool = True) -> list[str]:
        """Return one line for each result that is damaged or, if `thorough`, whose files have changed."""
        return [f"{_name(path)}: {reason}" for path, reason in self._wrong(thorough)]

    def prune(self, keep: set[str], *, dry_run: bool = False) -> list[str]:
        """Remove damaged results, those whose key is not in `keep`, and unfinished work; return the names.

        Work that another process is doing stays, and of a link only the link is removed.  A dry run returns
        the names and removes nothing.
        """
        wrong = {path for path, _ in self._wrong(thorough=True)}
        removed = []
        for path in self._folders():
            if path in wrong or path.name not in keep:
                removed.append(_name(path))
                if not dry_run:
                    remove(path)
        partial = self.root / "partial"
        for name in sorted({path.name.removesuffix(".lock") for path in partial.glob("*")}):
            with suppress(Timeout), FileLock(partial / f"{name}.lock", timeout=0):
                if os.path.lexists(partial / name):
                    removed.append(f"partial/{name}")
                    if not dry_run:
                        remove(partial / name)
                if not dry_run:
                    (partial / f"{name}.lock").unlink(missing_ok=True)
        return removed

    def _wrong(self, thorough: bool) -> Iterator[tuple[Path, str]]:
        for path in self._folders():
            try:
                reason = _damage(path)
                record = _record(path) if thorough and not reason else ""
                if isinstance(record, dict) and digest(path) != record["digest"]:
                    reason = "its files have changed since it was stored"
            except OSError as error:
                reason = f"its files cannot be read ({error.strerror})"
            if reason:
                yield path, reason

    def _folders(self) -> list[Path]:
        """Return what lies where the results do, files that a system has left there aside."""
        return sorted(p for p in (self.root / "store").glob("*/*") if p.is_dir() or p.is_symlink())

    def _writable(self, name: str) -> Path:
        folder = self.root / name
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise InvalidSetting(f"runs = {str(self.root)!r}: must be a folder that can be written")
        return folder


def _compute(compute: Callable[[Path], None], partial: Path) -> None:
    try:
        compute(partial)
    except Exception as error:
        if not partial.is_dir():
            raise FileNotFoundError(f"{partial} was taken away while it was being written") from error
        with suppress(OSError):
            partial.rmdir()  # if nothing has been done yet
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from a path; say so if this one has to wait for another."""
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=_SECONDS_UNTIL_TOLD)
    except Timeout:
        tell(f"{path.name}: another process makes it; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _record(folder: Path) -> dict[str, Any] | str:
    """Return the provenance of a result, or what is wrong with it."""
    try:
        record = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"it has no {PROVENANCE}"
    except (OSError, ValueError, RecursionError):
        return f"its {PROVENANCE} cannot be read"
    needed = {"step": str, "key": str, "finished": str, "digest": str, "seconds": int | float}
    if not isinstance(record, dict) or not all(isinstance(record.get(n), t) for n, t in needed.items()):
        return f"its {PROVENANCE} is not complete"
    if (record["step"], record["key"]) != (folder.parent.name, folder.name):
        return f"its {PROVENANCE} is that of {record['step']}/{record['key']}"
    return record


def _damage(folder: Path) -> str:
    """Return what is wrong with a stored result, as far as its provenance and sizes tell; else nothing."""
    if isinstance(record := _record(folder), str):
        return record
    files, size = _extent(folder)
    # Files that a system has added, such as those of a file manager, do no harm.
    lost = files < record.get("files", 1) or size < record.get("bytes", 0)
    return "some of its files are lost or cut" if lost else ""


def _extent(folder: Path) -> tuple[int, int]:
    """Return the number of files of a result, and of their bytes."""
    sizes = [path.stat().st_size for path in _files(folder)]
    return len(sizes), sum(sizes)


def _files(folder: Path) -> list[Path]:
    """Return the files of a result; links are followed, for what lies behind them is read with the rest."""
    found = (Path(top) / name for top, _, names in os.walk(folder, followlinks=True) for name in names)
    return [path for path in found if path.is_file() and path.name not in _NOT_CONTENT]


def digest(folder: Path, files: Iterable[Path] | None = None) -> str:
    """Return the SHA-256 of all files in a folder, or of some, of their names and contents."""
    total = hashlib.sha256()
    for path in sorted(_files(folder) if files is None else files):
        total.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; of a link, never what it leads to."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
    else:
        shutil.rmtree(path)


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
