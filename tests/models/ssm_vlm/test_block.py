"""One scan of all orders equals a Mamba block for each, and sees what its orders see."""

import pytest
import torch
from torch.testing import assert_close

from lib.models.ssm.mamba_block import MambaBlock, MambaConfig
from lib.models.ssm_vlm.block import VisionMambaBlock
from lib.models.ssm_vlm.orders import BOTH_WAYS, CROSS_SCAN, FORWARD, places, seen, visits

HEIGHT, WIDTH = 3, 5
CONFIG = MambaConfig(dim=8, layers=1, states=4)


def made(orders, **options):
    return VisionMambaBlock(CONFIG, orders, generator=torch.Generator().manual_seed(0), **options).double()


def patches(batch=2):
    return torch.randn(batch, HEIGHT * WIDTH, CONFIG.dim, generator=torch.Generator().manual_seed(1)).double()


def alone(block, number):
    """A Mamba block with the weights of one order."""
    one = 0 if block.shared else number
    inside = slice(one * CONFIG.channels, (one + 1) * CONFIG.channels)
    mamba = MambaBlock(CONFIG).double()
    mamba.in_proj, mamba.out_proj = block.in_proj, block.out_proj
    mamba.x_proj, mamba.dt_proj = block.x_proj[one], block.dt_proj[one]
    mamba.conv1d.weight.data = block.conv1d.weight[inside].data
    mamba.conv1d.bias.data = block.conv1d.bias[inside].data
    mamba.A_log.data, mamba.D.data = block.A_log[inside].data, block.D[inside].data
    return mamba


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("orders", [(FORWARD,), BOTH_WAYS, CROSS_SCAN], ids=len)
@torch.no_grad()
def test_it_is_the_sum_of_a_mamba_block_for_each_order(orders, shared):
    block, x = made(orders, shared=shared), patches()
    expected = 0
    for number, order in enumerate(orders):
        visited = visits(order, HEIGHT, WIDTH)
        expected = expected + alone(block, number)(x[:, visited])[:, places(visited)]
    assert_close(block(x, (HEIGHT, WIDTH)), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("orders", [(FORWARD,), BOTH_WAYS, ("down",), CROSS_SCAN], ids=len)
def test_a_patch_depends_on_what_its_orders_see_and_on_nothing_else(orders):
    block, x = made(orders), patches(1).requires_grad_()
    out = block(x, (HEIGHT, WIDTH))
    for patch in range(HEIGHT * WIDTH):
        (slopes,) = torch.autograd.grad(out[0, patch].sum(), x, retain_graph=True)
        assert torch.equal(slopes[0].abs().sum(-1) > 0, seen(orders, HEIGHT, WIDTH)[patch])


@torch.no_grad()
def test_shared_weights_turn_with_the_image():
    block, x = made(BOTH_WAYS, shared=True), patches()
    assert_close(block(x.flip(1), (HEIGHT, WIDTH)), block(x, (HEIGHT, WIDTH)).flip(1), rtol=0, atol=1e-14)
    own = made(BOTH_WAYS)
    assert (own(x.flip(1), (HEIGHT, WIDTH)) - own(x, (HEIGHT, WIDTH)).flip(1)).abs().max() > 1e-3


def test_every_weight_gets_the_gradient_of_the_definition():
    block, x = made(CROSS_SCAN), patches(1)
    weights = list(block.parameters())
    found = torch.autograd.grad(block(x, (HEIGHT, WIDTH)).square().sum(), weights)
    name, at = "A_log", weights.index(block.A_log)
    step = 1e-6
    with torch.no_grad():
        for row, column in ((0, 1), (CONFIG.channels, 0), (4 * CONFIG.channels - 1, 3)):
            ends = []
            for sign in (1, -1):
                getattr(block, name)[row, column] += sign * step
                ends.append(block(x, (HEIGHT, WIDTH)).square().sum())
                getattr(block, name)[row, column] -= sign * step
            assert_close(found[at][row, column], (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-8)
    assert all(one.abs().sum() > 0 for one in found)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: VisionMambaBlock(CONFIG, ()), r"orders = \(\)"),
        (lambda: VisionMambaBlock(CONFIG, (FORWARD, FORWARD)), "each once"),
        (lambda: VisionMambaBlock(CONFIG, ("sideways",)), "'sideways'"),
        (lambda: made(BOTH_WAYS)(patches()), "15 patches make no square"),
        (lambda: made(BOTH_WAYS)(patches(), (4, 4)), "16 patches, the input 15"),
        (lambda: made(BOTH_WAYS)(patches()[..., :7], (3, 5)), r"input of shape \(2, 15, 7\)"),
        (lambda: made(BOTH_WAYS)(patches().float(), (3, 5)), "float32"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
