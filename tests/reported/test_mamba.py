"""What people reported of other implementations of Mamba and S4, replayed on ours."""

import copy

import pytest
import torch
import transformers
from mambas import KEPT, SIZES, stirred, theirs, tokens
from precision import SINGLE, assert_within
from scans import FAST, Problem, run
from torch.nn import functional as F

from lib.models.ssm.convolution import convolution_silu
from lib.models.ssm.mamba import MambaBlock, MambaConfig, MambaLM, accelerate_transformers
from lib.models.ssm.mamba2 import heads_scan
from lib.models.ssm.s4d import S4D
from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref

every_backend = pytest.mark.parametrize("backend", FAST)


def block(**sizes) -> MambaBlock:
    return MambaBlock(MambaConfig(**{"dim": 6, "layers": 1} | sizes), generator=torch.Generator().manual_seed(0))


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def assert_defined(problem: Problem, backend: str, **changed: torch.Tensor) -> None:
    """Output, last state and gradients are finite, and those of the definition in double precision."""
    inputs = problem.inputs() | changed
    found = run(backend, inputs, problem.softplus)
    wanted = run("ref", {name: x.double() for name, x in inputs.items()}, problem.softplus)
    for name, value in found.items():
        assert value.isfinite().all()
        assert_within(value.double(), wanted[name], SINGLE, size=wanted[name].abs().max().clamp(min=1))


@every_backend
@pytest.mark.reported("state-spaces/mamba", 72)
def test_large_steps_give_no_nan(backend):
    """Training ended in NaN once step sizes had grown."""
    assert_defined(Problem(length=70, step=60.0, size=4.0), backend)


@every_backend
@pytest.mark.reported("alxndrTL/mamba.py", 58)
def test_step_sizes_are_never_negative(backend):
    """Softplus of a very negative number came out below zero on one device."""
    one, delta = torch.ones(1, 1, 5), torch.tensor([[[-10.0, -20.0, -40.0, -80.0, -87.0]]])
    A = torch.full((1, 1), -1e-30)
    out = selective_scan_fn(one, delta, A, one, one, delta_softplus=True, backend=backend)
    steps = out[0, 0].double().diff(prepend=torch.zeros(1).double())
    assert (steps >= 0).all()
    assert_within(out[0, 0].double(), F.softplus(delta.double())[0, 0].cumsum(0), SINGLE)


@every_backend
@pytest.mark.reported("MzeroMiko/mamba-mini", 6)
def test_nothing_is_divided_by_a_cumulative_product(backend):
    """A scan that divides by the product of decays divided by zero after some tokens."""
    problem = Problem(length=200, states=4)
    assert_defined(problem, backend, A=torch.full((problem.channels, 4), -30.0))


@every_backend
@pytest.mark.reported("vllm-project/vllm", 13466)
def test_states_of_half_precision_inputs_are_in_single_precision(backend):
    """The state was kept in the inputs' 16 bits, and generated text was worse for it."""
    inputs = Problem(length=300).inputs(torch.bfloat16, mixed=True)
    _, last = selective_scan_fn(**inputs, delta_softplus=True, return_last_state=True, backend=backend)
    exact = {name: x.double() for name, x in inputs.items()}
    assert last.dtype == torch.float32
    assert_within(last.double(), selective_scan_ref(**exact, delta_softplus=True, return_last_state=True)[1], SINGLE)


@pytest.mark.reported("state-spaces/mamba", 923)
def test_A_of_a_half_precision_model_is_worked_out_in_single_precision():
    """The exponential of A_log was taken in the model's bfloat16."""
    model = stirred(block()).bfloat16()
    assert model._A().dtype == torch.float32
    assert_within(model._A().double(), -model.A_log.double().exp(), 1e-6)


@pytest.mark.reported("huggingface/candle", 2280)
def test_a_half_precision_language_model_gives_numbers():
    """Logits were all null in float16."""
    model = stirred(MambaLM(MambaConfig(8, 2, vocabulary=50), generator=torch.Generator().manual_seed(0)))
    exact = copy.deepcopy(model).double()(tokens())
    assert_within(model.half()(tokens()).double(), exact, 50 * torch.finfo(torch.half).eps)


@every_backend
@pytest.mark.reported("state-spaces/mamba", 258)
def test_a_state_goes_in_and_its_gradient_comes_out(backend):
    """The scan took no initial state, and the last state had no gradient."""
    assert_defined(Problem(), backend)


@every_backend
@pytest.mark.reported("state-spaces/mamba", 120)
def test_more_than_256_states_are_scanned(backend):
    """The scan refused more than 256 states."""
    assert_defined(Problem(batch=1, channels=3, length=9, states=300), backend)


@pytest.mark.reported("state-spaces/mamba", 683)
def test_steps_agree_with_the_whole_sequence_beyond_thirty_tokens():
    """Outputs token by token drifted away from those of the whole sequence after some thirty tokens."""
    model, x = stirred(block()), drawn(2, 90, 6)
    state, outputs = model.initial_state(2), []
    for token in x.unbind(1):
        y, state = model.step(token, state)
        outputs.append(y)
    wanted = copy.deepcopy(model).double()(x.double())
    assert_within(torch.stack(outputs, 1).double(), wanted, SINGLE)
    assert_within(model(x).double(), wanted, SINGLE)


@pytest.mark.reported("state-spaces/mamba", 536)
@pytest.mark.parametrize("cut", [1, 2, 3, 50])
def test_a_sequence_may_be_read_in_chunks(cut):
    """There was no way to go on from a state with more than one token at once."""
    model, x = stirred(block()), drawn(2, 64, 6)
    first, state = model(x[:, :cut], return_state=True)
    assert_within(torch.cat([first, model(x[:, cut:], state)], 1), model(x), SINGLE)


