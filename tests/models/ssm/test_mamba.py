"""Mamba against its equations written out, and what depends on what."""

import pytest
import torch
from precision import PRECISIONS, assert_within
from seeded_mambas import VOCABULARY, seeded, tokens
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.ssm.mamba import MambaBackbone, MambaBlock, MambaLM


def block_by_hand(block, x):
    """The equations of one block, token by token, in float64."""
    weights = {name: weight.detach().double() for name, weight in block.named_parameters()}
    config, x = block.config, x.double()
    state = torch.zeros(len(x), config.channels, config.states, dtype=torch.float64)
    past = torch.zeros(len(x), config.kernel, config.channels, dtype=torch.float64)
    outputs = []
    for t in range(x.shape[1]):
        inner = x[:, t] @ weights["in_proj.weight"].T + weights.get("in_proj.bias", 0)
        u, gate = inner[:, : config.channels], inner[:, config.channels :]
        past = torch.cat([past[:, 1:], u[:, None]], dim=1)
        u = sum(past[:, k] * weights["conv1d.weight"][:, 0, k] for k in range(config.kernel))
        u = u + weights.get("conv1d.bias", 0)
        u = u * torch.sigmoid(u)
        selected = u @ weights["x_proj.weight"].T
        rank = config.step_rank
        low, B, C = selected[:, :rank], selected[:, rank : rank + config.states], selected[:, rank + config.states :]
        delta = torch.log1p(torch.exp(low @ weights["dt_proj.weight"].T + weights["dt_proj.bias"]))[..., None]
        state = torch.exp(-delta * torch.exp(weights["A_log"])) * state + delta * B[:, None] * u[..., None]
        y = (state * C[:, None]).sum(-1) + weights["D"] * u
        y = y * gate * torch.sigmoid(gate)
        outputs.append(y @ weights["out_proj.weight"].T + weights.get("out_proj.bias", 0))
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("backend", ["auto", "ref"])
@pytest.mark.parametrize(
    "options", [{}, {"kernel": 1}, {"kernel": 3, "conv_bias": False}, {"bias": True, "rank": 4}, {"expand": 1}]
)
def test_a_block_is_its_equations(options, backend, dtype, generator):
    block = seeded(MambaBlock, backend=backend, **options).to(dtype)
    x = torch.randn(2, 7, 6, generator=generator, dtype=dtype)
    assert_within(block(x), block_by_hand(block, x), PRECISIONS[dtype])


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_a_backbone_is_residual_blocks_under_norms(dtype, generator):
    backbone = seeded(MambaBackbone, vocabulary=None).to(dtype)
    x = torch.randn(2, 7, 6, generator=generator, dtype=dtype)

    def normed(norm, x):
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight.detach().double()

    y = x.double()
    for layer in backbone.layers:
        y = y + block_by_hand(layer["mixer"], normed(layer["norm"], y))
    assert_within(backbone(x), normed(backbone.norm, y), PRECISIONS[dtype])


def test_the_scan_gets_views_of_contiguous_channels(generator, monkeypatch):
    from lib.models.ssm import mamba_block

    seen = []

    def spy(*inputs, **options):
        seen.extend([*inputs[:2], options["z"]])
        return scan(*inputs, **options)

    scan = mamba_block.selective_scan_fn
    monkeypatch.setattr(mamba_block, "selective_scan_fn", spy)
    seeded(MambaBlock)(torch.randn(2, 7, 6, generator=generator))
    assert [x.stride(1) for x in seen] == [1, 1, 1]
    assert all(x.transpose(1, 2).is_contiguous() for x in seen[:2])


@pytest.mark.parametrize("t", [0, 4, 8])
def test_no_output_depends_on_a_later_token(t, generator):
    model, x = seeded(MambaLM), tokens(generator, batch=1)
    changed = x.clone()
    changed[0, t] = (x[0, t] + 1) % VOCABULARY
    difference = (model(x) - model(changed)).abs().amax(-1)[0]
    assert difference[:t].eq(0).all()
    assert difference[t:].gt(0).all()


def test_no_sequence_depends_on_another_of_its_batch(generator):
    model, x = seeded(MambaLM).double(), tokens(generator)
    assert_close(model(x)[1:], model(x[1:]))


def test_every_weight_of_a_language_model_learns(generator):
    model, x = seeded(MambaLM, bias=True), tokens(generator)
    F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())
