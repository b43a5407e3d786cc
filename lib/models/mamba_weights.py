"""Mamba beside transformers: the same weights in both, and our scan inside its models.

The two layouts differ in two prefixes, and in the head, which transformers lists beside the embedding it is tied to.
"""

import importlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from lib.models.scan import BACKENDS, selective_scan_fn

PREFIXES = {"backbone.embedding.": "backbone.embeddings.", "backbone.norm.": "backbone.norm_f."}  # ours to theirs
EMBEDDING, HEAD = "backbone.embeddings.weight", "lm_head.weight"
FIELDS = {
    **{"dim": "hidden_size", "layers": "num_hidden_layers", "states": "state_size", "kernel": "conv_kernel"},
    **{"rank": "time_step_rank", "vocabulary": "vocab_size", "conv_bias": "use_conv_bias", "bias": "use_bias"},
    **{"norm_eps": "layer_norm_epsilon", "expand": "expand"},
    **{name: name for name in ("time_step_min", "time_step_max", "time_step_floor")},
}
FAMILIES = ("mamba", "falcon_mamba", "jamba", "zamba")
KNOWN_TO_WORK = "transformers 5.15 to 5.23"


def state_dict_from_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of transformers' MambaForCausalLM by our names; the tensors are the same ones.

    raises   ValueError for a head that is not the embedding: ours is always tied to it
    """
    head = weights.get(HEAD)
    if head is not None and EMBEDDING in weights and not torch.equal(head, weights[EMBEDDING]):
        raise ValueError(f"{HEAD} differs from {EMBEDDING}: only a head tied to the embedding can be loaded")
    back = {theirs: ours for ours, theirs in PREFIXES.items()}
    return {_renamed(name, back): weight for name, weight in weights.items() if name != HEAD}


def state_dict_to_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of our MambaLM by transformers' names, the tied head among them; the tensors are the same ones."""
    renamed = {_renamed(name, PREFIXES): weight for name, weight in weights.items()}
    return renamed | {HEAD: renamed[EMBEDDING]}


def config_from_transformers(config, backend: str = "auto"):
    """Our MambaConfig of a transformers.MambaConfig.

    raises   ValueError, naming the field, for a model that is not a Mamba or that ours does not compute
    """
    from lib.models.mamba import MambaConfig  # which takes `accelerate_transformers` from here

    allowed = {"model_type": ("mamba",), "hidden_act": ("silu", "swish"), "tie_word_embeddings": (True,)}
    for name, values in allowed.items():
        if (value := getattr(config, name, None)) not in values:
            raise ValueError(f"{name} = {value!r}: only {' or '.join(map(repr, values))} can be loaded")
    return MambaConfig(**{ours: getattr(config, theirs) for ours, theirs in FIELDS.items()}, backend=backend)


def config_to_transformers(config, **fields) -> dict:
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
    ours = _language_model(config_from_transformers(model.config, backend))
    like = model.backbone.embeddings.weight
    return load_transformers(ours.to(like.device, like.dtype), model).train(model.training)


def to_transformers(model: nn.Module, **fields) -> nn.Module:
    """A transformers.MambaForCausalLM with the weights of our MambaLM; `fields` go to its config."""
    from transformers import MambaConfig, MambaForCausalLM

    with torch.random.fork_rng(devices=[]):  # it draws weights that are replaced at once
        theirs = MambaForCausalLM(MambaConfig(**config_to_transformers(model.config, **fields)))
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
    from safetensors.torch import load_file
    from transformers import MambaConfig

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
    config = config_from_transformers(MambaConfig.from_dict(fields), backend)
    return load_transformers(_language_model(config), weights).eval()


class Acceleration:
    """Our scan inside transformers' models until `undo`, or until the end of a `with` block; in any order.

    modules   names of the patched ones
    """

    def __init__(self, scan: Callable, modules: list[ModuleType]):
        self.modules = tuple(module.__name__ for module in modules)
        self._scan, self._modules = scan, modules
        for module in modules:
            _originals.setdefault(module, module.mamba_selective_scan)
        _active.append(self)
        _install()

    def undo(self) -> None:
        """Take this one back; twice is once. With the last one, transformers' own scan returns."""
        if self in _active:
            _active.remove(self)
            _install()

    def __enter__(self) -> "Acceleration":
        if self not in _active:
            raise RuntimeError("this acceleration is undone already: call accelerate_transformers anew")
        return self

    def __exit__(self, *error) -> None:
        self.undo()


_active: list[Acceleration] = []  # the last one scans
_originals: dict[ModuleType, Callable] = {}


def accelerate_transformers(backend: str = "auto") -> Acceleration:
    """Let transformers' Mamba, and Falcon Mamba, Jamba and Zamba, use our scan, from now on until undone.

    `with accelerate_transformers(): ...`, or `undo = accelerate_transformers().undo`. Models built before gain too.
    Another family than Mamba is left out where its module has no such function: see `modules` of what is returned.
    raises   ValueError for an unknown backend; RuntimeError for a transformers whose Mamba scans by other means
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend = {backend!r}: one of {', '.join(BACKENDS)} is needed")

    def mamba_selective_scan(
        hidden_states, dt, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, return_last_state=False,
        use_mambapy=False, use_associative_scan=False, **others,
    ):  # fmt: skip
        # The two flags choose among slower scans. Any other wish must not be dropped in silence.
        if given := [name for name, value in others.items() if value is not None]:
            raise ValueError(f"{', '.join(given)}: the accelerated scan does not know it; undo the acceleration")
        inputs = (hidden_states, dt, A, B, C, D, z, delta_bias, delta_softplus, return_last_state)
        return selective_scan_fn(*inputs, backend=backend)

    expected = list(inspect.signature(mamba_selective_scan).parameters)[:10]
    modules = []
    for family in FAMILIES:
        name = f"transformers.models.{family}.modeling_{family}"
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            module, reason = None, str(error)
        else:
            reason = _mismatch(module, expected)
        if reason is None:
            modules.append(module)
        elif family == "mamba":
            version = importlib.import_module("transformers").__version__
            raise RuntimeError(f"transformers {version}: {reason}; known to work: {KNOWN_TO_WORK}")
    return Acceleration(mamba_selective_scan, modules)


def _mismatch(module: ModuleType, expected: list[str]) -> str | None:
    function = getattr(module, "mamba_selective_scan", None)
    if function is None:
        return f"{module.__name__} has no function mamba_selective_scan"
    parameters = list(inspect.signature(function).parameters)
    if parameters[: len(expected)] == expected:
        return None
    return f"{module.__name__}.mamba_selective_scan takes {', '.join(parameters)}, not {', '.join(expected)}"


def _install() -> None:
    for module, original in _originals.items():
        module.mamba_selective_scan = next((a._scan for a in reversed(_active) if module in a._modules), original)
    if not _active:
        _originals.clear()


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


def _language_model(config) -> nn.Module:
    from lib.models.mamba import MambaLM

    return MambaLM(config)


def _renamed(name: str, prefixes: dict[str, str]) -> str:
    return next((new + name[len(old) :] for old, new in prefixes.items() if name.startswith(old)), name)
