"""Adapters in files of peft's layout: peft loads ours, and we load peft's. Symbols: `lib/__init__.py`.

Source: https://huggingface.co/docs/peft/developer_guides/checkpoint, peft 0.21.
"""

import json
import re
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lib import names
from lib.files import whole_folder
from lib.models.checks import check_choice, check_dtype, check_finite
from lib.models.lora.kinds import kind
from lib.models.lora.layers import freeze
from lib.models.lora.linear import LoraLinear, adapted, apart, become
from lib.models.lora.peft_config import adapter_of, described, read, selects
from lib.models.lora.targets import COMPILED, DTYPES, check_rank, matching, uncompiled

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
OWN = {CONFIG, WEIGHTS, "README.md"}  # what a folder of adapters holds: the last one is peft's model card
FRONT = "base_model.model."  # of every key: peft's own two wrappers


def save_lora(model: nn.Module, folder: str | Path) -> Path:
    """Write all adapters of a model, and nothing else, to a folder in peft's layout, atomically.

    PiSSA took its start out of the frozen weight, where a file of adapters cannot follow. What it learned is written as
    the LoRA of twice the rank that it equals: B A minus what B A was at the start. LoRA+ is written as LoRA, which it
    is once it has learned.

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


def load_lora(model: nn.Module, folder: str | Path, *, allowed: Collection[str] = ()) -> list[str]:
    """Give a model the adapters of a folder, frozen layers and all, as `add_lora` does.

    A file of peft's that says `init_lora_weights` = "pissa" holds A and B alone: as in peft, the frozen weights are
    computed anew, from the singular vectors of the model's own.

    allowed   rows of `lib.names.ADAPTERS` that the folder may hold; all where it is empty
    returns   names of the layers, in the model's order
    raises    FileNotFoundError, naming it, for a file that is not there; ValueError, naming file and reason, for broken
              ones, adapters of no kind that is known here, layers that the model lacks, layers that the file lacks and
              matrices that do not fit. The model is as it was then.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name}: no such file; {CONFIG} and {WEIGHTS} are needed")
    config = read(folder / CONFIG)
    adapter = adapter_of(config)
    check_choice(f"{folder / CONFIG}: kind of adapters", adapter, allowed or names.ADAPTERS)
    made_of = kind(adapter)
    try:
        tensors = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ValueError(f"{folder / WEIGHTS}: not readable ({error})") from None
    held = _by_layer(tensors, made_of.KEYS, folder / WEIGHTS)
    model = uncompiled(model)
    known = [name for name, _ in model.named_modules()]
    if lacking := sorted(set(held) - set(known)):
        raise ValueError(f"{folder / WEIGHTS}: adapts {lacking[0]}, which {type(model).__name__} lacks")
    for name in known:
        if selects(config, name) != (name in held):
            said = "is not among its target_modules" if name in held else f"is, and is not in {WEIGHTS}"
            raise ValueError(f"{folder / CONFIG}: {name} {said}: the two files are not of one adapter")
    found = matching(model, "|".join(map(re.escape, held)))
    rank, alpha, dropout = config["r"], float(config["lora_alpha"]), config["lora_dropout"]
    if made_of.MOVES:
        check_rank(found, rank)
    for name, layer in found.items():
        wanted = {"A": (rank, layer.in_features), "B": (layer.out_features, rank), "magnitude": (layer.out_features,)}
        if any(value.shape != wanted[key] for key, value in held[name].items()):
            raise ValueError(
                f"{folder / WEIGHTS}: the matrices of {name} are not of shapes {wanted['A']}, {wanted['B']}"
            )
        made_of.check(name, layer.weight)
    generator, made = torch.Generator(), []
    for name, layer in found.items():
        made.append(made_of(apart(layer), rank, alpha, dropout, generator))
        for key, value in held[name].items():
            getattr(made[-1], key).data.copy_(value)
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
    kinds = {(type(layer), layer.rank, layer.alpha, layer.dropout.p) for layer in found.values()}
    if len(kinds) > 1:
        listed = (f"rank {rank}, alpha {alpha}, dropout {p}, {made_of.__name__}" for made_of, rank, alpha, p in kinds)
        raise ValueError(f"adapters of {'; '.join(sorted(listed))}: one kind fits into one folder")
    if read := [name for name, layer in found.items() if layer.read]:
        warnings.warn(f"the weight of {read[0]} is read by the model: in peft, merge before use", stacklevel=3)
    made_of, rank, alpha, p = kinds.pop()
    named = {name.replace(f"{COMPILED}.", ""): layer for name, layer in found.items()}
    tensors, written = {}, rank
    for name, layer in named.items():
        written, values = layer.plain()
        for key, value in values.items():
            check_finite(f"{key} of {name}", value)
            tensors[f"{FRONT}{name}.{made_of.KEYS[key]}"] = value.detach().cpu().contiguous()
    fields = {} if made_of.MOVES else made_of.FIELDS
    return described(written, alpha * (written // rank), p, named, fields), tensors


def write(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write what `packed` made into a folder that is there."""
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def _by_layer(tensors: dict[str, Tensor], keys: Mapping[str, str], path: Path) -> dict[str, dict[str, Tensor]]:
    """What adapters are made of, A and B first, by the name of the layer."""
    ends, found = {f".{end}": key for key, end in keys.items()}, {}
    for key in sorted(tensors):
        end = next((end for end in ends if key.endswith(end)), None)
        if not key.startswith(FRONT) or end is None:
            raise ValueError(f"{path}: {key} is no adapter of a linear layer")
        check_dtype(f"{path}: {key}", tensors[key], *DTYPES)
        check_finite(f"{path}: {key}", tensors[key])
        found.setdefault(key.removeprefix(FRONT).removesuffix(end), {})[ends[end]] = tensors[key]
    if not found or any(len(values) < len(keys) for values in found.values()):
        *others, last = keys
        needed, each = f"{', '.join(others)} and {last}", "two" if len(keys) == 2 else "all"
        raise ValueError(f"{path}: {needed} of at least one layer, and of each the {each}, are needed")
    return found
