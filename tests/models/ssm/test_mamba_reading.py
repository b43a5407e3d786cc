"""What is read of a folder, and what is refused: shards and their index, formats, and every field of config.json."""

import json
from pathlib import Path

import pytest
import torch
from mambas import ours, theirs, tokens
from refusals import refused
from safetensors.torch import load_file, save_file

from lib.models.ssm.mamba import MambaConfig, MambaLM
from lib.models.ssm.mamba_weights import from_pretrained, save_pretrained


def tiny() -> MambaLM:
    return MambaLM(MambaConfig(4, 1, states=2, vocabulary=50), generator=torch.Generator().manual_seed(1))


def held(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        return from_pretrained(folder)(tokens(4))


@pytest.fixture
def shards(tmp_path) -> Path:
    theirs(hidden_size=16).save_pretrained(tmp_path, max_shard_size="10kB")
    return tmp_path


def test_shards_are_read_as_their_index_lists_them(shards):
    wanted = held(shards)
    (shards / "model-00009-of-00009.safetensors").write_bytes(b"of an older model")
    assert torch.equal(held(shards), wanted)
    (shards / "model.safetensors.index.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config.json and model.safetensors are needed$"):
        from_pretrained(shards)
    (shards / "model-00009-of-00009.safetensors").unlink()
    assert torch.equal(held(shards), wanted)  # a whole set, by its names


def test_one_file_comes_before_shards_as_in_transformers(shards):
    model = tiny()
    save_pretrained(model, shards / "new")
    (shards / "config.json").write_text((shards / "new" / "config.json").read_text())
    (shards / "new" / "model.safetensors").rename(shards / "model.safetensors")
    assert torch.equal(held(shards), model(tokens(4)))


def broken_index(shards, change):
    path = shards / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index.pop("weight_map"), "a weight_map of names to files is needed"),
        (lambda index: index["weight_map"].popitem(), "not as in model-"),
        (lambda index: index["weight_map"].update(other="model-00001-of-00003.safetensors"), "other: not as in model-"),
        (
            lambda index: index["weight_map"].update(other="../model.safetensors"),
            "a safetensors file of this folder is",
        ),
    ],
)
def test_an_index_that_does_not_fit_is_refused(change, message, shards):
    broken_index(shards, change)
    count = len(list(shards.glob("model-*")))
    for path in shards.glob("model-*"):
        path.rename(path.with_name(path.name.replace(f"of-{count:05d}", "of-00003")))
    text = (shards / "model.safetensors.index.json").read_text().replace(f"of-{count:05d}", "of-00003")
    (shards / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        from_pretrained(shards)


def test_a_shard_that_is_missing_or_broken_is_named(shards):
    path = sorted(shards.glob("model-*"))[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"{path.name}: not readable as safetensors"):
        from_pretrained(shards)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"{path.name}: listed in model.safetensors.index.json, and not there"):
        from_pretrained(shards)


@pytest.mark.limit(
    "ssm",
    "Weights in pytorch_model.bin or another pickled file",
    "Reading a pickle may run code. Save them as safetensors first.",
)
def test_pickled_weights_are_refused_unread(tmp_path):
    save_pretrained(tiny(), tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(
        FileNotFoundError, match=r"holds config\.json, pytorch_model\.bin: .* a pickled file may run code"
    ):
        from_pretrained(tmp_path)


def test_weights_that_are_no_floating_point_numbers_are_refused(tmp_path):
    save_pretrained(tiny(), tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    weights["backbone.layers.0.mixer.in_proj.weight"] = torch.zeros(16, 4, dtype=torch.int8)
    save_file(weights, path)
    with pytest.raises(ValueError, match=r"in_proj\.weight is torch\.int8: floating-point weights are needed"):
        from_pretrained(tmp_path)


HUB = {  # config.json of state-spaces/mamba-130m-hf, smaller
    **{"architectures": ["MambaForCausalLM"], "bos_token_id": 0, "conv_kernel": 4, "d_inner": 8, "d_model": 4},
    **{"eos_token_id": 0, "expand": 2, "fused_add_norm": True, "hidden_act": "silu", "hidden_size": 4, "n_layer": 1},
    **{"initializer_range": 0.1, "intermediate_size": 8, "layer_norm_epsilon": 1e-05, "model_type": "mamba"},
    **{"num_hidden_layers": 1, "pad_token_id": 0, "pad_vocab_size_multiple": 8, "rescale_prenorm_residual": False},
    **{"residual_in_fp32": True, "rms_norm": True, "ssm_cfg": {}, "state_size": 2, "time_step_floor": 0.0001},
    **{"time_step_init_scheme": "random", "time_step_max": 0.1, "time_step_min": 0.001, "time_step_rank": 1},
    **{"time_step_scale": 1.0, "torch_dtype": "float32", "transformers_version": "4.39.0.dev0", "use_bias": False},
    **{"use_cache": True, "use_conv_bias": True, "vocab_size": 50},
}


def test_the_hubs_own_configuration_is_known(tmp_path):
    save_pretrained(tiny(), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(HUB))
    assert from_pretrained(tmp_path).config.rank == 1
    fewer = {name: value for name, value in HUB.items() if name not in ("layer_norm_epsilon", "conv_kernel")}
    (tmp_path / "config.json").write_text(json.dumps(fewer))
    assert from_pretrained(tmp_path).config.norm_eps == 1e-5  # what transformers takes it for


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rms_norm": False}, "rms_norm = False: only True or None can be loaded"),
        ({"ssm_cfg": {"layer": "Mamba2"}}, "ssm_cfg = {'layer': 'Mamba2'}: only {} or None or"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu': only 'silu' or 'swish' can be loaded"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings = False: only True can be loaded"),
        ({"intermediate_size": 12}, "intermediate_size = 12: 8 is needed, as other fields say"),
        ({"d_model": 8}, "d_model = 8: 4 is needed, as other fields say"),
        ({"n_groups": 2}, "n_groups = 2: a field that is not known here; None can be loaded"),
        ({"quantization_config": {"bits": 4}}, "quantization_config = {'bits': 4}: only None can be loaded"),
        ({"auto_map": {"AutoModel": "x.py"}}, "auto_map = {'AutoModel': 'x.py'}: only None can be loaded"),
        ({"use_bias": "no"}, "use_bias = 'no': only True or False can be loaded"),
        ({"hidden_size": "4"}, "dim = '4': an integer of at least 1 is needed"),
        ({"mixer_rms_eps": 1e-6}, "mixer_rms_eps = 1e-06: a field that is not known here"),
    ],
)
def test_a_field_that_ours_does_not_know_is_refused_by_name(fields, message, tmp_path):
    save_pretrained(tiny(), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(HUB | fields))
    with refused(message):
        from_pretrained(tmp_path)


def test_a_configuration_that_is_no_object_is_refused(tmp_path):
    save_pretrained(ours(), tmp_path)
    for text, message in (("[1]", "an object with fields is needed"), ("{", "not readable as JSON")):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            from_pretrained(tmp_path)
