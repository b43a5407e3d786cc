"""Every class of lib.models that has `step`, against `lib.models.ssm.streaming`: a new one needs a line in MADE."""

import copy
import inspect
import pkgutil
from importlib import import_module

import pytest
import torch
from refusals import refused
from torch.testing import assert_close

import lib.models
from lib.models.distill.mixing import MixingModes
from lib.models.distill.modes import Modes
from lib.models.distill.recurrence import Recurrence
from lib.models.mrss.dual_branch import DualBranch
from lib.models.mrss.dynamic import Dynamic
from lib.models.mrss.dynamic_rate import DynamicRate
from lib.models.mrss.hiss import Hierarchy
from lib.models.mrss.hnet import DynamicChunking
from lib.models.mrss.low_rate import LowRate
from lib.models.mrss.scale_mixer import ScaleMixer
from lib.models.mrss.sparse_gate import SparseGate
from lib.models.ssm.fft_convolution import CachedConvolution
from lib.models.ssm.mamba import MambaBackbone, MambaBlock, MambaClassifier, MambaConfig, MambaLM
from lib.models.ssm.residual import Residual
from lib.models.ssm.s4d import S4D
from lib.models.ssm.s4d_block import S4DBlock
from lib.models.ssm.s5 import S5, Mixing
from lib.models.ssm.s5_block import S5Block
from lib.models.ssm.streaming import Streaming
from lib.profilers.passes import stream

DIM, LENGTH, VOCABULARY = 4, 11, 7
SIZES = MambaConfig(DIM, layers=2, states=3)
WORDS = MambaConfig(DIM, layers=2, states=3, vocabulary=VOCABULARY)

ABSTRACT = {Streaming, Mixing}  # what others are made of
MADE = {  # by the generator given; LENGTH is beyond what the convolution has as taps, and no multiple of a factor
    S4D: lambda g: S4D(DIM, 6, generator=g),
    S4DBlock: lambda g: S4DBlock(DIM, states=6, generator=g),
    S5: lambda g: S5(DIM, 6, generator=g),
    S5Block: lambda g: S5Block(DIM, states=6, generator=g),
    MixingModes: lambda g: reduced(S5(DIM, 6, generator=g)),
    CachedConvolution: lambda g: CachedConvolution(torch.randn(DIM, 5, generator=g, dtype=torch.float64), LENGTH),
    Modes: lambda g: Modes.of(S4D(DIM, 6, generator=g)),
    Recurrence: lambda g: Recurrence(Modes.of(S4D(DIM, 6, generator=g))),
    MambaBlock: lambda g: MambaBlock(SIZES, generator=g),
    MambaBackbone: lambda g: MambaBackbone(SIZES, generator=g),
    MambaClassifier: lambda g: MambaClassifier(SIZES, DIM, 3, pooling="none", generator=g),
    MambaLM: lambda g: MambaLM(WORDS, generator=g),
    Residual: lambda g: Residual(DIM, [MambaBlock(SIZES, generator=g), S4DBlock(DIM, states=6, generator=g)]),
    DualBranch: lambda g: DualBranch(SIZES, (2, 3), generator=g),
    LowRate: lambda g: LowRate(SIZES, 3, 2, generator=g),
    Dynamic: lambda g: Dynamic(SIZES, 3, 1, 1, generator=g),
    Hierarchy: lambda g: Hierarchy(SIZES, 3, 1, 1, generator=g),
    ScaleMixer: lambda g: ScaleMixer(SIZES, 3, generator=g),
    DynamicChunking: lambda g: DynamicChunking(SIZES, 3, 1, generator=g),
    SparseGate: lambda g: SparseGate(SIZES, 3, generator=g),
    DynamicRate: lambda g: DynamicRate(SIZES, (1, 3), 1, generator=g),
}


def reduced(layer: S5) -> MixingModes:
    """A layer's modes, without its step sizes."""
    return MixingModes(*(part.detach() for part in (*layer.modes(), layer.skip)))


def streaming_classes() -> set[type]:
    modules = [import_module(one.name) for one in pkgutil.walk_packages(lib.models.__path__, "lib.models.")]
    classes = {kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)}
    return {kind for kind in classes if kind.__module__.startswith("lib.models") and hasattr(kind, "step")}


every = pytest.mark.parametrize("kind", list(MADE), ids=lambda kind: kind.__name__)


@pytest.fixture
def made(kind, generator):
    """The model in double precision, without gradients, and a batch of two sequences for it."""
    model = MADE[kind](generator).double().eval().requires_grad_(False)
    if kind is MambaLM:
        return model, torch.randint(VOCABULARY, (2, LENGTH), generator=generator)
    return model, torch.randn(2, LENGTH, DIM, generator=generator, dtype=torch.float64)


def test_every_class_that_steps_is_held_to_the_contract():
    assert {kind.__name__ for kind in streaming_classes() - ABSTRACT} == {kind.__name__ for kind in MADE}


@every
def test_the_signatures_are_the_same_everywhere(kind, made):
    assert isinstance(made[0], Streaming)
    _, _, state = inspect.signature(kind.step).parameters
    assert state == "state"
    _, *rest = inspect.signature(kind.initial_state).parameters.values()
    assert [(one.name, one.default) for one in rest] == [
        ("batch", inspect.Parameter.empty),
        ("device", None),
        ("dtype", None),
    ]


@every
def test_steps_and_forward_agree(made):
    model, x = made
    expected, state = model(x), model.initial_state(2)
    for t, token in enumerate(x.unbind(1)):
        y, state = model.step(token, state)
        assert_close(y, expected[:, t])


@every
def test_a_profiler_streams_it(made):
    model, x = made
    state = stream(model, model.initial_state(2), x[:, :-1])
    assert_close(model.step(x[:, -1], state)[0], model(x)[:, -1])


@every
@pytest.mark.parametrize("before", [0, 5])
def test_a_state_serves_any_number_of_continuations(made, before):
    model, x = made
    state = stream(model, model.initial_state(2), x[:, :before])
    kept, tokens = copy.deepcopy(state), x[:, before : before + 4].unbind(1)
    first, after = model.step(tokens[0], state)
    model.step(tokens[1], state)  # another continuation
    model.step(tokens[2], after)
    assert_close(model.step(tokens[0], state)[0], first, rtol=0, atol=1e-14)
    expected, kept_after = model.step(tokens[0], kept)
    assert_close(first, expected, rtol=0, atol=1e-14)
    assert_close(model.step(tokens[3], after)[0], model.step(tokens[3], kept_after)[0], rtol=0, atol=1e-14)


@every
def test_a_state_of_another_kind_or_batch_is_refused_in_words(made):
    model, x = made
    with refused("state is of type NoneType: ", TypeError):
        model.step(x[:, 0], None)
    with refused("state"):
        model.step(x[:, 0], model.initial_state(3))


@every
def test_a_state_is_made_in_the_precision_and_on_the_device_that_are_named(made):
    model, x = made
    single = model.float()
    token = x[:, 0].float() if x.is_floating_point() else x[:, 0]
    expected = single.step(token, single.initial_state(2))[0]
    assert expected.dtype == torch.float32
    assert torch.equal(single.step(token, single.initial_state(2, "cpu", torch.float32))[0], expected)


class Forgetful(torch.nn.Module):
    def step(self, x):
        return x


def test_the_protocol_can_tell_what_does_not_stream():
    assert not isinstance(Forgetful(), Streaming)
