"""The bounds on rounding that the tests of models share can fail."""

import pytest
import torch
from precision import PRECISIONS, assert_within
from recurrences import assert_rounded, exact


def test_a_result_that_is_further_off_is_seen():
    wanted = torch.tensor([1.0, 2.0])
    assert_within(wanted + torch.tensor([0.0, 1e-3]), wanted, 1e-3)
    with pytest.raises(AssertionError, match=r"where the size is 2\.0"):
        assert_within(wanted + torch.tensor([3e-3, 0.0]), wanted, 1e-3)
    assert_within(wanted + torch.tensor([3e-3, 0.0]), wanted, 1e-3, size=torch.tensor([4.0]))


def test_another_shape_or_precision_is_seen():
    wanted = torch.ones(2)
    assert_within(wanted, wanted.double(), 0.0)
    for other in (wanted.double(), torch.ones(1), torch.ones(2, dtype=torch.complex64)):
        with pytest.raises(AssertionError):
            assert_within(other, wanted, 1.0)


def test_single_precision_is_told_from_half():
    x = torch.rand(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_within(x.float(), x, PRECISIONS[torch.float32])
    with pytest.raises(AssertionError):
        assert_within(x.half().float(), x, PRECISIONS[torch.float32])
    with pytest.raises(AssertionError):
        assert_within(x.float(), x, PRECISIONS[torch.float64])


def test_the_noise_of_a_recurrence_is_what_single_precision_makes(generator):
    """Of many recurrences in float32, errors are of the size foretold, neither far above nor far below."""
    decay = torch.tensor([[0.9]], dtype=torch.complex64)
    x, one = torch.randn(500, 60, 1, generator=generator), torch.ones_like(decay)
    state = torch.zeros(500, 1, 1, dtype=torch.complex64)
    wanted, found = exact(x, decay, one, torch.zeros(1), state), []
    for token in x.unbind(1):
        state = decay * state + token.unsqueeze(-1)
        found.append(state.sum(-1).real)
    found = torch.stack(found, dim=1)
    assert_rounded(found, wanted.out, wanted.out_noise)
    spread = ((found - wanted.out) / wanted.out_noise)[:, -1].std() * 2**24
    assert 0.1 < spread < 2
    with pytest.raises(AssertionError, match="times the error that rounding makes"):
        assert_rounded(found * (1 + 1e-5), wanted.out, wanted.out_noise)
