"""The nearest neighbour: the answer of the training sequence that is nearest by Euclidean distance."""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lib.tasks.data.sequences import Task
from lib.tasks.references import Judged, refuse

BLOCK = 1000  # sequences that are compared at once
MOST = 135_000  # drawn where a task shows no collection: 95 % of 45,000 images are among so many


def suits(task: Task) -> bool:
    """Sequences of features with one answer each, from a collection."""
    return task.pooling == "mean" and task.inputs is not None and not task.endless


def nearest_neighbour(task: Task, generator: torch.Generator, drawn: int = MOST) -> Judged:
    """Share of the test that the class of the nearest training sequence gets right; there is nothing to choose.

    drawn    sequences that are looked at where a task draws from its collection without showing it
    raises   ValueError, naming it, for a task whose batches are always new, or whose sequences have no features or no
             answer of their own
    """
    refuse(task, not task.endless, "every batch is new, so that there is no collection to look in")
    refuse(task, suits(task), "sequences of features with one answer each are needed")
    blocks = zip(task.train[0].split(BLOCK), task.train[1].split(BLOCK), strict=True) if task.train else None
    tested, wanted = task.test
    found = _nearest(tested, blocks or (task.draw(BLOCK, generator) for _ in range(-(-drawn // BLOCK))))
    return Judged((found == wanted).double().mean().item())


def _nearest(tested: Float[Tensor, "B T F"], blocks: Iterable[tuple[Tensor, Tensor]]) -> Int[Tensor, " B"]:
    """The answer of the nearest sequence among all blocks; of several as near, the first."""
    least, answers = torch.full((len(tested),), torch.inf), torch.zeros(len(tested), dtype=torch.long)
    for x, classes in blocks:
        distance, at = torch.cdist(tested.flatten(1), x.flatten(1)).min(1)
        nearer = distance < least
        least, answers = least.where(~nearer, distance), answers.where(~nearer, classes[at])
    return answers
