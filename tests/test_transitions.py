"""Minima followed through the field in landscapes that are known by hand."""

import numpy as np
import pytest
import torch
import xarray as xr

from nrp.analysis.potential.occupied import followed
from nrp.analysis.potential.stability import stability_rows
from nrp.analysis.potential.transitions import transitions
from nrp.base import InvalidSetting
from nrp.evaluation import Result
from nrp.reduction import ModelSettings, ReducedModel
from nrp.simulation import CampaignSettings
from nrp.systems.film_theory import critical_field

ALPHAS = (1.0, 1.6, 3.0)
SCALE = torch.tensor([2.0, 0.5])
COVERAGE = {"anisotropy": [1.0], "sample": [0], "sweep_rate": [0.01]}


class Known(ReducedModel):
    """States are the descriptors themselves, in units of their deviations."""

    longest_step = 0.2

    def __init__(self, known, **changes):
        settings = ModelSettings.parse(
            {"arm": "descriptors", "latent": 2, "modes": 2, "width": 8, "mobility": "unit", **changes}
        )
        super().__init__(settings, (2,), COVERAGE)
        self.known = known
        self.scale = SCALE.clone()

    def encode(self, images):
        return images

    def decode(self, z):
        return z

    def potential(self, z, controls):
        return self.known(z, controls[..., 0], controls[..., 1])

    def slope(self, z, controls):
        return torch.func.grad(lambda state: self.potential(state, controls).sum())(z)


def cusp(middle):
    """z⁴/4 − a z²/2 − (h − middle) z with a = (α − 2)/2: folds at middle ± 2(a/3)^(3/2), above α = 2."""

    def potential(z, alpha, h):
        x, y = z[..., 0], z[..., 1]
        return x**4 / 4 - (alpha - 2) / 4 * x**2 - (h - middle) * x + y**2 / 2

    return potential


def tilted(z, alpha, h):
    """At every field the same cusp, whose tilt is (α − 2.5)/2."""
    x, y = z[..., 0], z[..., 1]
    return x**4 / 4 - x**2 / 2 - (alpha - 2.5) / 2 * x + (y - h) ** 2 / 2


def slide(z, alpha, h):
    """A slope without end."""
    return z.exp().sum(dim=-1)


def fold(alpha):
    return 2 * ((alpha - 2) / 6) ** 1.5


def films(*alphas, level=2.0):
    """Films with two samples and sweep rates, whose first frames lie at `level` on average."""
    alpha, sample, rate = (axis.ravel() for axis in np.meshgrid(alphas, (0, 1), (0.01, 0.02), indexing="ij"))
    count, frames = len(alpha), ("run", "frame")
    values = np.zeros((count, 3, 2), dtype=np.float32)
    values[:, 0, 0] = np.where(sample == 0, 0.5, 1.5) * level * float(SCALE[0])
    return xr.Dataset(
        {
            "descriptors": ((*frames, "number"), values),
            "rate": ((*frames, "number"), np.zeros_like(values)),
            "external_field": (frames, np.tile([1.5, 0.75, 0.0], (count, 1))),
            # h = 0.7 and 0.6 in the slow sweeps, and no onset in those of α = 4
            "onset_time": ("run", np.where(alpha == 4, np.nan, (80 + 10 * sample) * 0.01 / rate)),
            "disorder": (("run", "y", "x"), np.full((count, 64, 64), 1.3)),
        },
        coords={
            "anisotropy": ("run", alpha),
            "sample": ("run", sample),
            "sweep_rate": ("run", rate),
            "time": (frames, np.array([0.0, 0.75, 1.5]) / rate[:, None]),
            "number": ["mean", "negative_fraction"],
        },
        attrs={"field": "descriptors", "settings": CampaignSettings(anisotropy=alphas).model_dump_json()},
    )


@pytest.fixture(scope="module")
def two():
    """Members whose cusps lie at h = 0.7 and 0.8."""
    return transitions([Known(cusp(0.7)), Known(cusp(0.8))], films(*ALPHAS))


def one(result, metric, **where):
    return result.select(metric=metric, **where).iloc[0]


