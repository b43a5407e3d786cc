"""Mamba against its equations written out, its three ways of running against each other, and facts about its start."""

import re

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.convolution import causal_convolution
from lib.models.mamba import (
    MambaBackbone,
    MambaBlock,
    MambaClassifier,
    MambaConfig,
    MambaLM,
)

VOCABULARY = 11


def config(**options):
    return MambaConfig(**({"dim": 6, "layers": 2, "states": 3, "vocabulary": VOCABULARY} | options))


def seeded(kind, *sizes, seed=0, head=None, **options):
    """A model whose weights are all away from their start, the scales of norm and skip among them."""
    generator = torch.Generator().manual_seed(seed)
    model = kind(config(**options), *sizes, **head or {}, generator=generator)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.empty_like(weight).normal_(std=0.1, generator=generator))
    return model


def tokens(generator, batch=2, length=9):
    return torch.randint(VOCABULARY, (batch, length), generator=generator)


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


@pytest.mark.parametrize("backend", ["auto", "ref"])
@pytest.mark.parametrize(
    "options", [{}, {"kernel": 1}, {"kernel": 3, "conv_bias": False}, {"bias": True, "rank": 4}, {"expand": 1}]
)
def test_a_block_is_its_equations(options, backend, generator):
    block = seeded(MambaBlock, backend=backend, **options)
    x = torch.randn(2, 7, 6, generator=generator)
    assert_close(block(x).double(), block_by_hand(block, x), rtol=1e-5, atol=1e-6)


def test_a_backbone_is_residual_blocks_under_norms(generator):
    backbone = seeded(MambaBackbone, vocabulary=None)
    x = torch.randn(2, 7, 6, generator=generator)

    def normed(norm, x):
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight.detach().double()

    y = x.double()
    for layer in backbone.layers:
        y = y + block_by_hand(layer["mixer"], normed(layer["norm"], y))
    assert_close(backbone(x).double(), normed(backbone.norm, y), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("taps", [1, 4, 9])
@pytest.mark.parametrize("biased", [True, False])
def test_the_convolution_and_its_gradients_are_those_of_conv1d(taps, biased, generator):
    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)

    window, weight, bias = random(2, 6 + taps - 1, 5), random(5, 1, taps), random(5) if biased else None
    inputs = [x for x in (window, weight, bias) if x is not None]
    ours = causal_convolution(window, weight, bias)
    theirs = F.conv1d(window.transpose(1, 2), weight, bias, groups=5).transpose(1, 2)
    grad = torch.randn(theirs.shape, generator=generator, dtype=torch.float64)
    assert_close(ours, theirs)
    assert_close(torch.autograd.grad(ours, inputs, grad), torch.autograd.grad(theirs, inputs, grad))


def test_the_scan_gets_views_of_contiguous_channels(generator, monkeypatch):
    from lib.models import mamba_block

    seen = []

    def spy(*inputs, **options):
        seen.extend([*inputs[:2], options["z"]])
        return scan(*inputs, **options)

    scan = mamba_block.selective_scan_fn
    monkeypatch.setattr(mamba_block, "selective_scan_fn", spy)
    seeded(MambaBlock)(torch.randn(2, 7, 6, generator=generator))
    assert [x.stride(1) for x in seen] == [1, 1, 1]
    assert all(x.transpose(1, 2).is_contiguous() for x in seen[:2])


