"""What triton's forward pass saves for a backward pass: one state per chunk."""

from unittest.mock import patch

import pytest
import torch
from scans import Problem
from torch import Tensor

from lib.kernels.scan import triton as fused


def kept(problem: Problem, chunk: int) -> tuple[Tensor | None, Tensor, Tensor, bool]:
    """What is saved without and with a backward pass to follow, the initial state, whether out has u's strides."""
    given = problem.inputs()
    names = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")
    with patch.object(fused, "CHUNK", chunk):
        _, _, nothing = fused.forward(*map(given.get, names), True, False)
        out, _, saved = fused.forward(*map(given.get, names), True, True)
    return nothing, saved, given["initial_state"], out.stride() == given["u"].stride()


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["BDT", "BTD"])
def test_a_state_per_chunk_is_kept_for_a_backward_pass_only(interpreter, layout):
    problem = Problem(channels=3, length=5, states=4, layout=layout)
    nothing, saved, initial, strides_kept = interpreter.submit(kept, problem, chunk=2).result()
    assert nothing is None
    assert saved.shape == (2, 3, 3, 4)
    assert torch.equal(saved[:, 0], initial)
    assert strides_kept
