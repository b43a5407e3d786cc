"""S4ND's filters equal a recurrence along both axes, and one convolution with the outer product of their kernels."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.ssm.s4d import S4D
from lib.models.ssm_vlm.s4nd import AXES, S4NDBlock

HEIGHT, WIDTH, DIM = 5, 7, 3


def made():
    return S4NDBlock(DIM, states=4, dt_min=0.1, dt_max=0.5, generator=torch.Generator().manual_seed(0)).double()


def picture(batch=2):
    return torch.randn(batch, HEIGHT, WIDTH, DIM, generator=torch.Generator().manual_seed(1)).double()


def both(filters, x):
    """One axis by the recurrence, token by token, there and back."""
    return filters[0].recurrent(x)[0] + filters[1].recurrent(x.flip(1))[0].flip(1)


@torch.no_grad()
def test_it_is_the_recurrence_along_rows_then_down_columns():
    block, image = made(), picture()
    rows = torch.stack([both(block.filters["across"], row) for row in image.unbind(1)], dim=1)
    expected = torch.stack([both(block.filters["down"], column) for column in rows.unbind(2)], dim=2)
    assert_close(block.filtered(image), expected, rtol=1e-9, atol=1e-9)


def whole(filters, length):
    """The kernel of an axis at lags 1 - length .. length - 1, both skips at lag zero."""
    there, back = (one.kernel(length).clone() for one in filters)
    there[:, 0] += filters[0].skip + filters[1].skip + back[:, 0]
    return torch.cat([back[:, 1:].flip(1), there], dim=1)


@torch.no_grad()
def test_it_is_one_convolution_with_the_outer_product_of_both_kernels():
    block, image = made(), picture()
    down, across = whole(block.filters["down"], HEIGHT), whole(block.filters["across"], WIDTH)
    kernel = down[:, :, None] * across[:, None, :]
    flipped = kernel.flip(1, 2)[:, None]  # torch correlates
    padding = (HEIGHT - 1, WIDTH - 1)
    expected = F.conv2d(image.permute(0, 3, 1, 2), flipped, padding=padding, groups=DIM).permute(0, 2, 3, 1)
    assert_close(block.filtered(image), expected, rtol=1e-9, atol=1e-9)


def test_kernel_distillation_finds_its_filters():
    assert sum(isinstance(one, S4D) for one in made().modules()) == 2 * len(AXES)


def test_every_weight_gets_a_gradient():
    block = made()
    block(picture().flatten(1, 2), (HEIGHT, WIDTH)).square().sum().backward()
    assert all(one.grad.abs().sum() > 0 for one in block.parameters())


def test_a_grid_of_other_patches_is_refused():
    with pytest.raises(ValueError, match="36 patches, the input 35"):
        made()(picture().flatten(1, 2), (6, 6))
