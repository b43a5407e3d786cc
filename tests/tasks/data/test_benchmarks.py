"""Benchmarks: what holds for every row, and what refuses sizes."""

import pytest
import torch
from folder_of_images import written
from refusals import refused

from lib import names
from lib.tasks.data import patches
from lib.tasks.data.sequences import BENCHMARKS, IGNORE

HELD_BACK, TESTED = 4, 5
SMALL = {
    "tagging": {"length": 96, "tested": TESTED},
    "mqar": {"length": 64, "tested": TESTED},
    "copying_long": {"noise": 80, "tested": TESTED},
    "induction_long": {"length": 80, "tested": TESTED},
    "characters": {"length": 64, "windows": TESTED},
    "filling": {"length": 64},
    "forecasting": {"length": 64},
    "plaid": {"length": 64},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("datasets")
    return written(tmp_path_factory.mktemp("images"), {"train": HELD_BACK + 6, "test": TESTED})


@pytest.fixture
def made(folder, monkeypatch):
    """Makes a benchmark at a small size."""
    monkeypatch.setattr(patches, "HELD_BACK", HELD_BACK)

    def make(name, seed=0):
        source = {"source": str(folder)} if name.startswith("cifar") else {}
        return BENCHMARKS[name](torch.Generator().manual_seed(seed), **SMALL.get(name, {}), **source)

    return make


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_is_drawn_held_back_and_tested_has_the_sizes_that_the_task_tells(name, made, generator):
    task = made(name)
    assert task.name == name
    assert (task.inputs is None) != (task.vocabulary is None)
    for x, answers in (task.draw(3, generator), task.valid, task.test):
        count = len(x)
        assert x.shape == ((count, task.length) if task.inputs is None else (count, task.length, task.inputs))
        assert x.dtype == (torch.int64 if task.inputs is None else torch.float32)
        assert answers.shape == ((count,) if task.pooling == "mean" else (count, task.length))
        known = answers[answers != IGNORE]
        assert len(known)
        assert (known.min() >= 0, known.max() < task.classes) == (True, True)
        if task.vocabulary is not None:
            assert (x.min() >= 0, x.max() < task.vocabulary) == (True, True)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_table_says_whether_an_answer_is_asked_at_every_token(name, made):
    row = names.BENCHMARKS[name]
    assert (made(name).pooling == "none") == (row.tokens or row.solved is not None)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_seed_gives_the_same_benchmark_and_the_same_batches(name, made):
    one, two = made(name), made(name)
    parts = [(*task.valid, *task.test, *task.draw(3, torch.Generator().manual_seed(7))) for task in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(*parts, strict=True))
    assert not torch.equal(one.draw(9, torch.Generator().manual_seed(8))[0], one.draw(9, torch.Generator())[0])


@pytest.mark.parametrize("name", BENCHMARKS)
def test_drawing_changes_nothing_that_is_judged(name, made, generator):
    task = made(name)
    before = [part.clone() for part in (*task.valid, *task.test)]
    task.draw(20, generator)
    assert all(torch.equal(a, b) for a, b in zip(before, (*task.valid, *task.test), strict=True))


def rows(x):
    return {one.numpy().tobytes() for one in x}


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name not in ("plaid", "filling")])
def test_no_sequence_is_in_two_parts(name, made):
    task = made(name)
    drawn = rows(task.draw(200, torch.Generator().manual_seed(1))[0])  # the test of endless tasks is drawn by seed 0
    valid, tested = rows(task.valid[0]), rows(task.test[0])
    assert (drawn & tested, drawn & valid, valid & tested) == (set(), set(), set())


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("mqar", {"length": 2}, "length = 2: an integer from 3 to 65536 is needed"),
        ("mqar", {"length": 24, "pairs": 9}, "pairs = 9: an integer from 1 to 8 is needed: 3 tokens each"),
        ("mqar", {"vocabulary": 17}, "vocabulary = 17: an integer of at least 18 is needed: a blank"),
        ("mqar", {"alpha": 0}, "alpha = 0: more than 0 and at most 1 is needed"),
        ("mqar", {"tested": 0}, "tested = 0: an integer of at least 1 is needed"),
        ("tagging", {"length": 0}, "length = 0: an integer from 1 to 65536 is needed"),
        ("tagging", {"tested": 0}, "tested = 0: an integer of at least 1 is needed"),
        ("cifar", {"patch": 3}, "patch = 3: one of 1, 2, 4, 8, 16, 32 is needed"),
        ("characters", {"length": 10**6}, "length = 1000000: an integer from 1 to 20909"),
        ("characters", {"windows": 0}, "windows = 0: an integer of at least 1 is needed"),
        ("forecasting", {"ahead": 0}, "ahead = 0: an integer from 1 to 65536 is needed"),
        ("forecasting", {"levels": 1}, "levels = 1: an integer from 2 to 1024 is needed"),
        ("filling", {"lag": 256}, "lag = 256: an integer from 0 to 255 is needed"),
        ("filling", {"levels": 1}, "levels = 1: an integer from 2 to 1024 is needed"),
        ("copying_long", {"items": 241}, "items = 241: an integer from 1 to 240 is needed"),
        ("copying_long", {"tested": 0}, "tested = 0: an integer of at least 1 is needed"),
        ("induction_long", {"vocabulary": 1}, "vocabulary = 1: an integer of at least 2 is needed"),
        ("induction_long", {"tested": 0}, "tested = 0: an integer of at least 1 is needed"),
        ("plaid", {"length": 0}, "length = 0: an integer from 1 to 65536 is needed"),
        ("vowels", {"length": 0}, "length = 0: an integer from 1 to 65536 is needed"),
    ],
)  # fmt: skip
def test_sizes_that_make_no_benchmark_are_quoted(name, sizes, message, generator):
    with refused(message):
        BENCHMARKS[name](generator, **sizes)
