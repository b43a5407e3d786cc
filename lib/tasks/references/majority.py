"""The most frequent class, and guessing by frequencies: what is right without looking at a sequence."""

import torch
from torch import Tensor

from lib.tasks.data.sequences import IGNORE, Task
from lib.tasks.references import Judged, learned


def suits(task: Task) -> bool:
    """Every task has classes."""
    return True


def majority(task: Task, generator: torch.Generator) -> Judged:
    """The most frequent class of the training answers, and the loss of guessing by their frequencies.

    Every class is counted once more than it occurs, so that one that never did costs much, not everything.
    """
    _, answers = learned(task, generator)
    counts = _known(answers).bincount(minlength=task.classes) + 1.0
    wanted = _known(task.test[1])
    right = (wanted == counts.argmax()).double().mean().item()
    return Judged(right, -(counts / counts.sum()).log()[wanted].mean().item())


def _known(answers: Tensor) -> Tensor:
    return answers[answers != IGNORE]
