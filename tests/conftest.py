"""What all tests share: checked shapes and types, and a store of their own."""

import os
import shutil
import sys
from pathlib import Path

import jaxtyping

CHECKED = ("systems", "simulation", "reduction", "evaluation", "analysis", "store")
sys.path.insert(0, str(Path(__file__).parent))  # where the hook finds the module `typechecker`
jaxtyping.install_import_hook([f"nrp.{part}" for part in CHECKED], "typechecker.checked")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
import xarray as xr  # noqa: E402
from known import filmed  # noqa: E402

from nrp.simulation import CampaignSettings  # noqa: E402
from nrp.store import Store  # noqa: E402
from nrp.systems.bead import BeadSettings  # noqa: E402
from nrp.systems.film import FilmSettings  # noqa: E402

torch.set_num_threads(1)  # networks as small as those of the tests gain nothing from more

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return Store(tmp_path / "runs")


@pytest.fixture(scope="session")
def beads():
    """Films of six beads that slide into the wells of a landscape at a field of 0."""
    campaign = CampaignSettings(
        system=BeadSettings(pixels=24, view=3.5),
        anisotropy=(1.0,),
        sample=tuple(range(6)),
        field_init=0.0,
        duration=3.0,
        frames=61,
        time_step=0.05,
    )
    return filmed(campaign)


@pytest.fixture(scope="session")
def films():
    """Small magnetic films, every grid point of which is seen."""
    film = FilmSettings(box=16, dx=1.0, coarsen=1)
    alphas = (1.0, 1.5, 2.0, 2.5, 3.0)
    return filmed(
        CampaignSettings(system=film, anisotropy=alphas, sweep_rate=(0.05,), frames=41, tolerance=1e-4)
    )


@pytest.fixture(scope="session")
def book_root(book_store):
    """A copy of the book's texts beside its results, so that a test leaves nothing in the working tree."""
    top, root = Path(__file__).parents[1], book_store.root / "book"
    shutil.rmtree(root / "chapters", ignore_errors=True)
    shutil.copytree(top / "chapters", root / "chapters")
    for name in ("_toc.yml", "_config.yml"):
        shutil.copy(top / name, root / name)
    return root


@pytest.fixture(scope="session")
def book_store(tmp_path_factory):
    """One store for all builds of the book; ``$NRP_TEST_RUNS`` shares it, and the pages, with later tests."""
    return Store(os.environ.get("NRP_TEST_RUNS") or tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def chromium():
    """The browser of all tests in one: ``$CHROMIUM``, or the one that is installed."""
    sync_api = pytest.importorskip("playwright.sync_api")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert program, "chromium is not installed; set CHROMIUM"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def blob() -> xr.Dataset:
    """Three runs of 11 frames of a blob that shrinks, in the layout of all datasets."""
    time_, alpha = np.linspace(0, 5, 11), np.array([1.0, 2.0, 3.0])
    y, x = np.mgrid[-1:1:6j, -1:1:6j]
    decay = np.exp(-time_[None] / alpha[:, None])[..., None, None]
    images = np.exp(-(x**2 + y**2) * (1 + decay))
    rate = (x**2 + y**2) * decay / alpha[:, None, None, None] * images
    frames = ("run", "frame")
    return xr.Dataset(
        {
            "magnetization": ((*frames, "y", "x"), images.astype(np.float32)),
            "rate": ((*frames, "y", "x"), rate.astype(np.float32)),
            "external_field": (frames, np.broadcast_to(1 - time_ / 5, (3, 11))),
            "disorder": (("run", "y", "x"), np.ones((3, 6, 6))),
            "energy": (frames, (images**2).mean(axis=(2, 3))),
        },
        coords={
            "time": (frames, np.broadcast_to(time_, (3, 11))),
            "anisotropy": ("run", alpha),
            "sample": ("run", [0, 0, 0]),
            "sweep_rate": ("run", [0.2, 0.2, 0.2]),
        },
        attrs={"key": "blob", "field": "magnetization"},
    )
