"""Sequence tasks. Each is a row of `lib.names.SEQUENCES` or `lib.names.BENCHMARKS` and a file beside this one.

The file defines a function of the row's name, from a generator, and sizes where it has some, to a `Task`. There are
smooth tasks, where neighbouring tokens are alike, fast ones, where they are not, tasks that mix both, tasks of recall,
and text. Those of `SEQUENCES` take minutes on a CPU; those of `BENCHMARKS` hold sequences back, by which settings are
chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_count, check_labels, check_shape, check_tensor
from lib.models.tables import Functions

IGNORE = -100  # a token without an answer
HELD_BACK = 2**30  # from a task's seed to the one of what is held back: a CPU's generator reads a seed modulo 2**32
LONGEST = 2**16  # tokens of a sequence: 1,024 of them are the test
TASKS = Functions("SEQUENCES")  # name -> (generator, sizes) -> Task
BENCHMARKS = Functions("BENCHMARKS")  # the same, with `valid`


@dataclass(frozen=True)
class Task:
    """A task of sequences: what a model is trained on and judged by.

    kind        "smooth", "fast", "two scales", "recall" or "text"
    length      T
    inputs      features F of a token; None where tokens are numbers below `vocabulary`
    pooling     "mean": one answer per sequence; "none": one per token, IGNORE where there is none
    draw        (size, generator) -> a training batch: (size, T, F) or (size, T), answers (size,) or (size, T)
    test        sequences and answers that `draw` never gives
    endless     whether every batch is new, or comes from a collection
    train       that collection's sequences and answers, which `draw` gives; None where there is none
    valid       sequences and answers that are neither drawn nor tested, to choose settings by; None where there is none
    """

    name: str
    kind: str
    length: int
    inputs: int | None
    vocabulary: int | None
    classes: int
    pooling: str
    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]]
    test: tuple[Tensor, Tensor]
    endless: bool
    train: tuple[Tensor, Tensor] | None = None
    valid: tuple[Tensor, Tensor] | None = None

    def loss(self, logits: Tensor, answers: Tensor) -> Tensor:
        """Cross-entropy [nats], averaged over all answers that there are.

        raises   ValueError, quoting it, for answers that are not one per row of the logits, or of no class
        """
        check_tensor("answers", answers)
        check_shape("logits", logits, *answers.shape, "C", C=self.classes)
        check_labels("answers", answers, self.classes, *answers.shape, ignored=IGNORE)
        return F.cross_entropy(logits.flatten(0, -2), answers.flatten().long(), ignore_index=IGNORE)

    def accuracy(self, model: nn.Module, data: tuple[Tensor, Tensor] | None = None, size: int = 128) -> float:
        """Share of the answers, the test's or those of other data, that a model gets right; see `judged`."""
        return self.judged(model, data, size)[1]

    @torch.no_grad()
    def judged(
        self, model: nn.Module, data: tuple[Tensor, Tensor] | None = None, size: int = 128
    ) -> tuple[float, float]:
        """Cross-entropy [nats] and share of right answers of a model, averaged over all answers; its mode is restored.

        data     sequences and answers; the test's where left out
        size     sequences at once
        raises   ValueError, quoting it, for inputs and answers of two numbers, for answers that are not one per
                 prediction or of no class, and for none at all
        """
        check_count("size", size)
        inputs, wanted = data or self.test
        check_labels("answers", wanted, self.classes, len(inputs), *wanted.shape[1:], ignored=IGNORE)
        training, device = model.training, next(model.parameters()).device
        model.eval()
        lost, right, answered = 0.0, 0, 0
        try:
            for x, answers in zip(inputs.split(size), wanted.split(size), strict=True):
                logits = model(x.to(device)).float().cpu()
                check_shape("answers", answers, *logits.shape[:-1])
                known = answers.cpu() != IGNORE
                logits, answers = logits[known], answers.cpu()[known]
                lost += F.cross_entropy(logits, answers.long(), reduction="sum").item()
                right += (logits.argmax(-1) == answers).sum().item()
                answered += len(answers)
        finally:
            model.train(training)
        if not answered:
            raise ValueError(f"answers of shape {tuple(wanted.shape)}: all are {IGNORE}, so that none can be right")
        return lost / answered, right / answered


def endless(
    name: str,
    kind: str,
    length: int,
    classes: int,
    draw: Callable,
    generator: torch.Generator,
    inputs: int | None = None,
    vocabulary: int | None = None,
    pooling: str | None = None,
    tested: int = 1024,
) -> Task:
    """Make a task whose batches are always new; `tested` of its sequences are the test, as many others are held back.

    pooling   "none" where left out and tokens are numbers below a vocabulary, else "mean"
    """
    pooling = pooling or ("mean" if vocabulary is None else "none")
    aside = torch.Generator().manual_seed(generator.initial_seed() + HELD_BACK)  # what follows is drawn as it was
    data = {"test": draw(tested, generator), "valid": draw(tested, aside)}
    return Task(name, kind, length, inputs, vocabulary, classes, pooling, draw, **data, endless=True)


def of_parts(
    name: str,
    kind: str,
    *,
    train: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    classes: int,
    vocabulary: int | None = None,
    pooling: str = "mean",
) -> Task:
    """Make a task of three collections of sequences; batches are drawn from the first, each sequence as likely."""

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(train[0]), (size,), generator=generator)
        return train[0][rows], train[1][rows]

    inputs = train[0].shape[2] if vocabulary is None else None
    sizes = {"length": train[0].shape[1], "inputs": inputs, "vocabulary": vocabulary, "classes": classes}
    return Task(name, kind, **sizes, pooling=pooling, draw=draw, test=test, endless=False, train=train, valid=valid)


def of_collection(name: str, kind: str, x: Tensor, answers: Tensor, share: float, generator: torch.Generator) -> Task:
    """Make a task of a collection of sequences; a random share of them is the test."""
    order = torch.randperm(len(x), generator=generator)
    test, train = order.split([round(share * len(x)), len(x) - round(share * len(x))])

    def draw(train: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = train[torch.randint(len(train), (size,), generator=generator)]
        return x[rows], answers[rows]

    sizes = {"length": x.shape[1], "inputs": x.shape[2], "vocabulary": None, "classes": int(answers.max()) + 1}
    learned, held_out = ((x[part], answers[part]) for part in (train, test))
    given = {"draw": partial(draw, train), "test": held_out, "train": learned}
    return Task(name, kind, **sizes, pooling="mean", **given, endless=False)
