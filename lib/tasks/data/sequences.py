"""Six sequence tasks for minutes on a CPU: three smooth ones, a fast one, two of recall.

smooth   `digits`: images read pixel by pixel. `clocks`: two frequencies, one of which no short window shows.
         `motions`: what a wrist does, from BasicMotions (Clements, 2016), as sktime ships it.
fast     `plugs`: the current that an appliance draws, from PLAID (Gao et al., 2014), as sktime ships it: of its
         samples every second is taken, and a period has about three of those.
recall   `copying`: repeat the items hidden in noise, in order (selective copying, Gu and Dao, 2023).
         `induction`: repeat what once followed a token (induction heads, Olsson et al., 2022).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_count

IGNORE = -100  # a token without an answer


@dataclass(frozen=True)
class Task:
    """What a model is trained on and judged by.

    kind        "smooth", "fast" or "recall"
    length      T
    inputs      features F of a token; None where tokens are numbers below `vocabulary`
    pooling     "mean": one answer per sequence; "none": one per token, IGNORE where there is none
    draw        (size, generator) -> a training batch: (size, T, F) or (size, T), answers (size,) or (size, T)
    test        sequences and answers that `draw` never gives
    endless     whether every batch is new, or comes from a collection
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

    def loss(self, logits: Tensor, answers: Tensor) -> Tensor:
        """Mean cross-entropy [nats] over all answers asked for."""
        return F.cross_entropy(logits.flatten(0, -2), answers.flatten(), ignore_index=IGNORE)

    @torch.no_grad()
    def accuracy(self, model: nn.Module, data: tuple[Tensor, Tensor] | None = None, size: int = 128) -> float:
        """Share of the answers, the test's or those of other data, that a model gets right; its mode is restored."""
        training, device = model.training, next(model.parameters()).device
        model.eval()
        right = asked = 0
        for x, answers in zip(*(part.split(size) for part in data or self.test), strict=True):
            found, known = model(x.to(device)).argmax(-1).cpu(), answers != IGNORE
            right += (found == answers)[known].sum().item()
            asked += known.sum().item()
        model.train(training)
        return right / asked


def digits(generator: torch.Generator, side: int = 16) -> Task:
    """Which digit? scikit-learn's 1,797 images of 8 x 8 pixels, enlarged to side x side; a quarter is the test."""
    check_count("side", side)
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    x = F.interpolate(images, size=(side, side), mode="bilinear").flatten(1).unsqueeze(-1)
    return _from_collection("digits", "smooth", x, torch.tensor(data.target), 0.25, generator)


def plugs(generator: torch.Generator, length: int = 256) -> Task:
    """Which of 11 appliances? 1,069 currents, half of them the test: every second of the last 2 * length samples.

    Five of the collection's 1,074 are there twice, once in each half of its own split; their copies are left out.
    """
    check_count("length", length)
    from sktime.datasets import load_plaid

    table, classes = load_plaid(return_type="nested_univ")
    rows = {}
    for series, appliance in zip(table.iloc[:, 0], classes, strict=True):
        current = torch.tensor(series.to_numpy(), dtype=torch.float32)[-2 * length :: 2]
        rows[tuple(series)] = F.pad(current / current.abs().max(), (length - len(current), 0)), int(appliance)
    currents, answers = zip(*rows.values(), strict=True)
    return _from_collection("plugs", "fast", torch.stack(currents).unsqueeze(-1), torch.tensor(answers), 0.5, generator)


def motions(generator: torch.Generator) -> Task:
    """Standing, walking, running or badminton? 80 recordings of a wrist, 10 s each; half of them the test.

    A token is three axes of an accelerometer and three of a gyroscope, ten times a second, over their deviations.
    """
    from sktime.datasets import load_basic_motions

    recordings, activities = load_basic_motions(return_type="numpy3d")
    names = {name: number for number, name in enumerate(sorted(set(activities)))}
    x = torch.tensor(recordings, dtype=torch.float32).mT
    x = x / x.std((0, 1))
    return _from_collection("motions", "smooth", x, torch.tensor([names[name] for name in activities]), 0.5, generator)


