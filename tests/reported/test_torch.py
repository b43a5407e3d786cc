"""Situations reported of torch's counter of operations, of compiled functions that are counted, of timings."""

import math

import pytest
import torch
from refusals import refused
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import register_flop_formula

from lib.profilers.flop_formulas import FORMULAS
from lib.profilers.flops import flops
from lib.profilers.latency import latency
from lib.profilers.profile import profile

X = torch.rand(4, 4)


@pytest.mark.reported("pytorch/pytorch", 195460)
def test_attention_on_a_cpu_is_counted():
    """Fused attention on a CPU counted nothing, and the same model's counted on a GPU."""
    q = torch.rand(1, 12, 64, 64)
    assert flops(lambda: F.scaled_dot_product_attention(q, q, q)) == 12_582_912


@pytest.mark.reported("pytorch/pytorch", 126268)
def test_operations_are_counted_in_inference_mode():
    """Under inference mode composite operators reached the counter whole, and counted nothing."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 5))
    x, by_hand = torch.rand(1, 3, 8, 8), 2 * 4 * 36 * 27 + 2 * 4 * 36 * 5
    with torch.inference_mode():
        assert flops(lambda: model(x), inference=False) == by_hand
    assert flops(lambda: model(x)) == by_hand


@pytest.mark.reported("pytorch/pytorch", 183405)
def test_a_depthwise_convolution_costs_two_forward_passes_backward():
    """The gradient of a grouped convolution's weight counted as that of one group: too much by their number."""
    layer, x = nn.Conv1d(6, 6, 4, groups=6), torch.rand(2, 6, 13, requires_grad=True)
    forward = 2 * 2 * 6 * 10 * 4
    assert flops(lambda: layer(x).sum().backward(), inference=False) == 3 * forward


@pytest.mark.reported("pytorch/pytorch", 178064)
@pytest.mark.parametrize("name", ["_flash_attention_forward", "_efficient_attention_forward"])
def test_attention_with_heads_behind_time_counts_time_as_time(name):
    """Queries (B, T, heads, width) were read as (B, heads, T, width)."""
    q = torch.empty(2, 30, 3, 8, device="meta")
    more = () if name.startswith("_flash") else (None,)
    count = FORMULAS[getattr(torch.ops.aten, name)]
    assert count(None, q, q, q, *more, None, None, 30, 30) == 2 * 2 * 3 * 30 * 30 * 16
    packed, ends = torch.empty(40, 3, 8, device="meta"), torch.tensor([0, 10, 40])
    assert count(None, packed, packed, packed, *more, ends, ends, 30, 30) == 2 * 3 * (10**2 + 30**2) * 16


@pytest.fixture(scope="module")
def library():
    held = torch.library.Library("reported", "DEF")
    held.define("product(Tensor x) -> Tensor")
    held.define("known(Tensor x) -> Tensor")
    for name in ("product", "known"):
        held.impl(name, lambda x: x @ x, "CPU")
    yield torch.ops.reported
    held._destroy()


@pytest.mark.reported("pytorch/pytorch", 131041)
def test_an_operator_that_nobody_knows_is_not_zero(library):
    """Operators of others were left out in silence, as if they computed nothing."""
    with refused("reported::product: its operations are not known", NotImplementedError):
        flops(lambda: library.product(X))
    assert profile({"it": lambda: library.product(X)}, runs=1, progress=False)["it"].error.startswith(
        "NotImplementedError: reported::product"
    )


@pytest.mark.reported("pytorch/pytorch", 131770)
def test_a_formula_that_is_registered_for_an_operator_of_others_is_used(library):
    """A formula registered for an operator of a library was never asked."""
    register_flop_formula(library.known)(lambda shape, *_, out_shape=None, **__: 2 * math.prod(shape) * out_shape[-1])
    assert flops(lambda: library.known(X)) == 2 * 64


@pytest.mark.reported("pytorch/pytorch", 128199)
@pytest.mark.parametrize("fullgraph", [False, True])
def test_a_compiled_model_counts_what_the_model_does(unchecked, fullgraph):
    """Counting a compiled model after its first calls ended in an error of the compiler."""
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 4))
    fast = torch.compile(model, backend="aot_eager", dynamic=False, fullgraph=fullgraph)
    fast(X)
    assert flops(lambda: fast(X)) == flops(lambda: model(X)) == 2 * 4 * (32 + 32)


@pytest.mark.reported("pytorch/pytorch", 190286)
def test_a_function_that_was_counted_first_is_compiled_afterwards(unchecked):
    """A compiled function whose first call was counted stayed uncompiled for good: a timing after it was another's."""
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    fast = torch.compile(lambda x: (x @ x).relu(), backend=backend)
    assert flops(lambda: fast(X)) == 2 * 64
    assert graphs == []
    profile({"fast": lambda: fast(X)}, runs=2, warmup=1, progress=False)
    assert len(graphs) == 1


@pytest.mark.reported("pytorch/pytorch", 134385)
def test_flexible_attention_is_counted_as_attention():
    """Counters answered to flex_attention that they cannot handle it."""
    from torch.nn.attention.flex_attention import flex_attention

    q = torch.rand(2, 3, 16, 8)
    assert flops(lambda: flex_attention(q, q, q)) == 2 * 2 * 6 * 16 * 16 * 8


@pytest.mark.reported("pytorch/pytorch", 58585)
@pytest.mark.filterwarnings("ignore:.*interquartile range")
def test_a_timing_leaves_the_number_of_threads_as_it_was():
    """After a timing with one thread, whatever came later had one thread, too."""
    before, found = torch.get_num_threads(), []

    def one():
        torch.set_num_threads(before + 1)

    latency({"one": one, "next": lambda: found.append(torch.get_num_threads())}, runs=3, progress=False)
    assert {*found, torch.get_num_threads()} == {before}
