"""Where and when a benchmark was run, and where its table is kept."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from nrp.evaluation import Result
from nrp.pipeline.published import published_folder
from nrp.store import PROVENANCE, write_text

_IMPORTED_AS = {"py-pde": "pde", "scikit-image": "skimage"}


def machine(*libraries: str) -> dict[str, str]:
    """Return the machine, its load, the versions of those libraries that are installed, and the date."""
    found = [name for name in libraries if find_spec(_IMPORTED_AS.get(name, name))]
    about = {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "load": f"{os.getloadavg()[0]:.1f} before the start",
        "versions": ", ".join(f"{name} {version(name)}" for name in found),
        "date": time.strftime("%Y-%m-%d"),
    }
    print(*(f"{name}: {value}" for name, value in about.items()), sep="\n", flush=True)
    return about


def save(rows: list[dict], name: str, command: str, about: dict[str, str]) -> None:
    """Keep a table and what is known of its origin under ``published/``."""
    folder = published_folder() / name
    folder.mkdir(parents=True, exist_ok=True)
    Result.of([{**entry, "analysis": "benchmark"} for entry in rows]).save(folder)
    key = hashlib.sha256((folder / "table.json").read_bytes()).hexdigest()[:16]
    write_text(folder / PROVENANCE, json.dumps({"key": key, "command": command, **about}, indent=1) + "\n")
    print(f"stored in {folder}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(s.partition(": ")[2] for s in lines if s.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
