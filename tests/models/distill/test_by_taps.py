"""Low-rank and sparse kernels: the error that theory says, and a module that is the convolution with such a kernel."""

import pytest
import torch
from banks import layer, normal
from precision import SINGLE, assert_within
from refusals import refused
from torch.testing import assert_close

from lib.models.distill.by_taps import structured_sparse, truncated_svd

METHODS = {"svd": truncated_svd, "sparse": structured_sparse}
BANKS = {"depthwise": normal(5, 30), "dense": normal(30, 5, 5)}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
every_bank = pytest.mark.parametrize("bank", BANKS.values(), ids=BANKS)


def direct(x, kernel):
    """The convolution as a sum over lags: kernel (D, L), or (L, D, D) of taps, outputs, inputs."""
    taps = kernel.T if kernel.ndim == 2 else kernel
    out = torch.zeros_like(x)
    for lag, tap in enumerate(taps[: x.shape[1]]):
        before = x[:, : x.shape[1] - lag]
        out[:, lag:] += before * tap if tap.ndim == 1 else torch.einsum("bti,oi->bto", before, tap)
    return out


@every_bank
@pytest.mark.parametrize("rank", [1, 3, 5])
def test_the_error_of_a_rank_is_the_dropped_spectrum(bank, rank):
    module = truncated_svd(bank, rank).module
    matrix = bank.T if bank.ndim == 2 else bank.reshape(30, 25)
    dropped = torch.linalg.svdvals(matrix)[rank:].square().sum()
    assert_close((bank - module.kernel(30)).square().sum(), dropped)


@every_bank
@pytest.mark.parametrize("taps", [1, 7, 30])
def test_the_error_of_few_taps_is_the_smallest_there_is(bank, taps):
    module = structured_sparse(bank, taps).module
    axes = 0 if bank.ndim == 2 else (1, 2)
    energy = bank.square().sum(axes).sort().values
    assert_close((bank - module.kernel(30)).square().sum(), energy[: 30 - taps].sum())
    assert module.lags.tolist() == sorted(set(module.lags.tolist()))


@every_method
@every_bank
@pytest.mark.parametrize("length", [1, 4, 29, 30, 31, 70])
def test_a_module_is_the_convolution_with_its_kernel(method, bank, length):
    module, x = method(bank, 4).module, normal(2, length, 5, seed=1)
    assert_close(module(x), direct(x, module.kernel(30)))


@pytest.mark.parametrize(
    ("method", "bank", "order"),
    [(truncated_svd, "depthwise", 5), (truncated_svd, "dense", 25)] + [(structured_sparse, bank, 30) for bank in BANKS],
)
def test_all_of_a_kernel_is_the_kernel(method, bank, order):
    bank = BANKS[bank]
    result = method(bank, order)
    assert_close(result.module.kernel(30), bank)
    assert result.error.max() < 1e-12


@every_method
@every_bank
def test_a_longer_kernel_is_zero_at_its_end_and_a_shorter_one_its_beginning(method, bank):
    module, axis = method(bank, 3).module, 1 if bank.ndim == 2 else 0
    whole = module.kernel(30)
    beginning, end = module.kernel(40).split([30, 10], dim=axis)
    assert_close(beginning, whole)
    assert not end.any()
    assert_close(module.kernel(7), whole.narrow(axis, 0, 7))


@every_method
@every_bank
def test_the_error_is_that_of_each_output_channel(method, bank):
    result = method(bank, 3)
    lost, axes = bank - result.module.kernel(30), 1 if bank.ndim == 2 else (0, 2)
    assert_close(result.error, (lost.square().sum(axes) / bank.square().sum(axes)).sqrt())


@pytest.mark.parametrize(
    ("method", "bank", "parameters", "size"),
    [
        (truncated_svd, "depthwise", 4 * (30 + 5), 8 * 4 * 35),
        (truncated_svd, "dense", 4 * (30 + 25), 8 * 4 * 55),
        (structured_sparse, "depthwise", 4 * (1 + 5), 8 * 4 * 6),
        (structured_sparse, "dense", 4 * (1 + 25), 8 * 4 * 26),
    ],
)
def test_what_is_stored_is_counted_lags_included(method, bank, parameters, size):
    result = method(BANKS[bank], 4)
    assert (result.order, result.parameters, result.bytes) == (4, parameters, size)
    assert result.achieved.tolist() == [4] * 5


