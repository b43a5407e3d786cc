"""A description of adapters is accepted where all of its fields are known to mean one kind and nothing more."""

import dataclasses
import json

import adapting
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from refusals import refused
from safetensors.torch import load_file, save_file
from torch import nn

from lib.models.lora.files import CONFIG, WEIGHTS, load_lora
from lib.models.lora.linear import adapters

KINDS = {  # of peft's, that are known here
    "peft's own start": {},
    "at random": {"init_lora_weights": False},
    "of a normal distribution": {"init_lora_weights": "gaussian"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "named by ends": {"target_modules": ["fc", "second"]},
    "but for one": {"target_modules": ["fc", "second"], "exclude_modules": ["deep.second"]},
    "with dropout": {"lora_dropout": 0.3},
    "of an origin": {"revision": "main", "base_model_name_or_path": "x"},
    "rank-stabilised": {"use_rslora": True},
    "DoRA": {"use_dora": True},
}
OTHERS = {
    "PiSSA, approximated": ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights = 'pissa_niter_4'"),
    "OLoRA": ({"init_lora_weights": "olora"}, "init_lora_weights = 'olora'"),
    "MiCA": ({"init_lora_weights": "mica"}, "init_lora_weights = 'mica'"),
    "DoRA, rank-stabilised": ({"use_dora": True, "use_rslora": True}, "use_dora = True"),
    "PiSSA, rank-stabilised": (
        {"init_lora_weights": "pissa", "use_rslora": True},
        "init_lora_weights = 'pissa' beside use_rslora = True",
    ),
    "with biases": ({"bias": "lora_only"}, "bias = 'lora_only'"),
    "with its own bias": ({"lora_bias": True}, "lora_bias = True"),
    "of several ranks": ({"rank_pattern": {"fc": 3}}, "rank_pattern = {'fc': 3}"),
    "of several scales": ({"alpha_pattern": {"fc": 3}}, "alpha_pattern = {'fc': 3}"),
    "with a layer": ({"modules_to_save": ["other"]}, "modules_to_save = ['other']"),
    "of some parameters": ({"target_parameters": ["other.weight"]}, "target_parameters = ['other.weight']"),
}
CHANGED = {  # by hand: each a feature of peft's, or of one to come
    **{name: {"rate": 1} for name in ("loftq_config", "eva_config", "corda_config", "lora_ga_config", "kasa_config")},
    **{
        name: {"rate": 1} for name in ("velora_config", "monteclora_config", "arrow_config", "use_bdlora", "new_config")
    },
    **{name: [1, 2] for name in ("layers_to_transform", "layer_replication", "alora_invocation_tokens", "new_list")},
    **{name: True for name in ("use_qalora", "ensure_weight_tying", "fan_in_fan_out", "use_new")},
    **{"trainable_token_indices": {"embed": [3]}, "layers_pattern": "h", "megatron_config": {"a": 1}, "new": "words"},
    **{"new_rate": 0, "new_share": 0.0, "runtime_config": {"ephemeral_gpu_offload": False}},
}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.deep = nn.Linear(6, 6), nn.ModuleDict({"second": nn.Linear(6, 6)})
        self.other = nn.Linear(6, 6)

    def forward(self, x):
        return self.other(self.deep["second"](self.fc(x).relu()))


def saved(folder, **options):
    """peft's model, whose adapters do something, written by peft."""
    torch.manual_seed(1)
    model = get_peft_model(Net(), LoraConfig(**{"r": 2, "lora_alpha": 5, "target_modules": "fc|deep.second"} | options))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data.add_(torch.randn(weight.shape))
    model.save_pretrained(folder)
    return model.eval()


def edited(folder, **fields):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | fields))


def refuses(folder, said):
    model = Net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with refused(said):
        load_lora(model, folder)
    assert not list(adapters(model))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.requires_grad for weight in model.parameters())


@pytest.mark.filterwarnings("ignore:.*was renamed")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_known_says_the_bits_that_peft_says(tmp_path, kind):
    theirs, ours, x = saved(tmp_path, **KINDS[kind]), Net().eval(), adapting.inputs(torch.float32)
    load_lora(ours, tmp_path)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours(x), PeftModel.from_pretrained(Net(), tmp_path).eval()(x))


