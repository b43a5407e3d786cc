"""Layers that cannot be adapted rightly are refused by name, before anything is changed."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from refusals import refused
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.nn.utils import parametrizations, prune
from transformers import MambaConfig, MambaForCausalLM
from transformers.pytorch_utils import Conv1D

from lib.models.lora.bottleneck import replace_linear
from lib.models.lora.layers import add_lora


class Quantised(torch.Tensor):
    """A tensor of a class of its own, as libraries of quantisation have them."""


class Packed(nn.Parameter):
    """A parameter of a class of its own, which torch's functions take for a plain one."""

    __torch_function__ = torch._C._disabled_torch_function_impl


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Keeping(nn.Module):
    def __init__(self, keep):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.kept = keep(self.fc.weight)


class Buffering(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("rows", self.fc.weight.detach()[2:])


def hooked(register):
    layer = nn.Linear(4, 4)
    getattr(layer, register)(lambda *_: None)
    return layer


def with_own_forward():
    layer = nn.Linear(4, 4)
    layer.forward = lambda x: 2 * nn.Linear.forward(layer, x)
    return layer


def of_quantised():
    layer = nn.Linear(4, 4)
    layer.weight = nn.Parameter(layer.weight.detach().as_subclass(Quantised))
    return layer


def of_packed():
    layer = nn.Linear(4, 4)
    layer.weight = Packed(layer.weight.detach())
    return layer


def fake():
    with FakeTensorMode():
        return nn.Linear(4, 4)


LAYERS = {
    "a norm of the weight, by a hook": (lambda: nn.utils.weight_norm(nn.Linear(4, 4)), "its weight is computed"),
    "a norm of the weight": (lambda: parametrizations.weight_norm(nn.Linear(4, 4)), "is of type ParametrizedLinear"),
    "pruning": (lambda: prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5), "its weight is computed"),
    "a hook behind": (
        lambda: hooked("register_forward_hook"),
        "has hooks, which another layer in its place would lose",
    ),
    "a hook before": (lambda: hooked("register_forward_pre_hook"), "has hooks"),
    "a hook on gradients": (lambda: hooked("register_full_backward_hook"), "has hooks"),
    "a hook on saving": (lambda: hooked("register_state_dict_post_hook"), "has hooks"),
    "a forward of its own": (with_own_forward, "has a forward of its own"),
    "a subclass": (lambda: Doubled(4, 4), "is of type Doubled, not Linear"),
    "a tensor of another class": (of_quantised, "has parameters of type Quantised: plain ones are needed"),
    "a parameter of another class": (of_packed, "has parameters of type Packed: plain ones are needed"),
    "a pretended tensor": (fake, "has parameters of type FakeTensor"),
    "no memory": (lambda: nn.Linear(4, 4, device="meta"), "is on the meta device: load its values first"),
    "complex numbers": (lambda: nn.Linear(4, 4, dtype=torch.complex64), "has parameters of torch.complex64: torch.fl"),
    "eight bits": (
        lambda: nn.Linear(4, 4).requires_grad_(False).to(torch.float8_e4m3fn),
        "has parameters of torch.float8_e4m3fn",
    ),
    "quantised": (
        lambda: torch.ao.nn.quantized.dynamic.Linear(4, 4),
        "is of type torch.ao.nn.quantized.dynamic.modules.linear.Linear, not Linear",
    ),
    "not made yet": (lambda: nn.LazyLinear(4), "is of type LazyLinear, not Linear"),
    "two inputs": (lambda: nn.Bilinear(4, 4, 4), "is of type Bilinear, not Linear"),
    "a transposed weight": (lambda: Conv1D(4, 4), "is of type Conv1D, not Linear"),
    "scripted": (lambda: torch.jit.script(nn.Linear(4, 4)), "is of type RecursiveScriptModule, not Linear"),
}


def refuses(model, said, targets):
    before = {name: (type(layer), dict(vars(layer))) for name, layer in model.named_modules()}
    learning = [weight.requires_grad for weight in model.parameters()]
    for change in (
        lambda: add_lora(model, targets, 2, 4.0),
        lambda: add_lora(model, targets, 2, 4.0, adapter="pissa"),
        lambda: replace_linear(model, targets, 2, "svd"),
    ):
        with refused(said):
            change()
    after = {name: (type(layer), vars(layer)) for name, layer in model.named_modules()}
    assert before.keys() == after.keys()
    for name, (kind, held) in before.items():
        assert after[name][0] is kind
        assert all(after[name][1][key] is value for key, value in held.items())
    assert learning == [weight.requires_grad for weight in model.parameters()]


