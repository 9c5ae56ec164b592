"""The film of `run.py` in other libraries: exponax (JAX), py-pde (numba) and Dedalus.

Each function prepares one solver and returns a callable that integrates to t = 300 and gives back the
last field.  Preparation is not part of a run, but the first call may compile: time the second.  The
problem is ``∂φ/∂t = local (φ − φ³) − dispersion φ + h(t)`` on a periodic box, where `local` is αλ(r) and
`dispersion` is L(k) on the grid of ``rfft2``.  The libraries are imported where they are used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import jax

Runner = Callable[[], np.ndarray]

END, KINK = 300.0, 150.0


def external_field(time: np.ndarray | float) -> np.ndarray:
    """Return h(t)."""
    return np.maximum(1.5 - 0.01 * time, 0.0)


def _steps(dt: float) -> int:
    """Return how many steps lead to the end; one of them must end at the kink of h."""
    half = round(KINK / dt)
    if abs(half * dt - KINK) > 1e-9 * KINK:
        raise ValueError(f"dt = {dt:g} does not divide {KINK:g}")
    return round(END / KINK) * half


def exponax_runner(
    dispersion: np.ndarray, local: np.ndarray, start: np.ndarray, dt: float, *, double: bool = False
) -> Runner:
    """Prepare exponax's ETDRK4 for one film."""
    import jax

    with jax.enable_x64(double):
        solve = jax.jit(_exponax_solver(dispersion, dt))
        arrays = _on_device(double, local, start)

    def run() -> np.ndarray:
        with jax.enable_x64(double):
            return np.asarray(solve(*arrays))

    return run


def _on_device(double: bool, *arrays: np.ndarray) -> list[jax.Array]:
    import jax.numpy as jnp

    return [jnp.asarray(array, jnp.float64 if double else jnp.float32) for array in arrays]