@pytest.mark.limit(
    "lora",
    "A file of peft's whose adapters are neither LoRA, rsLoRA, DoRA nor PiSSA, or several of these at once: OLoRA, "
    "with biases, of several ranks, or with a feature of a version to come",
    "The output would be another one than peft's. Save it as a plain adapter, which peft does for OLoRA with "
    "path_initial_model_for_weight_conversion, or merge it with peft.",
)
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.filterwarnings("ignore")
def test_what_is_more_is_refused_by_field(tmp_path, kind):
    options, said = OTHERS[kind]
    saved(tmp_path, **options)
    refuses(tmp_path, f"{tmp_path / CONFIG}: {said}")


@pytest.mark.parametrize("field", CHANGED)
def test_a_field_that_is_not_known_is_refused_where_it_says_something(tmp_path, field):
    saved(tmp_path)
    edited(tmp_path, **{field: CHANGED[field]})
    refuses(tmp_path, f"{tmp_path / CONFIG}: {field} = {CHANGED[field]!r}: ")


@pytest.mark.parametrize("nothing", [None, False, {}, [], ""])
def test_a_field_that_is_not_known_and_says_nothing_is_accepted(tmp_path, nothing):
    theirs, ours, x = saved(tmp_path), Net().eval(), adapting.inputs(torch.float32)
    edited(tmp_path, use_what_comes_next=nothing)
    load_lora(ours, tmp_path)
    assert torch.equal(ours(x), theirs(x))


def test_every_field_of_peft_is_known_or_off(tmp_path):
    saved(tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert {field.name for field in dataclasses.fields(LoraConfig)} - {"runtime_config"} <= config.keys()
    load_lora(Net(), tmp_path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"r": 2.5}, "r = 2.5: an integer of at least 1 is needed"),
        ({"lora_dropout": 1.0}, "lora_dropout = 1.0: at least 0 and less than 1 is needed"),
        ({"lora_alpha": "5"}, "lora_alpha = '5': a finite number"),
        ({"target_modules": "fc"}, "deep.second is not among its target_modules: the two files are not of one adapter"),
        ({"target_modules": None}, "fc is not among its target_modules"),
        ({"target_modules": "all-linear"}, "fc is not among its target_modules"),
        ({"target_modules": ["fc", "second", "other"]}, "other is, and is not in adapter_model.safetensors: the two"),
        ({"exclude_modules": "fc"}, "fc is not among its target_modules"),
    ],
)
def test_a_description_that_does_not_fit_its_tensors_is_refused(tmp_path, fields, said):
    saved(tmp_path)
    edited(tmp_path, **fields)
    refuses(tmp_path, f"{tmp_path / CONFIG}: {said}")


def test_what_is_no_object_is_refused(tmp_path):
    saved(tmp_path)
    (tmp_path / CONFIG).write_text("[1]")
    refuses(tmp_path, f"{tmp_path / CONFIG}: of type list, an object of fields is needed")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda key, value: {f"{key}.more": value}, "{path}: base_model.model.fc.lora_A.weight.more is no adapter"),
        (
            lambda key, value: {key.replace("lora_A", "lora_embedding_A"): value},
            "{path}: base_model.model.fc.lora_embed",
        ),
        (
            lambda key, value: {key.replace("lora_A", "lora_magnitude_vector"): value},
            "{path}: base_model.model.fc.lora_m",
        ),
        (lambda key, value: {key.removeprefix("base_model."): value}, "{path}: model.fc.lora_A.weight is no adapter"),
        (
            lambda key, value: {key: value.int()},
            "{path}: base_model.model.fc.lora_A.weight of torch.int32: torch.float64",
        ),
        (
            lambda key, value: {key: value / 0},
            "{path}: base_model.model.fc.lora_A.weight: all of its values must be fin",
        ),
        (lambda key, value: {}, "{path}: A and B of at least one layer"),
    ],
)
def test_tensors_that_are_not_a_and_b_are_refused_by_name(tmp_path, change, said):
    saved(tmp_path)
    path, key = tmp_path / WEIGHTS, "base_model.model.fc.lora_A.weight"
    tensors = load_file(path)
    save_file(tensors | change(key, tensors.pop(key)), path)
    refuses(tmp_path, said.format(path=path))


def test_layers_whose_tensors_are_gone_are_named(tmp_path):
    saved(tmp_path)
    save_file({key: value for key, value in load_file(tmp_path / WEIGHTS).items() if ".fc." in key}, tmp_path / WEIGHTS)
    refuses(tmp_path, f"{tmp_path / CONFIG}: deep.second is, and is not in {WEIGHTS}: the two files are not of one")
