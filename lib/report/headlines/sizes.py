"""How large the models of headlines are, from what builds and keeps them: tokens, parameters, layers."""

from functools import cache
from pathlib import Path

import torch
from safetensors import safe_open

from lib.experiments import mrss_tasks
from lib.experiments.clip_shown import sizes_of
from lib.names import SEQUENCES, SMALL_CLIPS

TASKS = {row.label: name for name, row in SEQUENCES.items()}  # as frames have tasks -> their names


@cache
def tokens(task: str) -> int:
    """Tokens of a sequence of a task, by its name or by its label."""
    return mrss_tasks.DATA[TASKS.get(task, task)](torch.Generator().manual_seed(0)).length


def header(weights: Path) -> dict[str, str]:
    """What the header of a file of weights says of its model: task, states and more."""
    with safe_open(weights, "pt") as file:
        return file.metadata()


@cache
def tower(task: str) -> dict[str, int]:
    """Sizes of the image tower of the small CLIPs of a task of `lib.names.SMALL_CLIPS`."""
    vision = sizes_of(f"clip-{task}-0", ours=True).vision_config
    side = vision.image_size // vision.patch_size
    return {
        "layers": vision.num_hidden_layers,
        "channels": vision.hidden_size,
        "patches": side**2,
        "pixels of a patch": vision.patch_size,
    }


def clip_of(checkpoint: str) -> str:
    """The task of a small CLIP, by the name of its checkpoint, "clip-<task>-<seed>".

    raises   ValueError, quoting it, for another name
    """
    task = checkpoint.removeprefix("clip-").rpartition("-")[0]
    if task not in SMALL_CLIPS:
        raise ValueError(f"{checkpoint!r} is no small CLIP of {', '.join(SMALL_CLIPS)}")
    return task
