"""The checks of the solver: they are passed, and they hold what they say."""

import pytest

from nrp.analysis.film.solver import SCHEMES, SPACINGS, solver_checks


@pytest.fixture(scope="module")
def checks():
    return solver_checks(box=8.0, anisotropy=(2.0,), samples=1)


def test_the_solver_keeps_to_the_closed_forms(checks):
    assert checks.value("growth_rate_error") < 1e-3
    assert checks.value("uniform_mode_error") < 1e-5
    assert checks.value("wall_energy_error") < 1e-3
    assert checks.value("dissipation_error") < 1e-2
    # The energy of stripes is the first term of an expansion.
    assert checks.value("stripe_energy_error") < 0.05


@pytest.mark.parametrize("scheme", SCHEMES)
def test_both_schemes_are_of_fourth_order(checks, scheme):
    assert checks.value("convergence_order", case=scheme) == pytest.approx(4, abs=0.5)


def test_finer_grids_differ_less(checks):
    for time in (75, 150):
        coarse, fine = (
            checks.value("resolution_difference", case=f"dx = {dx}, t = {time}") for dx in ("1", "0.5")
        )
        assert fine < coarse
    assert [checks.arrays[f"final_{dx:g}"].shape for dx in SPACINGS] == [(8, 8)] * 3
    assert set(checks.table["system"]) == {"film"}