def _exponax_solver(dispersion: np.ndarray, dt: float) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return a function of `local` and `start`.

    The linear part is the dispersion alone: a constant moved into it (−2α) costs accuracy at every step.
    """
    import jax
    import jax.numpy as jnp
    from exponax.etdrk import ETDRK4
    from exponax.nonlin_fun import BaseNonlinearFun

    class LocalForce(BaseNonlinearFun):
        """All but the dispersion, without dealiasing."""

        def __call__(self, u_hat: jax.Array, local: jax.Array, h: jax.Array) -> jax.Array:
            u = self.ifft(u_hat)
            return self.fft(local * u * (1 - u * u) + h)

    class DrivenETDRK4(ETDRK4):
        """exponax's ETDRK4 with h at the beginning, the middle and the end of the step.

        exponax knows no time, so this repeats the eight lines of its own `step_fourier`.
        """

        def step_fourier(self, u_hat: jax.Array, local: jax.Array, h: jax.Array) -> jax.Array:
            half = self._half_exp_term * u_hat
            n0 = self._nonlinear_fun(u_hat, local, h[0])
            stage_1 = half + self._coef_1 * n0
            n1 = self._nonlinear_fun(stage_1, local, h[1])
            n2 = self._nonlinear_fun(half + self._coef_2 * n1, local, h[1])
            stage_3 = self._half_exp_term * stage_1 + self._coef_3 * (2 * n2 - n0)
            n3 = self._nonlinear_fun(stage_3, local, h[2])
            explicit = self._coef_4 * n0 + self._coef_5 * 2 * (n1 + n2) + self._coef_6 * n3
            return self._exp_term * u_hat + explicit

    linear = jnp.asarray(-dispersion)[None]
    force = LocalForce(2, dispersion.shape[0])
    integrator = DrivenETDRK4(dt, linear, force)
    times = dt * (np.arange(_steps(dt))[:, None] + [0, 0.5, 1])
    drive = jnp.asarray(external_field(times), linear.dtype)

    def solve(local: jax.Array, start: jax.Array) -> jax.Array:
        def step(u_hat: jax.Array, h: jax.Array) -> tuple[jax.Array, None]:
            return integrator.step_fourier(u_hat, local, h), None

        u_hat, _ = jax.lax.scan(step, force.fft(start[None]), drive)
        return force.ifft(u_hat)[0]

    return solve


def pde_runner(
    dispersion: np.ndarray,
    local: np.ndarray,
    start: np.ndarray,
    dt: float,
    scheme: Literal["euler", "runge-kutta"] = "euler",
) -> Runner:
    """Prepare one of py-pde's explicit solvers on numba, with the FFTs of rocket-fft.

    Its Adams–Bashforth solver is left out: it finds each rate twice, and keeps the history of one run
    for the next.
    """
    import rocket_fft  # noqa: F401  (numba finds it by itself; without it, fail here and clearly)
    import scipy.fft
    from pde import CartesianGrid, PDEBase, ScalarField
    from pde.backends.base import BackendBase
    from pde.solvers.base import SolverBase

    logging.getLogger("pde").setLevel(logging.WARNING)
    shape = start.shape

    class Film(PDEBase):
        explicit_time_dependence = True

        def evolution_rate(self, state: ScalarField, t: float = 0) -> ScalarField:
            waves = scipy.fft.irfft2(dispersion * scipy.fft.rfft2(state.data), s=shape)
            rate = local * state.data * (1 - state.data**2) - waves + external_field(t)
            return ScalarField(state.grid, rate)

        def make_evolution_rate(self, state: ScalarField, backend: BackendBase) -> Callable:
            def rate(phi: np.ndarray, t: float) -> np.ndarray:
                h = max(1.5 - 0.01 * t, 0.0)
                out = scipy.fft.irfft2(dispersion * scipy.fft.rfft2(phi), shape)
                for i in range(out.shape[0]):
                    for j in range(out.shape[1]):
                        u = phi[i, j]
                        out[i, j] = local[i, j] * u * (1 - u * u) - out[i, j] + h
                return out

            return rate

    _steps(dt)
    state = ScalarField(CartesianGrid([(0, n) for n in shape], shape, periodic=True), start)
    solver = SolverBase.from_name(scheme, pde=Film(), backend="numba", adaptive=False)
    stepper = solver.make_stepper(state, dt)

    def run() -> np.ndarray:
        phi = state.copy()
        stepper(phi, 0.0, END)
        return phi.data

    return run


def dedalus_runner(dispersion: np.ndarray, local: np.ndarray, start: np.ndarray, dt: float) -> Runner:
    """Prepare Dedalus 3 with SBDF4; set OMP_NUM_THREADS=1, as it asks.

    Its real Fourier basis has no Nyquist modes, so that it converges to a slightly different solution.
    """
    import dedalus.public as d3
    from dedalus.core.operators import LinearOperator
    from dedalus.libraries.matsolvers import SolverBase
    from scipy import sparse

    logging.getLogger("subsystems").setLevel(logging.WARNING)
    modes = np.arange(len(start)) // 2  # cosines and sines alternate
    # Half of the slope −2α, taken implicitly, is what allows the longest steps.
    shift = local.mean()
    cost = (dispersion[np.ix_(modes, modes)] + shift).ravel()

    class Cost(LinearOperator):
        """The dispersion and the shift, as one diagonal matrix over all modes."""

        name = "Cost"

        def __init__(self, operand: d3.Field, out: d3.Field | None = None) -> None:
            super().__init__(operand, out=out)
            self.operand, self.domain = operand, operand.domain
            self.tensorsig, self.dtype = operand.tensorsig, operand.dtype

        def new_operand(self, operand: d3.Field | int, **options: object) -> Cost | int:
            return Cost(operand, **options) if operand != 0 else 0

        def matrix_dependence(self, *variables: object) -> np.ndarray:
            return np.array([True, True])

        matrix_coupling = matrix_dependence  # one large subproblem, not thousands of small ones

        def subproblem_matrix(self, subproblem: object) -> sparse.csr_matrix:
            return sparse.diags(cost, format="csr")

    class Diagonal(SolverBase):
        """Solver for a diagonal matrix."""

        config: dict = {}  # noqa: RUF012

        def __init__(self, matrix: sparse.csr_matrix, solver: object = None) -> None:
            self._diagonal = matrix.diagonal()[:, None]

        def solve(self, vector: np.ndarray) -> np.ndarray:
            return vector / self._diagonal

    coordinates = d3.CartesianCoordinates("y", "x")
    dist = d3.Distributor(coordinates, dtype=np.float64)
    bases = [d3.RealFourier(coordinates[name], len(start), bounds=(0, len(start))) for name in "yx"]
    phi, h = dist.Field(bases=bases), dist.Field()

    def local_force(phi: d3.Field, h: d3.Field) -> np.ndarray:
        u = phi.data
        return local * u * (1 - u * u) + shift * u + h.data.item()

    # One NumPy expression takes half the time of the same written in Dedalus's own operators.
    force = d3.GeneralFunction(dist, phi.domain, (), np.float64, "g", local_force, args=[phi, h])
    problem = d3.IVP([phi])
    problem.add_equation((d3.TimeDerivative(phi) + Cost(phi), force))
    solver = problem.build_solver(d3.SBDF4, matsolver=Diagonal, enforce_real_cadence=None)
    drive = external_field(dt * np.arange(_steps(dt)))

    def run() -> np.ndarray:
        solver.timestepper = d3.SBDF4(solver)  # without the history of the last run
        phi["g"] = start
        for value in drive:
            h["g"] = value
            solver.step(dt)
        return phi["g"].copy()

    return run
