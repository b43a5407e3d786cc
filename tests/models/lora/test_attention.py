"""Adapters inside torch's fused attention: queries, keys and values have one each, and the fused form comes back."""

import copy

import adapting
import pytest
import torch
from fused import blocks
from refusals import refused
from torch import nn
from torch.testing import assert_close

from lib.models.lora.attention import PARTS, SplitAttention, fuse_attention, split_attention
from lib.models.lora.files import load_lora, save_lora
from lib.models.lora.layers import adapters, add_lora, merge_lora, unmerge_lora
from lib.names import ADAPTERS

QKV = r".*attn\.(q|k|v)_proj"


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
