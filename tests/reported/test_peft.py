"""What people reported of adapters in peft, and in what loads its files, answered by ours."""

import copy

import adapting
import clips as small
import pytest
import torch
from peft import LoraConfig, get_peft_model
from refusals import refused
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close
from transformers import GPT2Config, GPT2LMHeadModel

from lib.models.lora.files import load_lora, save_lora
from lib.models.lora.layers import adapters, add_lora, merge_lora
from lib.models.lora.named import NamedAdapters


class Fused(nn.Module):
    """A mixer that hands the weight of its last layer to a kernel while it trains, as Mamba2's does on a GPU."""

    def __init__(self):
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(6, 8), nn.Linear(8, 6)

    def forward(self, x):
        x = self.in_proj(x).sigmoid()
        return F.linear(x, self.out_proj.weight, self.out_proj.bias) if self.training else self.out_proj(x)


def saved(folder, **options):
    model = get_peft_model(adapting.net(dtype=torch.float32), LoraConfig(r=2, target_modules="0|2", **options))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)))
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.reported("huggingface/peft", 2274)
def test_a_weight_that_a_kernel_reads_is_adapted():
    """Mamba2 gave `out_proj.weight` to its kernel past the adapter, which did nothing in training."""
    torch.manual_seed(0)
    model, x = Fused().double(), adapting.inputs()
    plain = model(x)
    adapting.add(model, ".*_proj", 3, 6.0)
    training, judged = model.train()(x), model.eval()(x)
    assert (training - plain).abs().max() > 0.1
    assert_close(training, judged)
    merge_lora(model)
    assert_close(model(x), judged)


