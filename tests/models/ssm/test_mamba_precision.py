"""Mamba in half precision, under autocast and in float64, against float32."""

import torch
from precision import SINGLE, assert_within
from seeded_mambas import VOCABULARY, seeded, tokens
from torch.testing import assert_close

from lib.models.ssm.mamba import MambaLM


def test_half_precision_is_near_float32(generator):
    model, x = seeded(MambaLM), tokens(generator)
    exact = model(x)
    half = seeded(MambaLM).bfloat16()
    logits, state = half(x, return_state=True)
    assert logits.dtype == torch.bfloat16
    assert {tensor.dtype for layer in state for tensor in layer} == {torch.bfloat16, torch.float32}
    assert (logits.float() - exact).abs().max() < 0.03 * exact.abs().max()
    assert_close(half.step(x[:, 0], state)[0], half(x[:, :1], state)[:, 0], rtol=0.05, atol=0.02)


def test_autocast_trains_near_float32(generator):
    model, x = seeded(MambaLM), tokens(generator)
    exact = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, state = model(x[:, :2], return_state=True)
        assert model(x[:, 2:], state).shape == (2, 7, VOCABULARY)
        loss = model(x).float().square().sum()
    near, exact = (
        torch.cat([x.flatten() for x in g]) for g in (torch.autograd.grad(loss, [*model.parameters()]), exact)
    )
    assert (near - exact).norm() < 0.03 * exact.norm()


def test_float64_stays_float64(generator):
    model, x = seeded(MambaLM, backend="ref").double(), tokens(generator)
    logits, state = model(x, return_state=True)
    assert {logits.dtype, *(tensor.dtype for layer in state for tensor in layer)} == {torch.float64}
    assert_within(seeded(MambaLM)(x), logits, SINGLE)


def test_a_step_takes_a_state_of_another_precision(generator):
    x = tokens(generator)[:, 0]
    half = seeded(MambaLM).bfloat16()
    for model, other in ((half, torch.float32), (seeded(MambaLM), torch.float64)):
        assert torch.equal(
            model.step(x, model.initial_state(2, dtype=other))[0], model.step(x, model.initial_state(2))[0]
        )
