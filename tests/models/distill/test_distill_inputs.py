"""Kernels, layers and lags of another kind are refused in a line by every method, and nothing has changed."""

import numpy as np
import pytest
import torch
from refusals import refused
from systems import system
from torch import nn

from lib.models.distill.by_modes import balanced_refit, balanced_truncation, error_over, hankel_singular_values, modal
from lib.models.distill.by_taps import LowRankConvolution, SparseConvolution, structured_sparse, truncated_svd
from lib.models.distill.modes import Modes
from lib.models.distill.replace import deployed, distill
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig

OF_BANKS = (balanced_truncation, balanced_refit, truncated_svd, structured_sparse)
MOST = "an integer from 1 to 4194304 is needed"
BANK = torch.ones(3, 8, dtype=torch.float64)

UNFIT = {
    "numbers in a list": ([[1.0, 0.5]], TypeError, "kernel is of type list: a tensor is needed"),
    "an array": (np.ones((3, 8)), TypeError, "kernel is of type ndarray: a tensor is needed"),
    "sparse": (BANK.to_sparse(), TypeError, "kernel is of layout torch.sparse_coo: a dense tensor is needed"),
    "one kernel": (BANK[0], ValueError, "kernel of shape (8,): (D, L) with D >= 1 and L >= 1 is needed"),
    "four axes": (
        BANK[None, None],
        ValueError,
        "kernel of shape (1, 1, 3, 8): (D, L) with D >= 1 and L >= 1 is needed",
    ),
    "complex": (BANK + 0j, ValueError, "kernel of torch.complex128: torch.float32 or torch.float64 is needed"),
    "integers": (BANK.long(), ValueError, "kernel of torch.int64: torch.float32 or torch.float64 is needed"),
    "half precision": (BANK.half(), ValueError, "kernel of torch.float16: torch.float32 or torch.float64 is needed"),
    "NaN": (BANK * torch.nan, ValueError, "kernel: all of its values must be finite"),
    "no channel": (BANK[:0], ValueError, "kernel of shape (0, 8): (D, L) with D >= 1 and L >= 1 is needed"),
    "no values": (BANK.to("meta"), ValueError, "kernel on meta: it holds no values to reduce"),
    "a selective scan": (MambaBlock(MambaConfig(2, 1)), TypeError, "kernel is of type MambaBlock: a tensor is needed"),
}


@pytest.mark.limit(
    "distill",
    "A layer whose kernel varies with the input or with time, such as a selective scan, and kernels that are complex, "
    "integers or in half precision",
    "Only a fixed kernel can be stored in a smaller form. Give an S4D, or a bank (D, L) in float32 or float64.",
)
@pytest.mark.parametrize("kind", UNFIT)
@pytest.mark.parametrize("method", OF_BANKS)
def test_what_is_no_bank_of_kernels_is_refused(method, kind):
    given, error, said = UNFIT[kind]
    with refused(said, error):
        method(given, 1)


def test_modes_are_chosen_of_a_layer_alone():
    for given in (BANK, nn.Linear(2, 2), MambaBlock(MambaConfig(2, 1))):
        with refused(f"layer is of type {type(given).__name__}: a S4D is needed", TypeError):
            modal(given, 2)


def test_an_error_is_of_a_layer_and_of_what_stands_for_it():
    found = balanced_truncation(system(dim=3), 2, length=16)
    with refused("layer is of type Tensor: a S4D is needed", TypeError):
        error_over(BANK, found, 16)
    with refused("found is of type NoneType: a Distilled is needed", TypeError):
        error_over(system(dim=3), None, 16)
    with refused("layer of 2 channels: one of 3 is needed"):
        error_over(system(dim=2), found, 16)


