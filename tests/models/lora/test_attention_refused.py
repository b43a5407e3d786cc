"""Attentions of torch that are no plain fused weight are refused before anything has changed."""

import adapting
import pytest
from fused import blocks
from refusals import refused
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from lib.models.lora.attention import SplitAttention, fuse_attention, split_attention
from lib.models.lora.layers import add_lora

QKV = r".*attn\.(q|k|v)_proj"


class Doubled(nn.MultiheadAttention):
    pass


def parametrised():
    model = nn.MultiheadAttention(8, 2)
    parametrize.register_parametrization(model, "in_proj_weight", nn.Identity())
    return model


def pruned():
    return prune.l1_unstructured(nn.MultiheadAttention(8, 2), "in_proj_weight", 0.5)


def hooked():
    model = nn.MultiheadAttention(8, 2)
    model.register_forward_hook(lambda *_: None)
    return model


def normed():
    model = nn.MultiheadAttention(8, 2)
    parametrizations.weight_norm(model.out_proj)
    return model


REFUSED = {
    "a parametrisation": (parametrised, "attn is of type ParametrizedMultiheadAttention, not MultiheadAttention"),
    "a subclass": (lambda: Doubled(8, 2), "attn is of type Doubled, not MultiheadAttention"),
    "pruning": (pruned, "attn: its weight is computed from others; remove the norm, the pruning or the like first"),
    "a norm behind": (normed, "attn.out_proj is of type Parametrized"),
    "hooks": (hooked, "attn has hooks"),
    "keys of another size": (lambda: nn.MultiheadAttention(8, 2, kdim=4), "attn: kdim = 4 and vdim = 8: 8 is needed"),
    "no memory": (lambda: nn.MultiheadAttention(8, 2, device="meta"), "attn is on the meta device: load its values"),
}


@pytest.mark.limit(
    "lora",
    "Splitting an attention of torch whose fused weight is parametrised, normed, pruned, hooked or shared, a subclass, "
    "or one with keys or values of another size than queries",
    "The three parts would not be what the attention computes with. Remove what was added first; a subclass may read "
    "its weight in a way of its own.",
)
@pytest.mark.parametrize("kind", REFUSED)
def test_an_attention_that_is_more_than_a_fused_weight_is_refused(kind):
    make, said = REFUSED[kind]
    model = nn.ModuleDict({"first": nn.MultiheadAttention(8, 2), "attn": make()})
    before = {name: (type(one), dict(vars(one))) for name, one in model.named_modules()}
    with refused(said):
        split_attention(model)
    assert before.keys() == dict(model.named_modules()).keys()
    assert all(type(one) is before[name][0] for name, one in model.named_modules())


def test_a_fused_weight_that_is_shared_is_refused():
    model = nn.ModuleDict({"attn": nn.MultiheadAttention(8, 2), "other": nn.MultiheadAttention(8, 2)})
    model["other"].in_proj_weight = model["attn"].in_proj_weight
    with refused("attn shares its weight with other.in_proj_weight: an adapter needs it alone"):
        split_attention(model, "attn")


def test_names_that_are_not_there_are_refused_and_near_ones_named():
    model = blocks()
    with refused("targets = 'attn': no fused attention has such a name; fused ones are 0.attn, 1.attn"):
        split_attention(model, "attn")
    with refused("targets = '.*': no fused attention has such a name; there is no nn.MultiheadAttention"):
        split_attention(adapting.net())
    with refused("targets = '(': no regular expression"):
        split_attention(model, "(")
    with refused("Sequential has no split attention: split_attention makes them"):
        fuse_attention(model)


def test_an_adapter_is_merged_before_its_attention_is_fused():
    model = blocks()
    split_attention(model)
    add_lora(model, QKV, 2, 4.0)
    with refused("0.attn.q_proj is of type LoraLinear, not Linear: merge its adapter first"):
        fuse_attention(model)
    assert all(type(block.attn) is SplitAttention for block in model)


def test_the_output_layer_of_a_fused_attention_says_how_to_adapt_it():
    with pytest.raises(ValueError, match=r"not Linear; .*, or split_attention makes it one$"):
        add_lora(blocks(), r".*attn\.out_proj", 2, 4.0)
