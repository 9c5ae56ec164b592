"""A dataset in the making: which of its runs are done, and whether they are unharmed.

Beside the data lie the digest of all files that no run writes, and a mark for each finished run with the
digest of its files.  So an interrupted campaign sees what it can keep.
"""

from __future__ import annotations

from pathlib import Path

from nrp.progress import tell
from nrp.store import digest

FIXED = ("anisotropy", "sample", "sweep_rate", "y", "x")
"""Variables that no run writes."""
_MARKS, _FRAMEWORK = "done", "framework"


def begin(path: Path) -> None:
    """Note what lies in a dataset that has no run yet."""
    (path.parent / _FRAMEWORK).write_text(digest(path, _framework(path)))
    (path.parent / _MARKS).mkdir()


def can_continue(path: Path) -> bool:
    """Return whether all that no run writes is there and unharmed; say so if it was there and is not."""
    begun = (path.parent / _MARKS).is_dir()
    return begun and _is_unharmed(path.parent / _FRAMEWORK, path, _framework(path), "the work")


def mark(path: Path, run: int) -> None:
    """Note that a run is done."""
    (path.parent / _MARKS / str(run)).write_text(digest(path, _files_of(path, run)))


def is_done(path: Path, run: int) -> bool:
    """Return whether a run is done and unharmed; say so if it was done and is not."""
    noted = path.parent / _MARKS / str(run)
    return noted.is_file() and _is_unharmed(noted, path, _files_of(path, run), f"run {run}")


def clear(path: Path, run: int) -> None:
    """Remove from a dataset what a run that was not finished has written."""
    for file in _files_of(path, run):
        file.unlink()


def _is_unharmed(noted: Path, path: Path, files: list[Path], words: str) -> bool:
    """Return whether the files of a dataset have the digest that was noted; say so if they have not."""
    if noted.is_file() and noted.read_bytes() == digest(path, files).encode():
        return True
    tell(f"simulate: {words} of an interrupted command cannot be read; it is made anew")
    return False


def _framework(path: Path) -> list[Path]:
    chunks = (chunk for name in FIXED for chunk in (path / name).rglob("c/*"))
    return [*path.rglob("zarr.json"), *(chunk for chunk in chunks if chunk.is_file())]


def _files_of(path: Path, run: int) -> list[Path]:
    places = [place for place in path.glob(f"*/c/{run}") if place.parts[-3] not in FIXED]
    return [file for place in places for file in (place, *place.rglob("*")) if file.is_file()]
