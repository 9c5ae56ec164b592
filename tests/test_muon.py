"""Muon in single precision: its steps are those of torch's, but for the rounding."""

import pytest
import torch

from nrp.reduction.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
def test_steps_are_those_of_torch_but_for_its_rounding(shape):
    torch.manual_seed(0)
    start, gradients = torch.randn(shape), torch.randn(5, *shape)
    ours, theirs = (start.clone().requires_grad_() for _ in range(2))
    both = Muon([ours], lr=0.02), torch.optim.Muon([theirs], lr=0.02, weight_decay=0.0, ns_steps=3)
    for gradient in gradients:
        for matrix, optimizer in zip((ours, theirs), both, strict=True):
            matrix.grad = gradient.clone()
            optimizer.step()
    with torch.no_grad():
        # bfloat16 has eight bits: 0.4 % of a number.
        assert (ours - theirs).norm() < 0.01 * (ours - start).norm()


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_singular_values_come_close_to_one(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape) * 100
    values = torch.linalg.svdvals(orthogonalized(matrix, 5))
    assert values.min() > 0.5
    assert values.max() < 1.5
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert ((left @ right) * orthogonalized(matrix, 5)).sum() > 0.5 * min(shape)  # the nearest such matrix


def test_a_state_that_is_saved_goes_on_to_the_same_step():
    torch.manual_seed(0)
    start, gradients = torch.randn(8, 8), torch.randn(4, 8, 8)

    def run(matrix, optimizer, some):
        for gradient in some:
            matrix.grad = gradient.clone()
            optimizer.step()

    whole = start.clone().requires_grad_()
    run(whole, Muon([whole], lr=0.1), gradients)
    first = start.clone().requires_grad_()
    optimizer = Muon([first], lr=0.1)
    run(first, optimizer, gradients[:2])
    second = first.detach().clone().requires_grad_()
    again = Muon([second], lr=0.1)
    again.load_state_dict(optimizer.state_dict())
    run(second, again, gradients[2:])
    assert torch.equal(second, whole)
