"""Multi-resolution mixers in half precision, under autocast, and as copies."""

import copy

import pytest
import torch
from mrss_mixers import KINDS, mixer, sequence


def relative(found, wanted):
    return ((found.double() - wanted).abs().max() / wanted.abs().max()).item()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_near(kind):
    module, x = mixer(kind, 4, 8, 3), sequence(40, 8, 0)
    wanted = module(x)
    found = copy.deepcopy(module).to(torch.bfloat16)(x.to(torch.bfloat16))
    assert found.dtype == torch.bfloat16
    assert relative(found, wanted) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_trains(kind):
    module, x = mixer(kind, 4, 8, 3), sequence(40, 8, 0)
    wanted = module(x)
    single = copy.deepcopy(module).float()
    with torch.autocast("cpu", torch.bfloat16):
        found = single(x.float())
    assert relative(found, wanted) < 0.05
    found.float().square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in single.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_has_run_can_be_copied(kind):
    module, x = mixer(kind, 4, 8, 3), sequence(40, 8, 0)
    wanted = module(x)
    assert torch.equal(copy.deepcopy(module)(x), wanted)
