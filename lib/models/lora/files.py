"""Adapters in files of peft's layout: peft loads ours, and we load peft's. Symbols: `lib/__init__.py`.

Source: https://huggingface.co/docs/peft/developer_guides/checkpoint, peft 0.21.
"""

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lib.files import whole_folder
from lib.models.checks import check_dtype, check_finite
from lib.models.lora.layers import freeze
from lib.models.lora.linear import LoraLinear, adapted, apart, become
from lib.models.lora.peft_config import described, read, selects
from lib.models.lora.targets import COMPILED, DTYPES, matching, uncompiled

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
OWN = {CONFIG, WEIGHTS, "README.md"}  # what a folder of adapters holds: the last one is peft's model card
FRONT = "base_model.model."  # of every key: peft's own two wrappers


def save_lora(model: nn.Module, folder: str | Path) -> Path:
    """Write all adapters of a model, and nothing else, to a folder in peft's layout, atomically.

    An SVD start took its part out of the frozen weight, where a file of adapters cannot follow. What it learned is
    written as the plain adapter of twice the rank that it equals: B A less what B A was at the start.

    peft adapts the calls of a layer: where a model reads a weight and calls nothing, such as `dt_proj` in Mamba, what
    peft loads acts once it is merged there. A warning names such a layer.

    folder    a new one, or one of adapters, which is replaced as a whole
    returns   the folder
    raises    ValueError for a model without adapters, and for adapters of several ranks, scales or kinds;
              FileExistsError, naming it, where something else is there already
    """
    folder = Path(folder).resolve()
    check_free(folder, OWN)
    config, tensors = packed(adapted(uncompiled(model)))
    with whole_folder(folder) as part:
        write(part, config, tensors)
    return folder


def load_lora(model: nn.Module, folder: str | Path) -> list[str]:
    """Give a model the adapters of a folder, frozen layers and all, as `add_lora` does.

    returns   names of the layers, in the model's order
    raises    FileNotFoundError, naming it, for a file that is not there; ValueError, naming file and reason, for broken
              ones, adapters that are not plain LoRA, layers that the model lacks, layers that the file lacks and
              matrices that do not fit. The model is as it was then.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name}: no such file; {CONFIG} and {WEIGHTS} are needed")
    config = read(folder / CONFIG)
    try:
        tensors = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ValueError(f"{folder / WEIGHTS}: not readable ({error})") from None
    pairs = _pairs(tensors, folder / WEIGHTS)
    model = uncompiled(model)
    names = [name for name, _ in model.named_modules()]
    if lacking := sorted(set(pairs) - set(names)):
        raise ValueError(f"{folder / WEIGHTS}: adapts {lacking[0]}, which {type(model).__name__} lacks")
    for name in names:
        if selects(config, name) != (name in pairs):
            said = "is not among its target_modules" if name in pairs else f"is, and is not in {WEIGHTS}"
            raise ValueError(f"{folder / CONFIG}: {name} {said}: the two files are not of one adapter")
    found = matching(model, "|".join(map(re.escape, pairs)))
    rank, alpha, dropout = config["r"], float(config["lora_alpha"]), config["lora_dropout"]
    for name, layer in found.items():
        wanted = [(rank, layer.in_features), (layer.out_features, rank)]
        if [tuple(one.shape) for one in pairs[name]] != wanted:
            raise ValueError(f"{folder / WEIGHTS}: the matrices of {name} are not of shapes {wanted[0]}, {wanted[1]}")
    generator, made = torch.Generator(), []
    for name, layer in found.items():
        made.append(LoraLinear(apart(layer), rank, alpha, dropout, generator=generator))
        for weight, value in zip((made[-1].A, made[-1].B), pairs[name], strict=True):
            weight.data.copy_(value)
    for layer, other in zip(found.values(), made, strict=True):
        become(layer, other)
    freeze(model)
    return list(found)


def check_free(folder: Path, own: set[str]) -> None:
    """Accept a folder that is not there yet, or that holds nothing but what is listed.

    raises   FileExistsError, naming what would be lost
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder}: a file; a folder is needed")
    if others := sorted({path.name for path in folder.glob("*")} - own):
        raise FileExistsError(
            f"{folder}: holds {others[0]}, which would be lost; name a new folder, or one of adapters"
        )


def packed(found: Mapping[str, LoraLinear]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of adapters by the names of their layers, as peft has them.

    raises   ValueError for adapters of several ranks, scales or kinds, and for values that are not finite
    """
    kinds = {(layer.rank, layer.alpha, layer.dropout.p, layer.init) for layer in found.values()}
    if len(kinds) > 1:
        said = "; ".join(f"rank {rank}, alpha {alpha}, dropout {p}, {init}" for rank, alpha, p, init in sorted(kinds))
        raise ValueError(f"adapters of {said}: one kind fits into one folder")
    if read := [name for name, layer in found.items() if layer.read]:
        warnings.warn(f"the weight of {read[0]} is read by the model: in peft, merge before use", stacklevel=3)
    rank, alpha, p, init = kinds.pop()
    twice = 2 if init == "svd" else 1  # the scale stays
    named = {name.replace(f"{COMPILED}.", ""): layer for name, layer in found.items()}
    tensors = {}
    for name, layer in named.items():
        for letter, value in zip("AB", _plain(layer), strict=True):
            check_finite(f"{letter} of {name}", value)
            tensors[f"{FRONT}{name}.lora_{letter}.weight"] = value.detach().cpu().contiguous()
    return described(twice * rank, twice * alpha, p, named), tensors


def write(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write what `packed` made into a folder that is there."""
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


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
        check_dtype(f"{path}: {key}", tensors[key], *DTYPES)
        check_finite(f"{path}: {key}", tensors[key])
        pairs.setdefault(name, []).append(tensors[key])
    if not pairs or any(len(pair) < 2 for pair in pairs.values()):
        raise ValueError(f"{path}: A and B of at least one layer, and of each the two, are needed")
    return pairs
