"""The droplet model, against the solver's energy and the theory of waves."""

import numpy as np
import pytest
import xarray as xr

from nrp.analysis.film.droplets import Shape, density, domain_energy, droplets, threshold
from nrp.evaluation import Result, row
from nrp.simulation import CampaignSettings
from nrp.systems.film import Film, FilmSettings
from nrp.systems.film_theory import critical_field, uniform_equilibrium


@pytest.mark.parametrize("external_field", [0.0, 0.6])
@pytest.mark.parametrize(
    ("anisotropy", "radius", "wall", "spacing"),
    [(1.0, 3.0, 1.2, 20.0), (2.0, 2.5, 0.9, 14.0), (4.0, 2.0, 0.7, 11.0)],
)
def test_lattice_energy_is_that_of_the_solver(anisotropy, radius, wall, spacing, external_field):
    dx, depth, level = 0.125, 1.7, 0.85
    # Two rows of a triangular lattice: a box of spacing × √3 spacing, with a height that the grid allows.
    height = round(np.sqrt(3) * spacing / dx) * dx
    settings = FilmSettings(box=(height, spacing), dx=dx, coarsen=1, disorder="none")
    film = Film(settings, anisotropy=anisotropy, disorder=np.ones(settings.shape))
    y, x = np.meshgrid(*(np.arange(n) * dx for n in settings.shape), indexing="ij")
    shape = Shape(radius, wall)
    centres = [
        (i * spacing + shift * spacing / 2, (j + shift / 2) * height)
        for i in range(-2, 4)
        for j in range(-2, 4)
        for shift in (0, 1)
    ]
    phi = level - depth * sum(shape.profile(np.hypot(x - a, y - b)) for a, b in centres)
    flat = np.full_like(phi, level)
    direct = film.energy(phi, external_field) - film.energy(flat, external_field)
    known = density(spacing) * domain_energy(
        shape, depth, level, anisotropy=anisotropy, external_field=external_field, spacing=spacing
    )
    assert known == pytest.approx(direct, rel=0.02)


def test_far_droplets_are_alone_and_near_ones_repel():
    shape = Shape(2.0, 0.8)
    common = {"anisotropy": 2.0, "external_field": 0.9}
    alone = domain_energy(shape, 1.8, 0.9, **common)
    far, near = (domain_energy(shape, 1.8, 0.9, spacing=s, **common) for s in (150.0, 10.0))
    assert far == pytest.approx(alone, rel=1e-3)
    assert near > far


def test_worm_is_a_long_stripe():
    dx, length = 0.125, 96.0
    settings = FilmSettings(box=(4.0, length), dx=dx, coarsen=1, disorder="none")
    film = Film(settings, anisotropy=2.0, disorder=np.ones(settings.shape))
    shape = Shape(1.5, 0.8, dimension=1)
    x = np.arange(settings.shape[1]) * dx - length / 2
    phi = np.broadcast_to(0.9 - 1.8 * shape.profile(x), settings.shape).copy()
    direct = (film.energy(phi, 0.5) - film.energy(np.full_like(phi, 0.9), 0.5)) * length
    assert domain_energy(shape, 1.8, 0.9, anisotropy=2.0, external_field=0.5) == pytest.approx(
        direct, rel=0.02
    )


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("anisotropy", [2.0, 3.5])
def test_at_the_threshold_a_domain_costs_nothing_and_is_the_best(anisotropy, dimension):
    field, shape, depth = threshold(anisotropy, dimension=dimension)
    level = uniform_equilibrium(field, anisotropy)
    common = {"anisotropy": anisotropy, "external_field": field}
    scale = abs(domain_energy(shape, depth / 2, level, **common))  # the barrier
    assert abs(domain_energy(shape, depth, level, **common)) < 1e-3 * scale
    for radius, wall, factor in (
        (1.15, 1, 1),
        (0.87, 1, 1),
        (1, 1.15, 1),
        (1, 0.87, 1),
        (1, 1, 1.1),
        (1, 1, 0.9),
    ):
        other = Shape(radius * shape.radius, wall * shape.wall, dimension)
        assert domain_energy(other, factor * depth, level, **common) > 0


def test_droplets_pay_before_waves_grow_at_large_anisotropy():
    assert threshold(3.0)[0] > critical_field(3.0)
    assert threshold(1.0)[0] < critical_field(1.0)


def test_thresholds_beside_the_measured_onset():
    alphas = np.linspace(1, 4, 13)
    times = np.stack([90 + 10 * (alphas - 1), 92 + 10 * (alphas - 1)])
    films = xr.Dataset(
        {"sweep_rate": ("run", [0.01])}, attrs={"settings": CampaignSettings().model_dump_json()}
    )
    result = droplets(films, Result.of([row("x", 0)], alphas=alphas, onset_times=times))
    assert result.value("onset_field", anisotropy=1.0) == pytest.approx(1.5 - 0.91)
    crossing = result.value("crossing", case="droplets before waves")
    assert threshold(crossing + 0.2)[0] > critical_field(crossing + 0.2)
    assert threshold(crossing - 0.2)[0] < critical_field(crossing - 0.2)
    # Above the threshold no lattice pays; below, its density grows from zero.
    best = result.arrays["best_density"]
    assert best[0] == 0
    assert (np.diff(best[1:]) > 0).all()
