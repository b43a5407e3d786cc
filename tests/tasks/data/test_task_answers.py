"""Logits, answers and predictions of a sequence task: what would be paired or counted wrongly is refused."""

import pytest
import torch
from refusals import refused
from torch import nn
from torch.nn import functional as F

from lib.tasks.data.scenes import scenes
from lib.tasks.data.sequences import IGNORE, endless
from lib.tasks.data.text import Characters
from lib.tasks.training.clips import contrast
from lib.tasks.training.heal import divergence


def draw(size, generator):
    x = torch.randint(4, (size, 3), generator=generator)
    return x, torch.where(x == 0, IGNORE, x)


@pytest.fixture(scope="module")
def task():
    """Each token is its own answer, but for 0, which has none; four classes."""
    return endless("own", "recall", 3, 4, draw, torch.Generator().manual_seed(0), vocabulary=4)


class Own(nn.Module):
    def __init__(self, fault=lambda logits: logits):
        super().__init__()
        self.weight, self.fault = nn.Parameter(torch.eye(4)), fault

    def forward(self, x):
        return self.fault(F.embedding(x, self.weight))


def test_answers_are_counted_where_there_are_some(task):
    assert task.accuracy(Own()) == 1
    x, answers = task.test
    assert task.accuracy(Own(), (x, answers.to(torch.int32))) == 1
    assert task.accuracy(Own(), (x[:2], torch.where(answers[:2] == IGNORE, IGNORE, (answers[:2] + 1) % 4))) == 0


def test_the_loss_is_the_mean_over_the_answers_that_there_are(task):
    logits = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    answers = torch.tensor([[1, IGNORE, 2], [IGNORE, IGNORE, 0]])
    rows = [-logits[b, t].log_softmax(-1)[answers[b, t]] for b in range(2) for t in range(3) if answers[b, t] >= 0]
    torch.testing.assert_close(task.loss(logits, answers), torch.stack(rows).mean())
    torch.testing.assert_close(task.loss(logits, answers.to(torch.int32)), torch.stack(rows).mean())


UNFIT = {
    "swapped axes": (
        torch.zeros(2, 3, 4),
        torch.zeros(3, 2).long(),
        "logits of shape (2, 3, 4): (3, 2, C) with C >= 4",
    ),
    "a column": (torch.zeros(6, 4), torch.zeros(6, 1).long(), "logits of shape (6, 4): (6, 1, C) with C >= 4"),
    "fewer classes": (torch.zeros(6, 3), torch.zeros(6).long(), "logits of shape (6, 3): (6, C) with C >= 4"),
    "chances": (
        torch.zeros(6, 4),
        torch.zeros(6),
        "answers 0.0 to 0.0 of torch.float32: integers from 0 to 3, or -100,",
    ),
    "one-based": (
        torch.zeros(6, 4),
        torch.full((6,), 4),
        "answers 4 to 4 of torch.int64: integers from 0 to 3, or -100,",
    ),
    "-1 for none": (torch.zeros(6, 4), torch.full((6,), -1), "answers -1 to -1 of torch.int64: integers from 0 to 3,"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_answers_that_are_not_one_per_row_of_logits_are_refused(task, kind):
    logits, answers, said = UNFIT[kind]
    with refused(said):
        task.loss(logits, answers)


@pytest.mark.parametrize(
    ("fault", "change", "said"),
    [
        (lambda y: y[:, 0], lambda x, a: (x, a), "answers of shape (128, 3): (128,) is needed"),
        (lambda y: y, lambda x, a: (x, a[:, :1]), "answers of shape (128, 1): (128, 3) is needed"),
        (lambda y: y, lambda x, a: (x, a[:7]), "answers of shape (7, 3): (1024, 3) is needed"),
        (lambda y: y, lambda x, a: (x, a.float()), "answers 0.0 to 3.0 of torch.float32: integers from 0 to 3"),
        (
            lambda y: y,
            lambda x, a: (x, torch.full_like(a, IGNORE)),
            "answers of shape (1024, 3): all are -100, so that",
        ),
    ],
)
def test_a_refused_scoring_leaves_a_model_in_its_mode(task, fault, change, said):
    model = Own(fault).train()
    with refused(said):
        task.accuracy(model, change(*task.test))
    assert model.training
    with refused("size = 0: an integer of at least 1 is needed"):
        task.accuracy(model, size=0)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (torch.tensor([[0], [1]]), "classes of shape (2, 1): (2,) is needed"),
        (torch.eye(3)[:2], "classes 0.0 to 1.0 of torch.float32: integers from 0 to 2 are needed"),
        (torch.tensor([1, 3]), "classes 1 to 3 of torch.int64: integers from 0 to 2 are needed"),
        (torch.tensor([-100, 1]), "classes -100 to 1 of torch.int64: integers from 0 to 2 are needed"),
    ],
)
def test_a_contrast_with_no_class_is_refused(classes, said):
    with refused(said):
        contrast(torch.zeros(2, 3), classes)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (3,), (2, 2, 3)])
def test_a_divergence_does_not_broadcast(shape):
    with refused(f"logits of shape (2, 3): {shape} is needed"):
        divergence(torch.zeros(2, 3), torch.zeros(shape), 1.0)


def test_text_and_its_numbers_are_no_other_things():
    text = Characters("ab", train=torch.tensor([0, 1]), held_out=torch.tensor([1]))
    assert text.encode("").dtype == text.encode("ab").dtype == torch.int64
    assert text.decode(text.encode("")) == ""
    with refused("text is of type bytes: a str is needed", TypeError):
        text.encode(b"ab")
    for tokens in ([-1, 0], [0, 2]):
        with refused(f"tokens {tokens[0]} to {tokens[1]} of torch.int64: integers from 0 to 1 are needed"):
            text.decode(torch.tensor(tokens))


@pytest.mark.parametrize(
    ("colours", "said"),
    [
        ({"red": (255, 0, 0)}, "colours['red'] = 255: 0 to 1 is needed"),
        ({"red": (1.0, 0.0)}, "colours['red'] of 2 numbers: one of 3 is needed"),
        ({"red": (torch.nan, 0.0, 0.0)}, "colours['red'] = nan: a finite number, 0 to 1, is needed"),
    ],
)
def test_a_colour_is_three_numbers_from_zero_to_one(colours, said):
    with refused(said):
        scenes(1, torch.Generator(), colours=colours)


def test_a_task_of_no_size_that_fits_is_refused():
    from lib.tasks.data.clocks import clocks
    from lib.tasks.data.copying import copying
    from lib.tasks.data.images import rendered
    from lib.tasks.data.induction import induction

    drawn = torch.Generator()
    for make, name, value, most in (
        (clocks, "length", 10**20, "from 1 to 65536"),
        (induction, "length", 2**62, "from 3 to 65536"),
        (copying, "noise", 2**40, "from 1 to 65536"),
        (copying, "vocabulary", 2**62, "from 3 to 2147483647"),
    ):
        with refused(f"{name} = {value}: an integer {most} is needed"):
            make(drawn, **{name: value})
    with refused("count = 100000000000000: an integer from 1 to 1000000 is needed"):
        rendered(10**14, drawn)
    with refused("side = 100000: an integer from 16 to 1024 is needed"):
        rendered(1, drawn, side=10**5)
