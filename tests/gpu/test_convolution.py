"""The convolution's kernels on a real GPU: the emulated grid, larger sizes, a whole block, graphs, speed."""

import statistics

import pytest
import torch
from convolutions import LAYOUTS, ROUNDINGS, Problem, definition, errors, kernels
from precision import UNIT

from lib.kernels.convolution import cuda as on_cuda
from lib.kernels.convolution import torch as anywhere
from lib.models.ssm.convolution import halves_convolution_silu
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig

CASES = [
    *(Problem(layout=layout) for layout in LAYOUTS),
    *(Problem(length=length, past=past) for length in (1, 2, 3, 4, 17, 1000) for past in (True, False)),
    *(Problem(taps=taps, past=past) for taps in (1, 2, 3) for past in (True, False)),
    *(Problem(channels=channels) for channels in (1, 4, 5, 33, 1000)),
    Problem(bias=False),
    Problem(batch=3000, length=2, channels=8),
    Problem(batch=8, length=2048, channels=1536),
]


def found_by(problem: Problem, **dtypes: torch.dtype) -> tuple[dict, dict]:
    """What the kernels find, on memory that is NaN before it is written; and the definition."""
    inputs = problem.inputs(device="cuda", **dtypes)
    torch.use_deterministic_algorithms(True)
    try:
        found = kernels(on_cuda, *inputs)
    finally:
        torch.use_deterministic_algorithms(False)
    return found, definition(*inputs)


def test_the_gpu_is_served(cuda):
    assert on_cuda.unavailable(cuda, torch.float32, 1536, 4) is None


@pytest.mark.parametrize("problem", CASES, ids=str)
def test_the_kernels_equal_the_definition(problem):
    found = errors(*found_by(problem))
    assert max(found.values()) <= 4 * ROUNDINGS * UNIT, found  # the special function unit rounds less well


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("parameters", [None, torch.float32])
@pytest.mark.parametrize("problem", [Problem(length=200, channels=520), Problem(channels=5)], ids=str)
def test_half_precision(dtype, parameters, problem):
    found, wanted = found_by(problem, dtype=dtype, parameters=parameters or dtype)
    assert max(errors(found, wanted).values()) <= torch.finfo(dtype).eps


def test_the_same_input_gives_the_same_bits():
    problem = Problem(batch=4, length=500, channels=300)
    first, again = found_by(problem)[0], found_by(problem)[0]
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_block_takes_the_kernels_and_agrees_with_a_cpu(cuda, generator):
    block = MambaBlock(MambaConfig(dim=64, layers=1), generator=generator)
    x = torch.randn(2, 70, 64, generator=generator)

    def results(block, x):
        first, state = block(x[:, :2], return_state=True)
        rest, last = block(x[:, 2:], state, return_state=True)
        grads = torch.autograd.grad(first.square().sum() + rest.square().sum(), list(block.parameters()))
        return [one.detach().cpu() for one in (first, rest, *last, *grads)]

    wanted = results(block, x)
    found = results(block.to(cuda), x.to(cuda))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * other.abs().max().item())
    out, _ = halves_convolution_silu(block.in_proj(x.to(cuda)), block.conv1d.weight)
    assert "FirstHalf" in out.grad_fn.name()


def test_autocast_and_a_compiler_agree_with_eager_mode(cuda, generator):
    block = MambaBlock(MambaConfig(dim=64, layers=1), generator=generator).to(cuda)
    x = torch.randn(2, 70, 64, generator=generator).to(cuda)
    with torch.no_grad():
        wanted = block(x)
        compiled = torch.compile(block, fullgraph=True, backend="aot_eager")(x)
        with torch.autocast("cuda", torch.bfloat16):
            half = block(x)
    torch.testing.assert_close(compiled, wanted)
    torch.testing.assert_close(half.float(), wanted, rtol=0.05, atol=0.05 * wanted.abs().max().item())


def test_a_cuda_graph_replays_the_convolution():
    x, past, weight, bias, _ = Problem(length=300, channels=64).inputs(device="cuda")
    wanted = on_cuda.forward(x, past, weight, bias)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = on_cuda.forward(x, past, weight, bias)
    out.zero_()
    graph.replay()
    assert torch.equal(out, wanted)


def milliseconds(call) -> float:
    """Median of the device's time, by events, with work queued before."""
    times = []
    for _ in range(20):
        torch.cuda._sleep(1_000_000)
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times[5:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_forward_is_near_a_copy_and_backward_far_ahead_of_torch(dtype):
    x, past, weight, bias, grad = Problem(batch=8, length=2048, channels=1536).inputs(dtype, device="cuda")
    copied = torch.empty_like(grad)
    copy = milliseconds(lambda: copied.copy_(grad))  # reads and writes what forward has to
    forward = milliseconds(lambda: on_cuda.forward(x, past, weight, bias))
    backward = milliseconds(lambda: on_cuda.backward(grad, x, past, weight, bias))
    of_torch = milliseconds(lambda: anywhere.backward(grad, x, past, weight, bias))
    in_torch = milliseconds(lambda: anywhere.forward(x, past, weight, bias))
    assert forward <= 1.6 * copy, (forward, copy)
    assert backward <= 2.6 * copy, (backward, copy)
    assert forward <= 0.5 * in_torch, (forward, in_torch)
    assert backward <= 0.3 * of_torch, (backward, of_torch)
