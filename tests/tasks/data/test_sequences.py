"""Sequence tasks: seeded, answerable, and tests that no training batch gives away."""

import pytest
import torch
from dummies import dummy
from refusals import refused
from sklearn.linear_model import LogisticRegression
from torch import nn

from lib import names
from lib.tasks import data
from lib.tasks.data.copying import copying
from lib.tasks.data.digits import digits
from lib.tasks.data.induction import induction
from lib.tasks.data.motions import motions
from lib.tasks.data.plugs import plugs
from lib.tasks.data.sequences import IGNORE, TASKS, of_collection


def made(name, seed=0):
    return TASKS[name](torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_has_the_sizes_that_the_task_tells(name, generator):
    task = made(name)
    x, answers = task.draw(5, generator)
    assert task.name == name
    assert x.shape == ((5, task.length) if task.inputs is None else (5, task.length, task.inputs))
    assert x.dtype == (torch.int64 if task.inputs is None else torch.float32)
    assert answers.shape == ((5,) if task.pooling == "mean" else (5, task.length))
    known = answers[answers != IGNORE]
    assert known.min() >= 0
    assert known.max() < task.classes
    if task.vocabulary is not None:
        assert (x.min() >= 0, x.max() < task.vocabulary) == (True, True)


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_gives_the_same_task(name):
    one, two, other = made(name), made(name), made(name, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.test, two.test, strict=True))
    assert not torch.equal(one.test[0], other.test[0])


@pytest.mark.parametrize("name", ["digits", "plugs", "motions"])
def test_no_sequence_of_the_test_is_trained_on(name, generator):
    task = made(name)
    seen = {row.numpy().tobytes() for row in task.draw(2000, generator)[0]}
    assert not seen & {row.numpy().tobytes() for row in task.test[0]}


def test_collections_are_whole():
    generator = torch.Generator().manual_seed(0)
    assert len(digits(generator).test[0]) == round(1797 / 4)
    assert len(plugs(generator).test[0]) == round((1074 - 5) / 2)
    assert set(plugs(generator).test[1].tolist()) == set(range(11))
    assert motions(generator).test[0].shape == (40, 100, 6)
    assert set(motions(generator).test[1].tolist()) == set(range(4))


def test_what_is_copied_stands_in_the_noise_in_this_order(generator):
    task = copying(generator, noise=20, items=3, vocabulary=6)
    x, answers = task.test
    hidden = x[:, :20]
    assert torch.equal(hidden[hidden >= 2].view(-1, 3), answers[:, 20:])
    assert (x[:, 20:] == 1).all()
    assert (answers[:, :20] == IGNORE).all()


def test_what_is_repeated_followed_the_cue(generator):
    x, answers = induction(generator, length=12, vocabulary=5).test
    assert (x[:, -1] == 0).all()
    assert ((x == 0).sum(1) == 2).all()
    cue = (x[:, :-1] == 0).int().argmax(1, keepdim=True)
    assert torch.equal(x.gather(1, cue + 1)[:, 0], answers[:, -1])
    assert (answers[:, :-1] == IGNORE).all()


@pytest.mark.parametrize(
    ("make", "sizes", "message"),
    [
        ("copying", {"noise": 2, "items": 4}, "items = 4: an integer from 1 to 2 is needed"),
        ("copying", {"vocabulary": 2}, "vocabulary = 2: an integer of at least 3 is needed"),
        ("induction", {"length": 2}, "length = 2: an integer from 3 to 65536 is needed"),
        ("induction", {"vocabulary": 1}, "vocabulary = 1: an integer of at least 2 is needed"),
        ("clocks", {"length": 0}, "length = 0: an integer from 1 to 65536 is needed"),
        ("digits", {"side": 0}, "side = 0: an integer from 1 to 256 is needed"),
        ("plugs", {"length": 0}, "length = 0: an integer from 1 to 65536 is needed"),
    ],
)
def test_sizes_that_make_no_task_are_quoted(make, sizes, message, generator):
    with pytest.raises(ValueError, match=message):
        TASKS[make](generator, **sizes)


def spectra(x, window):
    """The mean power spectrum of a sequence's windows: all that a short window knows, without a model's limits."""
    return torch.fft.rfft(x[..., 0].unfold(1, window, window)).abs().square().mean(1).log()


