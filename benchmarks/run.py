"""How fast the film is simulated, here and in other libraries: ``python benchmarks/run.py [--save]``.

All lines of a table are measured in turns within one run, so that whatever else the machine does slows all
of them.  Compare ratios; absolute times belong to one machine and one moment.  With ``--save`` the table
replaces the one that chapter 02 shows (``published/solver_benchmark``).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import peers
from joblib import Parallel, delayed
from numpy import ndarray
from record import machine, save

from nrp.evaluation import row
from nrp.pipeline import profile
from nrp.simulation import SBDF4, CampaignSettings, Run, Simulation
from nrp.simulation.calibration import time_step
from nrp.systems.film import Film, FilmSettings, draw_disorder

TOLERANCE = 1e-3
OURS, OURS_OLD = "nrp SBDF4", "nrp ETDRK4"
COUNTS = sorted({round(300 * 1.04**i) for i in range(112)})
"""Steps up to the kink of h at t = 150 that are tried: 4 % apart, from steps of 0.5 to 0.0065."""
FILM = CampaignSettings(frames=2, system=FilmSettings(coarsen=1))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each line is measured")
    parser.add_argument("--save", action="store_true", help="store the table for chapter 02")
    parser.add_argument("--memory-of-one-run", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of_one_run:
        return _memory_child()
    about = machine("numpy", "scipy", "pyfftw", "numba", "exponax", "jax", "py-pde", "dedalus")
    rows: list[dict] = []
    for anisotropy in (2.0, 4.0):
        rows += _single(anisotropy, options.rounds)
    rows += _batch(max(2, options.rounds - 2))
    rows += [entry for points in (64, 128, 256, 512, 1024) for entry in _steady(points)]
    rows += [row("added_memory", _memory(), case="1024²", system=OURS)]
    if options.save:
        save(rows, "solver_benchmark", "make bench, python benchmarks/run.py --save", about)
    return None


def _single(anisotropy: float, rounds: int) -> list[dict]:
    """One run at 128², each solver with the longest step that keeps the tolerance."""
    print(f"\none run, 128², α = {anisotropy:g}, error ≤ {TOLERANCE:g} at t = 300\n{_HEAD}")
    run = Run(0.01, 0, anisotropy)
    film = Simulation(FILM, run)
    problem = _problem(film)
    truth = _final(FILM.replace(scheme="etdrk4", time_step=0.05 / anisotropy), run)
    explicit = partial(peers.pde_runner, *problem)
    # Steps worth trying, so that none takes minutes; explicit ones are bounded by their stability.
    solvers: dict[str, tuple[Callable, tuple[float, float]]] = {
        OURS: (partial(_prepare, run, "sbdf4"), (0.04, 0.5)),
        OURS_OLD: (partial(_prepare, run, "etdrk4"), (0.04, 0.5)),
        "exponax ETDRK4, float32": (partial(peers.exponax_runner, *problem), (0.04, 0.5)),
        "exponax ETDRK4, float64": (partial(peers.exponax_runner, *problem, double=True), (0.04, 0.5)),
        "py-pde Euler": (partial(explicit, scheme="euler"), (0.007, 0.0145)),
        "py-pde Runge-Kutta": (partial(explicit, scheme="runge-kutta"), (0.015, 0.0205)),
    }
    if find_spec("dedalus"):
        solvers["Dedalus SBDF4"] = (partial(peers.dedalus_runner, *problem), (0.04, 0.5))
    ready, chosen = {}, {}
    for name, (prepare, (shortest, longest)) in solvers.items():
        steps = [150 / n for n in COUNTS if shortest <= 150 / n <= longest]
        low, high = 0, len(steps)  # the longest step that will do lies in steps[low:high]
        while low < high:
            middle = (low + high) // 2
            call = prepare(steps[middle])  # plans and, with the first call, compiles
            error = np.linalg.norm(call() - truth) / np.linalg.norm(truth)
            if error <= TOLERANCE:
                ready[name], chosen[name] = call, (steps[middle], error)
                high = middle
            else:
                low = middle + 1
    return _compare(ready, chosen, rounds, case=f"one run, α = {anisotropy:g}")


def _problem(film: Simulation) -> tuple[ndarray, ndarray, ndarray]:
    """Return what other solvers are given: the dispersion, the local force and the first state."""
    system = film.system
    assert isinstance(system, Film)
    return -system.linear, system.local, film.state


def _batch(rounds: int) -> list[dict]:
    """31 runs at 128², a step for each α from the calibration, on all cores."""
    print(f"\n31 values of α, a step for each, all cores\n{_HEAD}")
    alphas = profile("book").datasets["films"].anisotropy
    pool = Parallel(n_jobs=-1, inner_max_num_threads=1)
    others = []
    for alpha in alphas:
        film = Simulation(FILM, Run(0.01, 0, alpha))
        dt = 150 / np.ceil(150 / time_step(FILM.replace(scheme="etdrk4"), alpha)[0])
        others.append(peers.exponax_runner(*_problem(film), dt))

    def exponax() -> list:
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return list(threads.map(lambda call: call(), others))

    solvers = {
        OURS: lambda: pool(delayed(_final)(FILM, Run(0.01, 0, alpha)) for alpha in alphas),
        "exponax ETDRK4, float32": exponax,
    }
    for call in solvers.values():
        call()
    return _compare(solvers, {}, rounds, case="31 values of α")


_HEAD = f"{'solver':<26}{'step':>8}{'error':>10}{'seconds':>10}   times as long as nrp (range)"


def _compare(solvers: dict, chosen: dict, rounds: int, **columns: object) -> list[dict]:
    """Time the solvers in turns; ratios are taken within a round."""
    times: dict[str, list[float]] = {name: [] for name in solvers}
    for turn in range(rounds):
        for name, call in list(solvers.items())[:: 1 if turn % 2 else -1]:
            time.sleep(0.5)  # until the threads of the last one sleep
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    rows = []
    for name, seconds in times.items():
        ratios = [one / ours for one, ours in zip(seconds, times[OURS], strict=True)]
        step, error = chosen.get(name, (np.nan, np.nan))
        middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
        second = statistics.median(seconds)
        print(f"{name:<26}{step:8.4f}{error:10.1e}{second:10.3f}   {middle:.1f} ({low:.1f} to {high:.1f})")
        common = {"system": name, **columns}
        rows.append(row("time_ratio", middle, low=low, high=high, **common))
        rows.append(row("seconds", second, **common))
        if name in chosen:
            rows += [row("time_step", step, **common), row("final_error", error, **common)]
    return rows


def _steady(points: int, seconds: float = 2.0) -> list[dict]:
    """Time per point and step, and the share of its two FFTs in a step that goes on from the last."""
    settings = FilmSettings(box=points / 2, dx=0.5)
    film = Film(settings, anisotropy=2.0, disorder=draw_disorder(settings, seed=0, sample=0))
    stepper, field, dt = SBDF4(film), lambda t: 1.0, 0.2
    state = np.full(settings.shape, 0.9)
    for number in range(8):
        state = stepper.step(state, field, number * dt, dt)
    if points == 64:
        print(f"\n{'grid':>6}{'µs/step':>10}{'ns/point/step':>15}{'in FFTs':>9}")
    times: dict[str, list[float]] = {"step": [], "ffts": []}
    end, number = time.perf_counter() + seconds, 8
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(4):
            state = stepper.step(state, field, number * dt, dt)
            number += 1
        middle = time.perf_counter()
        for _ in range(4):
            stepper._backward()
            stepper._forward()
        stop = time.perf_counter()
        # What the FFTs alone have left behind is no state to go on from.
        state = stepper.step(np.full(settings.shape, 0.9), field, 0.0, dt)
        for number in range(1, 5):
            state = stepper.step(state, field, number * dt, dt)
        number = 5
        times["step"].append((middle - start) / 4)
        times["ffts"].append((stop - middle) / 4)
    step, ffts = (statistics.median(values) for values in times.values())
    print(f"{points:5d}²{step * 1e6:10.1f}{step / points**2 * 1e9:15.2f}{ffts / step:9.0%}", flush=True)
    common = {"case": f"{points}²", "system": OURS}
    return [row("step_time", step / points**2 * 1e9, **common), row("fft_share", ffts / step, **common)]


def _prepare(run: Run, scheme: str, dt: float) -> Callable[[], np.ndarray]:
    campaign = FILM.replace(scheme=scheme, time_step=dt)
    return lambda: _final(campaign, run)


def _final(campaign: CampaignSettings, run: Run) -> np.ndarray:
    simulation = Simulation(campaign, run)
    for _ in simulation:
        pass
    return np.array(simulation.state)


def _memory() -> float:
    """Return how many megabytes one 1024² run adds to the imports, at most, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of-one-run"]
    added = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"\none run at 1024² adds {added:.0f} MB to the imports")
    return added


def _memory_child() -> None:
    small = CampaignSettings(system=FilmSettings(box=8), frames=2, duration=3)
    _final(small, Run(0.01, 0, 2.0))  # compiles
    before = _peak()
    _final(small.replace(system=FilmSettings(box=512), frames=3), Run(0.01, 0, 2.0))
    print(_peak() - before)


def _peak() -> float:
    """Return the largest memory that this process has had, in megabytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3


if __name__ == "__main__":
    main()
