"""A layer with an adapter is W + scale B A for whoever calls it, reads its weight, or holds it elsewhere."""

import copy

import pytest
import torch
from adapting import shaken
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close
from transformers import MambaConfig as TheirConfig
from transformers import MambaModel

from lib.models.lora.layers import add_lora, merge_lora, unmerge_lora
from lib.models.ssm.accelerate import accelerate_transformers
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig


class Reader(nn.Module):
    """It reads the weight in three ways, and never calls the layer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x):
        y = F.linear(x, self.fc.weight, self.fc.bias) + torch.einsum("oi,...i->...o", self.fc.weight, x)
        return y + x @ self.fc.weight.T / self.fc.in_features**0.5


class Keeper(nn.Module):
    """It calls the layer by a list and by a bound method, which a new layer in its place would miss."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.steps, self.again = [self.fc], self.fc.forward

    def forward(self, x):
        return self.steps[0](x) + self.again(x)


def encoder():
    layer = nn.TransformerEncoderLayer(6, 2, 10, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def block():
    return MambaBlock(MambaConfig(6, 1, states=3, rank=3, time_step_min=0.5, time_step_max=1.0))


class Theirs(nn.Module):
    def __init__(self):
        super().__init__()
        self.mamba = MambaModel(
            TheirConfig(vocab_size=5, hidden_size=6, num_hidden_layers=1, state_size=3, time_step_rank=3)
        )

    def forward(self, x):
        return self.mamba(inputs_embeds=x).last_hidden_state


MODELS = {
    "our Mamba": (block, ".*dt_proj|.*x_proj"),
    "transformers' Mamba": (Theirs, r".*\.(dt|x|in|out)_proj"),
    "torch's encoder, which is fused in eval": (encoder, r".*\.linear[12]"),
    "a reader of the weight": (Reader, "fc"),
    "a keeper of the layer": (Keeper, "fc"),
    "one block under three names": (lambda: nn.Sequential(*[nn.Sequential(nn.Linear(6, 6), nn.GELU())] * 3), "0.0"),
}


def case(name):
    torch.manual_seed(0)
    model, targets = MODELS[name]
    model = model().double()
    plain, x = copy.deepcopy(model), torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(2)).double()
    names = add_lora(model, targets, 2, 4.0)
    shaken(model)
    for one in names:
        layer, wanted = model.get_submodule(one), plain.get_submodule(one)
        wanted.weight.data += layer.scale * (layer.B @ layer.A).detach()
    return model, plain.eval(), x


@pytest.mark.parametrize("name", MODELS)
def test_adapted_is_merged_is_the_formula_in_every_mode(name):
    model, plain, x = case(name)
    wanted = plain(x)
    assert_close(model.train()(x), wanted)
    assert_close(model.eval()(x), wanted)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert_close(model(x), wanted)
    merged = merge_lora(model)
    assert_close(model(x), wanted)
    unmerge_lora(model, merged)
    assert_close(model(x), wanted)


@pytest.mark.parametrize("name", ["a reader of the weight", "a keeper of the layer"])
def test_compiled_before_or_after_it_is_adapted(name, unchecked):
    model, plain, x = case(name)
    assert_close(torch.compile(model, backend="eager")(x), plain(x))
    model = MODELS[name][0]().double()
    compiled = torch.compile(model, backend="eager")
    before = compiled(x)
    add_lora(compiled, "fc", 2, 4.0)
    assert_close(compiled(x), before)
    apart = shaken(compiled)(x)
    assert (apart - before).abs().max() > 0.1
    assert torch.equal(apart, model(x))
    merge_lora(compiled)
    assert_close(compiled(x), apart)


def test_our_scan_inside_transformers_is_adapted():
    model, plain, x = case("transformers' Mamba")
    with accelerate_transformers():
        assert_close(model(x), plain(x))


def test_a_streamed_mamba_is_adapted():
    model, plain, x = case("our Mamba")
    state, found = model.initial_state(2), []
    for token in x.unbind(1):
        y, state = model.step(token, state)
        found.append(y)
    assert_close(torch.stack(found, 1), plain(x))


@pytest.mark.parametrize("name", ["our Mamba", "a reader of the weight"])
def test_who_reads_a_weight_trains_the_adapter(name):
    model, _, x = case(name)
    model(x).square().sum().backward()
    layer = model.get_submodule("dt_proj" if name == "our Mamba" else "fc")
    assert layer.A.grad.abs().max() > 0
    assert layer.B.grad.abs().max() > 0
    assert layer.base.weight.grad is None


def test_under_autocast_a_weight_that_is_read_is_the_merged_one():
    torch.manual_seed(0)
    model, x = Reader(), torch.randn(3, 6)
    add_lora(model, "fc", 2, 4.0)
    shaken(model)
    with torch.autocast("cpu", torch.bfloat16):
        apart, weight = model(x), model.fc.weight
        merge_lora(model)
        assert torch.equal(model(x), apart)
    assert torch.equal(model.fc.weight, weight)
    assert weight.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_adapters_that_were_halved_are_summed_in_float32(dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6))
    add_lora(model, "0", 2, 4.0)
    shaken(model).to(dtype)
    layer = model[0]
    exact = layer.base.weight.double() + layer.scale * (layer.B.double() @ layer.A.double())
    error = (layer.weight.double() - exact).abs()
    assert (error <= torch.finfo(dtype).eps * exact.abs()).all()
    assert torch.equal(layer.merged().weight, layer.weight)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["our Mamba", "a reader of the weight"])
def test_exported_and_traced_it_is_adapted(name, unchecked):
    model, plain, x = case(name)
    wanted = plain(x)
    assert_close(torch.export.export(model.eval(), (x,)).module()(x), wanted)
    assert_close(torch.jit.trace(model, x)(x), wanted)


def test_a_default_device_does_not_move_an_adapter():
    model = nn.Sequential(nn.Linear(6, 6))
    with torch.device("meta"):
        add_lora(model, "0", 2, 4.0, generator=torch.Generator().manual_seed(0))
    assert {weight.device.type for weight in model.parameters()} == {"cpu"}