def test_folds_are_where_they_must_be_on_the_ways_down_and_up(two):
    where = {"anisotropy": 3.0}
    for case, sign in (("falling", -1), ("rising", 1)):
        entry = one(two, "fold_field", case=case, **where)
        assert entry["value"] == pytest.approx(0.75 + sign * fold(3.0), rel=2e-3)
        # Student's t with one degree of freedom, standard error 0.05.
        assert entry["high"] - entry["value"] == pytest.approx(12.706 * 0.05, rel=1e-2)
        assert (entry["members"], entry["arm"]) == (2, "descriptors")
        assert two.value("fold_share", case=case, **where) == two.value("fold_count", case=case, **where) == 1
        assert two.value("fold_jump", case=case, **where) == pytest.approx(3 / np.sqrt(6), rel=0.03)
    assert two.value("deepest_field", **where) == pytest.approx(0.75, abs=2e-3)
    falling = two.value("fold_field", case="falling", **where)
    assert two.value("stability_field", case="falling", **where) == falling
    assert two.value("softest", **where) == 0


@pytest.mark.parametrize("alpha", [1.0, 1.6])
def test_a_minimum_that_only_moves_has_no_fold_but_is_fastest_where_it_is_softest(two, alpha):
    for case in ("falling", "rising"):
        assert two.value("fold_share", case=case, anisotropy=alpha) == 0
    for metric in ("fold_field", "deepest_field"):
        with pytest.raises(KeyError):
            two.select(metric=metric, anisotropy=alpha)
    assert two.value("stability_field", case="falling", anisotropy=alpha) == pytest.approx(0.75, abs=3e-3)
    assert two.value("softest", anisotropy=alpha) == pytest.approx((2 - alpha) / 2, abs=0.01)


def test_shares_over_all_anisotropies_are_means_of_the_shares_of_members(two):
    mixed = transitions([Known(cusp(0.7)), Known(cusp(-3.0))], films(1.0, 3.0))
    for result, share in ((two, 1 / 3), (mixed, 0.25)):
        entry = one(result, "fold_share", case="falling", anisotropy=None)
        assert (entry["value"], entry["members"]) == (pytest.approx(share), 2)
    assert mixed.value("fold_share", case="falling", anisotropy=3.0) == 0.5
    entry = one(mixed, "fold_field", case="falling", anisotropy=3.0)
    assert (entry["value"], entry["members"]) == (pytest.approx(0.7 - fold(3.0), rel=2e-3), 1)


def test_a_minimum_where_no_film_has_been_is_told():
    def outside(z1, z2, *potentials):
        """The share for films that end there, and began between 1 and 3 in z₁, at 0 in z₂."""
        data = films(1.0)
        data["descriptors"][:, 2] = np.array([z1, z2]) * SCALE.numpy()
        result = transitions([Known(each) for each in potentials], data)
        return result.value("outside_share", case="falling", anisotropy=1.0)

    # One minimum goes down to −0.70 in z₁, and the other to −1.26, at 1.5 in z₂ at first.
    assert outside(0, 1, cusp(0.7), tilted) == 0.5
    assert outside(-1, 1, tilted) == 1
    assert outside(-1, 2, cusp(0.7), tilted) == 0


def test_members_that_are_lost_are_counted_and_left_out():
    result = transitions([Known(cusp(0.7)), Known(slide)], films(1.6))
    for case in ("falling", "rising"):
        entry = one(result, "lost_share", case=case, anisotropy=1.6)
        assert (entry["value"], entry["members"]) == (0.5, 2)
        entry = one(result, "fold_share", case=case, anisotropy=1.6)
        assert (entry["value"], entry["members"]) == (0, 1)
    lost = np.isnan(result.arrays["magnetization"]).all(axis=(1, 2, 3))
    assert lost.tolist() == [False, True]


