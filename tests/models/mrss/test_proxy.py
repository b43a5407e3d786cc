"""The operator proxy against a written-out sum, against the seed's printed table, and against torch's counters."""

import re

import pytest
import torch
from precision import PRECISIONS, assert_within

from lib.models.mrss import proxy
from lib.profilers.flops import flops
from lib.profilers.memory import peak_bytes

FACTORS = (None, 1, 2, 3, 4)
PRINTED = {None: "38.59", 1: "111.53", 2: "92.24", 4: "82.59"}  # GFLOP, the seed's table


def block(factor, dim=8, taps=5, **options):
    options.setdefault("generator", torch.Generator().manual_seed(0))
    if factor is None:
        return proxy.Branch(dim, taps, **options)
    return proxy.DualBranch(dim, factor, taps, **options)


def branch_by_hand(branch: proxy.Branch, x):
    """The sum over taps, token by token, in float64."""
    x, kernel, mix = x.double(), branch.kernel.double()[:, 0], branch.mix.double()
    y = torch.zeros_like(x)
    for t in range(x.shape[1]):
        for lag in range(min(branch.taps, t + 1)):
            y[:, t] += kernel[:, branch.taps - 1 - lag] * x[:, t - lag]
    return (y @ mix.T).relu()


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_a_branch_is_the_written_out_convolution(dtype, generator):
    x = torch.randn(2, 11, 8, generator=generator, dtype=dtype)
    branch = block(None).to(dtype)
    assert_within(branch(x), branch_by_hand(branch, x), PRECISIONS[dtype])


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 20])
def test_a_dual_branch_is_the_gated_sum_of_two_branches(factor, dtype, generator):
    x = torch.randn(2, 11, 8, generator=generator, dtype=dtype)
    dual = block(factor).to(dtype)
    low = branch_by_hand(dual.low, x[:, ::factor])
    held = torch.stack([low[:, t // factor] for t in range(11)], dim=1)
    gate = torch.sigmoid(x.double() @ dual.gate.double().T + dual.gate_bias.double())
    expected = gate * held + (1 - gate) * branch_by_hand(dual.high, x)
    assert_within(dual(x), expected, PRECISIONS[dtype])


@pytest.mark.parametrize("factor", FACTORS)
def test_no_output_depends_on_a_later_input(factor, generator):
    x = torch.randn(1, 12, 8, generator=generator, requires_grad=True)
    model = block(factor)
    for t in range(12):
        (gradient,) = torch.autograd.grad(model(x)[:, t].sum(), x)
        assert gradient[:, t + 1 :].abs().sum() == 0


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_every_weight_learns(factor, generator):
    model = block(factor)
    model(torch.randn(1, 16, 8, generator=generator)).sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())


@pytest.mark.parametrize(("factor", "learns"), [(1, True), (2, False), (4, False)])
def test_the_seeds_defect_cuts_the_low_branch_off_above_factor_one(factor, learns, generator):
    model = block(factor, detach_upsample=True)
    model(torch.randn(1, 16, 8, generator=generator)).sum().backward()
    assert all((weight.grad is not None) == learns for weight in model.low.parameters())
    assert all(weight.grad is not None for weight in model.high.parameters())


def test_the_defect_does_not_change_the_output(generator):
    x = torch.randn(1, 16, 8, generator=generator)
    assert torch.equal(block(4)(x), block(4, detach_upsample=True)(x))


@pytest.mark.parametrize("factor", PRINTED)
def test_operations_equal_the_seeds_column_to_the_printed_digit(factor):
    assert f"{proxy.flops(8, 8192, 512, factor=factor) / 1e9:.2f}" == PRINTED[factor]


@pytest.mark.parametrize("factor", FACTORS)
def test_closed_form_equals_torchs_counter(factor, generator):
    x, model = torch.randn(2, 12, 8, generator=generator), block(factor)
    assert flops(lambda: model(x)) == proxy.flops(2, 12, 8, taps=5, factor=factor)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_peak_is_what_is_measured(factor, generator):
    x, model = torch.randn(2, 24, 8, generator=generator), block(factor)
    assert peak_bytes(lambda: model(x)) == model.peak_bytes(x)


@pytest.mark.parametrize("factor", FACTORS)
def test_weights_are_counted_right(factor):
    assert proxy.weights(8, 5, factor) == sum(weight.numel() for weight in block(factor).parameters())


def test_a_family_is_named_as_tables_name_it():
    blocks = proxy.family(4, {4, 1}, taps=3)
    assert {name: model.factor for name, model in blocks.items()} == {"baseline": None, "r = 1": 1, "r = 4": 4}


def test_a_family_needs_at_least_its_input_its_weights_and_the_baselines_peak():
    weights = sum(weight.numel() for model in proxy.family(4, [1, 2], taps=3).values() for weight in model.parameters())
    assert proxy.least_elements(2, 16, 4, 3, [1, 2]) == 2 * 16 * 4 * (1 + 3) + weights


def test_the_seed_decides_the_weights():
    first, second = (block(2, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize("sizes", [{"factor": 0}, {"factor": 2, "dim": 0}, {"factor": None, "taps": 0}])
def test_a_size_below_one_is_refused_by_name(sizes):
    with pytest.raises(ValueError, match=r"(factor|dim|taps) = 0: an integer from 1 to 65536"):
        block(**sizes)


@pytest.mark.parametrize("factor", [None, 2])
@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 5, 16), (2, 0, 8)])
def test_a_wrong_size_is_refused_with_both_shapes(factor, shape):
    with pytest.raises(ValueError, match=re.escape(f"input of shape {shape}: (B, T, 8) with B >= 1 and T >= 1")):
        block(factor)(torch.zeros(shape))


def test_a_wrong_shape_is_refused_by_its_annotation():
    with pytest.raises(Exception, match="B T D"):
        block(None)(torch.zeros(3, 8))


def test_operations_of_a_factor_below_one_are_refused():
    with pytest.raises(ValueError, match="factor = 0: an integer from 1 to 65536"):
        proxy.flops(1, 4, 2, factor=0)
