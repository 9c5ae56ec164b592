"""How fast the film is simulated, and where the time goes: ``python benchmarks/run.py``.

Absolute times belong to one machine and one moment; compare ratios within one table.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy
from scipy.fft import irfft2, rfft2
from threadpoolctl import threadpool_limits

import nrp
from nrp.settings import CampaignSettings, FilmSettings
from nrp.simulation import ETDRK4, FieldSweep, integrators
from nrp.simulation.run import default_time_step
from nrp.systems import Film, draw_disorder

CASES = [(64, 2.0), (128, 1.0), (128, 2.0), (128, 4.0), (256, 2.0)]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="time spent on each line")
    seconds = parser.parse_args().seconds
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"machine: {os.cpu_count()} cores, {_processor()}, load {load}; one thread is used")
    print(
        f"nrp {nrp.__version__}, Python {platform.python_version()}, "
        f"numpy {np.__version__}, scipy {scipy.__version__}"
    )
    print(f"run: t = 0 … {_duration():g}, extrapolated from the median of single steps\n")
    print("  grid     α   step dt  steps/run   s/run  ms/step  ns/point/step  FFTs/step  in FFTs")
    with threadpool_limits(1):
        for points, anisotropy in CASES:
            print(_line(points, anisotropy, seconds), flush=True)


def _line(points: int, anisotropy: float, seconds: float) -> str:
    settings = FilmSettings(box=points / 2, dx=0.5)
    disorder = draw_disorder(settings, seed=0, sample=0)
    film = Film(settings, anisotropy=anisotropy, disorder=disorder)
    stepper, dt = ETDRK4(film, FieldSweep(1.5, 0.01)), default_time_step(anisotropy)
    phi = np.random.default_rng(0).uniform(-1, 1, size=disorder.shape)
    transforms = _transforms(lambda: stepper.step(phi, 0.0, dt))  # also finds the coefficients
    spectrum, times = rfft2(phi), {"step": [], "pair": []}
    # Steps and pairs alternate, so that whatever else the machine does slows both.
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["step"]) < 5:
        times["step"].append(_seconds(lambda: stepper.step(phi, 0.0, dt)))
        times["pair"].append(_seconds(lambda: irfft2(spectrum, s=phi.shape), lambda: rfft2(phi)))
    step, pair = (statistics.median(times[name]) for name in ("step", "pair"))
    steps = round(_duration() / dt)
    return (
        f"{points:4d}²  {anisotropy:4.1f}  {dt:8.4f}  {steps:9d}  {steps * step:6.2f}  "
        f"{step * 1e3:7.3f}  {step / points**2 * 1e9:13.1f}  {transforms:9d}  "
        f"{transforms / 2 * pair / step:6.0%}"
    )


def _duration() -> float:
    return CampaignSettings().end(0.01)


def _seconds(*calls: Callable[[], object]) -> float:
    start = time.perf_counter()
    for call in calls:
        call()
    return time.perf_counter() - start


def _transforms(step: Callable[[], object]) -> int:
    """Return how many two-dimensional transforms one step takes, by counting them."""
    count, originals = 0, {name: getattr(integrators, name) for name in ("rfft2", "irfft2")}

    def counted(transform: Callable) -> Callable:
        def call(*args: object, **options: object) -> np.ndarray:
            nonlocal count
            count += 1
            return transform(*args, **options)

        return call

    try:
        for name, transform in originals.items():
            setattr(integrators, name, counted(transform))
        step()
    finally:
        for name, transform in originals.items():
            setattr(integrators, name, transform)
    return count


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(s.partition(": ")[2] for s in lines if s.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
