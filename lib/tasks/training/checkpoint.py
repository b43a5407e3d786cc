"""Checkpoints of a training: model, optimiser, random numbers and losses in one .safetensors file."""

import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn


def keep(
    path: Path,
    steps: int,
    model: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    generator: torch.Generator | None,
    losses: list[float],
) -> None:
    """Write the state of a training after some of its `steps` to a file, atomically."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for which, optimiser in enumerate(optimisers):
        for number, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{which}.{number}.{name}": value for name, value in state.items()}
    tensors |= {"losses": torch.tensor(losses, dtype=torch.float64), "steps": torch.tensor(steps)}
    if generator is not None:
        tensors["generator"] = generator.get_state()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        pass
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, file.name)
    Path(file.name).replace(path)


def resume(
    path: Path,
    steps: int,
    model: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    generator: torch.Generator | None,
) -> list[float]:
    """Load the state of a training into its model, optimisers and generator; returns its losses, none without a file.

    raises   ValueError, naming the file, where it is broken, of another model or of another number of steps
    """
    if not path.exists():
        return []
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not readable ({error}); delete it to begin anew") from None
    if not {"steps", "losses"} <= set(tensors):
        raise ValueError(f"{path}: holds no training; name another file")
    if tensors["steps"].item() != steps:
        raise ValueError(f"{path}: a training of {tensors['steps'].item()} steps, not {steps}; delete it to begin anew")
    try:
        model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    except RuntimeError as error:
        raise ValueError(f"{path}: of another model ({str(error).splitlines()[1].strip()})") from None
    for which, optimiser in enumerate(optimisers):
        state: dict[int, dict] = {}
        for key, value in tensors.items():
            if key.startswith(f"optimiser.{which}."):
                _, _, number, name = key.split(".")
                state.setdefault(int(number), {})[name] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    if generator is not None:
        generator.set_state(tensors["generator"])
    return tensors["losses"].tolist()
