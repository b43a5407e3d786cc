"""Collections of the UCR and UEA archives in the split that was published with them, as sktime ships them."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from lib.tasks.data.sequences import Task, of_parts

SHARE = 0.2  # of the training part, which is held back


@dataclass(frozen=True)
class Part:
    """Series of several lengths, each (T, F), and the number of each one's class."""

    series: tuple[Tensor, ...]
    classes: Int[Tensor, " B"]

    def where(self, chosen: Bool[Tensor, " B"]) -> "Part":
        """The series that are chosen."""
        return Part(tuple(one for one, yes in zip(self.series, chosen, strict=True) if yes), self.classes[chosen])

    def padded(self, length: int) -> Float[Tensor, "B T F"]:
        """The last `length` tokens of each series, behind zeros where it is shorter."""
        return torch.stack([F.pad(one[-length:], (0, 0, max(0, length - len(one)), 0)) for one in self.series])


@cache
def published(loader: str) -> tuple[Part, Part]:
    """The training and the test part of a collection.

    loader   its function in `sktime.datasets`, such as "load_plaid"
    """
    load = getattr(import_module("sktime.datasets"), loader)
    tables = [load(split=split, return_type="nested_univ") for split in ("train", "test")]
    found = sorted(set(tables[0][1]), key=lambda name: (len(name), name))  # "2" before "10"
    numbers = {name: number for number, name in enumerate(found)}
    return tuple(
        Part(
            tuple(torch.tensor(np.stack([*row]), dtype=torch.float32).T for row in table.itertuples(index=False)),
            torch.tensor([numbers[name] for name in classes]),
        )
        for table, classes in tables
    )


def held_back(classes: Int[Tensor, " B"], generator: torch.Generator) -> Bool[Tensor, " B"]:
    """Choose a fifth of the sequences at random, a fifth of each class as far as that is whole."""
    chosen = torch.zeros(len(classes), dtype=torch.bool)
    for number in classes.unique():
        (rows,) = (classes == number).nonzero(as_tuple=True)
        order = torch.randperm(len(rows), generator=generator)
        chosen[rows[order[: round(SHARE * len(rows))]]] = True
    return chosen


def of_archive(
    name: str, kind: str, loader: str, length: int, generator: torch.Generator, *, each: bool = False
) -> Task:
    """Make a task of a collection with its published split, a fifth of whose training part is held back.

    Features have mean zero and variance one over the tokens that are trained on.

    length   tokens kept of a series, its last; shorter ones begin with zeros
    each     whether each series is divided by its own largest value instead
    """
    whole, test = published(loader)
    aside = held_back(whole.classes, generator)
    parts = {"train": whole.where(~aside), "valid": whole.where(aside), "test": test}
    tokens = torch.cat(parts["train"].series)
    mean, deviation = tokens.mean(0), tokens.std(0)

    def scaled(part: Part) -> Part:
        series = (one / one.abs().max() if each else (one - mean) / deviation for one in part.series)
        return Part(tuple(series), part.classes)

    data = {key: (scaled(part).padded(length), part.classes) for key, part in parts.items()}
    return of_parts(name, kind, **data, classes=len(whole.classes.unique()))
