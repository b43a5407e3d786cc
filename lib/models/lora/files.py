"""Adapters in files of peft's layout: peft loads ours, and we load peft's. Symbols: `lib/__init__.py`.

Source: https://huggingface.co/docs/peft/developer_guides/checkpoint, peft 0.21.
"""

import json
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lib.models.checks import check_choice, check_number
from lib.models.clip.hub import whole_folder
from lib.models.lora.layers import LoraLinear, adapted, freeze, matching

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
OWN = {CONFIG, WEIGHTS, "README.md"}  # what a folder of adapters holds: the last one is peft's model card
FRONT = "base_model.model."  # of every key: peft's own two wrappers
PLAIN = {  # what an adapter of ours is, in the words of peft's configuration
    "use_dora": False,
    "use_rslora": False,
    "bias": "none",
    "lora_bias": False,
    "fan_in_fan_out": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "modules_to_save": None,
}


def save_lora(model: nn.Module, folder: str | Path) -> Path:
    """Write all adapters of a model, and nothing else, to a folder in peft's layout, atomically.

    An SVD start took its part out of the frozen weight, where a file of adapters cannot follow. What it learned is
    written as the plain adapter of twice the rank that it equals: B A less what B A was at the start.

    folder    a new one, or one of adapters, which is replaced as a whole
    returns   the folder
    raises    ValueError for a model without adapters, and for adapters of several ranks, scales or kinds;
              FileExistsError, naming it, where something else is there already
    """
    folder = Path(folder).resolve()
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder}: a file; a folder is needed")
    if others := sorted({path.name for path in folder.glob("*")} - OWN):
        raise FileExistsError(
            f"{folder}: holds {others[0]}, which would be lost; name a new folder, or one of adapters"
        )
    found = adapted(model)
    kinds = {(layer.rank, layer.alpha, layer.dropout.p, layer.init) for layer in found.values()}
    if len(kinds) > 1:
        said = "; ".join(f"rank {rank}, alpha {alpha}, dropout {p}, {init}" for rank, alpha, p, init in sorted(kinds))
        raise ValueError(f"adapters of {said}: one kind fits into one folder")
    rank, alpha, p, init = kinds.pop()
    twice = 2 if init == "svd" else 1
    config = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "r": twice * rank,
        "lora_alpha": twice * alpha,  # the scale stays
        "lora_dropout": p,
        "init_lora_weights": True,
        "target_modules": "|".join(map(re.escape, found)),
        "inference_mode": True,
        **PLAIN,
    }
    tensors = {}
    for name, layer in found.items():
        for letter, value in zip("AB", _plain(layer), strict=True):
            tensors[f"{FRONT}{name}.lora_{letter}.weight"] = value.detach().cpu().contiguous()
    with whole_folder(folder) as part:
        (part / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
        save_file(tensors, part / WEIGHTS, metadata={"format": "pt"})
    return folder


def load_lora(model: nn.Module, folder: str | Path) -> list[str]:
    """Give a model the adapters of a folder, frozen layers and all, as `add_lora` does.

    returns   names of the layers, in the model's order
    raises    FileNotFoundError, naming it, for a file that is not there; ValueError, naming file and reason, for broken
              ones, adapters that are not plain LoRA, layers that the model lacks and matrices that do not fit
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name}: no such file; {CONFIG} and {WEIGHTS} are needed")
    config = _config(folder / CONFIG)
    try:
        tensors = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ValueError(f"{folder / WEIGHTS}: not readable ({error})") from None
    pairs = _pairs(tensors, folder / WEIGHTS)
    if lacking := sorted(set(pairs) - {name for name, _ in model.named_modules()}):
        raise ValueError(f"{folder / WEIGHTS}: adapts {lacking[0]}, which {type(model).__name__} lacks")
    found = matching(model, "|".join(map(re.escape, pairs)))
    for name, layer in found.items():
        wanted = [(config["r"], layer.in_features), (layer.out_features, config["r"])]
        if [tuple(one.shape) for one in pairs[name]] != wanted:
            raise ValueError(f"{folder / WEIGHTS}: the matrices of {name} are not of shapes {wanted[0]}, {wanted[1]}")
    for name, layer in found.items():
        adapted = LoraLinear(layer, config["r"], float(config["lora_alpha"]), config.get("lora_dropout", 0.0))
        for weight, value in zip((adapted.A, adapted.B), pairs[name], strict=True):
            weight.data.copy_(value)
        model.set_submodule(name, adapted)
    freeze(model)
    return list(found)


def _plain(layer: LoraLinear) -> tuple[Tensor, Tensor]:
    if layer.init == "zero":
        return layer.A, layer.B
    return torch.cat([layer.A, layer.start_A]), torch.cat([layer.B, -layer.start_B], dim=1)


def _pairs(tensors: dict[str, Tensor], path: Path) -> dict[str, list[Tensor]]:
    """A and B by the name of the layer."""
    pairs: dict[str, list[Tensor]] = {}
    for key in sorted(tensors):  # A before B
        name, _, end = key.removeprefix(FRONT).rpartition(".lora_")
        if not key.startswith(FRONT) or end not in ("A.weight", "B.weight"):
            raise ValueError(f"{path}: {key} is no adapter of a linear layer")
        pairs.setdefault(name, []).append(tensors[key])
    if not pairs or any(len(pair) < 2 for pair in pairs.values()):
        raise ValueError(f"{path}: A and B of at least one layer, and of each the two, are needed")
    return pairs


def _config(path: Path) -> dict:
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from None
    check_choice(f"{path}: peft_type", config.get("peft_type"), ["LORA"])
    for name in ("r", "lora_alpha"):
        check_number(f"{path}: {name}", config.get(name), above=0)
    for name, plain in PLAIN.items():
        if config.get(name, plain) not in (plain, None):
            raise ValueError(f"{path}: {name} = {config[name]!r}: {plain!r} is needed, adapters here are plain")
    return config
