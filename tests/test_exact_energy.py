"""V against the energy of the decoded image: the true one is it, one of another film is not."""

import pytest
import torch
from known import TruePlane, see

from nrp.analysis.model.exact_energy import exact_energy
from nrp.base import InvalidSetting
from nrp.simulation import settings_of


def test_the_true_energy_is_exact_on_the_runs_and_between_them(films):
    result = exact_energy([see(TruePlane(films), films)])
    for case in ("along", "between", "image", "decoder"):
        assert result.value("energy_r2", case=case) > 1 - 1e-6
    for case in ("along", "between", "motion"):
        assert result.value("slope_error", case=case) < 1e-3


def test_an_energy_without_disorder_is_not_exact(films):
    model = TruePlane(films)
    model.disorder = torch.ones_like(model.disorder)
    result = exact_energy([see(model, films)])
    assert result.value("energy_r2", case="decoder") > 1 - 1e-6  # that knows the film, and no model
    for case in ("along", "between"):
        assert result.value("slope_error", case=case) > 0.05


def test_averages_have_no_exact_energy(films):
    campaign = settings_of(films)
    coarse = campaign.replace(system=campaign.system.replace(coarsen=2)).model_dump_json()
    with pytest.raises(InvalidSetting, match="coarsen = 2: must be 1"):
        exact_energy([see(TruePlane(films), films.assign_attrs(settings=coarse))])