@pytest.mark.parametrize("length", [0, -5, 2.5, True, None, 2**22 + 1, 2**62, 10**23])
def test_a_length_that_cannot_be_is_refused_before_a_kernel_is_computed(length):
    layer = system(dim=2)
    for ask in (
        lambda: balanced_truncation(layer, 2, length=length),
        lambda: modal(layer, 2, length=length),
        lambda: truncated_svd(layer, 2, length=length),
        lambda: structured_sparse(layer, 2, length=length),
        lambda: hankel_singular_values(layer, length=length),
        lambda: distill(nn.Sequential(layer), 2, length=length),
        lambda: deployed(nn.Sequential(layer), length),
    ):
        with refused(f"length = {length!r}: {MOST}"):
            ask()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("order", [0, -1, 2.0, True, None, 2**62])
def test_an_order_that_cannot_be_is_refused(order):
    layer = system(dim=2)
    before = {name: weight.clone() for name, weight in layer.state_dict().items()}
    for method in (balanced_truncation, modal, truncated_svd, structured_sparse):
        with pytest.raises(ValueError, match=rf"^(order|rank|taps) = {order}: an integer from \d to \d+ is needed$"):
            method(layer, order, length=16)
    assert all(torch.equal(weight, before[name]) for name, weight in layer.state_dict().items())


def test_what_is_no_model_is_named():
    for ask in (lambda: distill(BANK, 2), lambda: deployed(BANK, 8)):
        with refused("model is of type Tensor: a Module is needed", TypeError):
            ask()


ONE, SKIP = torch.ones(1), torch.zeros(3)


@pytest.mark.parametrize(
    ("lags", "weight", "said"),
    [
        (torch.tensor([-1]), torch.ones(1, 3), "lags -1 to -1 of torch.int64: integers from 0 to 4194303 are needed"),
        (torch.tensor([1.5]), torch.ones(1, 3), "lags 1.5 to 1.5 of torch.float32: integers from 0 to 4194303"),
        (torch.tensor([[0]]), torch.ones(1, 3), "lags of shape (1, 1): (S,) with S >= 1 is needed"),
        (torch.tensor([0, 1]), torch.ones(1, 3), "weight of shape (1, 3): (2, 3) is needed"),
        (torch.tensor([0]), torch.ones(1, 3, 2), "weight of shape (1, 3, 2): (1, 3, 3) is needed"),
        (torch.tensor([0]), torch.ones(1, 3).double(), "weight of torch.float64: torch.float32 is needed"),
        (torch.tensor([0]), torch.full((1, 3), torch.inf), "weight: all of its values must be finite"),
    ],
)
def test_taps_that_make_no_convolution_are_refused(lags, weight, said):
    with refused(said):
        SparseConvolution(lags, weight, SKIP)


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        (torch.ones(8), torch.ones(2, 3), "left of shape (8,): (L, R) with L >= 1 and R >= 1 is needed"),
        (torch.ones(8, 2), torch.ones(3, 3), "right of shape (3, 3): (2, 3) is needed"),
        (torch.ones(8, 2), torch.ones(2, 3, 4), "right of shape (2, 3, 4): (2, 3, 3) is needed"),
        (torch.ones(8, 2).double(), torch.ones(2, 3), "left of torch.float64: torch.float32 is needed"),
        (torch.ones(8, 2) * torch.nan, torch.ones(2, 3), "left: all of its values must be finite"),
    ],
)
def test_factors_that_make_no_convolution_are_refused(left, right, said):
    with refused(said):
        LowRankConvolution(left, right, SKIP)


@pytest.mark.parametrize(
    ("decay", "weight", "skip", "said"),
    [
        (ONE[None] / 2, ONE[None] + 0j, ONE, "decay of torch.float32: torch.complex64 or torch.complex128 is needed"),
        (ONE[None] / 2 + 0j, ONE[None], ONE, "weight of torch.float32: torch.complex64 or torch.complex128 is needed"),
        (
            ONE[None] / 2 + 0j,
            ONE[None] + 0j,
            ONE.half(),
            "skip of torch.float16: torch.float32 or torch.float64 is needed",
        ),
    ],
)
def test_modes_of_another_dtype_are_refused(decay, weight, skip, said):
    with refused(said):
        Modes(decay, weight, skip)
