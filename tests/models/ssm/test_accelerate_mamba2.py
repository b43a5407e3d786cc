"""Our scan inside transformers' Mamba-2 models and the hybrids that hold it: what they give themselves."""

import importlib
import math

import pytest
import torch
import transformers
from mamba2_models import MADE
from mambas import stirred, tokens
from precision import SINGLE, assert_within
from refusals import refused
from scans import MISSING
from torch import nn
from torch.nn import functional as F

from lib.models.ssm import accelerate, mamba2
from lib.models.ssm.mamba import MambaConfig, MambaLM, accelerate_transformers
from lib.models.ssm.mamba2 import heads_scan

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

every_family = pytest.mark.parametrize("family", MADE)


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    """A small model of every family; heads, groups and sizes of states differ from one another."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return {family: stirred(make(transformers)) for family, make in MADE.items()}


@pytest.fixture
def calls(monkeypatch):
    """Backends of all calls of our scan; undoes what a failing test left."""
    seen, scan = [], mamba2.selective_scan_fn
    monkeypatch.setattr(mamba2, "selective_scan_fn", lambda *given, **named: seen.append(0) or scan(*given, **named))
    yield seen
    for acceleration in list(accelerate._active):
        acceleration.undo()


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def problem(length: int = 11, heads: int = 4, groups: int = 2) -> dict[str, torch.Tensor]:
    return {
        "x": drawn(2, length, heads, 3), "dt": drawn(2, length, heads, seed=1), "A": -drawn(heads, seed=2).abs() - 0.1,
        "B": drawn(2, length, groups, 5, seed=3), "C": drawn(2, length, groups, 5, seed=4), "D": drawn(heads, seed=5),
        "dt_bias": drawn(heads, seed=6), "initial_states": drawn(2, heads, 3, 5, seed=7),
    }  # fmt: skip


def defined(x, dt, A, B, C, D=None, dt_bias=None, initial_states=None, dt_softplus=False, dt_limit=(0.0, math.inf)):
    """Token after token, in double precision."""
    x, dt, A, B, C = (one.double() for one in (x, dt, A, B, C))
    step = dt if dt_bias is None else dt + dt_bias
    step = (F.softplus(step) if dt_softplus else step).clamp(*dt_limit)
    B, C = (one.repeat_interleave(x.shape[2] // one.shape[2], 2) for one in (B, C))
    state, outputs = torch.zeros(*x[:, 0].shape, B.shape[-1]).double(), []
    state = state if initial_states is None else initial_states.double()
    for t in range(x.shape[1]):
        inflow = (step[:, t, :, None] * x[:, t]).unsqueeze(-1) * B[:, t].unsqueeze(2)
        state = (step[:, t] * A).exp()[..., None, None] * state + inflow
        skip = 0 if D is None else D[:, None] * x[:, t]
        outputs.append((state * C[:, t].unsqueeze(2)).sum(-1) + skip)
    return torch.stack(outputs, 1), state


@pytest.mark.parametrize("backend", ["cpp", "torch", "ref"])
@pytest.mark.parametrize("without", [(), ("D", "dt_bias"), ("initial_states",)])
@pytest.mark.parametrize(
    "options",
    [{"dt_softplus": True}, {"dt_softplus": True, "dt_limit": (0.3, 1.0)}, {"dt_limit": (0.0, 0.8)}, {}],
    ids=str,
)
def test_a_scan_of_heads_is_its_definition_with_all_gradients(options, without, backend):
    given = {name: one.requires_grad_() for name, one in problem().items() if name not in without}
    found, wanted = heads_scan(**given, **options, backend=backend), defined(**given, **options)
    for one, other in zip(found, wanted, strict=True):
        assert_within(one, other.detach(), SINGLE)
    pulls = [drawn(*one.shape, seed=8) for one in found]
    gradients = torch.autograd.grad(found, [*given.values()], pulls)
    exact = torch.autograd.grad(wanted, [*given.values()], [one.double() for one in pulls])
    for one, other in zip(gradients, exact, strict=True):
        assert_within(one, other, SINGLE, size=other.abs().max().clamp(min=1))


@every_family
@pytest.mark.parametrize("length", [1, 3, 13])
def test_logits_and_states_are_theirs(family, length, models, calls):
    model, x = models[family], tokens(length)
    with torch.no_grad():
        wanted = model(x, use_cache=True)
        assert not calls
        with accelerate_transformers(model=model) as acceleration:
            found = model(x, use_cache=True)
    assert f"transformers.models.{family}.modeling_{family}" in acceleration.modules
    assert len(calls) == {"bamba": 1, "granitemoehybrid": 1, "zamba2": 3}.get(family, 2)
    assert_within(found.logits, wanted.logits, 2 * SINGLE)  # both are rounded
    kept = {"mamba2": "cache_params"}.get(family, "past_key_values")
    with torch.no_grad():  # on from the states that the accelerated scan left
        again = [model(x[:, :1], **{kept: run[kept]}, use_cache=True).logits for run in (found, wanted)]
    assert_within(*again, 2 * SINGLE)


@every_family
def test_padding_is_masked_as_theirs(family, models, calls):
    model, x = models[family], tokens(9)
    mask = torch.ones_like(x)
    mask[0, :4] = 0
    with torch.no_grad():
        wanted = model(x, attention_mask=mask, use_cache=False).logits
        with accelerate_transformers():
            found = model(x, attention_mask=mask, use_cache=False).logits
    assert calls
    assert_within(found[mask.bool()], wanted[mask.bool()], 2 * SINGLE)


@every_family
def test_generated_tokens_are_theirs(family, models, calls):
    model, options = models[family], {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    wanted = model.generate(tokens(5), **options)
    with accelerate_transformers():
        found = model.generate(tokens(5), **options)
    assert calls
    assert torch.equal(found, wanted)


@every_family
def test_gradients_of_training_are_theirs(family, models, calls):
    model, x = models[family], tokens(7)
    weights = [weight for weight in model.parameters()]
    model.train()
    try:
        wanted = torch.autograd.grad(model(x, use_cache=False).logits.square().mean(), weights, allow_unused=True)
        with accelerate_transformers():
            found = torch.autograd.grad(model(x, use_cache=False).logits.square().mean(), weights, allow_unused=True)
    finally:
        model.eval()
    assert calls
    size = max(one.abs().max() for one in wanted if one is not None)
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert_within(one, other, 2 * SINGLE, size=size)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_theirs_up_to_its_rounding(dtype, calls):
    module = importlib.import_module("transformers.models.mamba2.modeling_mamba2")
    given = {name: one.to(dtype) if name in ("x", "dt", "B", "C") else one for name, one in problem().items()}
    named = {"dt_bias": given["dt_bias"].to(dtype), "dt_softplus": True, "chunk_size": 4, "return_final_states": True}
    inputs, shared = [given[name] for name in ("x", "dt", "A", "B", "C")], {"D": given["D"]} | named
    wanted, _ = defined(*inputs, D=given["D"], dt_bias=given["dt_bias"], dt_softplus=True)
    with accelerate_transformers():
        out, _ = module.mamba2_chunk_scan(*inputs, **shared)
    assert calls
    assert out.dtype == torch.float32  # as theirs
    assert_within(out, wanted, 4 * torch.finfo(dtype).eps)


def test_what_is_not_known_to_be_faster_goes_their_way_and_says_so(models, calls):
    mamba2._say.cache_clear()
    x, model = problem(), importlib.import_module("transformers.models.mamba2.modeling_mamba2")
    inputs = [x[name].double() for name in ("x", "dt", "A", "B", "C")]
    wanted, _ = defined(*inputs)
    with accelerate_transformers(), pytest.warns(UserWarning, match="^torch.float64 on cpu: transformers' own scan"):
        assert_within(model.mamba2_chunk_scan(*inputs, chunk_size=4).double(), wanted, SINGLE)
    assert not calls
    with accelerate_transformers("torch"):  # asked for by name
        assert_within(model.mamba2_chunk_scan(*inputs, chunk_size=4), wanted, 1e-10)
    assert calls


@pytest.mark.limit(
    "ssm",
    "accelerate_transformers of a model whose layers are none of Mamba's or Mamba-2's in transformers",
    "It would change nothing. The message names the families that are served.",
)
@pytest.mark.parametrize("make", [lambda: nn.Linear(2, 2), lambda: MambaLM(MambaConfig(4, 1, vocabulary=5))])
def test_a_model_that_would_not_change_is_refused_by_name(make, calls):
    model = make()
    with refused(f"a {type(model).__name__} has no layer to accelerate: mamba, falcon_mamba, jamba, zamba", TypeError):
        accelerate_transformers(model=model)
    with refused("model is of type str: a Module is needed", TypeError):
        accelerate_transformers(model="mamba")
    with refused(f"backend is of type {type(model).__name__}: a str is needed", TypeError):
        accelerate_transformers(model)
    assert not accelerate._active


def test_an_option_that_our_scan_lacks_is_refused(calls):
    module, x = importlib.import_module("transformers.models.bamba.modeling_bamba"), problem()
    inputs = [x[name] for name in ("x", "dt", "A", "B", "C")]
    with accelerate_transformers():
        module.mamba2_chunk_scan(*inputs, chunk_size=4, z=None, seq_idx=None, num_items_in_batch=torch.tensor(3))
        with refused("cu_seqlens: the accelerated scan does not know it"):
            module.mamba2_chunk_scan(*inputs, chunk_size=4, cu_seqlens=torch.zeros(2))
    assert module.mamba2_chunk_scan.__module__ == module.__name__
