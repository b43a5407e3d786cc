"""The same weights in our Mamba and in transformers': in memory, in folders, from the hub.

The two layouts differ in two prefixes, and in the head, which transformers lists beside the embedding it is tied to.
"""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from lib.models.ssm.mamba import MambaConfig, MambaLM

PREFIXES = {"backbone.embedding.": "backbone.embeddings.", "backbone.norm.": "backbone.norm_f."}  # ours to theirs
EMBEDDING, HEAD = "backbone.embeddings.weight", "lm_head.weight"
FIELDS = {
    **{"dim": "hidden_size", "layers": "num_hidden_layers", "states": "state_size", "kernel": "conv_kernel"},
    **{"rank": "time_step_rank", "vocabulary": "vocab_size", "conv_bias": "use_conv_bias", "bias": "use_bias"},
    **{"norm_eps": "layer_norm_epsilon", "expand": "expand"},
    **{name: name for name in ("time_step_min", "time_step_max", "time_step_floor")},
}


def state_dict_from_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of transformers' MambaForCausalLM to our names; the tensors are the same ones.

    raises   ValueError for a head that is not the embedding: ours is always tied to it
    """
    head = weights.get(HEAD)
    if head is not None and EMBEDDING in weights and not torch.equal(head, weights[EMBEDDING]):
        raise ValueError(f"{HEAD} differs from {EMBEDDING}: only a head tied to the embedding can be loaded")
    back = {theirs: ours for ours, theirs in PREFIXES.items()}
    return {_renamed(name, back): weight for name, weight in weights.items() if name != HEAD}


def state_dict_to_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of our MambaLM to transformers' names, the tied head among them; the tensors stay the same."""
    renamed = {_renamed(name, PREFIXES): weight for name, weight in weights.items()}
    return renamed | {HEAD: renamed[EMBEDDING]}


def config_from_transformers(config, backend: str = "auto") -> MambaConfig:
    """Our MambaConfig of a transformers.MambaConfig.

    raises   ValueError, naming the field, for a model that is not a Mamba or that ours does not compute
    """
    allowed = {"model_type": ("mamba",), "hidden_act": ("silu", "swish"), "tie_word_embeddings": (True,)}
    for name, values in allowed.items():
        if (value := getattr(config, name, None)) not in values:
            raise ValueError(f"{name} = {value!r}: only {' or '.join(map(repr, values))} can be loaded")
    return MambaConfig(**{ours: getattr(config, theirs) for ours, theirs in FIELDS.items()}, backend=backend)


def config_to_transformers(config: MambaConfig, **fields) -> dict:
    """Fields of a transformers.MambaConfig; `fields` adds to them, such as `eos_token_id`, which is none by default."""
    named = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    named |= {"hidden_act": "silu", "tie_word_embeddings": True, "residual_in_fp32": False}
    return named | dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id")) | fields


def load_transformers(model: nn.Module, source: nn.Module | dict[str, Tensor]) -> nn.Module:
    """Copy the weights of a MambaForCausalLM, or of its state dict, into our MambaLM, and return it.

    raises   ValueError, listing them, for weights that are missing, unknown or of another shape
    """
    theirs = source.state_dict() if isinstance(source, nn.Module) else source
    given, needed = state_dict_from_transformers(theirs), model.state_dict()
    wrong = {
        "missing": sorted(needed.keys() - given.keys()),
        "unknown": sorted(given.keys() - needed.keys()),
        "of another shape": sorted(
            f"{name} {tuple(given[name].shape)} for {tuple(needed[name].shape)}"
            for name in needed.keys() & given.keys()
            if given[name].shape != needed[name].shape
        ),
    }
    if any(wrong.values()):
        lines = (f"{kind}: {', '.join(names)}" for kind, names in wrong.items() if names)
        raise ValueError(f"these weights do not fit the model; {'; '.join(lines)}")
    model.load_state_dict(given)
    return model


def from_transformers(model: nn.Module, backend: str = "auto") -> nn.Module:
    """Our MambaLM with the weights of a transformers.MambaForCausalLM, in the same dtype, device and mode."""
    ours = MambaLM(config_from_transformers(model.config, backend))
    like = model.backbone.embeddings.weight
    return load_transformers(ours.to(like.device, like.dtype), model).train(model.training)


def to_transformers(model: nn.Module, **fields) -> nn.Module:
    """A transformers.MambaForCausalLM with the weights of our MambaLM; `fields` go to its config."""
    import transformers  # late: it takes seconds

    with torch.random.fork_rng(devices=[]):  # it draws weights that are replaced at once
        theirs = transformers.MambaForCausalLM(
            transformers.MambaConfig(**config_to_transformers(model.config, **fields))
        )
    like = model.backbone.embedding.weight
    theirs.to(like.device, like.dtype).load_state_dict(state_dict_to_transformers(model.state_dict()))
    return theirs.train(model.training)


def save_pretrained(model: nn.Module, folder: str | Path, **fields) -> None:
    """Write config.json and model.safetensors, which transformers' MambaForCausalLM.from_pretrained reads.

    fields   further ones of config.json, such as `eos_token_id`
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = state_dict_to_transformers(model.state_dict())
    del weights[HEAD]  # transformers ties it, and safetensors stores no tensor twice
    about = {"architectures": ["MambaForCausalLM"], "model_type": "mamba", "dtype": str(weights[EMBEDDING].dtype)[6:]}
    config = about | config_to_transformers(model.config, **fields)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def from_pretrained(name: str | Path, backend: str = "auto") -> nn.Module:
    """Our MambaLM, in float32 on the CPU, of a folder in transformers' layout or of a name on the Hugging Face hub.

    name     a folder with config.json and model*.safetensors, or such as "state-spaces/mamba-130m-hf"
    raises   FileNotFoundError, saying what was tried, where neither gives a model; ValueError for one that does not fit
    """
    import transformers
    from safetensors.torch import load_file

    folder = Path(name) if Path(name).is_dir() else _downloaded(str(name))
    files = sorted(folder.glob("model*.safetensors"))
    if not files or not (folder / "config.json").is_file():
        found = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise FileNotFoundError(f"{folder} holds {found}: config.json and model.safetensors are needed")
    fields = json.loads((folder / "config.json").read_text())
    if fields.get("model_type") != "mamba":
        kind = fields.get("model_type")
        raise ValueError(f"{folder / 'config.json'}: model_type = {kind!r}, 'mamba' in transformers' layout is needed")
    weights = {name: weight for path in files for name, weight in load_file(path).items()}
    config = config_from_transformers(transformers.MambaConfig.from_dict(fields), backend)
    return load_transformers(MambaLM(config), weights).eval()


def _downloaded(name: str) -> Path:
    """Folder of a hub model in the local cache, fetched where it is not there yet."""
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=["config.json", "model*.safetensors"]))
    except Exception as error:  # offline, unknown, private, malformed: each has a class of its own
        why = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        raise FileNotFoundError(
            f"{name!r} is no folder, and the Hugging Face hub gave no model of that name ({why}). "
            "Offline, a folder works that holds config.json and model.safetensors, as save_pretrained writes it"
        ) from error


def _renamed(name: str, prefixes: dict[str, str]) -> str:
    return next((new + name[len(old) :] for old, new in prefixes.items() if name.startswith(old)), name)
