"""Copies of results outside the store: where they may lie, and what they may replace."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from nrp.base import InvalidSetting, reason
from nrp.store import PROVENANCE, remove

_MODEL = {"settings.json", "weights.safetensors"}
_BESIDE_A_MODEL = {"training.csv", PROVENANCE}
_IN_A_DATASET = re.compile(r"(?P<variable>[^/]+)/(zarr\.json|c(/\d+)*)|zarr\.json")
_OWN = ("store", "partial", "chapters")
"""Folders of the results into which nothing may be copied."""


def check_target(target: Path, kind: str, *, root: Path, inputs: Iterable[Path] = ()) -> None:
    """Make sure that `copy_out` may write a result there; nothing is left behind.

    Its kind is ``dataset``, ``model`` or ``result``, it is made from `inputs`, and all results lie in `root`.

    Raises
    ------
    InvalidSetting
        If the place lies in the store or around it, is or holds or lies in one of the inputs, holds anything
        but an earlier output of the same kind, or cannot be written.
    """
    wanted = f"out = {str(target)!r}: must"
    if not target.name:
        raise InvalidSetting(f"{wanted} end in a name")
    try:
        real, root = target.resolve(), root.resolve()
        own = [(root / name).resolve() for name in _OWN]
        given = {path: path.resolve() for path in inputs}
    except (OSError, RuntimeError) as error:
        raise InvalidSetting(f"{wanted} be a place that can be written ({reason(error)})") from None
    if real == root or real in root.parents or any(_overlap(real, each) for each in own):
        raise InvalidSetting(f"{wanted} not lie in the store of all results, nor hold it")
    for path, place in given.items():
        if _overlap(real, place):
            raise InvalidSetting(f"{wanted} not be, hold or lie in {str(path)!r}, which it is made from")
    _check_replaceable(target, kind)
    _check_writable(target)


def copy_out(source: Path, target: Path) -> None:
    """Copy a result to `target` as a whole, replacing what a previous call has put there.

    Raises
    ------
    InvalidSetting
        If something else lies at `target`.
    """
    _check_replaceable(target, kind_of(source))
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = (target.with_name(f".nrp-{os.getpid()}-{which}") for which in ("new", "old"))
    try:
        shutil.copytree(source, fresh)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    finally:
        for path in (fresh, old):
            if path.exists():
                remove(path)


def kind_of(folder: Path) -> str:
    """Return what a folder is a copy of and holds alone: dataset, model or result; else an empty text."""
    try:
        files = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
        names = {path.relative_to(folder).as_posix() for path in files}
        if any(path.is_symlink() for path in (folder, *files)):
            return ""
        if names >= _MODEL and names <= _MODEL | _BESIDE_A_MODEL:
            record = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
            return "model" if {"model", "trained_on"} <= set(record) else ""
        if "zarr.json" in names:
            record = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
            known = set(record["consolidated_metadata"]["metadata"])
            matches = [_IN_A_DATASET.fullmatch(name) for name in names]
            ours = all(m and (m["variable"] is None or m["variable"] in known) for m in matches)
            return "dataset" if ours and {"key", "settings"} <= set(record["attributes"]) else ""
        if PROVENANCE in names:
            record = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
            return "result" if {"step", "key"} <= set(record) else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return ""


def _check_replaceable(target: Path, kind: str) -> None:
    if os.path.lexists(target) and (not kind or kind_of(target) != kind):
        raise InvalidSetting(
            f"out = {str(target)!r}: must not exist yet, or be an earlier {kind or 'output'} and hold "
            "nothing else; nothing else is ever replaced"
        )


def _check_writable(target: Path) -> None:
    """Make the folder, or where there is one, another beside it, and take it away again."""
    place = target.absolute()
    if os.path.lexists(place):
        place = place.with_name(f".nrp-{os.getpid()}-new")
    made: list[Path] = []
    try:
        for folder in reversed((place, *place.parents)):
            if not os.path.lexists(folder):
                folder.mkdir()
                made.append(folder)
    except OSError as error:
        wanted = f"must be a place that can be written ({error.strerror})"
        raise InvalidSetting(f"out = {str(target)!r}: {wanted}") from None
    finally:
        for folder in reversed(made):
            folder.rmdir()


def _overlap(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents
