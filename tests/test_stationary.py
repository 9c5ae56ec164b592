"""Stationary points, branches, paths and basins of landscapes that are known by hand."""

import numpy as np
import pytest
import torch

from nrp.analysis.potential.branches import follow_branch, occupied_minimum
from nrp.analysis.potential.paths import minimum_energy_path
from nrp.analysis.potential.stationary import Derivatives, basins, descended, stationary_points

NONE = torch.zeros(1)
MINIMA = [(-0.558224, 1.441726), (0.623499, 0.028038), (-0.050011, 0.466694)]
SADDLES = [(0.212487, 0.292988), (-0.822002, 0.624313)]
"""Of the surface of Müller and Brown (Theoretica Chimica Acta 53, 75, 1979)."""


def mueller_brown(z, controls):
    def row(*values):
        return torch.tensor(values, dtype=torch.float64)

    x, y = z[..., 0:1] - row(1, 0, -0.5, -1), z[..., 1:2] - row(0, 0.5, 1.5, 1)
    square = row(-1, -1, -6.5, 0.7) * x**2 + row(0, 0, 11, 0.6) * x * y + row(-10, -10, -6.5, 0.7) * y**2
    return (row(-200, -100, -170, 15) * torch.exp(square)).sum(dim=-1)


def cusp(z, controls):
    """z⁴/4 − a z²/2 − b z, with a second coordinate that only adds stiffness."""
    a, b = controls[..., 0], controls[..., 1]
    return z[..., 0] ** 4 / 4 - a * z[..., 0] ** 2 / 2 - b * z[..., 0] + z[..., 1] ** 2


def slide(z, controls):
    """A slope without end."""
    return z.exp().sum(dim=-1)


def grid(*axes):
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))


@pytest.fixture(scope="module")
def surface():
    return stationary_points(
        mueller_brown, NONE, grid(torch.linspace(-1.5, 1, 12), torch.linspace(-0.2, 1.8, 12))
    )


def test_all_five_points_of_a_known_surface_are_found(surface):
    np.testing.assert_allclose(surface.minima.z.numpy(), MINIMA, atol=1e-4)
    saddles = surface.z[(surface.curvatures[:, 0] < 0) & (surface.curvatures[:, 1] > 0)]
    np.testing.assert_allclose(saddles.numpy(), SADDLES, atol=1e-4)
    assert len(surface.z) == 5
    assert surface.value[0] == pytest.approx(-146.69952, abs=1e-4)


