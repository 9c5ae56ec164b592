"""Potentials of single runs."""

import torch

from nrp.reduction import separate_slopes


def test_separate_potentials_know_no_other_run():
    time = torch.linspace(0, 3, 25)
    stiff = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    z = torch.exp(-stiff[:, None] * time[:, None])
    rates, field = -stiff[:, None] * z, (-time).expand(2, -1)
    slopes = separate_slopes(z, rates, field)
    # The flow of each run, ż = −Kz with a K of its own, has a potential; one potential has not both.
    error = (slopes + rates).square().sum() / rates.square().sum()
    assert error.sqrt() < 0.02
    torch.testing.assert_close(separate_slopes(z[1:], rates[1:], field[1:])[0], slopes[1])