@every_method
def test_a_layer_keeps_its_skip_and_its_precision(method):
    model = layer(dtype=torch.float32)
    result, x = method(model, 3, length=50), normal(2, 50, 3, dtype=torch.float32)
    assert result.module(x).dtype == torch.float32
    kernel, skip = result.module.kernel(50).detach().double(), model.skip.detach().double()
    assert_within(result.module(x), direct(x.double(), kernel) + skip * x, SINGLE)
    assert_close(method(model.double().kernel(50), 3).error, result.error, rtol=SINGLE, atol=SINGLE)


@every_method
@every_bank
def test_every_number_learns(method, bank):
    module = method(bank, 3).module
    module(normal(2, 40, 5)).square().sum().backward()
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in module.parameters())


@every_method
@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e150])
def test_the_size_of_a_kernel_does_not_matter(method, size):
    assert_close(method(BANKS["depthwise"] * size, 3).error, method(BANKS["depthwise"], 3).error)


@every_method
def test_zeros_stay_zeros(method):
    bank = torch.cat([BANKS["depthwise"], torch.zeros(1, 30)])
    for given, channel in ((bank, 5), (torch.zeros(2, 9), 0)):
        result = method(given, 2)
        assert result.error[channel] < 1e-12
        assert result.module.kernel(9)[channel].abs().max() < 1e-12


@pytest.mark.parametrize(
    ("method", "order", "message"),
    [
        (truncated_svd, 0, "rank = 0: an integer from 1 to 5 is needed"),
        (truncated_svd, 6, "rank = 6: an integer from 1 to 5 is needed"),
        (truncated_svd, 2.0, "rank = 2.0: an integer from 1 to 5 is needed"),
        (structured_sparse, 0, "taps = 0: an integer from 1 to 30 is needed"),
        (structured_sparse, 31, "taps = 31: an integer from 1 to 30 is needed"),
    ],
)
def test_an_order_out_of_range_is_quoted(method, order, message):
    with refused(message):
        method(BANKS["depthwise"], order)


def test_a_dense_kernel_has_more_ranks():
    with refused("rank = 26: an integer from 1 to 25 is needed"):
        truncated_svd(BANKS["dense"], 26)


@every_method
@pytest.mark.parametrize(
    ("bank", "message"),
    [
        (torch.zeros(5, 0), "kernel of shape (5, 0): (D, L) with D >= 1 and L >= 1 is needed"),
        (torch.zeros(0, 5), "kernel of shape (0, 5): (D, L) with D >= 1 and L >= 1 is needed"),
        (torch.zeros(5), "kernel of shape (5,): (D, L) with D >= 1 and L >= 1 is needed"),
        (torch.zeros(9, 5, 4), "kernel of shape (9, 5, 4): (L, 5, 5) with L >= 1 is needed"),
        (torch.zeros(9, 0, 0), "kernel of shape (9, 0, 0): (L, D, D) with L >= 1 and D >= 1 and D >= 1 is needed"),
        (torch.zeros(5, 9, dtype=torch.int64), "kernel of torch.int64: torch.float32 or torch.float64 is needed"),
        (torch.full((5, 9), torch.nan), "kernel: all of its values must be finite"),
        (torch.full((9, 5, 5), torch.inf), "kernel: all of its values must be finite"),
    ],
)
def test_a_kernel_that_cannot_be_distilled_is_quoted(method, bank, message):
    with refused(message):
        method(bank, 1)


@every_method
def test_an_input_of_other_channels_is_quoted(method):
    with refused("input of shape (2, 9, 4): (B, T, 5) with B >= 1 and T >= 1 is needed"):
        method(BANKS["depthwise"], 2).module(torch.zeros(2, 9, 4))
