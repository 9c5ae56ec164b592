"""Is it a potential?  The true energy is one, upside down it is none, and a field that turns is no slope."""

import numpy as np
import pytest
import torch
from known import TruePlane, filmed, of, see

from nrp.analysis.model.gradient_flow import gradient_flow
from nrp.reduction import ModelSettings, ReducedModel, coverage
from nrp.reduction.networks import Autoencoder
from nrp.simulation import settings_of


class Turning(ReducedModel):
    """A free field with a known share of rotation."""

    def __init__(self, films, turn: float) -> None:
        settings = ModelSettings(potential="none", latent=64, width=8)
        super().__init__(settings, (8, 8), coverage([films], settings))
        self.autoencoder, self.turn = Autoencoder(), turn

    def velocity(self, z, controls):
        return -z + self.turn * torch.roll(z, 1, -1) - self.turn * torch.roll(z, -1, -1)


@pytest.fixture(scope="module")
def small(films):
    """One film of 8 × 8 points."""
    campaign = settings_of(films)
    return filmed(campaign.replace(system=campaign.system.replace(box=8), anisotropy=2.0))


def test_the_true_energy_falls_and_balances(films):
    result = gradient_flow([see(TruePlane(films), films)])
    assert of(result, "balance_error") < 0.01
    assert of(result, "rise", case="amount") < 0.01
    assert result.value("rise", split="trained", arm="true_energy", case="frequency") == 0


class UpsideDown(TruePlane):
    """The true landscape with another sign."""

    def potential(self, z, controls):
        return -super().potential(z, controls)

    def slope(self, z, controls):
        return -super().slope(z, controls)


def test_a_landscape_upside_down_rises(films):
    result = gradient_flow([see(UpsideDown(films), films)])
    assert of(result, "rise", case="amount") > 0.99
    assert of(result, "balance_error") > 1


def test_members_are_pooled_and_the_truth_is_counted_once(small):
    right, wrong = TruePlane(small), UpsideDown(small)
    result = gradient_flow([see(right, small), see(wrong, small)])
    single = [of(gradient_flow([see(model, small)]), "balance_error") for model in (right, wrong)]
    entry = result.select(metric="balance_error", split="trained", arm="paper").iloc[0]
    assert entry["value"] == pytest.approx(np.mean(single))
    assert entry["members"] == 2
    alone = result.select(metric="rise", split="trained", arm="true_energy", case="amount").iloc[0]
    assert alone["members"] == 1


@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_curl_is_told(small, turn):
    result = gradient_flow([see(TruePlane(small), small)], [see(Turning(small, turn), small)])
    # The symmetric part is the identity; each row of the other holds the turn twice.
    expected = np.sqrt(2) * turn / np.sqrt(1 + 2 * turn**2)
    found = {
        case: result.value("curl_share", arm="free_field", case=case)
        for case in ("identity", "pullback", "constant")
    }
    assert found["identity"] == pytest.approx(expected, abs=1e-3)
    assert found["pullback"] == pytest.approx(expected, abs=1e-3)
    assert found["constant"] <= found["identity"] + 1e-6


def test_a_free_field_needs_no_potential():
    settings = ModelSettings(latent=4, width=8, potential="none")
    model = ReducedModel(settings, (8, 8), {"anisotropy": [1.0], "sample": [0], "sweep_rate": [0.01]})
    z, controls = torch.randn(5, 4), torch.rand(5, 2)
    assert model.velocity(z, controls).shape == (5, 4)
    assert settings.label == "free_field"
    derivative = torch.func.vmap(torch.func.jacrev(model.velocity))(z, controls)
    assert (derivative - derivative.mT).abs().max() > 1e-3  # it is no slope of anything
