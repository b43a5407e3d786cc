"""Folders of one model in transformers' layout: config.json and safetensors, whole, in one file or in shards.

A reader takes model.safetensors where it is there, else what model.safetensors.index.json lists, as transformers does.
A writer puts a new folder in the place of the old one at a stroke, with all that was not the old model's. Where a
folder has to stay the one that it is, since it is mounted or somebody works in it, the new model is put together in a
hidden folder inside; from the moment it has its name there, it is what a reader of ours takes.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from lib.files import synced, whole, whole_folder
from lib.files.reading import read_json

NEW = ".model.new"  # a model that is whole, on its way to its place
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")
PICKLED = re.compile(r"(pytorch_model.*\.bin(\.index\.json)?|.*\.(pt|pth|ckpt|pkl))")
FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def read_folder(folder: Path) -> tuple[dict, dict[str, Tensor]]:
    """Fields of config.json, and the weights by their names.

    raises   FileNotFoundError, saying what is there, for a folder without either, or with some of the shards;
             ValueError, naming file and reason, for a file that is broken, for an index that does not fit its shards,
             and for weights that are no floating-point numbers
    """
    if (folder / NEW / CONFIG).is_file():
        folder = folder / NEW
    if not (folder / CONFIG).is_file():
        _refuse(folder)
    fields = read_json(folder / CONFIG)
    if not isinstance(fields, dict):
        raise ValueError(f"{folder / CONFIG}: an object with fields is needed")
    weights = {}
    for path, names in _listed(folder).items():
        held = _read(path)
        if names is not None and (wrong := sorted(names ^ held.keys())):
            raise ValueError(f"{folder / INDEX}: {', '.join(wrong[:5])}: not as in {path.name}")
        if twice := sorted(weights.keys() & held.keys()):
            raise ValueError(f"{path}: {', '.join(twice[:5])}: in another file, too")
        weights |= held
    if wrong := [f"{name} is {x.dtype}" for name, x in weights.items() if x.dtype not in FLOATS]:
        raise ValueError(f"{folder}: {', '.join(wrong[:5])}: floating-point weights are needed, not quantised ones")
    return fields, weights


def write_folder(folder: Path, fields: Mapping, weights: Mapping[str, Tensor]) -> None:
    """Write fields to config.json and weights to model.safetensors; an older model there is replaced, all else stays.

    After a crash at any moment the folder holds the old model or the new one.
    raises   OSError where it cannot be written, TypeError for fields that JSON does not know; nothing changes then
    """
    from safetensors.torch import save_file

    text = json.dumps(fields, indent=2) + "\n"
    folder = Path(os.path.realpath(folder))
    inside = folder.is_dir() and _stays(folder)
    with whole_folder(folder / NEW if inside else folder) as new:
        if folder.is_dir() and not inside:
            _keep(folder, new)
            shutil.copystat(folder, new)
        (new / CONFIG).write_text(text)
        plain = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
        save_file(plain, new / WEIGHTS, metadata={"format": "pt"})
    if inside:
        _put_in_place(folder)


def _stays(folder: Path) -> bool:
    """Whether another folder cannot take its place: of a mounted one, or of one that this process works in."""
    here = Path(os.path.realpath(os.curdir))
    return os.path.ismount(folder) or folder in (here, *here.parents) or not os.access(folder.parent, os.W_OK)


def _put_in_place(folder: Path) -> None:
    """Replace the old model's files by those of the new one, which stays where it is until all are there."""
    for name in (WEIGHTS, CONFIG):
        with whole(folder / name) as part:
            part.unlink()
            _link(folder / NEW / name, part)
    for path in _own(folder) - {folder / CONFIG, folder / WEIGHTS}:
        path.unlink(missing_ok=True)
    synced(folder)
    done = folder / f"{NEW}.{secrets.token_hex(6)}"
    (folder / NEW).rename(done)
    shutil.rmtree(done, ignore_errors=True)


def _own(folder: Path) -> set[Path]:
    """The files of a model."""
    shards = (path for path in folder.iterdir() if SHARD.fullmatch(path.name))
    return {folder / CONFIG, folder / WEIGHTS, folder / INDEX, *shards}


def _keep(old: Path, new: Path) -> None:
    """Link what is not the old model's into the new folder: the same files, not copies of them."""
    own = _own(old) | {old / NEW}
    for path in old.iterdir():
        if path in own:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, new / path.name, symlinks=True, copy_function=_link)
        else:
            _link(path, new / path.name)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without links
        shutil.copy2(source, target, follow_symlinks=False)


def _listed(folder: Path) -> dict[Path, set[str] | None]:
    """Files of weights, each with the names that the index says; None where there is no index."""
    if (folder / WEIGHTS).is_file():
        return {folder / WEIGHTS: None}
    shards = sorted(path for path in folder.iterdir() if SHARD.fullmatch(path.name))
    if (folder / INDEX).is_file():
        return _indexed(folder)
    counts = {SHARD.fullmatch(path.name).groups() for path in shards}
    totals = {int(total) for _, total in counts}
    if len(totals) != 1 or {int(number) for number, _ in counts} != set(range(1, totals.pop() + 1)):
        _refuse(folder)
    return dict.fromkeys(shards)


def _indexed(folder: Path) -> dict[Path, set[str]]:
    index = read_json(folder / INDEX)
    listed = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(listed, dict) or not listed or not all(isinstance(name, str) for name in listed.values()):
        raise ValueError(f"{folder / INDEX}: a weight_map of names to files is needed")
    found: dict[Path, set[str]] = {}
    for name, file in listed.items():
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise ValueError(f"{folder / INDEX}: {file!r}: a safetensors file of this folder is needed")
        found.setdefault(folder / file, set()).add(name)
    if missing := [path.name for path in found if not path.is_file()]:
        raise FileNotFoundError(f"{folder}: {', '.join(missing)}: listed in {INDEX}, and not there")
    return found


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path}: not readable as safetensors ({str(error).strip()}); it may be truncated") from None


def _refuse(folder: Path) -> None:
    held = sorted(path.name for path in folder.iterdir())
    said = f"{folder} holds {', '.join(held) or 'nothing'}: {CONFIG} and {WEIGHTS} are needed"
    if any(PICKLED.fullmatch(name) for name in held):
        said += "; a pickled file may run code when it is read: save it as safetensors first"
    raise FileNotFoundError(said)
