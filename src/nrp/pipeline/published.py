"""Results that lie in the repository, too costly or too much bound to a machine to be computed live."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from nrp.base import InvalidSetting
from nrp.evaluation import Result
from nrp.store import PROVENANCE


def published_folder() -> Path:
    """Return the folder of the published results: inside an installed package, or at the top of the sources.

    Raises
    ------
    InvalidSetting
        If there is none.
    """
    package = Path(str(files("nrp")))
    for folder in (package / "published", package.parents[1] / "published"):
        if folder.is_dir():
            return folder
    raise InvalidSetting("published: this installation has no published results; install the package again")


def published(name: str) -> tuple[Result, dict]:
    """Return a published result, and its provenance.

    Raises
    ------
    InvalidSetting
        If there is no such result.
    """
    folder, names = published_folder() / name, published_names()
    if name not in names:
        raise InvalidSetting(f"name = {name!r}: must be one of {', '.join(names)}")
    provenance = json.loads((folder / PROVENANCE).read_text())
    # What `Study.publish` has written comes from the profile of that name; benchmarks belong to none.
    origin = {"profile": "paper"} if "step" in provenance else {}
    return Result.load(folder, key=provenance["key"], **origin), provenance


def published_names() -> list[str]:
    """Return the names of all published results."""
    return sorted(path.name for path in published_folder().iterdir() if (path / PROVENANCE).is_file())
