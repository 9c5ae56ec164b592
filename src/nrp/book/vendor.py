"""Scripts that a built page would otherwise fetch from a content network.

They come from the npm registry when a book is built, and are kept below the runs.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from nrp.base import InvalidSetting
from nrp.store import Store

_PACKAGES = {
    "require.js": ("requirejs@2.3.8", "require.js"),
    "widgets": ("@jupyter-widgets/html-manager@1.0.15", "dist"),
    "mathjax": ("mathjax@3.2.2", "es5"),
}
"""Name here: npm package, and the file or folder in it."""

SPHINX_CONFIG = {
    "mathjax_path": "vendor/mathjax/tex-mml-chtml.js",
    "nb_ipywidgets_js": {"vendor/require.js": {}, "vendor/widgets/embed-amd.js": {}},
}
"""What Sphinx must be told when the scripts lie in ``vendor`` below its static files."""


def vendored_files(store: Store) -> dict[str, Path]:
    """Return every file of require.js, the widgets and MathJax by its name below ``vendor``.

    Raises
    ------
    InvalidSetting
        If something must be fetched, and npm is not installed or reaches no registry.
    """
    files: dict[str, Path] = {}
    for name, (package, member) in _PACKAGES.items():
        folder = store.root / "vendor" / package.rpartition("/")[2]
        if not folder.exists():
            fetch(package, member, folder / name)
        found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        files |= {path.relative_to(folder).as_posix(): path for path in found}
    return files


def fetch(package: str, member: str, target: Path) -> None:
    """Put one file or folder of an npm package where it is wanted.

    Raises
    ------
    InvalidSetting
        If npm is not installed or reaches no registry.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InvalidSetting("npm: is not installed")
    folder = target.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        work = Path(name)
        command = [npm, "pack", package, "--silent", "--pack-destination", name]
        done = subprocess.run(command, cwd=work, capture_output=True, check=False)
        archives = list(work.glob("*.tgz"))
        if done.returncode or not archives:
            raise InvalidSetting(f"npm: could not fetch {package}")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(work, filter="data")
        for debugging in work.rglob("*.map"):
            debugging.unlink()
        (work / "ready").mkdir()
        (work / "package" / member).rename(work / "ready" / target.name)
        (work / "ready").rename(folder)
