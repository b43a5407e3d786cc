"""Our convolution inside transformers' models: on a GPU, here a pretended one, and nowhere else."""

import pytest
import torch
from fake_cuda import pretended
from torch.testing import assert_close
from transformers.models.mamba import modeling_mamba

from lib.models.ssm import accelerate
from lib.models.ssm.accelerate import accelerate_transformers

ORIGINAL = modeling_mamba.causal_conv1d_fn


@pytest.fixture
def served(monkeypatch):
    """Shapes of what our convolution was called with."""
    seen, convolution = [], accelerate.convolution_silu

    def counting(x, *others):
        seen.append(tuple(x.shape))
        return convolution(x, *others)

    monkeypatch.setattr(accelerate, "convolution_silu", counting)
    return seen


@pytest.fixture
def inputs(generator):
    """What transformers hands over: half of a projection, as (B, E, T); taps without their middle axis; a bias."""
    both = torch.randn(2, 9, 12, generator=generator)
    return both.mT.chunk(2, dim=1)[0], torch.randn(6, 4, generator=generator), torch.randn(6, generator=generator)


@pytest.mark.parametrize("activation", ["silu", "swish"])
def test_on_a_gpu_it_is_ours_and_gives_theirs(activation, inputs, served):
    wanted = ORIGINAL(*inputs, activation=activation)
    with accelerate_transformers(), pretended():
        there = [one.to("cuda") for one in inputs]
        found = modeling_mamba.causal_conv1d_fn(*there, activation=activation, seq_idx=None).cpu()
    assert served == [(2, 9, 6)]
    assert_close(found, wanted)


def test_without_silu_it_is_theirs(inputs, served):
    with accelerate_transformers(), pretended():
        found = modeling_mamba.causal_conv1d_fn(*(one.to("cuda") for one in inputs), activation=None).cpu()
    assert served == []
    assert_close(found, ORIGINAL(*inputs, activation=None))


@pytest.mark.parametrize("packed", ["seq_idx", "cu_seqlens"])
def test_packed_sequences_are_refused_as_they_are_without_us(packed, inputs, served):
    with accelerate_transformers(), pretended(), pytest.raises(ValueError, match="packed sequences"):
        modeling_mamba.causal_conv1d_fn(*(one.to("cuda") for one in inputs), activation="silu", **{packed: 1})
    assert served == []


def test_on_a_cpu_it_is_theirs(inputs, served):
    with accelerate_transformers():
        found = modeling_mamba.causal_conv1d_fn(*inputs, activation="silu")
    assert served == []
    assert torch.equal(found, ORIGINAL(*inputs, activation="silu"))


def test_it_ends_with_the_last_acceleration():
    first, second = accelerate_transformers(), accelerate_transformers()
    first.undo()
    assert modeling_mamba.causal_conv1d_fn is not ORIGINAL
    second.undo()
    assert modeling_mamba.causal_conv1d_fn is ORIGINAL


def test_another_signature_leaves_the_convolution_alone(monkeypatch):
    def another(x, w):
        return x

    monkeypatch.setattr(modeling_mamba, "causal_conv1d_fn", another)
    with accelerate_transformers():
        assert modeling_mamba.causal_conv1d_fn is another
