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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from nrp import __version__
from nrp.base import InvalidSetting, Settings

PROVENANCE = "provenance.json"
_NOT_CONTENT = (PROVENANCE, ".DS_Store")  # the second is left by a file manager that looks into a folder


@dataclass(frozen=True)
class Step:
    """A kind of computation; raise `version` whenever the same settings give other results."""

    name: str
    version: int


def content_key(step: Step, settings: Settings, inputs: tuple[str, ...] = ()) -> str:
    """Return the key of a result: 16 hexadecimal digits of a SHA-256.

    Of the settings only what differs from the defaults counts, so that a new setting leaves old results valid.
    Whoever changes a default must raise the version of the step.
    """
    recipe = [step.name, step.version, settings.differing(), list(inputs)]
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def default_root() -> Path:
    """Return the folder of the results: ``$NRP_RUNS``, or ``runs`` at the top of the book.

    The top of the book is the nearest folder, from the working one upwards, with a ``_toc.yml``.
    """
    if chosen := os.environ.get("NRP_RUNS"):
        return Path(chosen)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "_toc.yml").is_file():
            return folder / "runs"
    return here / "runs"


class Store:
    """Results of all steps below one folder.

    A finished result is the folder ``<root>/store/<step>/<key>``.  Work in progress lies in
    ``<root>/partial/<key>``, where an interrupted step finds again what it had done.

    Raises
    ------
    InvalidSetting
        If the folder cannot be written.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = (Path(root) if root is not None else default_root()).resolve()
        try:
            (self.root / "partial").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSetting(
                f"runs = {str(self.root)!r}: must be a folder that can be written ({error.strerror})"
            ) from None

    def folder(self, step: Step, key: str) -> Path:
        """Return where the result lies, or would lie."""
        return self.root / "store" / step.name / key

    def get(
        self, step: Step, settings: Settings, compute: Callable[[Path], None], inputs: tuple[str, ...] = ()
    ) -> Path:
        """Return the folder of a result, computing it first if it is not there.

        Parameters
        ----------
        step, settings, inputs
            What the key is made of; `inputs` are keys of other results.
        compute
            Called with a folder to write into.  The folder may hold what an earlier, interrupted
            call has left.  It is published under its final name only when `compute` returns.
        """
        key = content_key(step, settings, inputs)
        final = self.folder(step, key)
        if (final / PROVENANCE).is_file():
            return final
        partial = self.root / "partial" / f"{step.name}-{key}"
        with FileLock(f"{partial}.lock"):
            if (final / PROVENANCE).is_file():  # made by another process while we waited
                return final
            partial.mkdir(parents=True, exist_ok=True)
            start = time.perf_counter()
            compute(partial)
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
                "digest": digest(partial),
            }
            write_text(partial / PROVENANCE, json.dumps(record, indent=1, sort_keys=True))
            final.parent.mkdir(parents=True, exist_ok=True)
            if final.exists():
                shutil.rmtree(final)
            partial.rename(final)
        return final

    def entries(self) -> Iterator[tuple[Path, dict]]:
        """Yield every finished result with its provenance, oldest first."""
        found = [
            (path.parent, json.loads(path.read_text()))
            for path in (self.root / "store").glob(f"*/*/{PROVENANCE}")
        ]
        yield from sorted(found, key=lambda entry: entry[1]["finished"])

    def verify(self) -> list[str]:
        """Return one line for each finished result whose files are not those it was stored with."""
        return [
            f"{path.parent.name}/{path.name}: its files have changed since it was stored"
            for path, record in self.entries()
            if digest(path) != record["digest"]
        ]

    def prune(self, keep: set[str]) -> list[str]:
        """Remove every result whose key is not in `keep`, and unfinished work; return the names.

        Work that another process is doing stays.
        """
        removed = []
        for path, record in list(self.entries()):
            if record["key"] not in keep:
                shutil.rmtree(path)
                removed.append(f"{path.parent.name}/{path.name}")
        partial = self.root / "partial"
        for name in sorted({path.name.removesuffix(".lock") for path in partial.iterdir()}):
            with suppress(Timeout), FileLock(partial / f"{name}.lock", timeout=0):
                if (partial / name).is_dir():
                    shutil.rmtree(partial / name)
                    removed.append(f"partial/{name}")
                (partial / f"{name}.lock").unlink(missing_ok=True)
        return removed


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def copy_out(source: Path, target: Path) -> None:
    """Copy a folder to `target` as a whole, replacing what a previous call has put there.

    Raises
    ------
    InvalidSetting
        As `check_target`.
    """
    check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copytree(source, temporary)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(temporary)


def check_target(target: Path) -> None:
    """Make sure that `copy_out` may write there.

    Raises
    ------
    InvalidSetting
        If something lies at `target` that is not an earlier output, or nothing can be written there.
    """
    above = next(folder for folder in target.absolute().parents if folder.exists())
    if not os.access(above, os.W_OK):
        raise InvalidSetting(f"out = {str(target)!r}: must lie in a folder that can be written")
    if target.is_symlink() or (target.exists() and not _is_ours(target)):
        raise InvalidSetting(
            f"out = {str(target)!r}: must not exist yet, or be an earlier output; "
            "nothing else is ever replaced"
        )


def _is_ours(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("zarr.json", PROVENANCE))


def digest(folder: Path) -> str:
    """Return the SHA-256 of all files in a folder, of their names and contents."""
    total = hashlib.sha256()
    # Links are followed: what lies behind them is read with the rest.
    found = (Path(top) / name for top, _, names in os.walk(folder, followlinks=True) for name in names)
    for path in sorted(path for path in found if path.is_file() and path.name not in _NOT_CONTENT):
        total.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