@pytest.mark.limit(
    "lora",
    "An adapter on anything but a plain linear layer: a subclass, a quantised, normed, pruned or hooked layer, one "
    "with a forward of its own, or one without values yet",
    "Its weight may be computed, kept or used in a way that the adapter would not know. Merge or remove what was added "
    "to the layer, load its values, or name other layers.",
)
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.filterwarnings("ignore")
def test_a_layer_that_is_more_than_a_weight_is_refused(kind):
    make, said = LAYERS[kind]
    refuses(nn.ModuleDict({"first": nn.Linear(4, 4), "fc": make()}), f"fc{':' * said.startswith('its')} {said}", ".*")


@pytest.mark.limit(
    "lora",
    "An adapter on a convolution or an embedding",
    "Only linear layers have adapters here, though peft has some for both. Name the linear layers beside them; the "
    "message lists those whose names are near.",
)
@pytest.mark.parametrize(
    "layer", [nn.Conv1d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv3d(4, 4, 3), nn.Embedding(4, 4), nn.EmbeddingBag(4, 4)]
)
def test_convolutions_and_embeddings_are_refused_by_kind(layer):
    model = nn.ModuleDict({"first": nn.Linear(4, 4), "other": layer})
    refuses(model, f"other is of type {type(layer).__name__}, not Linear; linear ones are first", "other|first")


@pytest.mark.limit(
    "lora",
    "An adapter on a weight that two parts of a model share, such as a head that is tied to the embedding",
    "The adapter would change the one and not the other, and saving a merged model would tie them again. Untie them "
    "first, by a copy of the weight.",
)
def test_a_tied_weight_is_refused():
    sizes = {"vocab_size": 5, "hidden_size": 4, "num_hidden_layers": 1, "state_size": 2}
    model = MambaForCausalLM(MambaConfig(**sizes))
    refuses(model, "lm_head shares its weight with backbone.embeddings.weight: an adapter needs it alone", ".*lm_head")
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
    assert add_lora(model, "lm_head", 2, 4.0) == ["lm_head"]


@pytest.mark.parametrize(
    "keep", [lambda w: w.detach(), lambda w: [w], lambda w: {"w": (w.data,)}, lambda w: w.detach().T, lambda w: w[1:]]
)
def test_a_weight_that_the_model_keeps_elsewhere_is_refused(keep):
    refuses(Keeping(keep), "fc shares its weight with kept: an adapter needs it alone", "fc")


def test_a_weight_that_a_buffer_sees_in_part_is_refused():
    refuses(Buffering(), "fc shares its weight with rows: an adapter needs it alone", "fc")


def test_parts_of_one_memory_that_do_not_touch_are_two_weights():
    both = torch.zeros(8, 4)
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    for layer, part in zip(model, both.split(4), strict=True):
        layer.weight = nn.Parameter(part)
    assert add_lora(model, "0|1", 2, 4.0) == ["0", "1"]


@pytest.mark.limit(
    "lora",
    "An adapter on one layer that a model holds under two names",
    "A file of adapters knows one of the names, and peft would adapt that one alone. Copy the layer, or share "
    "the block that holds it.",
)
def test_a_layer_of_two_names_is_refused():
    shared = nn.Linear(4, 4)
    refuses(nn.Sequential(shared, nn.GELU(), shared), "0 is 2, too: an adapter needs a layer of one name", "0")


def test_a_layer_in_a_compiled_part_is_refused():
    model = nn.Sequential(torch.compile(nn.Sequential(nn.Linear(4, 4)), backend="eager"))
    refuses(
        model,
        "0._orig_mod.0: a part of the model is compiled; add adapters before, or compile all of it",
        r"0\._orig_mod\.0",
    )


def test_experts_in_one_parameter_are_no_layers():
    model = nn.ModuleDict({"experts": nn.ParameterList([torch.zeros(3, 4, 4)]), "gate": nn.Linear(4, 3)})
    with refused("targets = 'experts.0': no layer has such a name; linear ones are gate"):
        add_lora(model, "experts.0", 2, 4.0)


def test_adapters_of_peft_come_first():
    model = get_peft_model(nn.Sequential(nn.Linear(4, 4)), LoraConfig(r=2, target_modules="0"))
    with refused("model is peft's PeftModel: merge_and_unload there first"):
        add_lora(model, ".*base_layer", 2, 4.0)
    with refused("0 is peft's Linear: merge_and_unload there first"):
        add_lora(model.get_base_model(), "0.base_layer", 2, 4.0)
    assert add_lora(model.merge_and_unload(), "0", 2, 4.0) == ["0"]


def test_what_is_no_model_is_refused():
    with refused("model is of type dict: a Module is needed", TypeError):
        add_lora({}, "0", 2, 4.0)
