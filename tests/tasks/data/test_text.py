"""Text as numbers: nothing is lost, and what is judged by was never trained on."""

import math
import re

import pytest
import torch

from lib.tasks.data.text import Characters, library_source


@pytest.fixture(scope="module")
def source():
    return library_source(block=512)


def test_encoding_and_decoding_are_inverse(source):
    text = "def forward(self, x):"
    assert source.decode(source.encode(text)) == text


def test_every_character_of_the_text_is_in_one_part(source):
    assert sorted(torch.cat([source.train, source.held_out]).unique().tolist()) == list(range(len(source.alphabet)))
    assert 0.08 < len(source.held_out) / len(source.train) < 0.12


def test_held_out_blocks_are_not_in_the_training_part(source):
    block = source.decode(source.held_out[:512])
    assert block not in source.decode(source.train)


def test_a_batch_is_windows_of_its_part(source, generator):
    batch = source.batch(3, 40, generator)
    assert batch.shape == (3, 41)
    whole = source.decode(source.train)
    assert all(source.decode(window) in whole for window in batch)


def test_a_seed_gives_the_same_batches(source):
    one, two = (source.batch(2, 16, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)


def test_a_foreign_character_is_quoted(source):
    with pytest.raises(ValueError, match="'\u2603' is not among the"):
        source.encode("a \u2603")


def test_a_window_longer_than_the_text_is_refused(source, generator):
    with pytest.raises(ValueError, match="length = 10000000: an integer from 1 to"):
        source.batch(1, 10_000_000, generator)


def test_guessing_by_frequency_costs_the_entropy_of_a_fair_coin():
    coin = Characters("ht", train=torch.tensor([0, 1] * 50), held_out=torch.tensor([0, 0, 1]))
    assert coin.guessing() == pytest.approx(math.log(2))


def test_a_character_never_seen_costs_more_than_a_frequent_one():
    text = Characters("ab", train=torch.tensor([0] * 97 + [1]), held_out=torch.tensor([1]))
    assert text.guessing() == pytest.approx(math.log(50))


@pytest.mark.parametrize("held_out", [False, True])
def test_the_longest_window_is_the_whole_part(source, generator, held_out):
    part = source.held_out if held_out else source.train
    assert torch.equal(source.batch(1, len(part) - 1, generator, held_out=held_out)[0], part)
    with pytest.raises(ValueError, match=f"^length = {len(part)}: an integer from 1 to {len(part) - 1} is needed$"):
        source.batch(1, len(part), generator, held_out=held_out)


@pytest.mark.parametrize(
    ("size", "length", "said"),
    [
        (0, 4, "size = 0: an integer of at least 1 is needed"),
        (-2, 4, "size = -2: an integer of at least 1 is needed"),
        (2, 0, r"length = 0: an integer from 1 to \d+ is needed"),
    ],
)
def test_an_empty_batch_is_refused(source, generator, size, length, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        source.batch(size, length, generator)


@pytest.mark.parametrize("block", [0, -1, 10**9])
def test_a_block_that_leaves_a_part_empty_is_refused(block):
    with pytest.raises(ValueError, match=rf"^block = {block}: an integer from 1 to \d+ is needed$"):
        library_source(block)


def test_the_longest_block_leaves_something_held_out():
    with pytest.raises(ValueError, match="1 to") as caught:
        library_source(0)
    most = int(re.search(r"1 to (\d+)", str(caught.value))[1])
    assert len(library_source(most).held_out) > 0
    with pytest.raises(ValueError, match=f"block = {most + 1}"):
        library_source(most + 1)
