"""The orders in which a scan visits the patches of an image. Symbols: `lib/__init__.py`; P = H W patches.

Patches are numbered row by row from the top left, as CLIP's tower has them. A causal scan sees at each patch those that
it visited before: which ones, the order decides.
Sources: Zhu et al. (2024), https://arxiv.org/abs/2401.09417, for two orders; Liu et al. (2024),
https://arxiv.org/abs/2401.10166, for four.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lib.models.checks import check_choice, check_count

FORWARD, BACKWARD, DOWN, UP = "forward", "backward", "down", "up"
ORDERS = (FORWARD, BACKWARD, DOWN, UP)  # row by row, from its end; column by column, from its end
BOTH_WAYS = (FORWARD, BACKWARD)  # Vision Mamba
CROSS_SCAN = ORDERS  # VMamba
BY_COLUMNS = (DOWN, UP)  # that need the image's height and width


def visits(order: str, height: int, width: int) -> Int[Tensor, " P"]:
    """Numbers of the patches in the order in which a scan visits them.

    order    one of ORDERS
    raises   ValueError, quoting it, for another order, and for a height or width below 1
    """
    check_choice("order", order, ORDERS)
    check_count("height", height)
    check_count("width", width)
    numbers = torch.arange(height * width)
    if order in BY_COLUMNS:
        numbers = numbers.view(height, width).T.flatten()
    return numbers.flip(0) if order in (BACKWARD, UP) else numbers


def places(order: Int[Tensor, " P"]) -> Int[Tensor, " P"]:
    """The inverse of an order: at which step each patch is visited."""
    return torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))


def seen(orders: Iterable[str], height: int, width: int) -> Bool[Tensor, "P P"]:
    """Which patches each patch sees through one block that adds causal scans in these orders.

    returns   row p, column q: whether the output at p depends on the input at q
    """
    found = torch.zeros(height * width, height * width, dtype=torch.bool)
    for order in orders:
        at = places(visits(order, height, width))
        found |= at[:, None] >= at
    return found
