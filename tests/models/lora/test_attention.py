"""Adapters inside torch's fused attention: queries, keys and values have one each, and the fused form comes back."""

import copy

import adapting
import pytest
import torch
from refusals import refused
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.testing import assert_close

from lib.models.lora.attention import PARTS, SplitAttention, fuse_attention, split_attention
from lib.models.lora.files import load_lora, save_lora
from lib.models.lora.layers import adapters, add_lora, merge_lora, unmerge_lora
from lib.names import ADAPTERS

QKV = r".*attn\.(q|k|v)_proj"


class Block(nn.Module):
    """A residual block as open_clip's towers have it: batch second, no weights of attention returned."""

    def __init__(self, bias=True):
        super().__init__()
        self.ln_1 = nn.LayerNorm(8)
        self.attn = nn.MultiheadAttention(8, 2, bias=bias)

    def forward(self, x, mask=None):
        seen = self.ln_1(x)
        return x + self.attn(seen, seen, seen, need_weights=False, attn_mask=mask)[0]


def blocks(dtype=torch.float64, **options):
    torch.manual_seed(0)
    model = nn.Sequential(Block(**options), Block(**options))
    for block in model:
        for weight in block.attn.parameters():
            weight.data.add_(torch.randn(weight.shape) / 10)  # biases begin at zero
    return model.to(dtype).eval()


def inputs(dtype=torch.float64):
    return torch.randn(5, 3, 8, generator=torch.Generator().manual_seed(2), dtype=dtype)


def separately(block, x):
    """The block with its q, k, v and output as four calls of layers, and the formula of attention."""
    seen = block.ln_1(x).transpose(0, 1)  # batch first
    q, k, v = (getattr(block.attn, part)(seen).unflatten(-1, (2, 4)).transpose(1, 2) for part in PARTS)
    mixed = (q @ k.transpose(-1, -2) / 4**0.5).softmax(dim=-1) @ v
    return x + block.attn.out_proj(mixed.transpose(1, 2).flatten(2)).transpose(0, 1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_split_and_adapted_the_output_is_the_models_to_the_last_bit(bias, dtype):
    model, x = blocks(dtype, bias=bias), inputs(dtype)
    with torch.no_grad():
        whole = model(x)
        assert split_attention(model) == ["0.attn", "1.attn"]
        assert torch.equal(model(x), whole)
        assert add_lora(model, QKV, 2, 4.0) == [f"{number}.attn.{part}" for number in range(2) for part in PARTS]
        assert torch.equal(model(x), whole)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_each_has_its_own_adapter_as_three_separate_layers_have(adapter):
    model, x = blocks(), inputs()
    split_attention(model)
    add_lora(model, r".*attn\.\w+_proj", 2, 4.0, adapter=adapter)
    adapting.shaken(model)
    apart = separately(model[1], separately(model[0], x))
    assert_close(model(x), apart)
    merge_lora(model)
    fuse_attention(model)
    assert [type(block.attn) for block in model] == [nn.MultiheadAttention] * 2
    assert_close(model(x), apart)


def test_each_learns_as_three_separate_layers_learn():
    model, x = blocks(), inputs()
    split_attention(model)
    add_lora(model, QKV, 2, 4.0)
    other = copy.deepcopy(adapting.shaken(model))
    model(x).square().sum().backward()
    separately(other[1], separately(other[0], x)).square().sum().backward()
    for (_, layer), (_, wanted) in zip(adapters(model), adapters(other), strict=True):
        assert_close(layer.A.grad, wanted.A.grad)
        assert_close(layer.B.grad, wanted.B.grad)
        assert layer.base.weight.grad is None


def test_an_adapter_on_the_values_leaves_queries_and_keys():
    model, before = blocks(), blocks()[0].attn.in_proj_weight
    split_attention(model)
    assert add_lora(model, r"0\.attn\.v_proj", 2, 4.0) == ["0.attn.v_proj"]
    adapting.shaken(model)
    merge_lora(model)
    fuse_attention(model)
    assert torch.equal(model[0].attn.in_proj_weight[:16], before[:16])
    assert not torch.equal(model[0].attn.in_proj_weight[16:], before[16:])


def test_split_and_fused_is_as_it_was():
    model, x = blocks(), inputs()
    state, learning = copy.deepcopy(model.state_dict()), [weight.requires_grad for weight in model.parameters()]
    whole = model(x)
    assert fuse_after_split(model) == ["0.attn", "1.attn"]
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert learning == [weight.requires_grad for weight in model.parameters()]
    assert repr(model) == repr(blocks())
    assert torch.equal(model(x), whole)


def fuse_after_split(model):
    split_attention(model)
    model(inputs())
    return fuse_attention(model)


def test_the_names_of_a_split_attention_are_those_of_four_layers():
    model = nn.MultiheadAttention(8, 2)
    assert split_attention(model) == [""]
    assert set(model.state_dict()) == {f"{part}.{kind}" for part in (*PARTS, "out_proj") for kind in ("weight", "bias")}
    assert type(model) is SplitAttention


def test_who_holds_the_attention_sees_it_split():
    model, x = blocks(), inputs()
    held = model[0].attn
    split_attention(model)
    assert held is model[0].attn
    add_lora(model, QKV, 2, 4.0)
    adapting.shaken(model)
    assert torch.equal(held(x, x, x)[0], model[0].attn(x, x, x)[0])


@pytest.mark.parametrize("masked", [True, False])
def test_torchs_encoder_is_adapted_in_its_fused_path_too(masked):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 10, dropout=0.0, batch_first=True)
    model, x = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double(), inputs()
    mask = torch.ones(3, 3, dtype=torch.bool).triu(1) if masked else None
    split_attention(model)
    add_lora(model, r".*self_attn\.\w+_proj", 2, 4.0)
    adapting.shaken(model)
    training = model.train()(x, mask=mask)
    with torch.no_grad():
        assert_close(model.eval()(x, mask=mask), training)


def test_unmerging_gives_back_every_bit_also_after_it_was_fused():
    model, x = blocks(), inputs()
    split_attention(model)
    add_lora(model, QKV, 2, 4.0)
    adapted = adapting.shaken(model)(x)
    merged = merge_lora(model)
    fuse_attention(model)
    with refused("0.attn.q_proj: no merged layer of this shape is there"):
        unmerge_lora(model, merged)
    split_attention(model)
    unmerge_lora(model, merged)
    assert torch.equal(model(x), adapted)


@pytest.mark.filterwarnings("ignore:the weight of 0.attn.q_proj is read")
def test_files_name_the_parts_of_a_split_model(tmp_path):
    model, x, other = blocks(), inputs(), blocks()
    split_attention(model)
    add_lora(model, QKV, 2, 4.0)
    adapted = adapting.shaken(model)(x)
    save_lora(model, tmp_path / "a")
    with refused(f"{tmp_path / 'a' / 'adapter_model.safetensors'}: adapts 0.attn.k_proj, which Sequential lacks"):
        load_lora(other, tmp_path / "a")
    split_attention(other)
    load_lora(other, tmp_path / "a")
    assert torch.equal(other(x), adapted)


def test_compiled_it_computes_the_same(unchecked):
    model, x = blocks(), inputs()
    split_attention(model)
    add_lora(model, QKV, 2, 4.0)
    adapted = adapting.shaken(model)(x)
    assert_close(torch.compile(model, backend="eager")(x), adapted)


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
