"""References: what a trained sequence model has to beat. Each is a row of `lib.names.REFERENCES` and a file here.

The file defines `suits(task)`, whether a task has what the reference needs, and a function of the row's name, from a
task and a generator to a `Judged`. It learns from the task's training sequences alone, as the models do, chooses its
settings on those held back, and is judged by the test once.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lib.models.tables import Functions
from lib.tasks.data.sequences import Task

DRAWN = 2000  # sequences to learn from, where batches are drawn and there is no collection


@dataclass(frozen=True)
class Judged:
    """What a reference comes to on the test.

    accuracy   share of right answers
    loss       [nats] cross-entropy; None of a reference without probabilities
    chosen     settings chosen on held-back sequences, in words; empty where there is nothing to choose
    """

    accuracy: float
    loss: float | None = None
    chosen: str = ""


REFERENCES = Functions("REFERENCES")  # name -> (task, generator) -> Judged


def suited(task: Task) -> list[str]:
    """Names of the references that a task has what they need for, in the table's order."""
    return [name for name in REFERENCES if REFERENCES.module(name, "suits").suits(task)]


def learned(task: Task, generator: torch.Generator, size: int = DRAWN) -> tuple[Tensor, Tensor]:
    """A task's training sequences and their answers: its collection, or, where it has none, so many that it draws."""
    return task.train or task.draw(size, generator)


def refuse(task: Task, suits: bool, needed: str) -> None:
    """Accept a task that has what a reference needs.

    raises   ValueError, naming the task and what is needed
    """
    if not suits:
        raise ValueError(f"{task.name}: {needed}")
