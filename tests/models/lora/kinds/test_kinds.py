"""What holds for every kind of adapter: it starts as the layer, merges exactly, and goes to peft and back."""

import adapting
import pytest
import torch
from dummies import dummy
from peft import LoraConfig, PeftModel, get_peft_model
from refusals import refused
from torch.testing import assert_close

from lib import names
from lib.models.lora import kinds
from lib.models.lora.files import load_lora, save_lora
from lib.models.lora.kinds import kind
from lib.models.lora.layers import adapters, add_lora, merge_lora, trainable_report, unmerge_lora
from lib.paths import ROOT

PEFT = {  # what peft says of each
    "lora": {},
    "rslora": {"use_rslora": True},
    "lora_plus": {},
    "dora": {"use_dora": True},
    "pissa": {"init_lora_weights": "pissa"},
}
every = pytest.mark.parametrize("adapter", names.ADAPTERS)


def adapted(adapter, dtype=torch.float64, **options):
    return adapting.add(adapting.net(dtype=dtype).eval(), adapter=adapter, **options)


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_nothing_changes_at_the_start(adapter, dtype):
    model, x = adapting.net(dtype=dtype), adapting.inputs(dtype)
    whole, weight = model(x), model[0].weight.detach().clone()
    add_lora(model, "0|2", 3, 6.0, adapter=adapter)
    if kind(adapter).MOVES:
        few = 16 * torch.finfo(dtype).eps
        assert_close(model(x), whole, rtol=few, atol=few)
        assert_close(model[0].weight, weight, rtol=few, atol=few)
    else:
        assert torch.equal(model(x), whole)
        assert torch.equal(model[0].weight, weight)


@every
def test_called_read_and_merged_are_one_function(adapter):
    model, x = adapted(adapter), adapting.inputs()
    called = model(x)
    read = torch.nn.functional.linear(x, model[0].weight, model[0].bias)
    assert_close(read, model[0](x), rtol=1e-12, atol=1e-12)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    merged = merge_lora(model)
    assert_close(model(x), called, rtol=1e-12, atol=1e-12)
    unmerge_lora(model, merged)
    assert torch.equal(model(x), called)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@every
def test_the_gradients_are_those_that_peft_finds(adapter):
    ours, x = adapting.net(dtype=torch.float32), adapting.inputs(torch.float32)
    theirs = get_peft_model(
        adapting.net(dtype=torch.float32), LoraConfig(r=3, lora_alpha=6, target_modules="0|2", **PEFT[adapter])
    )
    add_lora(ours, "0|2", 3, 6.0, adapter=adapter)
    adapting.shaken(ours)
    for number in "02":
        layer, other = ours[int(number)], theirs.get_submodule(f"base_model.model.{number}")
        other.lora_A["default"].weight.data.copy_(layer.A.data)
        other.lora_B["default"].weight.data.copy_(layer.B.data)
        if adapter == "dora":
            other.lora_magnitude_vector["default"].weight.data.copy_(layer.magnitude.data)
    for model in (ours, theirs):
        model(x).square().sum().backward()
    for number in "02":
        layer, other = ours[int(number)], theirs.get_submodule(f"base_model.model.{number}")
        assert_close(layer.A.grad, other.lora_A["default"].weight.grad, rtol=1e-4, atol=1e-3)
        assert_close(layer.B.grad, other.lora_B["default"].weight.grad, rtol=1e-4, atol=1e-3)
        if adapter == "dora":
            assert_close(layer.magnitude.grad, other.lora_magnitude_vector["default"].weight.grad, rtol=1e-4, atol=1e-3)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_peft_loads_ours_and_computes_the_same(tmp_path, adapter, dtype):
    model, x = adapted(adapter, dtype), adapting.inputs(dtype)
    loaded = PeftModel.from_pretrained(adapting.net(dtype=dtype), save_lora(model, tmp_path / "a")).eval()
    near = {torch.float32: 1e-4, torch.bfloat16: 0.1}[dtype]
    if kind(adapter).MOVES:
        assert_close(loaded(x), model(x), rtol=near, atol=near)
    else:
        assert torch.equal(loaded(x), model(x))
    merged = loaded.merge_and_unload()
    merge_lora(model)
    assert_close(merged[0].weight, model[0].weight, rtol=near, atol=near)


