"""Models of n-grams against counting by hand, in dictionaries of strings, on a text of a line."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from lib.tasks.data.sequences import TASKS
from lib.tasks.references.ngram import Ngrams, ngram

TEXT = "abracadabra, abracadabra, a cadabra bar"
ALPHABET = sorted(set(TEXT))
CLASSES = len(ALPHABET)


def numbers(text):
    return torch.tensor([ALPHABET.index(character) for character in text], dtype=torch.uint8)


def by_hand(context, order):
    """Probabilities of each character after a context, of which `order` - 1 characters are known: Kneser and Ney's."""

    def counts(length, top):
        grams = [TEXT[i : i + length + 1] for i in range(len(TEXT) - length)]
        if top:
            return Counter(grams)
        longer = {TEXT[i : i + length + 2] for i in range(len(TEXT) - length - 1)}
        return Counter(gram[1:] for gram in longer)

    shares = dict.fromkeys(ALPHABET, 1 / CLASSES)
    for length in range(min(order - 1, len(context)) + 1):
        found = counts(length, top=length == order - 1)
        once, twice = (sum(count == n for count in found.values()) for n in (1, 2))
        discount = once / (once + 2 * twice) if once else 0.5
        after = defaultdict(dict)
        for gram, count in found.items():
            after[gram[:-1]][gram[-1]] = count
        known = after.get(context[len(context) - length :] if length else "")
        if not known:
            continue
        total, left = sum(known.values()), discount * len(known) / sum(known.values())
        shares = {one: max(known.get(one, 0) - discount, 0) / total + left * shares[one] for one in ALPHABET}
    return shares


@pytest.fixture(scope="module")
def model():
    return Ngrams.of(numbers(TEXT), CLASSES, 5)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("context", ["abra", "r, a", "zzzz", "aaaa"])
def test_probabilities_are_those_counted_by_hand(model, order, context):
    context = context.replace("z", ALPHABET[0])
    found = model.shares(numbers(context).numpy().astype(np.int64)[None], order)[0]
    expected = by_hand(context, order)
    assert found == pytest.approx([expected[one] for one in ALPHABET])


def test_probabilities_sum_to_one(model, generator):
    contexts = torch.randint(CLASSES, (200, 4), generator=generator).numpy()
    for order in range(1, 6):
        assert model.shares(contexts, order).sum(1) == pytest.approx(np.ones(200))


def test_a_window_begins_without_a_context(model):
    window = "abrac"
    lost, right = model.judged(numbers(window[:-1]).long()[None], numbers(window[1:]).long()[None], 3)
    shares = [by_hand(window[max(0, i - 2) : i], 3) for i in range(1, len(window))]
    assert lost == pytest.approx(-sum(math.log(one[window[i + 1]]) for i, one in enumerate(shares)) / 4)
    assert right == sum(max(one, key=one.get) == window[i + 1] for i, one in enumerate(shares)) / 4


def test_what_repeats_is_foreseen():
    text = torch.arange(4, dtype=torch.uint8).repeat(50)
    model = Ngrams.of(text, 4, 3)
    x = torch.arange(4).repeat(5)[None]
    assert model.judged(x[:, 1:-1], x[:, 2:], 2) == (pytest.approx(0, abs=0.02), 1.0)


def test_an_order_that_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="order = 10: "):
        Ngrams.of(torch.zeros(20, dtype=torch.uint8), 4, 10)


def test_another_task_is_refused(generator):
    with pytest.raises(ValueError, match="induction: a text whose characters can be counted is needed"):
        ngram(TASKS["induction"](generator), generator)