def clocks(generator: torch.Generator, length: int = 128) -> Task:
    """Which of 4 slow and which of 4 fast frequencies? Random amplitudes and phases, and noise.

    The slow waves have 1 to 3.4 periods in the whole sequence; their random amplitude leaves no clue to a slope.
    """
    check_count("length", length)
    slow, fast = torch.tensor([1, 1.5, 2.25, 3.375]) / length, 1 / torch.tensor([6.0, 8.0, 11.0, 15.0])
    time = torch.arange(length)

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(4, (2, size), generator=generator)
        amplitude, phase = torch.rand(2, 2, size, 1, generator=generator)
        waves = [
            (0.5 + a) * torch.sin(2 * torch.pi * (frequency[number, None] * time + p))
            for frequency, number, a, p in zip((slow, fast), chosen, amplitude, phase, strict=True)
        ]
        x = sum(waves) + 0.3 * torch.randn(size, length, generator=generator)
        return x.unsqueeze(-1), 4 * chosen[0] + chosen[1]

    return _drawn("clocks", "smooth", length, 16, draw, generator, inputs=1)


def copying(generator: torch.Generator, noise: int = 60, items: int = 4, vocabulary: int = 10) -> Task:
    """Repeat the items, in order: they stand anywhere among noise (0); after it, a cue (1) asks for each."""

    check_count("items", items, 1, noise)
    check_count("vocabulary", vocabulary, 3)

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        places = torch.rand(size, noise, generator=generator).argsort(1)[:, :items].sort(1).values
        hidden = torch.randint(2, vocabulary, (size, items), generator=generator)
        x = torch.zeros(size, noise, dtype=torch.long).scatter(1, places, hidden)
        answers = F.pad(hidden, (noise, 0), value=IGNORE)
        return F.pad(x, (0, items), value=1), answers

    return _drawn("copying", "recall", noise + items, vocabulary, draw, generator, vocabulary=vocabulary)


def induction(generator: torch.Generator, length: int = 64, vocabulary: int = 10) -> Task:
    """A cue (0) stands once among random tokens, and at the end: repeat what followed it."""

    check_count("length", length, 3)
    check_count("vocabulary", vocabulary, 2)

    def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randint(1, vocabulary, (size, length), generator=generator)
        place = torch.randint(length - 2, (size, 1), generator=generator)
        followed = x.gather(1, place + 1)
        x = x.scatter(1, place, 0)
        x[:, -1] = 0
        return x, F.pad(followed, (length - 1, 0), value=IGNORE)

    return _drawn("induction", "recall", length, vocabulary, draw, generator, vocabulary=vocabulary)


TASKS = {task.__name__: task for task in (digits, clocks, motions, plugs, copying, induction)}


def _drawn(
    name: str,
    kind: str,
    length: int,
    classes: int,
    draw: Callable,
    generator: torch.Generator,
    inputs: int | None = None,
    vocabulary: int | None = None,
) -> Task:
    """A task without end; 1,024 of its sequences are the test."""
    pooling = "mean" if vocabulary is None else "none"
    return Task(name, kind, length, inputs, vocabulary, classes, pooling, draw, draw(1024, generator), endless=True)


def _from_collection(
    name: str, kind: str, x: Tensor, answers: Tensor, share: float, generator: torch.Generator
) -> Task:
    """A task of so many sequences; a random share of them is the test."""
    order = torch.randperm(len(x), generator=generator)
    test, train = order.split([round(share * len(x)), len(x) - round(share * len(x))])

    def draw(train: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = train[torch.randint(len(train), (size,), generator=generator)]
        return x[rows], answers[rows]

    sizes = {"length": x.shape[1], "inputs": x.shape[2], "vocabulary": None, "classes": int(answers.max()) + 1}
    held_out = x[test], answers[test]
    return Task(name, kind, **sizes, pooling="mean", draw=partial(draw, train), test=held_out, endless=False)