def test_curvatures_are_the_second_derivatives():
    points = stationary_points(cusp, torch.tensor([1.0, 0.0]), grid(*2 * [torch.linspace(-2, 2, 7)]))
    order = points.z[:, 0].argsort()
    np.testing.assert_allclose(points.z[order].numpy(), [[-1, 0], [0, 0], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(points.curvatures[order].numpy(), [[2, 2], [-1, 2], [2, 2]], atol=1e-6)
    z = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    assert Derivatives(cusp, torch.tensor([1.0, 0.5])).slope(z).tolist() == [
        [pytest.approx(0.027 - 0.3 - 0.5), pytest.approx(-0.4)]
    ]


def test_a_landscape_without_rest_has_no_points():
    points = stationary_points(slide, NONE, grid(*2 * [torch.linspace(-1, 1, 3)]))
    assert len(points.z) == 0
    assert len(points.minima.value) == 0


def test_every_start_falls_into_the_basin_on_its_side():
    starts = grid(torch.linspace(-1.9, 1.9, 20), torch.linspace(-1, 1, 5))
    minima = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    found = basins(cusp, torch.tensor([1.0, 0.0]), starts, minima)
    assert found.tolist() == (starts[:, 0] > 0).long().tolist()
    alone = basins(cusp, torch.tensor([1.0, 0.0]), starts, minima[:1])
    assert set(alone[starts[:, 0] > 0].tolist()) == {-1}


def test_the_flow_comes_to_the_end_of_a_narrow_valley():
    def valley(z, controls):
        return 100 * (z[..., 1] - z[..., 0] ** 2) ** 2 + (1 - z[..., 0]) ** 2

    starts = torch.tensor([[-1.2, 1.0], [0.0, -1.0], [2.0, 3.0]])
    np.testing.assert_allclose(descended(valley, NONE, starts, longest=0.05), 1, atol=1e-6)


def test_the_flow_passes_where_a_minimum_has_vanished():
    starts = torch.tensor([[1.5, 0.5], [1.0, -0.3]])
    control = torch.tensor([1.0, -(2 / 27**0.5) - 1e-4])  # 1e-4 beyond the fold at 1/√3
    ends = descended(cusp, control, starts, longest=0.05)
    wanted = np.roots([1, 0, -1, -float(control[1])]).real.min()
    np.testing.assert_allclose(ends, [[wanted, 0]] * 2, atol=1e-6)


@pytest.mark.parametrize("a", [0.5, 1.0, 2.0])
def test_both_folds_of_the_cusp_are_found(a):
    controls = torch.tensor([a, 2.0])
    branch = follow_branch(
        cusp, controls, torch.tensor([1.6, 0.0]), along=1, limits=(-2.5, 2.5), step=0.1, rising=False
    )
    fold = 2 * (a / 3) ** 1.5
    np.testing.assert_allclose(branch.folds, [-fold, fold], rtol=1e-4)
    np.testing.assert_allclose(branch.fold_states[:, 0], [np.sqrt(a / 3), -np.sqrt(a / 3)], rtol=1e-2)
    # Between the folds, and only there, the branch is unstable.
    unstable = branch.curvatures[:, 0] < 0
    assert (np.abs(branch.control[unstable]) <= fold + 1e-6).all()
    assert branch.control[0] == pytest.approx(2.0)
    assert branch.control[-1] < -2.3


@pytest.mark.parametrize(("begin", "until"), [(2.0, -2.0), (-2.0, 2.0)])
def test_a_state_jumps_where_its_minimum_vanishes(begin, until):
    controls = torch.tensor([1.0, begin])
    side = 1.0 if begin > 0 else -1.0
    track = occupied_minimum(cusp, controls, torch.tensor([side, 0.3]), along=1, until=until, step=0.1)
    fold = 2 * (1 / 3) ** 1.5
    assert track.folds == pytest.approx([-side * fold], rel=1e-4)
    # From the fold at √(1/3) to the other minimum, at −2√(1/3).
    assert track.jumps == pytest.approx([3 * np.sqrt(1 / 3)], rel=0.02)
    before = side * track.control > -fold
    assert (side * track.z[before, 0] > np.sqrt(1 / 3) - 0.02).all()
    assert (side * track.z[~before, 0] < -1).all()
    assert (track.softest > -1e-6).all()
    assert side * track.control[-1] < -1.8


def test_a_minimum_that_only_moves_has_no_jump():
    controls = torch.tensor([-0.5, 2.0])
    track = occupied_minimum(cusp, controls, torch.tensor([1.0, 0.0]), along=1, until=-2.0, step=0.1)
    assert len(track.folds) == len(track.jumps) == 0
    residual = track.z[:, 0] ** 3 + 0.5 * track.z[:, 0] - track.control
    np.testing.assert_allclose(residual, 0, atol=1e-8)


def test_without_a_cusp_there_is_no_fold():
    controls = torch.tensor([-0.5, 2.0])
    branch = follow_branch(
        cusp, controls, torch.tensor([1.0, 0.0]), along=1, limits=(-2.0, 2.0), step=0.1, rising=False
    )
    assert len(branch.folds) == 0
    assert (branch.curvatures > 0).all()


def test_a_branch_needs_a_stationary_point():
    with pytest.raises(ValueError, match="there is no stationary point near it"):
        follow_branch(slide, NONE, torch.zeros(2), along=0, limits=(-1.0, 1.0), step=0.1, rising=True)


@pytest.mark.parametrize(("start", "end", "saddle"), [(2, 1, 0), (0, 2, 1)])
def test_the_path_between_minima_leads_over_the_saddle(surface, start, end, saddle):
    first, last = (torch.tensor(MINIMA[i], dtype=torch.float64) for i in (start, end))
    path, top = minimum_energy_path(mueller_brown, NONE, first, last)
    np.testing.assert_allclose(top.z[0].numpy(), SADDLES[saddle], atol=1e-4)
    # Along the path the slope has no part across it.
    at = Derivatives(mueller_brown, NONE)
    inner, along = path[5:-5], path[6:-4] - path[4:-6]
    slope, along = at.slope(inner), along / along.norm(dim=1, keepdim=True)
    across = slope - (slope * along).sum(dim=1, keepdim=True) * along
    assert across.norm(dim=1).max() < 0.1 * slope.norm(dim=1).max()
