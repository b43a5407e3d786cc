"""A sequence in parts, down to single tokens, equals the whole."""

import pytest
import torch
from scans import FAST, OUTPUT, Problem, error

from lib.models.ssm.scan import selective_scan_fn, selective_scan_step


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("cut", [1, 32, 50, 69])
def test_two_calls_with_a_carried_state_equal_one(backend, cut):
    inputs = Problem(length=70).inputs()
    initial = inputs.pop("initial_state")
    options = {"delta_softplus": True, "return_last_state": True, "backend": backend}
    whole, last = selective_scan_fn(**inputs, initial_state=initial, **options)
    parts, state = [], initial
    for part in (slice(cut), slice(cut, None)):
        piece = {name: x[..., part] if name in ("u", "delta", "B", "C", "z") else x for name, x in inputs.items()}
        out, state = selective_scan_fn(**piece, initial_state=state, **options)
        parts.append(out)
    assert error(torch.cat(parts, -1), whole.double()) < OUTPUT
    assert error(state, last.double()) < OUTPUT


def test_steps_equal_the_scan():
    inputs = Problem(length=9, groups=(2, 2)).inputs()
    state = inputs.pop("initial_state")
    whole, last = selective_scan_fn(**inputs, initial_state=state, delta_softplus=True, return_last_state=True)
    for t in range(9):
        now = {name: x[..., t] if name in ("u", "delta", "B", "C", "z") else x for name, x in inputs.items()}
        out, state = selective_scan_step(state, **now, delta_softplus=True)
        assert error(out, whole[..., t].double()) < OUTPUT
    assert error(state, last.double()) < OUTPUT