@pytest.mark.reported("isjinghao/T-Mamba", 4)
def test_transforms_of_half_precision_may_have_any_length():
    """A transform in half precision was refused, but for lengths that are powers of two."""
    layer = S4D(4, 6, generator=torch.Generator().manual_seed(0)).half()
    x = drawn(1, 37, 4).half()
    assert_within(layer(x).double(), copy.deepcopy(layer).double()(x.double()), torch.finfo(torch.half).eps)


@pytest.mark.reported("Dao-AILab/causal-conv1d", 8)
@pytest.mark.parametrize("taps", [1, 5, 9])
def test_a_convolution_has_any_number_of_taps_in_double_precision_too(taps):
    """More than four taps, and float64, were not to be had."""
    x, weight, bias = drawn(2, 11, 3).double(), drawn(3, 1, taps, seed=1).double(), drawn(3, seed=2).double()
    wanted = F.silu(F.conv1d(F.pad(x.mT, (taps - 1, 0)), weight, bias, groups=3)).mT
    assert_within(convolution_silu(x, weight, bias), wanted, 1e-10)


@pytest.mark.reported("state-spaces/mamba", 351)
@pytest.mark.parametrize("dim", [1, 3, 5])
def test_channels_need_not_be_multiples_of_eight(dim):
    """Strides of the convolution's input had to be multiples of eight."""
    model, x = stirred(block(dim=dim)), drawn(2, 7, dim)
    assert_within(model(x).double(), copy.deepcopy(model).double()(x.double()), SINGLE)


@pytest.mark.reported("fla-org/flash-linear-attention", 1138)
def test_a_gradient_that_was_expanded_reaches_the_past():
    """The gradient of the inputs before the first was wrong after `y.sum()`, whose gradient has no strides."""
    x, weight, past = drawn(2, 9, 3), drawn(3, 1, 4, seed=1), drawn(2, 3, 3, seed=2)
    found, wanted = (
        torch.autograd.grad(convolution_silu(given[0], given[1], past=given[2]).sum(), given)
        for given in (
            [one.to(kind).requires_grad_() for one in (x, weight, past)] for kind in (torch.float32, torch.double)
        )
    )
    for one, other in zip(found, wanted, strict=True):
        assert_within(one.double(), other, SINGLE)


@pytest.mark.reported("huggingface/transformers", 31540)
def test_padding_on_the_left_changes_no_answer():
    """With padding on the left, a sequence's answer depended on the sequences beside it."""
    model, x = theirs(), tokens(9)
    mask = torch.ones_like(x)
    mask[0, :4] = 0
    with accelerate_transformers(), torch.no_grad():
        beside = model(x, attention_mask=mask).logits[0, 4:]
        assert_within(beside, model(x[:1, 4:]).logits[0], 2 * SINGLE)


def mamba2():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"num_heads": 8, "head_dim": 8, "n_groups": 2, "state_size": 6, "chunk_size": 4}
        return stirred(transformers.Mamba2ForCausalLM(transformers.Mamba2Config(**SIZES, **KEPT, **sizes)))


@pytest.mark.reported("huggingface/transformers", 46741)
def test_a_prompt_may_be_read_in_chunks_by_an_accelerated_mamba2():
    """A second chunk of a prompt did not start from the state of the first one."""
    model, x = mamba2(), tokens(13)
    with accelerate_transformers(model=model), torch.no_grad():
        first = model(x[:, :6], use_cache=True)
        second = model(x[:, 6:], cache_params=first.cache_params, use_cache=True)
        assert_within(torch.cat([first.logits, second.logits], 1), model(x).logits, 2 * SINGLE)


def heads(length: int, A: float) -> dict[str, torch.Tensor]:
    x, dt, rows = drawn(1, length, 2, 3), drawn(1, length, 2, seed=1), drawn(1, length, 1, 4, seed=2)
    return {"x": x, "dt": dt, "A": torch.full((2,), A), "B": rows, "C": rows.flip(1)}


@pytest.mark.reported("state-spaces/mamba", 352)
@pytest.mark.parametrize("length", [255, 256, 257])
def test_gradients_of_mamba2_are_numbers_at_any_length(length):
    """Gradients were NaN where the length was no multiple of 256."""
    given = {name: x.requires_grad_() for name, x in heads(length, -1.0).items()}
    found, wanted = (
        torch.autograd.grad(
            heads_scan(**given, dt_softplus=True, backend=backend)[0].square().mean(), [*given.values()]
        )
        for backend in ("auto", "ref")
    )
    for one, other in zip(found, wanted, strict=True):
        assert_within(one, other, SINGLE)


@pytest.mark.reported("vllm-project/vllm", 37501)
def test_a_large_A_of_mamba2_gives_no_infinity():
    """A difference of sums of A dt was above zero by rounding, and its exponential infinite."""
    given = heads(300, -3e4)
    out, last = heads_scan(**given, dt_softplus=True)
    wanted, state = heads_scan(**{name: x.double() for name, x in given.items()}, dt_softplus=True, backend="ref")
    assert_within(out.double(), wanted, SINGLE)
    assert_within(last.double(), state, SINGLE)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.reported("pytorch/pytorch", 130150)
def test_a_mamba_block_is_exported():
    """The scan could not be exported."""
    model, x = stirred(block()), drawn(1, 9, 6)
    assert_within(torch.export.export(model, (x,)).module()(x.flip(1)), model(x.flip(1)), SINGLE)
