"""Checkpoints of a training: model, optimiser, random numbers and losses in one .safetensors file."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lib.files import write_whole
from lib.files.saving import try_folder


def keep(
    path: Path,
    steps: int,
    model: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    generator: torch.Generator | None,
    losses: list[float],
) -> None:
    """Write the state of a training after some of its `steps` to a file, whole or not at all.

    A disk that is full by now ends no training: a warning names the file, and what stood there before stays.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for which, optimiser in enumerate(optimisers):
        for number, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{which}.{number}.{name}": value for name, value in state.items()}
    tensors |= {"losses": torch.tensor(losses, dtype=torch.float64), "steps": torch.tensor(steps)}
    if generator is not None:
        tensors["generator"] = generator.get_state()
    try:
        write_whole(path, save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}))
    except OSError as error:
        warnings.warn(f"{path}: not kept ({error.strerror or error}); the training goes on", stacklevel=3)


def resume(
    path: Path,
    steps: int,
    model: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    generator: torch.Generator | None,
) -> list[float]:
    """Load the state of a training into its model, optimisers and generator; returns its losses, none without a file.

    A file that is broken counts as not there, and a warning names it.
    raises   ValueError, naming the file, where it is of another model or plan: nothing has changed then;
             OSError, naming the folder, where none could be kept
    """
    try_folder(path.parent)
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        return []
    except (SafetensorError, OSError) as error:
        if isinstance(error, IsADirectoryError) or path.is_dir():
            raise ValueError(f"{path}: a folder; name a file") from None
        warnings.warn(f"{path}: not readable ({error}); the training begins anew", stacklevel=3)
        return []
    losses = _checked(path, tensors, steps, model, optimisers, generator)
    model.load_state_dict(_under("model.", tensors))
    for which, optimiser in enumerate(optimisers):
        state: dict[int, dict] = {}
        for key, value in _under(f"optimiser.{which}.", tensors).items():
            number, _, name = key.partition(".")
            state.setdefault(int(number), {})[name] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    if generator is not None:
        generator.set_state(tensors["generator"])
    return losses


def _checked(
    path: Path,
    tensors: Mapping[str, Tensor],
    steps: int,
    model: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    generator: torch.Generator | None,
) -> list[float]:
    """The losses of a training whose every tensor fits; raises ValueError, naming the file, for another."""
    if not {"steps", "losses"} <= set(tensors):
        raise ValueError(f"{path}: holds no training; name another file")
    planned, losses = tensors["steps"], tensors["losses"]
    if planned.numel() != 1 or planned.item() != steps:
        said = planned.tolist()
        raise ValueError(f"{path}: a training of {said} steps, not {steps}; delete it to begin anew")
    if losses.ndim != 1 or not 0 < len(losses) <= steps or not losses.isfinite().all():
        raise ValueError(f"{path}: losses of shape {tuple(losses.shape)} for {steps} steps; delete it to begin anew")
    wanted = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, value in wanted.items():
        if name not in tensors or _kind(tensors[name]) != _kind(value):
            found = _kind(tensors[name]) if name in tensors else "none"
            raise ValueError(f"{path}: of another model ({name}: {found}, not {_kind(value)})")
    known = {"steps", "losses", "generator", *wanted}
    for which, optimiser in enumerate(optimisers):
        weights = [weight for group in optimiser.param_groups for weight in group["params"]]
        state = _under(f"optimiser.{which}.", tensors)
        for key, value in state.items():
            number, _, name = key.partition(".")
            fits = number.isdecimal() and int(number) < len(weights) and name
            if not fits or (value.ndim and value.shape != weights[int(number)].shape):
                raise ValueError(f"{path}: of another model (optimiser.{which}.{key}: {_kind(value)})")
            known.add(f"optimiser.{which}.{key}")
        if not state:
            raise ValueError(f"{path}: without the state of optimiser {which}; delete it to begin anew")
    drawn = tensors.get("generator", torch.empty(0))
    if generator is not None and _kind(drawn) != _kind(generator.get_state()):
        raise ValueError(f"{path}: without the random numbers of this training; delete it to begin anew")
    if more := sorted(set(tensors) - known):
        raise ValueError(f"{path}: of another model ({more[0]} is not in this one)")
    return losses.tolist()


def _kind(value: Tensor) -> str:
    return f"{tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"


def _under(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