@pytest.mark.parametrize("kernel", [1, 2, 4])
def test_steps_equal_the_whole_sequence(kernel, generator):
    model, x = seeded(MambaLM, kernel=kernel), tokens(generator)
    state, outputs = model.initial_state(2), []
    for t in range(x.shape[1]):
        logits, state = model.step(x[:, t], state)
        outputs.append(logits)
    whole, after = model(x, return_state=True)
    assert_close(torch.stack(outputs, dim=1), whole, rtol=1e-5, atol=1e-6)
    assert_close(state, after, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", [1, 4])
@pytest.mark.parametrize("lengths", [(5, 4), (1, 8), (8, 1), (2, 2, 2, 3), (1,) * 9])
def test_chunks_equal_the_whole_sequence(kernel, lengths, generator):
    model, x = seeded(MambaLM, kernel=kernel), tokens(generator)
    state, outputs = None, []
    for chunk in x.split(lengths, dim=1):
        logits, state = model(chunk, state, return_state=True)
        outputs.append(logits)
    whole, after = model(x, return_state=True)
    assert_close(torch.cat(outputs, dim=1), whole, rtol=1e-5, atol=1e-6)
    assert_close(state, after, rtol=1e-5, atol=1e-6)


def test_gradients_reach_back_through_the_state(generator):
    model, x = seeded(MambaBackbone, vocabulary=None), torch.randn(2, 9, 6, generator=generator, requires_grad=True)
    first, state = model(x[:, :5], return_state=True)
    loss = first.square().sum() + model(x[:, 5:], state).square().sum()
    inputs = [x, *model.parameters()]
    expected = torch.autograd.grad(model(x).square().sum(), inputs)
    assert_close(torch.autograd.grad(loss, inputs), expected, rtol=1e-4, atol=1e-5)


def test_a_step_and_a_chunk_leave_the_state_they_start_from(generator):
    model, x = seeded(MambaLM), tokens(generator)
    _, state = model(x, return_state=True)
    kept = [tensor.clone() for layer in state for tensor in layer]
    model.step(x[:, 0], state)
    model(x, state)
    assert all(torch.equal(a, b) for a, b in zip(kept, (tensor for layer in state for tensor in layer), strict=True))


def test_the_initial_state_is_that_of_no_tokens(generator):
    model, x = seeded(MambaLM), tokens(generator)
    assert torch.equal(model(x, model.initial_state(2)), model(x))
    half = model.initial_state(3, dtype=torch.bfloat16)[0]
    assert (half.convolution.shape, half.convolution.dtype) == ((3, 3, 12), torch.bfloat16)
    assert (half.scan.shape, half.scan.dtype) == ((3, 12, 3), torch.float32)


@pytest.mark.parametrize("t", [0, 4, 8])
def test_no_output_depends_on_a_later_token(t, generator):
    model, x = seeded(MambaLM), tokens(generator, batch=1)
    changed = x.clone()
    changed[0, t] = (x[0, t] + 1) % VOCABULARY
    difference = (model(x) - model(changed)).abs().amax(-1)[0]
    assert difference[:t].eq(0).all()
    assert difference[t:].gt(0).all()


def test_no_sequence_depends_on_another_of_its_batch(generator):
    model, x = seeded(MambaLM), tokens(generator)
    assert_close(model(x)[1:], model(x[1:]))


def test_the_first_weights_are_those_of_the_paper():
    block = MambaBlock(config(dim=64, states=5), generator=torch.Generator().manual_seed(0))
    assert_close(-block.A_log.exp(), -torch.arange(1.0, 6).expand(128, 5))
    assert block.D.eq(1).all()
    steps = F.softplus(block.dt_proj.bias.double())
    assert steps.min() >= 0.001 * (1 - 1e-3)
    assert steps.max() <= 0.1 * (1 + 1e-3)
    assert abs(steps.log10().mean() + 2) < 0.15  # log-uniform: half of them below 0.01
    for layer, fan_in in ((block.in_proj, 64), (block.x_proj, 128), (block.dt_proj, 4), (block.out_proj, 128)):
        assert 0.9 * fan_in**-0.5 < layer.weight.abs().max() <= fan_in**-0.5


def test_the_first_steps_are_clamped_from_below():
    block = MambaBlock(config(time_step_floor=0.01), generator=torch.Generator().manual_seed(0))
    steps = F.softplus(block.dt_proj.bias)
    assert_close(steps.min(), torch.tensor(0.01))
    assert steps.max() > 0.011


def test_the_seed_decides_the_weights_and_the_global_one_is_left_alone():
    before = torch.get_rng_state()
    first, second, other = (seeded(MambaClassifier, 4, 3, vocabulary=None, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_greedy_generation_takes_the_likeliest_token_again_and_again(generator):
    model, x = seeded(MambaLM), tokens(generator)
    expected = x
    for _ in range(6):
        expected = torch.cat([expected, model(expected)[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(model.generate(x, 6), expected)
    assert torch.equal(model.generate(x, 0), x)


def test_sampling_follows_its_generator_and_its_temperature(generator):
    model, x = seeded(MambaLM), tokens(generator, batch=1, length=3)

    def sample(seed, temperature, batch=1):
        return model.generate(x.expand(batch, -1), 4, temperature, torch.Generator().manual_seed(seed))

    assert torch.equal(sample(1, 1.0), sample(1, 1.0))
    assert not torch.equal(sample(1, 1.0, batch=8), sample(2, 1.0, batch=8))
    assert torch.equal(sample(1, 1e-6), model.generate(x, 4))
    counts = sample(3, 1.0, batch=4000)[:, 3].bincount(minlength=VOCABULARY)
    assert_close(counts / 4000, model(x)[0, -1].softmax(-1), rtol=0, atol=0.03)


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("inputs", [None, 4])
def test_a_classifier_scores_classes_and_every_weight_learns(inputs, pooling, generator):
    vocabulary = VOCABULARY if inputs is None else None
    model = seeded(MambaClassifier, inputs, 3, vocabulary=vocabulary, head={"pooling": pooling})
    x = tokens(generator) if inputs is None else torch.randn(2, 9, inputs, generator=generator)
    scores = model(x)
    assert scores.shape == (2, 3)
    F.cross_entropy(scores, torch.tensor([0, 2])).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())


def test_pooling_takes_the_mean_or_the_last(generator):
    x = torch.randn(2, 9, 4, generator=generator)
    for pooling, pool in (("mean", lambda y: y.mean(1)), ("last", lambda y: y[:, -1])):
        model = seeded(MambaClassifier, 4, 3, vocabulary=None, head={"pooling": pooling})
        assert_close(model(x), model.head(pool(model.backbone(model.project(x)))))


def test_every_weight_of_a_language_model_learns(generator):
    model, x = seeded(MambaLM, bias=True), tokens(generator)
    F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())


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
    assert_close(logits, seeded(MambaLM)(x).double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["dim", "layers", "states", "expand", "kernel", "rank", "vocabulary"])
def test_a_size_below_one_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"{name} = 0: an integer of at least 1"):
        config(**{name: 0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": "many"}, "rank = 'many': an integer of at least 1, or 'auto', is needed"),
        ({"norm_eps": 0.0}, "norm_eps = 0.0: more than 0"),
        ({"time_step_min": 0.0}, "time_step_min = 0.0: more than 0"),
        ({"time_step_floor": -1.0}, "time_step_floor = -1.0: more than 0"),
        ({"time_step_max": 1e-4}, "time_step_max = 0.0001: at least time_step_min = 0.001"),
        ({"backend": "cuda"}, "backend = 'cuda': one of auto, cpp, triton, torch, ref"),
    ],
)
def test_an_impossible_config_is_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        config(**options)


@pytest.mark.parametrize("shape", [(2, 5, 4), (2, 0, 6)])
def test_a_wrong_size_is_refused_with_both_shapes(shape):
    with pytest.raises(ValueError, match=re.escape(f"input of shape {shape}: (B, T, 6) with T >= 1")):
        seeded(MambaBlock)(torch.zeros(shape))


def test_a_wrong_shape_is_refused_by_its_annotation():
    with pytest.raises(Exception, match="B T D"):
        seeded(MambaBlock)(torch.zeros(3, 6))


@pytest.mark.parametrize(("bad", "range"), [(-1, "-1 to 0"), (VOCABULARY, "0 to 11")])
def test_tokens_outside_the_vocabulary_are_refused(bad, range):
    with pytest.raises(ValueError, match=f"tokens {range} of torch.int64: integers from 0 to 10"):
        seeded(MambaLM)(torch.tensor([[0, bad]]))


def test_numbers_in_place_of_tokens_are_refused():
    with pytest.raises(ValueError, match=r"of torch.float32: integers from 0 to 10"):
        seeded(MambaBackbone)(torch.zeros(2, 5, 6))


def test_what_a_head_lacks_is_named(generator):
    with pytest.raises(ValueError, match="vocabulary = None: a language model needs"):
        MambaLM(config(vocabulary=None))
    with pytest.raises(ValueError, match="inputs = 4, vocabulary = 11: exactly one"):
        MambaClassifier(config(), 4, 3)
    with pytest.raises(ValueError, match="pooling = 'max': one of mean, last"):
        MambaClassifier(config(), None, 3, pooling="max")
    with pytest.raises(ValueError, match=re.escape("input of shape (2, 5, 3): (B, T, 4) is needed")):
        seeded(MambaClassifier, 4, 3, vocabulary=None)(torch.zeros(2, 5, 3))
    with pytest.raises(ValueError, match=re.escape("new_tokens = 2, temperature = -1.0: neither may be negative")):
        seeded(MambaLM).generate(tokens(generator), 2, temperature=-1.0)
