"""The same weights in our Mamba and in transformers': in memory, in folders, from the hub.

The two layouts differ in two prefixes, and in the head, which transformers lists beside the embedding it is tied to.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from lib.models.checks import check_kind
from lib.models.ssm.mamba import MambaBackbone, MambaLM
from lib.models.ssm.mamba_fields import config_from_transformers as config_from_transformers
from lib.models.ssm.mamba_fields import config_to_transformers as config_to_transformers
from lib.models.ssm.weight_folder import read_folder, write_folder

PREFIXES = {"backbone.embedding.": "backbone.embeddings.", "backbone.norm.": "backbone.norm_f."}  # ours to theirs
EMBEDDING, HEAD = "backbone.embeddings.weight", "lm_head.weight"
THEIRS = "transformers.models.mamba.modeling_mamba"
PARTS = {  # all that a Mamba of transformers is made of
    *(f"{THEIRS}.{name}" for name in ("MambaModel", "MambaForCausalLM", "MambaBlock", "MambaMixer", "MambaRMSNorm")),
    *(f"{kind.__module__}.{kind.__name__}" for kind in (nn.Embedding, nn.Linear, nn.Conv1d, nn.ModuleList, nn.SiLU)),
    "transformers.activations.SiLUActivation",
}


def state_dict_from_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of transformers' MambaForCausalLM to our names; the tensors are the same ones.

    raises   ValueError for a head that is not the embedding: ours is always tied to it
    """
    head = weights.get(HEAD)
    apart = head is not None and EMBEDDING in weights and not head.is_meta
    if apart and not torch.equal(head, weights[EMBEDDING]):
        raise ValueError(f"{HEAD} differs from {EMBEDDING}: only a head tied to the embedding can be loaded")
    back = {theirs: ours for ours, theirs in PREFIXES.items()}
    return {_renamed(name, back): weight for name, weight in weights.items() if name != HEAD}


def state_dict_to_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of our MambaLM to transformers' names, the tied head among them; the tensors stay the same."""
    renamed = {_renamed(name, PREFIXES): weight for name, weight in weights.items()}
    return renamed | {HEAD: renamed[EMBEDDING]}


def load_transformers(model: nn.Module, source: nn.Module | dict[str, Tensor]) -> nn.Module:
    """Copy the weights of a MambaForCausalLM, or of its state dict, into our MambaLM, and return it.

    raises   ValueError, listing them, for weights that are missing, unknown or of another shape
    """
    theirs = source.state_dict() if isinstance(source, nn.Module) else source
    model.load_state_dict(_fitting(model, theirs))
    return model


