"""The package as a wheel: it brings what is published, and runs where the sources are not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
CHAPTER = """\
---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# One

```{code-cell}
:tags: [parameters]
profile = "book"
```

```{code-cell}
from pathlib import Path
import nrp
from nrp.pipeline import Study
table = Study(profile).published("paper").table
print(len(table), Path(nrp.__file__).parent)
```
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the installed package, and nothing of the sources near it."""
    sources, target = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("installed")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, sources / name)
    for name in ("src", "published"):
        shutil.copytree(TOP / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target]
    done = subprocess.run([*pip, sources], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(sources)
    return target


@pytest.fixture
def command(installed, tmp_path):
    """Run `nrp` of the installed package in a book that lies elsewhere."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "one.md").write_text(CHAPTER)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: chapters/one\n")
    environment = os.environ | {"PYTHONPATH": str(installed), "NRP_RUNS": str(tmp_path / "runs")}

    def call(*arguments):
        code = "from nrp.cli import main; raise SystemExit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_published_files_are_those_of_the_sources(installed):
    def files(folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert files(installed / "nrp" / "published") == files(TOP / "published")


def test_published_numbers_are_printed(command):
    arms = {row["arm"] for row in json.loads(command("results", "--json"))}
    assert {"paper", "identified", "pod"} <= arms


def test_chapter_runs_away_from_the_sources(command, installed):
    path = Path(command("chapter", "one", "-p", "profile", "mini").strip())
    outputs = [cell.get("outputs") for cell in json.loads(path.read_text())["cells"]]
    rows, folder = "".join(outputs[-1][0]["text"]).split()
    assert int(rows) > 0
    assert folder == str(installed / "nrp")
