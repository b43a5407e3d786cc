"""The low rate scans means of patches, and lets each patch keep what is near it."""

import pytest
import torch
from torch.testing import assert_close

from lib.models.ssm.mamba_block import MambaConfig
from lib.models.ssm_vlm.attention import AttentionBlock
from lib.models.ssm_vlm.low_rate import LowRateBlock

CONFIG = MambaConfig(dim=8, layers=1, states=4)


def made(factor=2):
    return LowRateBlock(CONFIG, factor, generator=torch.Generator().manual_seed(0)).double()


def patches(count=24):
    return torch.randn(2, count, CONFIG.dim, generator=torch.Generator().manual_seed(1)).double()


@torch.no_grad()
def test_an_image_of_equal_squares_is_the_small_image_at_the_low_rate():
    block, few = made(), patches(6)
    image = few.unflatten(1, (2, 3)).repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1, 2)
    block.conv2d.weight.zero_()
    block.conv2d.bias.zero_()
    expected = block.low(few, (2, 3)).unflatten(1, (2, 3)).repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert_close(block(image, (4, 6)), expected.flatten(1, 2), rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_a_change_inside_a_square_that_keeps_its_mean_reaches_the_neighbours_alone():
    block, x = made(), patches()
    other = x.clone()
    other[:, 0] += 1  # row 0, column 0
    other[:, 1] -= 1  # the same square
    changed = (block(other, (4, 6)) - block(x, (4, 6))).abs().amax(dim=(0, 2)).view(4, 6) > 1e-12
    assert changed.nonzero().tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]


def test_a_grid_that_the_factor_does_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"grid = \(3, 8\): multiples of 2"):
        made()(patches(), (3, 8))


@torch.no_grad()
def test_attention_is_that_of_torch():
    block = AttentionBlock(8, 2, generator=torch.Generator().manual_seed(0)).double()
    oracle = torch.nn.MultiheadAttention(8, 2, batch_first=True).double()
    oracle.in_proj_weight.copy_(block.in_proj.weight)
    oracle.in_proj_bias.copy_(block.in_proj.bias)
    oracle.out_proj.load_state_dict(block.out_proj.state_dict())
    x = patches()
    assert_close(block(x), oracle(x, x, x, need_weights=False)[0], rtol=1e-10, atol=1e-10)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="heads = 3: a divisor of 8"):
        AttentionBlock(8, 3)