@pytest.mark.parametrize(("window", "low", "high"), [(8, 0.2, 0.45), (128, 0.5, 1.0)])
def test_no_short_window_tells_the_slow_clock(window, low, high, generator):
    """Of 4 slow frequencies, a classifier on short windows finds little more than by chance, 1 in 4."""
    task = made("clocks")
    x, answers = task.draw(4000, generator)
    probe = LogisticRegression(max_iter=2000).fit(spectra(x, window), answers // 4)
    assert low < probe.score(spectra(task.test[0], window), task.test[1] // 4) < high


class Oracle(nn.Module):
    """Knows the answers of a task, and gets some of them wrong."""

    def __init__(self, task, wrong):
        super().__init__()
        self.weight, self.left = nn.Parameter(torch.zeros(1)), task.test[1].clone()
        rows = self.left if self.left.ndim == 1 else self.left.unbind()
        for row in range(wrong):
            rows[row] = (rows[row] + 1) % task.classes
        self.classes = task.classes

    def forward(self, x):
        now, self.left = self.left[: len(x)], self.left[len(x) :]
        return nn.functional.one_hot(now.clamp(min=0), self.classes).float()


@pytest.mark.parametrize("name", ["clocks", "induction"])
def test_accuracy_is_the_share_of_right_answers(name):
    task = made(name)
    asked = int((task.test[1] != IGNORE).sum())
    assert task.accuracy(Oracle(task, wrong=0)) == 1
    if name == "clocks":
        assert task.accuracy(Oracle(task, wrong=7)) == 1 - 7 / asked


def test_accuracy_leaves_a_model_in_its_mode():
    task = made("clocks")
    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(128, 16))
    task.accuracy(model)
    assert model.training
    task.accuracy(model.eval())
    assert not model.training


def test_the_loss_counts_only_what_is_asked(generator):
    task = made("induction")
    _, answers = task.draw(3, generator)
    logits = torch.randn(3, task.length, task.classes, generator=generator)
    expected = nn.functional.cross_entropy(logits[:, -1], answers[:, -1])
    torch.testing.assert_close(task.loss(logits, answers), expected)


PARITY = """
import torch
from lib.tasks.data.sequences import endless

def dummy(generator, length=8):
    def draw(size, generator):
        x = torch.randint(2, (size, length), generator=generator)
        return x, x.cumsum(1) % 2

    return endless("dummy", "recall", length, 2, draw, generator, vocabulary=2)
"""


def test_a_task_is_one_file_and_one_row(tmp_path, generator):
    with dummy("SEQUENCES", data, tmp_path, PARITY):
        assert list(TASKS) == list(names.SEQUENCES)
        task = TASKS["dummy"](generator, length=5)
        x, answers = task.draw(3, generator)
        assert torch.equal(x.sum(1) % 2, answers[:, -1])
        assert (task.name, task.length, task.pooling, len(task.test[0])) == ("dummy", 5, "none", 1024)
    assert "dummy" not in TASKS


def test_a_task_without_its_file_or_function_fails_by_name(tmp_path):
    missing = refused("names.SEQUENCES: 'dummy' has no code: write lib/tasks/data/dummy.py", ImportError)
    with dummy("SEQUENCES", data, tmp_path, None), missing:
        TASKS["dummy"]
    empty = refused("names.SEQUENCES: 'dummy' is incomplete: lib.tasks.data.dummy has no dummy", ImportError)
    with dummy("SEQUENCES", data, tmp_path, "def other(generator): ..."), empty:
        TASKS["dummy"]


def test_a_collection_is_split_once_by_chance(generator):
    x, answers = torch.arange(40.0).view(20, 2, 1), torch.arange(20) % 3
    task = of_collection("numbers", "smooth", x, answers, 0.25, generator)
    assert (len(task.test[0]), task.length, task.inputs, task.classes) == (5, 2, 1, 3)
    drawn = task.draw(500, generator)
    rows = {tuple(row.flatten().tolist()) for row in torch.cat([task.test[0], drawn[0]])}
    assert len(rows) == 20
    assert torch.equal(drawn[0][:, 0, 0] / 2 % 3, drawn[1].float())
