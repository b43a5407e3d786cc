"""How the CUDA backend cuts a scan up: memory of a training step, segments, slices, and plans that are kept."""

import pytest
import torch
from emulation import emulated

from lib.kernels.scan import cuda
from lib.kernels.scan.cuda import plans, threads

H100 = {"processors": 132, "shared_bytes": 228 * 2**10}
T4 = {"processors": 40, "shared_bytes": 64 * 2**10}
SHAPES = [(8, 2048, 1536), (8, 8192, 1024), (64, 512, 1536), (1, 16384, 2048)]


def training_bytes(batch: int, length: int, channels: int, dtype: torch.dtype, gpu: dict[str, int]) -> float:
    """Peak memory of a training step beyond its inputs, by the plans alone, in units of one input."""

    def sequence(size: int) -> torch.Tensor:
        return torch.empty(batch, length, size, dtype=dtype, device="meta").mT

    u, delta, z, A = *(sequence(channels) for _ in range(3)), torch.empty(channels, 16, device="meta")
    B, C = (sequence(16).unsqueeze(1) for _ in range(2))
    D = bias = torch.empty(channels, device="meta")
    with emulated(0, **gpu):
        apart = cuda._apart(u, A)
        saved = torch.empty(cuda.saved_shape(u, A, B, C), device="meta")
        written = {
            f"grad_{name}": x for name, x in zip(("u", "delta", "z", "B", "C"), (u, delta, z, B, C), strict=True)
        }
        steps = plans.plan(u, delta, A, B, C, D, z, bias, True, apart, grad_out=u, **written)
    one = u.numel() * u.element_size()
    outputs_and_gradients = 4 * one + 2 * B.numel() * B.element_size() + 4 * A.numel() * (2 * batch + 1)
    return (outputs_and_gradients + 4 * saved.numel() + 4 * steps.numbers) / one


@pytest.mark.parametrize("gpu", [H100, T4], ids=["H100", "T4"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_training_step_holds_no_more_than_five_inputs(shape, dtype, gpu):
    """mamba_ssm's holds five: two outputs and the gradients of u, delta and z."""
    assert training_bytes(*shape, dtype, gpu) <= 5.05


def test_the_bound_is_what_slices_keep(monkeypatch):
    monkeypatch.setattr(threads, "MEMORY", 3.0)
    assert training_bytes(*SHAPES[1], torch.bfloat16, H100) > 5.5


def test_time_is_split_only_where_most_of_the_gpu_would_idle():
    assert threads.segments(256, 8192, 132, 3, backward=False) == (8192, 1)
    span, count = threads.segments(64, 16384, 132, 3, backward=False)
    assert count > 4
    assert span % threads.UNIT == 0
    assert span * (count - 1) < 16384 <= span * count
    assert threads.segments(1, 20, 132, 3, backward=True) == (32, 1)


@pytest.mark.parametrize("tokens", [1, 31, 32, 33, 1000, 4096])
def test_slices_cover_all_tokens_once_and_start_at_whole_tiles(tokens):
    found = threads.slices(tokens, 1e6, 0, 0)
    assert sorted(found) == found[::-1]
    assert [stop for _, stop in found[1:]] == [start for start, _ in found[:-1]]
    assert (found[-1][0], found[0][1]) == (0, tokens)
    assert all(start % threads.UNIT == 0 for start, _ in found)


@pytest.mark.parametrize("states", [1, 2, 5, 16, 17, 64, 100, 256])
@pytest.mark.parametrize("gpu", [H100, T4], ids=["H100", "T4"])
@pytest.mark.parametrize("blocks", [1, 300, 5000])
@pytest.mark.parametrize("backward", [False, True])
def test_lanes_hold_all_states_and_tiles_fit_each_other(states, gpu, blocks, backward):
    cut = threads.threads(states, blocks, gpu["processors"], gpu["shared_bytes"], backward)
    assert cut.lanes * cut.share >= states
    assert threads.THREADS % cut.lanes == 0
    assert cut.tile % cut.tile_back == cut.tile_back % cut.unroll == cut.tile_back % cut.sub == 0
    assert threads.SPARSE % cut.tile == 0


def test_a_plan_is_made_once_for_a_shape_and_forgotten_in_the_end(monkeypatch):
    made = []
    make = plans._make
    monkeypatch.setattr(plans, "_make", lambda *given: made.append(given) or make(*given))
    monkeypatch.setattr(plans, "MOST_PLANS", 2)
    with emulated():
        for length in (8, 8, 9, 10, 8):
            u = torch.ones(1, 4, length)
            rows, A = torch.ones(1, 1, 2, length), -torch.ones(4, 2)
            plans.plan(u, u, A, rows, rows, None, None, None, True, 0, out=u)
        assert len(plans._plans) == 2
    assert [given[0].shape[2] for given in made] == [8, 9, 10, 8]


def test_memory_that_is_not_aligned_has_a_plan_of_its_own():
    room = torch.ones(4 * 9 + 1)
    with emulated():
        vectors = []
        for start in (0, 1):
            u = room[start : start + 36].view(1, 9, 4).mT
            rows, A = torch.ones(1, 1, 2, 9), -torch.ones(4, 2)
            found = plans.plan(u, u, A, rows, rows, None, None, None, True, 0, out=torch.empty_like(u))
            vectors.append(next(option for option in found.module.options if option.startswith("-DVECTOR=")))
    assert vectors == ["-DVECTOR=4", "-DVECTOR=1"]