@every
def test_ours_comes_back_from_its_file(tmp_path, adapter):
    model, x, other = adapted(adapter), adapting.inputs(), adapting.net().eval()
    assert load_lora(other, save_lora(model, tmp_path / "a")) == ["0", "2"]
    assert_close(other(x), model(x), rtol=1e-12, atol=1e-12)
    made = {"lora_plus": "lora", "pissa": "lora"}.get(adapter, adapter)
    assert {type(layer) for _, layer in adapters(other)} == {kind(made)}
    assert {layer.rank for _, layer in adapters(other)} == {6 if adapter == "pissa" else 3}


@every
def test_what_peft_trained_comes_here(tmp_path, adapter):
    x, ours = adapting.inputs(torch.float32), adapting.net(dtype=torch.float32).eval()
    config = LoraConfig(r=3, lora_alpha=5, target_modules="0|2", **PEFT[adapter])
    theirs = get_peft_model(adapting.net(dtype=torch.float32), config)
    step = torch.optim.SGD([weight for weight in theirs.parameters() if weight.requires_grad], 1e-2)
    for _ in range(5):
        theirs(x).square().sum().backward()
        step.step()
    theirs.eval().save_pretrained(tmp_path)
    load_lora(ours, tmp_path)
    if kind(adapter).MOVES:  # singular vectors that are computed twice
        assert_close(ours(x), theirs(x))
    else:
        assert torch.equal(ours(x), theirs(x))
    assert (ours(x) - adapting.net(dtype=torch.float32)(x)).abs().max() > 0.01


@every
def test_what_learns_is_counted(adapter):
    model = adapted(adapter)
    expected = 3 * (6 + 10) + 3 * (10 + 4) + (10 + 4 if adapter == "dora" else 0)
    assert trainable_report(model).trainable == expected


@every
def test_dropout_is_of_training_alone(adapter):
    model, x = adapted(adapter, dropout=0.5), adapting.inputs()
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


@every
def test_under_autocast_it_computes_in_its_type(adapter):
    model, x = adapted(adapter, torch.float32), adapting.inputs(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = model(x)
    assert y.dtype == torch.bfloat16
    assert_close(y.float(), model(x), rtol=0.05, atol=0.5)


@every
def test_compiled_it_computes_the_same(adapter, unchecked):
    model, x = adapted(adapter), adapting.inputs()
    assert_close(torch.compile(model, backend="eager")(x), model(x))


@every
def test_every_row_cites_a_paper_of_the_bibliography(adapter):
    source = (ROOT / f"{names.ADAPTERS[adapter].module.replace('.', '/')}.py").read_text()
    address = source.partition("https://arxiv.org/abs/")[2][:10]
    assert f"https://arxiv.org/abs/{address}" in (ROOT / "book/references.bib").read_text()


DUMMY = """
from lib.models.lora.linear import LoraLinear

class Doubled(LoraLinear):
    @staticmethod
    def scaled(rank, alpha):
        return 2 * alpha / rank

ADAPTER = Doubled
"""


def test_a_row_and_a_file_are_a_kind(tmp_path):
    with dummy("ADAPTERS", kinds, tmp_path, DUMMY):
        model = adapting.net()
        add_lora(model, "0|2", 3, 6.0, adapter="dummy")
        assert [layer.scale for _, layer in adapters(model)] == [4.0, 4.0]
    with dummy("ADAPTERS", kinds, tmp_path / "none", None), pytest.raises(ImportError, match="'dummy' has no code"):
        add_lora(adapting.net(), "0", 3, 6.0, adapter="dummy")
    with (
        dummy("ADAPTERS", kinds, tmp_path, "ADAPTER = 3"),
        refused("names.ADAPTERS: 'dummy' is incomplete: ADAPTER in lib.models.lora.kinds.dummy is no", ImportError),
    ):
        add_lora(adapting.net(), "0", 3, 6.0, adapter="dummy")
