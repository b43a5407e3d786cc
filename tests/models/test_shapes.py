"""The check of shapes, and the check that something is refused, can fail and can pass."""

import pytest
import torch
from refusals import refused

from lib.models.checks import check_shape


@pytest.mark.parametrize(
    ("axes", "least"), [((2, 0, 3), {}), (("B", 0, 3), {}), (("B", 0, "K"), {"K": 3}), (("B", "T", 3), {"T": 0})]
)
def test_a_shape_that_fits_is_accepted(axes, least):
    check_shape("x", torch.zeros(2, 0, 3), *axes, **least)


@pytest.mark.parametrize(
    ("axes", "least", "needed"),
    [
        ((2, 0, 4), {}, "(2, 0, 4)"),
        ((2, 0), {}, "(2, 0)"),
        (("B",), {}, "(B,) with B >= 1"),
        (("B", "T", 3), {}, "(B, T, 3) with B >= 1 and T >= 1"),
        ((2, 0, "K"), {"K": 4}, "(2, 0, K) with K >= 4"),
    ],
)
def test_a_shape_that_does_not_fit_is_quoted_beside_what_would(axes, least, needed):
    with refused(f"x of shape (2, 0, 3): {needed} is needed"):
        check_shape("x", torch.zeros(2, 0, 3), *axes, **least)


def test_what_is_no_tensor_is_named():
    with refused("x is of type list: a tensor is needed", TypeError):
        check_shape("x", [1], 1)


def test_a_refusal_of_other_words_or_another_kind_is_seen():
    with pytest.raises(AssertionError, match="did not match"), refused("a"):
        raise ValueError("not a")
    with pytest.raises(AssertionError), refused("a"):
        raise UnicodeError("a")
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"), refused("a"):
        pass


def test_annotations_are_checked_again_after_a_refusal():
    with refused("x is of type list: a tensor is needed", TypeError):
        check_shape("x", [1], 1)
    with pytest.raises(TypeError, match="Type-check error"):
        check_shape("x", [1], 1)
