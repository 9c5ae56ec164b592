"""What all tests share: checked shapes and types, and a store of their own."""

import shutil
import sys
from pathlib import Path

import jaxtyping

CHECKED = ("systems", "simulation", "reduction", "evaluation", "analysis", "store")
sys.path.insert(0, str(Path(__file__).parent))  # where the hook finds the module `typechecker`
jaxtyping.install_import_hook([f"nrp.{part}" for part in CHECKED], "typechecker.checked")

import pytest  # noqa: E402

from nrp.store import Store  # noqa: E402


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return Store(tmp_path / "runs")


@pytest.fixture(scope="session")
def book_root(tmp_path_factory):
    """A copy of the book's texts, so that a test leaves nothing in the working tree."""
    top, root = Path(__file__).parents[1], tmp_path_factory.mktemp("book")
    for name in ("_toc.yml", "_config.yml"):
        shutil.copy(top / name, root / name)
    shutil.copytree(top / "chapters", root / "chapters")
    return root


@pytest.fixture(scope="session")
def book_store(tmp_path_factory):
    """One store for all builds of the book."""
    return Store(tmp_path_factory.mktemp("runs"))
