"""Selective copying at the size of its source: 16 items, longer noise; a task of recall. Source: Gu and Dao (2023)."""

from dataclasses import replace

import torch

from lib.tasks.data.copying import copying
from lib.tasks.data.sequences import Task


def copying_long(
    generator: torch.Generator, noise: int = 240, items: int = 16, vocabulary: int = 16, tested: int = 1024
) -> Task:
    """Selective copying of 16 items of 14 kinds, in sequences of 256 tokens; its source takes 4,096 tokens.

    noise    tokens among which the items stand; T is noise + items
    raises   ValueError, quoting it, for sizes that `copying` refuses
    """
    return replace(copying(generator, noise, items, vocabulary, tested), name="copying_long")