def _fitting(model: nn.Module, theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    given, needed = state_dict_from_transformers(theirs), model.state_dict()
    wrong = {
        "missing": sorted(needed.keys() - given.keys()),
        "unknown": sorted(given.keys() - needed.keys()),
        "of another shape": sorted(
            f"{name} {tuple(given[name].shape)} for {tuple(needed[name].shape)}"
            for name in needed.keys() & given.keys()
            if given[name].shape != needed[name].shape
        ),
        "without values": sorted(name for name, weight in given.items() if weight.is_meta),
    }
    if any(wrong.values()):
        lines = (f"{kind}: {', '.join(names)}" for kind, names in wrong.items() if names)
        raise ValueError(f"these weights do not fit the model; {'; '.join(lines)}")
    return given


def from_transformers(model: nn.Module, backend: str = "auto") -> nn.Module:
    """Our MambaLM with the weights of a transformers.MambaForCausalLM, in the same dtypes, device and mode.

    Of a MambaModel, which has no head, our MambaBackbone. A compiled model counts as what was compiled.
    raises   TypeError, naming it, for another model, and for a layer in it that is another than transformers made, such
             as an adapter or a quantised one; ValueError, naming the field, for a configuration that ours does not
             compute
    """
    check_kind("model", model, nn.Module, "Mamba of transformers")
    model = getattr(model, "_orig_mod", model)
    headless = _checked(model)
    allowed = {"tie_word_embeddings": (True, False)} if headless else {}
    config = config_from_transformers(model.config, backend, **allowed)
    weights = model.state_dict()
    weights = {f"backbone.{name}": weight for name, weight in weights.items()} if headless else weights
    with torch.device("meta"):  # draws nothing
        ours = MambaLM(config)
    copies = {name: weight.detach().clone() for name, weight in _fitting(ours, weights).items()}
    ours.load_state_dict(copies, assign=True)
    ours: MambaLM | MambaBackbone = ours.backbone if headless else ours
    return ours.train(model.training)


def _checked(model: nn.Module) -> bool:
    """Whether a model of transformers has no head; what is not known to be computed as they made it is refused."""
    name = _name(model)
    if name not in (f"{THEIRS}.MambaForCausalLM", f"{THEIRS}.MambaModel"):
        if getattr(getattr(model, "config", None), "model_type", "mamba") != "mamba":
            config_from_transformers(model.config)  # says which type it is
        raise TypeError(f"model is a {type(model).__name__}: transformers' MambaForCausalLM or MambaModel is needed")
    config_from_transformers(model.config, tie_word_embeddings=(True, False))  # says more of a changed activation
    for path, part in model.named_modules():
        if _name(part) not in PARTS:
            kind = f"{path} is a {type(part).__name__}"
            raise TypeError(f"{kind}: layers as transformers made them are needed; merge adapters, undo quantisation")
        epsilon = getattr(part, "variance_epsilon", model.config.layer_norm_epsilon)
        if epsilon != model.config.layer_norm_epsilon:
            raise ValueError(f"{path}.variance_epsilon = {epsilon!r}: {model.config.layer_norm_epsilon} is needed")
    return name.endswith("MambaModel")


def _name(part: nn.Module) -> str:
    return f"{type(part).__module__}.{type(part).__name__}"


def to_transformers(model: nn.Module, **fields) -> nn.Module:
    """A transformers.MambaForCausalLM with the weights of our MambaLM; `fields` go to its config.

    raises   TypeError for what is no MambaLM; ValueError, naming it, for a weight that something else has added
    """
    weights = state_dict_to_transformers(_own_weights(model))
    import transformers  # late: it takes seconds

    with torch.random.fork_rng(devices=[]):  # it draws weights that are replaced at once
        theirs = transformers.MambaForCausalLM(
            transformers.MambaConfig(**config_to_transformers(model.config, **fields))
        )
    like = model.backbone.embedding.weight
    theirs.to(like.device, like.dtype).load_state_dict(weights)
    return theirs.train(model.training)


def save_pretrained(model: nn.Module, folder: str | Path, **fields) -> None:
    """Write config.json and model.safetensors, which transformers' MambaForCausalLM.from_pretrained reads.

    An older model in the folder is replaced at a stroke, shards among it; files of others stay.
    fields   further ones of config.json, such as `eos_token_id`
    raises   TypeError for what is no MambaLM; ValueError, naming it, for a field that the model decides, or that is not
             known, and for a weight that something else has added; OSError where the folder cannot be written. Nothing
             changes then
    """
    weights = state_dict_to_transformers(_own_weights(model))
    del weights[HEAD]  # transformers ties it, and safetensors stores no tensor twice
    about = {"architectures": ["MambaForCausalLM"], "model_type": "mamba", "dtype": str(weights[EMBEDDING].dtype)[6:]}
    write_folder(Path(folder), about | config_to_transformers(model.config, **fields), weights)


def from_pretrained(name: str | Path, backend: str = "auto") -> nn.Module:
    """Our MambaLM, in float32 on the CPU, of a folder in transformers' layout or of a name on the Hugging Face hub.

    name     a folder with config.json and model.safetensors, or shards and their index, or such as
             "state-spaces/mamba-130m-hf"
    raises   FileNotFoundError, saying what was tried, where neither gives a model; ValueError for one that does not fit
    """
    folder = Path(name) if Path(name).is_dir() else _downloaded(str(name))
    fields, weights = read_folder(folder)
    if fields.get("model_type") != "mamba":
        kind = fields.get("model_type")
        raise ValueError(f"{folder / 'config.json'}: model_type = {kind!r}, 'mamba' in transformers' layout is needed")
    return load_transformers(MambaLM(config_from_transformers(fields, backend)), weights).eval()


def _downloaded(name: str) -> Path:
    """Folder of a hub model in the local cache, fetched where it is not there yet."""
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=["config.json", "model*.safetensors*"]))
    except Exception as error:  # offline, unknown, private, malformed: each has a class of its own
        why = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        raise FileNotFoundError(
            f"{name!r} is no folder, and the Hugging Face hub gave no model of that name ({why}). "
            "Offline, a folder works that holds config.json and model.safetensors, as save_pretrained writes it"
        ) from error


def _own_weights(model: nn.Module) -> dict[str, Tensor]:
    """Weights of a model as it is made: those of an adapter, or of a norm on a weight, would not be read again."""
    check_kind("model", model, MambaLM)
    with torch.device("meta"):
        made = MambaLM(model.config).state_dict()
    weights = model.state_dict()
    if odd := next((name for name in {**weights, **made} if (name in weights) != (name in made)), None):
        said = "is not a weight of a MambaLM" if odd in weights else "is gone"
        raise ValueError(f"{odd} {said}: merge adapters, and remove what else was added, first")
    return weights


def _renamed(name: str, prefixes: dict[str, str]) -> str:
    return next((new + name[len(old) :] for old, new in prefixes.items() if name.startswith(old)), name)
