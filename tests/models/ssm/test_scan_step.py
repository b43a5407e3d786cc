"""A sequence in parts, down to single tokens, equals the whole."""

import pytest
import torch
from precision import UNIT
from scans import FAST, ROUNDINGS, Problem, definition, error

from lib.models.ssm.scan import selective_scan_fn, selective_scan_step

ALLOWED = ROUNDINGS * UNIT


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("cut", [1, 32, 50, 69])
def test_two_calls_with_a_carried_state_equal_one(backend, cut):
    problem = Problem(length=70)
    inputs, (wanted, sizes) = problem.inputs(), definition(problem)
    initial = inputs.pop("initial_state")
    options = {"delta_softplus": True, "return_last_state": True, "backend": backend}
    parts, state = [], initial
    for part in (slice(cut), slice(cut, None)):
        piece = {name: x[..., part] if name in ("u", "delta", "B", "C", "z") else x for name, x in inputs.items()}
        out, state = selective_scan_fn(**piece, initial_state=state, **options)
        parts.append(out)
    assert error(torch.cat(parts, -1), wanted["out"], sizes["out"]) < ALLOWED
    assert error(state, wanted["last"], sizes["last"]) < ALLOWED


def test_steps_equal_the_scan():
    problem = Problem(length=9, groups=(2, 2))
    inputs, (wanted, sizes) = problem.inputs(), definition(problem)
    state = inputs.pop("initial_state")
    for t in range(9):
        now = {name: x[..., t] if name in ("u", "delta", "B", "C", "z") else x for name, x in inputs.items()}
        out, state = selective_scan_step(state, **now, delta_softplus=True)
        assert error(out, wanted["out"][..., t], sizes["out"][..., t]) < ALLOWED
    assert error(state, wanted["last"], sizes["last"]) < ALLOWED
