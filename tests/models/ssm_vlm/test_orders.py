"""Every order visits each patch once; what a patch sees follows from it."""

import pytest
import torch

from lib.models.ssm_vlm.orders import BACKWARD, BOTH_WAYS, CROSS_SCAN, DOWN, FORWARD, ORDERS, UP, places, seen, visits


def test_the_orders_are_those_of_their_names():
    assert visits(FORWARD, 2, 3).tolist() == [0, 1, 2, 3, 4, 5]
    assert visits(BACKWARD, 2, 3).tolist() == [5, 4, 3, 2, 1, 0]
    assert visits(DOWN, 2, 3).tolist() == [0, 3, 1, 4, 2, 5]
    assert visits(UP, 2, 3).tolist() == [5, 2, 4, 1, 3, 0]


@pytest.mark.parametrize("order", ORDERS)
def test_places_undo_an_order(order):
    found = visits(order, 3, 5)
    numbers = torch.arange(15)
    assert torch.equal(numbers[found][places(found)], numbers)


def test_one_order_sees_half_and_its_reverse_the_other_half():
    alone = seen([FORWARD], 3, 4)
    assert torch.equal(alone, torch.ones(12, 12).tril().bool())
    assert torch.equal(alone | alone.T, seen(BOTH_WAYS, 3, 4))
    assert seen(BOTH_WAYS, 3, 4).all()
    assert seen(CROSS_SCAN, 3, 4).all()


def test_a_column_sees_what_is_above_and_all_columns_before():
    at = {(row, column) for row in range(3) for column in range(4) if seen([DOWN], 3, 4)[1 * 4 + 2, row * 4 + column]}
    assert at == {(row, column) for row in range(3) for column in range(2)} | {(0, 2), (1, 2)}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("sideways", 2, 2), "order = 'sideways'"),
        ((FORWARD, 0, 2), "height = 0"),
        ((FORWARD, 2, -1), "width = -1"),
    ],
)
def test_others_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        visits(*given)