@pytest.mark.reported("huggingface/peft", 761)
def test_torchs_encoder_is_adapted_in_eval_too():
    """Adapters on `linear1` and `linear2` of nn.TransformerEncoder failed once `eval()` chose the fused path."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
    model, x = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double(), adapting.inputs()[None]
    adapting.add(model, r".*\.linear[12]", 3, 6.0)
    training = model.train()(x)
    with torch.no_grad():
        assert_close(model.eval()(x), training)


@pytest.mark.reported("speechbrain/speechbrain", 2780)
def test_the_output_of_torchs_attention_is_refused():
    """`out_proj` of nn.MultiheadAttention is never called: adapters on it were never trained."""
    with refused("out_proj is of type NonDynamicallyQuantizableLinear, not Linear"):
        add_lora(nn.MultiheadAttention(6, 2), "out_proj", 2, 4.0)


@pytest.mark.reported("huggingface/peft", 2184)
def test_adapters_that_change_the_base_weights_have_no_others_beside_them(tmp_path):
    """A PiSSA adapter changed the base model in silence, and every other adapter beside it with it."""
    saved(tmp_path / "pissa", init_lora_weights="pissa")
    saved(tmp_path / "olora", init_lora_weights="olora")
    found = NamedAdapters(adapting.net())
    before = copy.deepcopy(found.model.state_dict())
    config = "adapter_config.json"
    with refused(f"{tmp_path / 'pissa' / config}: kind of adapters = 'pissa': one of lora, rslora, lora_plus, dora is"):
        found.load("a", tmp_path / "pissa")
    with refused(f"{tmp_path / 'olora' / config}: init_lora_weights = 'olora'"):
        found.load("a", tmp_path / "olora")
    assert all(torch.equal(value, before[name]) for name, value in found.model.state_dict().items())


@pytest.mark.reported("vllm-project/vllm", 10798)
def test_another_scale_is_read(tmp_path):
    """A rank-stabilised adapter was served with alpha / r instead of alpha / sqrt(r)."""
    theirs = saved(tmp_path, use_rslora=True, lora_alpha=6)
    model, x = adapting.net(dtype=torch.float32).eval(), adapting.inputs(torch.float32)
    load_lora(model, tmp_path)
    assert [layer.scale for _, layer in adapters(model)] == [6 / 2**0.5] * 2
    assert torch.equal(model(x), theirs(x))


@pytest.mark.reported("huggingface/peft", 2018)
def test_a_head_that_is_tied_to_the_embedding_is_refused():
    """Merging an adapter of a tied `lm_head` changed the embedding as well."""
    model = GPT2LMHeadModel(GPT2Config(vocab_size=7, n_positions=4, n_embd=4, n_layer=1, n_head=1))
    with refused("lm_head shares its weight with transformer.wte.weight"):
        add_lora(model, "lm_head", 2, 4.0)
    assert model.lm_head.weight is model.transformer.wte.weight


@pytest.mark.reported("huggingface/peft", 2957)
def test_a_compiled_model_has_the_names_of_the_model(tmp_path, unchecked):
    """No target was found in a compiled model, whose names begin with `_orig_mod`."""
    model, x = adapting.net(), adapting.inputs()
    compiled = torch.compile(model, backend="eager")
    assert add_lora(compiled, "0|2", 3, 6.0) == ["0", "2"]
    adapting.shaken(compiled)
    other = adapting.net()
    load_lora(other, save_lora(compiled, tmp_path / "a"))
    assert torch.equal(compiled(x), model(x))
    assert torch.equal(other(x), model(x))


@pytest.mark.reported("huggingface/peft", 3004)
def test_a_negative_weight_takes_an_adapter_away():
    """Combined with -1, one adapter gave the same as with 1; with two, A of one met B of the other."""
    found, x = NamedAdapters(adapting.net()), adapting.inputs()
    plain = found.model(x)
    for name, targets in (("a", "2"), ("b", "2")):
        found.add(name, targets, 2, 4.0)
        adapting.shaken(found.model, ord(name))
    effects = {}
    for name in "ab":
        found.use(name)
        effects[name] = found.model(x) - plain
    found.mix("less", {"a": -1.0})
    assert_close(found.model(x), plain - effects["a"])
    found.mix("both", {"a": 1.0, "b": -1.0})
    assert_close(found.model(x), plain + effects["a"] - effects["b"])


@pytest.mark.reported("huggingface/peft", 1388)
def test_a_merge_in_half_precision_is_as_near_as_the_weights_can_be():
    """After merging in bfloat16 the loss was another one; the weights were not W + B A."""
    model = adapting.add(adapting.net(dtype=torch.bfloat16))
    layer = model[0]
    exact = layer.base.weight.double() + layer.scale * (layer.B.double() @ layer.A.double())
    merge_lora(model)
    error = (model[0].weight.double() - exact).abs()
    # One rounding to bfloat16, and six of float32 in sums that may cancel.
    assert (error <= 2**-8 * exact.abs() + 6 * 2**-24 * 100).all()


@pytest.mark.reported("huggingface/peft", 3682)
def test_a_merge_that_is_not_finite_leaves_the_model_as_it_was():
    """A broken adapter was merged although a safe merge was asked for, and the whole weight was NaN."""
    model, x = adapting.add(adapting.net()), adapting.inputs()
    model[2].B.data[0, 0] = torch.inf
    with refused("merged weight of 2, in torch.float64: all of its values must be finite"):
        merge_lora(model)
    assert [name for name, _ in adapters(model)] == ["0", "2"]
    assert model[0](x).isfinite().all()


@pytest.mark.reported("huggingface/transformers", 34469)
def test_what_is_judged_goes_on_being_judged(tmp_path):
    """Loading an adapter took the model out of eval, and dropout with it."""
    theirs = saved(tmp_path, lora_dropout=0.5)
    model, x = adapting.net(dtype=torch.float32).eval(), adapting.inputs(torch.float32)
    load_lora(model, tmp_path)
    assert not any(layer.training for layer in model.modules())
    assert torch.equal(model(x), theirs(x))


@pytest.mark.reported("haotian-liu/LLaVA", 1380)
def test_a_name_means_itself_and_not_all_that_end_so():
    """Ends of names, meant for the language model, adapted the image tower as well."""
    model = small.clip().model
    with refused("targets = 'q_proj': no layer has such a name; linear ones are text_model"):
        add_lora(model, "q_proj", 2, 4.0)
    found = add_lora(model, r"text_model\..*\.q_proj", 2, 4.0)
    assert found == [name for name, _ in adapters(model)]
    assert all(name.startswith("text_model.") for name in found)
