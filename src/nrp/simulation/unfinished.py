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


def begin(folder: Path, data: str) -> None:
    """Note what lies in a folder whose dataset has no run yet."""
    (folder / _FRAMEWORK).write_text(digest(folder / data, _framework(folder / data)))
    (folder / _MARKS).mkdir()


def can_continue(folder: Path, data: str) -> bool:
    """Return whether all that no run writes is there and unharmed; say so if it was there and is not."""
    if not (folder / _MARKS).is_dir():
        return False
    if _holds(folder / _FRAMEWORK, digest(folder / data, _framework(folder / data))):
        return True
    tell("simulate: what an interrupted command has left cannot be read; it is made anew")
    return False


def mark(folder: Path, data: str, run: int) -> None:
    """Note that a run is done."""
    (folder / _MARKS / str(run)).write_text(digest(folder / data, _files_of(folder / data, run)))


def is_done(folder: Path, data: str, run: int) -> bool:
    """Return whether a run is done and unharmed; say so if it was done and is not."""
    noted = folder / _MARKS / str(run)
    if not noted.is_file():
        return False
    if _holds(noted, digest(folder / data, _files_of(folder / data, run))):
        return True
    tell(f"simulate: run {run} of an interrupted command cannot be read; it is made anew")
    return False


def clear(path: Path, run: int) -> None:
    """Remove from a dataset what a run that was not finished has written."""
    for file in _files_of(path, run):
        file.unlink()


def _holds(file: Path, text: str) -> bool:
    return file.is_file() and file.read_bytes() == text.encode()


def _framework(path: Path) -> list[Path]:
    chunks = (chunk for name in FIXED for chunk in (path / name).rglob("c/*"))
    return [*path.rglob("zarr.json"), *(chunk for chunk in chunks if chunk.is_file())]


def _files_of(path: Path, run: int) -> list[Path]:
    places = [place for place in path.glob(f"*/c/{run}") if place.parts[-3] not in FIXED]
    return [file for place in places for file in (place, *place.rglob("*")) if file.is_file()]
