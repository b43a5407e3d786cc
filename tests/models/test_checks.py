"""Every check can fail and can pass, and so can the tests' own check that something is refused."""

import ast
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from refusals import refused

from lib.models import checks
from lib.models.checks import check_shape
from lib.paths import LIB


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


@pytest.mark.parametrize("value", [1, 5, np.int64(3), np.uint8(5)])
def test_integers_of_python_and_numpy_are_counts(value):
    checks.check_count("steps", value)
    checks.check_count("steps", value, 1, 5)


@pytest.mark.parametrize("value", [True, False, np.True_, 2.0, np.float64(2), "2", None, torch.tensor(2), math.nan])
def test_what_is_no_integer_is_no_count(value):
    with refused(f"steps = {value!r}: an integer of at least 0 is needed"):
        checks.check_count("steps", value, 0)
    with refused(f"steps = {(3, value)}: one or more integers of at least 0 are needed"):
        checks.check_counts("steps", (3, value), 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "steps = 0: an integer of at least 1 is needed"),
        ({"most": 4}, "steps = 0: an integer from 1 to 4 is needed"),
        ({"also": (None,)}, "steps = 0: an integer of at least 1, or None, is needed"),
        ({"also": ("auto", None)}, "steps = 0: an integer of at least 1, or 'auto', or None, is needed"),
        ({"most": 4, "where": " in a matrix"}, "steps = 0: an integer from 1 to 4 is needed in a matrix"),
    ],
)
def test_a_count_is_refused_in_one_sentence(options, said):
    with refused(said):
        checks.check_count("steps", 0, **options)
    if "most" in options:
        with refused(said.replace("= 0", "= 5")):
            checks.check_count("steps", 5, **options)


@pytest.mark.parametrize("value", [2**31, 2**62, 10**23, np.int64(2**62)])
def test_a_count_beyond_any_memory_is_refused_with_its_bound(value):
    checks.check_count("state", 2**31 - 1)
    with refused(f"state = {value!r}: an integer from 1 to 2147483647 is needed"):
        checks.check_count("state", value)
    with refused(f"factor = {(2, value)}: one or more integers from 1 to 2147483647 are needed"):
        checks.check_counts("factor", (2, value))


def test_what_is_allowed_beside_a_count_is_accepted():
    checks.check_count("rank", "auto", also=("auto", None))
    checks.check_count("rank", None, also=("auto", None))
    with refused("rank = 'many': an integer of at least 1, or 'auto', is needed"):
        checks.check_count("rank", "many", also=("auto",))


def test_counts_are_one_or_more():
    checks.check_counts("factor", (1, np.int32(8)))
    with refused("factor = (): one or more integers of at least 1 are needed"):
        checks.check_counts("factor", ())
    with refused("factor = (2, 0): one or more integers of at least 1 are needed"):
        checks.check_counts("factor", [2, 0])


BOUNDS = [  # bounds, what they allow, what they do not, their words
    ({"least": 0, "most": 1}, (0, 0.5, 1), (-1e-9, 1.1), "0 to 1"),
    ({"above": 0, "most": 1}, (1e-9, 1), (0, 1.1), "more than 0 and at most 1"),
    ({"least": 0, "below": 1}, (0, 0.9), (-0.1, 1), "at least 0 and less than 1"),
    ({"above": 0}, (1e-300, 1e300), (0, -1), "more than 0"),
    ({"least": 0.5}, (0.5, 2), (0.4,), "at least 0.5"),
    ({"below": 1}, (-5, 0.9), (1, 2), "less than 1"),
]


@pytest.mark.parametrize(("bounds", "fit", "unfit", "words"), BOUNDS)
def test_a_number_is_held_to_its_bounds(bounds, fit, unfit, words):
    for value in fit:
        for number in (value, np.float64(value), Fraction(value)):
            checks.check_number("share", number, **bounds)
    for value in unfit:
        with refused(f"share = {value!r}: {words} is needed"):
            checks.check_number("share", value, **bounds)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "1", True, 1j])
def test_what_is_not_finite_or_no_number_is_refused(value):
    with refused(f"share = {value!r}: a finite number, at least 0, is needed"):
        checks.check_number("share", value, 0)
    with refused(f"share = {value!r}: a finite number is needed, as the rate"):
        checks.check_number("share", value, where=", as the rate")


def test_a_choice_is_one_of_a_table():
    table = {"modal": 1, "low": 2}
    checks.check_choice("method", "low", table)
    with refused("method = 'Low': one of modal, low is needed"):
        checks.check_choice("method", "Low", table)
    with refused("method = 'low': modal is needed"):
        checks.check_choice("method", "low", ["modal"])


def test_a_collection_of_another_size_is_refused():
    checks.check_many("state", (1, 2), 2, "blocks")
    with refused("state of 2 blocks: one of 3 is needed"):
        checks.check_many("state", (1, 2), 3, "blocks")


def test_a_kind_is_named_by_its_class_or_in_words():
    checks.check_kind("state", (), (tuple, list))
    with refused("state is of type dict: a tuple of states is needed", TypeError):
        checks.check_kind("state", {}, (tuple, list), "tuple of states")
    with refused("layer is of type dict: a Linear is needed", TypeError):
        checks.check_kind("layer", {}, torch.nn.Linear)


def test_tensors_are_held_to_precision_device_and_finiteness():
    x = torch.ones(2)
    checks.check_dtype("x", x, torch.float64, torch.float32)
    checks.check_beside("x", x, torch.zeros(3))
    checks.check_finite("x", x)
    with refused("x of torch.float32: torch.float64 or torch.int64 is needed"):
        checks.check_dtype("x", x, torch.float64, torch.int64)
    with refused("x of torch.float32: torch.float64 is needed, as in the parameters"):
        checks.check_beside("x", x, x.double())
    with refused("x on cpu: meta is needed, where the parameters are"):
        checks.check_beside("x", x, x.to("meta"))
    for value in (math.nan, math.inf):
        with refused("x: all of its values must be finite"):
            checks.check_finite("x", x * value)


COMMON = ("one of {", "at least 1", "an integer", "must be finite", "a tensor is needed")
HELD_TO_IT = ("models/*.py", "models/[!c]*/*.py", "tasks/data/*.py", "tasks/training/*.py")


def worded_elsewhere(text: str) -> list[int]:
    """Lines with a refusal in words that a check has."""
    raised = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Raise)]
    return [node.lineno for node in raised if any(words in ast.unparse(node) for words in COMMON)]


@pytest.mark.parametrize("place", HELD_TO_IT)
def test_a_common_refusal_is_worded_in_one_place(place):
    files = [path for path in LIB.glob(place) if path.name != "checks.py"]
    assert files
    assert {path.name: lines for path in files if (lines := worded_elsewhere(path.read_text()))} == {}


def test_a_refusal_that_is_worded_elsewhere_is_found():
    line = "raise ValueError(f'mode = {mode!r}: one of {names} is needed')"
    assert worded_elsewhere(f"if mode not in names:\n    {line}") == [2]
    assert worded_elsewhere("raise ValueError(f'{name}: no merged layer is there')") == []
