"""Induction heads at the size of its source: longer sequences; a task of recall. Source: Gu and Dao (2023)."""

from dataclasses import replace

import torch

from lib.tasks.data.induction import induction
from lib.tasks.data.sequences import Task


def induction_long(generator: torch.Generator, length: int = 256, vocabulary: int = 16, tested: int = 1024) -> Task:
    """Induction with 16 tokens in 256, the size at which its source trains; it tests at up to a million tokens.

    length   T
    raises   ValueError, quoting it, for sizes that `induction` refuses
    """
    return replace(induction(generator, length, vocabulary, tested), name="induction_long")
