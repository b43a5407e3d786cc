"""The definition against finite differences, a convolution and a count by hand."""

import torch
from scans import OPTIONAL, Problem

from lib.models.ssm.scan import flops, selective_scan_ref


def test_the_definition_passes_gradcheck():
    inputs = Problem(channels=4, length=5, states=3, groups=(2, 2)).inputs(torch.float64)
    names = list(inputs)
    leaves = tuple(x.clone().requires_grad_() for x in inputs.values())

    def scan(*tensors):
        return selective_scan_ref(**dict(zip(names, tensors, strict=True)), delta_softplus=True, return_last_state=True)

    assert torch.autograd.gradcheck(scan, leaves)


def test_without_selection_the_definition_is_a_convolution():
    """Constant step, static B and C: y = k * u with k[t] = sum over n of C exp(step A)^t step B."""
    problem = Problem(groups=(0, 0), without=OPTIONAL, softplus=False, length=30)
    inputs = problem.inputs(torch.float64)
    step = 0.2
    inputs["delta"] = torch.full_like(inputs["delta"], step)
    lag = torch.arange(problem.length, dtype=torch.float64)
    kernel = (inputs["C"] * inputs["B"] * step * torch.exp(step * inputs["A"] * lag[:, None, None])).sum(-1).T
    wanted = torch.stack(
        [(kernel[:, : t + 1].flip(1) * inputs["u"][..., : t + 1]).sum(-1) for t in range(problem.length)], dim=-1
    )
    torch.testing.assert_close(selective_scan_ref(**inputs), wanted, rtol=1e-12, atol=1e-12)


def test_operations_are_counted_by_shape():
    counted = 2 * 3 * 5 * (4 * 7 + 3)  # by hand: two products, an exponential and two multiply-adds a state
    assert flops(batch=2, length=3, channels=5, states=4) == counted
