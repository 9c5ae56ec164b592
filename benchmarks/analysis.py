"""How long the patterns and the test for jumps take: ``python benchmarks/analysis.py``.

The morphology of the final states of a campaign of 31 anisotropies × 5 samples at 128 × 128 pixels, with
periodic persistence, part by part; the descriptors of 10,000 images; one test of a curve; one control, from
the film to the test.  On one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from record import machine

from nrp.analysis.film.patterns import morphology, patterns
from nrp.analysis.images.domains import describe, euler_number, measure_domains
from nrp.analysis.images.spectrum import peak_width
from nrp.analysis.transition.controls import run_control
from nrp.analysis.transition.jumps import weigh
from nrp.pipeline import profile
from nrp.reduction.descriptors import describe as descriptors
from nrp.reduction.persistence import persistence
from nrp.simulation import open_dataset, simulate
from nrp.store import Store
from nrp.systems.film import FilmSettings


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    machine("numpy", "scipy", "scikit-image", "gudhi", "torch")
    films = (
        profile("book")
        .datasets["films"]
        .replace(system=FilmSettings(coarsen=1), sample=tuple(range(5)), frames=2)
    )
    data = open_dataset(simulate(films, Store()))
    first, others = (data.isel(run=np.flatnonzero(choice)) for choice in (data.sample == 0, data.sample > 0))
    images = data.magnetization.isel(frame=-1).values.astype(float)
    pixel = float(data.x[1] - data.x[0])
    count = f"{len(images)} states of {' × '.join(map(str, images.shape[1:]))}"
    _time(f"patterns, {count}", lambda: patterns(first, others))
    for name, call in (
        ("all descriptors", lambda image: morphology(image, pixel)),
        ("domains, walls and wavenumber", lambda image: describe(image[None], pixel)),
        ("area and elongation of each domain", lambda image: measure_domains(image < 0, pixel)),
        ("Euler number", lambda image: euler_number(image < 0)),
        ("structure factor", lambda image: peak_width(image, pixel)),
        ("persistence from below", lambda image: persistence(image, dimension=0)),
    ):
        _time(f"  {name}", partial(_each, call, images))
    many = torch.from_numpy(images).float().unfold(1, 64, 64).unfold(2, 64, 64).reshape(-1, 64, 64)
    many = many.repeat(-(-10_000 // len(many)), 1, 1)[:10_000]
    _time("descriptors of 10000 images of 64 × 64, with rates", lambda: descriptors(many, many, pixel=pixel))
    x = np.linspace(1, 4, 31)
    noisy = np.tanh(x - 2.5) + 0.02 * np.random.default_rng(0).normal(size=31)
    weigh(x, noisy, draws=10)
    _time("test of one curve of 31 points", lambda: weigh(x, noisy, power=False))
    _time("the same with the smallest detectable jump", lambda: weigh(x, noisy))
    _time("one control, a bead", lambda: run_control(profile("book").controls[0]))


def _each(call: Callable[[np.ndarray], object], images: np.ndarray) -> None:
    for image in images:
        call(image)


def _time(name: str, call: Callable[[], object]) -> None:
    start = time.perf_counter()
    call()
    print(f"{name:<50}{time.perf_counter() - start:8.2f} s", flush=True)


if __name__ == "__main__":
    main()
