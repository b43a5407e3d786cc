"""A Mamba goes through torch.compile in one graph, and through checkpoints of activations, with the same results."""

from functools import partial

import pytest
import torch
import transformers
from mambas import KEPT, SIZES, ours, stirred, theirs, tokens
from precision import SINGLE, assert_within
from scans import MISSING, Problem
from torch._dynamo.backends.common import aot_autograd
from torch.utils.checkpoint import checkpoint

from lib.models.ssm.mamba import MambaBlock, MambaConfig, accelerate_transformers
from lib.models.ssm.scan import selective_scan_fn

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]
SCANS = ("ssm.selective_scan.default", "ssm.selective_scan_saving.default", "ssm.selective_scan_backward.default")


@pytest.fixture(autouse=True)
def anew():
    torch._dynamo.reset()


@pytest.fixture
def whole():
    """Compile for one graph, without code generation."""
    return partial(torch.compile, fullgraph=True, backend="aot_eager")


@pytest.fixture
def block():
    return MambaBlock(MambaConfig(dim=8, layers=1), generator=torch.Generator().manual_seed(0))


def gradients(function, x, *weights):
    return torch.autograd.grad(function(x).float().square().sum(), weights)


def test_a_language_model_trains_in_one_graph_with_a_node_per_scan(whole):
    model, x, nodes = ours(), tokens(), []

    def keep(graph, _):
        nodes.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    aot = aot_autograd(fw_compiler=keep, bw_compiler=keep)
    compiled = torch.compile(model, fullgraph=True, backend=aot)
    for found, wanted in zip(
        gradients(compiled, x, *model.parameters()), gradients(model, x, *model.parameters()), strict=True
    ):
        assert_within(found, wanted, SINGLE)
    assert {name: nodes.count(name) for name in SCANS} == dict(zip(SCANS, (0, 2, 2), strict=True))  # layers


def test_one_graph_serves_other_batches_and_lengths(whole):
    model = ours()
    seen = []
    compiled = torch.compile(model, fullgraph=True, backend=lambda graph, _: seen.append(graph) or graph, dynamic=True)
    with torch.no_grad():
        for batch, length in ((2, 20), (3, 33), (5, 300)):
            x = torch.randint(50, (batch, length))
            assert_within(compiled(x), model(x), SINGLE)
    assert len(seen) == 1


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))  # inductor needs the compiler that is missing
def test_inductor_makes_code_around_the_scan():
    inputs = Problem(layout="slices").inputs()

    def scan(u):
        return selective_scan_fn(**inputs | {"u": u}, delta_softplus=True)

    u = inputs["u"].requires_grad_()
    with torch._inductor.config.patch(compile_threads=1):
        (found,), (wanted,) = (gradients(run, u, u) for run in (torch.compile(scan, fullgraph=True), scan))
    assert_within(found, wanted, SINGLE)


def test_autocast_is_the_same_compiled(block, whole):
    x = torch.randn(2, 20, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(whole(block), x, *block.parameters())
        wanted = gradients(block, x, *block.parameters())
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype == torch.float32
        assert_within(one, other, 16 * torch.finfo(torch.bfloat16).eps)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpointed_block_has_the_same_gradients(reentrant, block):
    x = torch.randn(2, 20, 8, requires_grad=True)
    checkpoint(block, x, use_reentrant=reentrant).square().sum().backward()
    found = [x.grad, *(weight.grad for weight in block.parameters())]
    assert all(map(torch.equal, found, gradients(block, x, x, *block.parameters())))


def test_a_checkpointed_block_compiles_and_scans_twice(block):
    x, nodes = torch.randn(2, 20, 8, requires_grad=True), []

    def keep(graph, _):
        nodes.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    def run(x):
        return checkpoint(block, x, use_reentrant=False)

    aot = aot_autograd(fw_compiler=keep, bw_compiler=keep)
    (found,) = gradients(torch.compile(run, fullgraph=True, backend=aot), x, x)
    assert_within(found, *gradients(run, x, x), SINGLE)
    assert sum(nodes.count(name) for name in SCANS[:2]) == 2
    assert nodes.count(SCANS[2]) == 1


def test_accelerated_transformers_train_in_one_graph(whole):
    model, x = theirs().train(), tokens()

    def logits(model, x):
        return model(x, use_cache=False).logits

    with accelerate_transformers():
        found = gradients(partial(logits, whole(model)), x, *model.parameters())
        wanted = gradients(partial(logits, model), x, *model.parameters())
    for one, other in zip(found, wanted, strict=True):
        assert_within(one, other, SINGLE)


def test_an_accelerated_falcon_reads_a_prompt_in_one_graph(whole):
    with torch.random.fork_rng(devices=[]):
        model = stirred(transformers.FalconMambaForCausalLM(transformers.FalconMambaConfig(**SIZES, **KEPT)))
    with accelerate_transformers(), torch.no_grad():
        found, wanted = whole(model)(tokens(), use_cache=True), model(tokens(), use_cache=True)
    assert_within(found.logits, wanted.logits, SINGLE)
    for layer in range(2):
        ours_, theirs_ = (run.cache_params.get_recurrent_state(layer, state_idx=0) for run in (found, wanted))
        assert_within(ours_, theirs_, SINGLE)


def test_checkpoints_of_accelerated_transformers_give_the_same_gradients():
    model, x = theirs().train(), tokens()
    with accelerate_transformers():
        wanted = gradients(lambda x: model(x, use_cache=False).logits, x, *model.parameters())
        model.gradient_checkpointing_enable()
        found = gradients(lambda x: model(x, use_cache=False).logits, x, *model.parameters())
    assert all(map(torch.equal, found, wanted))
