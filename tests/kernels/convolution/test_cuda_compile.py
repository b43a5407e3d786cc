"""The convolution's kernels as NVRTC compiles them, for every generation of GPUs that they serve."""

from itertools import product

import pytest
import torch
from compiled import CAPABILITIES, NEEDED, REGISTERS, SHARED_BYTES, resources

from lib.kernels.convolution import cuda

pytestmark = [pytest.mark.slow, NEEDED]

THREADS = cuda.LANES * cuda.ROWS


@pytest.mark.parametrize(
    ("capability", "dtype"), [*product(CAPABILITIES, [torch.float32]), *product((75, 120), [torch.bfloat16])]
)
def test_kernels_spill_nothing_and_leave_room_for_three_blocks_backward_and_seven_forward(capability, dtype):
    shape = torch.Size((8, 2048, 1536))
    plan = cuda._made(shape, 4, dtype, torch.float32, False, torch.device("cuda"), 132, True, ())
    assert "-DVECTOR=4" in plan.module.options
    found = resources(plan.module.source, [f"--gpu-architecture=sm_{capability}", *plan.module.options])
    assert found.keys() == {"outputs", "gradients", "totals"}
    for name, (registers, spilled, shared) in found.items():
        assert spilled == 0, name
        assert shared <= SHARED_BYTES / 4, name
        assert registers * THREADS * (3 if name == "gradients" else 7) <= REGISTERS, name


@pytest.mark.parametrize(
    "options", [{"taps": 1}, {"dtype": torch.float16, "parameters": torch.float16}, {"channels": 5}]
)
def test_other_kinds_compile_and_spill_nothing(options):
    kinds = {"dtype": torch.float32, "parameters": torch.float32, "taps": 4, "channels": 8} | options
    shape = torch.Size((1, 100, kinds["channels"]))
    made = cuda._made(shape, kinds["taps"], kinds["dtype"], kinds["parameters"], True, None, 132, True, ())
    found = resources(made.module.source, ["--gpu-architecture=sm_75", *made.module.options])
    assert [spilled for _, spilled, _ in found.values()] == [0, 0, 0]
