"""Measure again how large a time step may be: ``python benchmarks/calibrate.py`` (minutes).

Writes ``src/nrp/simulation/calibration.json``: for both schemes and each anisotropy the relative L2 error at
the end of the paper's sweep by time step, the worst of some samples of the disorder.  The truth is ETDRK4
with a tiny step; how far SBDF4 with half of that is from it is printed.  With ``--plans`` it measures
the plans of FFTW instead, and writes ``src/nrp/simulation/fftw_wisdom.txt``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyfftw
from joblib import Parallel, delayed

import nrp.simulation
from nrp.simulation import CampaignSettings, Run, Simulation
from nrp.simulation.run import NotFinite
from nrp.systems.film import FilmSettings

ANISOTROPIES = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 3.5, 4.0)
SAMPLES = tuple(range(8))
STEPS = (0.025, 0.03, 0.0375, 0.05, 0.06, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.375, 0.5)
TRUTH = 0.08  # divided by α; steps of less than half as much again are not measured
SHAPES = (32, 64, 96, 128, 192, 256, 512, 1024)
FOLDER = Path(nrp.simulation.__file__).parent


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--plans", action="store_true", help="measure the plans of FFTW")
    _plans() if parser.parse_args().plans else _steps()


def _plans() -> None:
    pyfftw.forget_wisdom()
    for n in SHAPES:
        real, other = (pyfftw.empty_aligned((n, n), "float64") for _ in range(2))
        modes, rest = (pyfftw.empty_aligned((n, n // 2 + 1), "complex128") for _ in range(2))
        flags = ("FFTW_PATIENT" if n <= 256 else "FFTW_MEASURE", "FFTW_DESTROY_INPUT")
        pyfftw.FFTW(real, rest, axes=(0, 1), flags=flags)
        pyfftw.FFTW(modes, other, axes=(0, 1), flags=flags, direction="FFTW_BACKWARD")
    (FOLDER / "fftw_wisdom.txt").write_bytes(pyfftw.export_wisdom()[0])


def _steps() -> None:
    cases = [(anisotropy, sample) for anisotropy in ANISOTROPIES for sample in SAMPLES]
    measured = Parallel(n_jobs=-1, verbose=5, inner_max_num_threads=1)(delayed(_errors)(*c) for c in cases)
    errors: dict[str, dict] = {"sbdf4": {}, "etdrk4": {}}
    for scheme, anisotropies in errors.items():
        for anisotropy in ANISOTROPIES:
            samples = [m[scheme] for c, m in zip(cases, measured, strict=True) if c[0] == anisotropy]
            worst = [(dt, max(sample[dt] for sample in samples)) for dt in samples[0]]
            anisotropies[str(anisotropy)] = [(dt, float(f"{e:.3g}")) for dt, e in worst if e < 0.3]
    checks = {f"{c[0]} {c[1]}": m["truth"] for c, m in zip(cases, measured, strict=True)}
    print("between the two schemes at the tiny step:", checks)
    about = {"box": 64, "dx": 0.5, "sweep_rate": 0.01, "samples": SAMPLES}
    (FOLDER / "calibration.json").write_text(json.dumps({"about": about, "errors": errors}, indent=0) + "\n")


def _errors(anisotropy: float, sample: int) -> dict:
    tiny = TRUTH / anisotropy
    tiny = 150 / round(150 / tiny)
    truth = _final(anisotropy, sample, "etdrk4", tiny)

    def error(scheme: str, dt: float) -> float:
        try:
            return float(
                np.linalg.norm(_final(anisotropy, sample, scheme, dt) - truth) / np.linalg.norm(truth)
            )
        except NotFinite:
            return float("inf")

    return {"truth": error("sbdf4", tiny / 2)} | {
        scheme: {dt: error(scheme, dt) for dt in STEPS if dt > 1.5 * tiny} for scheme in ("sbdf4", "etdrk4")
    }


def _final(anisotropy: float, sample: int, scheme: str, dt: float) -> np.ndarray:
    campaign = CampaignSettings(frames=2, time_step=dt, scheme=scheme, system=FilmSettings(coarsen=1))
    simulation = Simulation(campaign, Run(0.01, sample, anisotropy))
    for _ in simulation:
        pass
    return np.array(simulation.state)


if __name__ == "__main__":
    main()