def test_the_clean_film_and_the_films_stand_beside_the_model():
    alphas = np.array([1.0, 2.2, 3.5, 3.6, 4.0])
    rows = Result.of(stability_rows(films(*alphas), alphas, (0.0, 1.5)))
    exact = rows.select(arm="exact").set_index("anisotropy")["value"]
    assert exact.index.tolist() == [1.0, 2.2, 3.5]  # the others are larger than 1 + 8/π
    np.testing.assert_allclose(exact, critical_field(exact.index.to_numpy()), atol=1e-4)
    film = rows.select(arm="films").set_index("anisotropy")
    assert film.index.tolist() == [1.0, 2.2, 3.5, 3.6]  # without those that have no onset
    assert film.loc[1.0, "value"] == pytest.approx(0.65)
    assert film.loc[1.0, "high"] == pytest.approx(0.65 + 12.706 * 0.05, rel=1e-3)


def test_the_final_state_only_moves_with_the_anisotropy_of_a_cusp(two):
    for case in ("from_below", "from_above"):
        assert two.value("fold_share", case=case) == 0
        assert two.value("same_minimum", case=case) == 1
        assert two.value("largest_step", case=case) < 2
    # z³ − (α − 2) z/2 + 0.7 = 0
    z = two.arrays["final_magnetization"][0, 0] / float(SCALE[0])
    np.testing.assert_allclose(z**3 - (two.arrays["final_alphas"] - 2) / 2 * z + 0.7, 0, atol=2e-3)


def test_the_final_state_jumps_where_its_minimum_vanishes():
    result = transitions([Known(tilted)], films(1.0, 3.0, 4.0, level=-1.0))
    apart = 2 * 2 * (1 / 3) ** 1.5
    assert result.value("fold_share", case="from_below") == 1
    assert result.value("fold_anisotropy", case="from_below") == pytest.approx(2.5 + apart, rel=2e-3)
    assert result.value("fold_anisotropy", case="from_above") == pytest.approx(2.5 - apart, rel=2e-3)
    assert result.value("deepest_anisotropy") == pytest.approx(2.5, abs=5e-3)
    assert result.value("largest_step", case="from_below") > 5
    # Sweeps that begin below 0 stay there at α = 3, where the branch from above has not yet left.
    assert result.value("same_minimum", case="from_below") == 1
    assert result.value("same_minimum", case="from_above") == pytest.approx(2 / 3)
    assert result.value("fold_share", case="falling", anisotropy=None) == 0


def test_tracks_are_decoded_in_the_units_of_the_descriptors(two):
    a = two.arrays
    assert a["magnetization"].shape == (2, 2, 3, len(a["fields"]))
    at = int(np.abs(a["fields"] - 1.2).argmin())
    states = a["magnetization"][1, :, :, at] / float(SCALE[0])
    wanted = [np.roots([1, 0, -(alpha - 2) / 2, 0.8 - a["fields"][at]]).real.max() for alpha in ALPHAS]
    np.testing.assert_allclose(states, [wanted, wanted], atol=3e-3)
    np.testing.assert_allclose(a["states"][..., 0], a["magnetization"][0] / float(SCALE[0]), atol=1e-6)
    assert sum(array.nbytes for array in a.values()) < 2e5


def test_what_is_followed_ends_at_the_value_itself():
    model = Known(cusp(0.7)).double()
    start = torch.tensor([1.0, 0.2], dtype=torch.float64)
    track = followed(model.potential, (4.0, 1.5), start, along=1, until=0.6)
    assert track.control[[0, -1]].tolist() == [1.5, 0.6]
    assert (np.diff(track.control) < 0).all()
    assert track.z[-1, 0] ** 3 - track.z[-1, 0] + 0.1 == pytest.approx(0, abs=1e-9)
    assert len(track.folds) == 0


def test_a_free_field_has_no_minima():
    with pytest.raises(InvalidSetting, match="potential = 'none': must be one, for its minima are followed"):
        transitions([Known(slide, potential="none")], films(1.0))


def test_films_must_be_described():
    other = films(1.0).assign_coords(number=["mean", "deviation"])
    with pytest.raises(InvalidSetting, match="the descriptor 'negative_fraction' is missing"):
        transitions([Known(cusp(0.7))], other)
