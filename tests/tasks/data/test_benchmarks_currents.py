"""Forecasting and filling in against the recordings as sktime has them, and published splits."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from lib.tasks.data.archive import held_back, published
from lib.tasks.data.basic_motions import basic_motions
from lib.tasks.data.currents import currents, level
from lib.tasks.data.filling import filling, missing
from lib.tasks.data.forecasting import forecasting
from lib.tasks.data.plaid import plaid
from lib.tasks.data.sequences import IGNORE
from lib.tasks.data.vowels import vowels


@pytest.fixture(scope="module")
def raw():
    """Test recordings of PLAID that are not in its training part, in float64."""
    from sktime.datasets import load_plaid

    parts = [load_plaid(split=split, return_type="nested_univ")[0].iloc[:, 0] for split in ("train", "test")]
    known, tested = ([series.to_numpy() for series in part] for part in parts)
    seen = {tuple(series) for series in known}
    return [series for series in tested if tuple(series) not in seen]


def test_a_forecast_is_the_level_of_a_later_sample(raw):
    x, answers = forecasting(torch.Generator().manual_seed(0), length=200, ahead=3, levels=16).test
    assert len(x) == len(raw) == 532
    for series, features, wanted in zip(raw, x[..., 0], answers, strict=True):
        scaled = (series / np.abs(series).max())[-203:]
        kept = len(scaled) - 3
        np.testing.assert_allclose(features[200 - kept :], scaled[:kept], rtol=1e-5, atol=1e-6)
        assert not features[: 200 - kept].any()
        assert (wanted[: 200 - kept] == IGNORE).all()
        later = scaled[3:]
        sure = np.abs(later * 16 - np.round(later * 16)) > 1e-4  # float32 may round either way at a bound
        expected = np.clip(np.floor(later * 16), 0, 15)
        assert (wanted[200 - kept :].numpy() == expected)[sure].all()


def test_what_is_drawn_is_a_window_of_one_training_recording(generator):
    learned, _, _ = currents(generator, 120)
    values, real = learned.draw(50, 120, generator)
    texts = [one[-kept:].numpy() for one, kept in zip(learned.values, learned.lengths, strict=True)]
    for window, mine in zip(values, real, strict=True):
        wanted = window[mine].numpy()
        assert any(
            (np.lib.stride_tricks.sliding_window_view(text, len(wanted)) == wanted).all(1).any()
            for text in texts
            if len(text) >= len(wanted)
        )


def test_filling_asks_for_what_is_missing_some_tokens_later(generator):
    lag, length, levels = 10, 200, 32
    x, answers = filling(torch.Generator().manual_seed(0), length=length, lag=lag, levels=levels).test
    values, real = currents(torch.Generator().manual_seed(0), length)[2].last(length)
    gone = x[..., 1] == 1
    assert not x[..., 0][gone].any()
    assert torch.equal(x[..., 0][~gone], values[~gone])
    assert not (gone & ~real).any()
    assert (answers[:, :lag] == IGNORE).all()
    wanted = answers[:, lag:]
    assert torch.equal(wanted != IGNORE, gone[:, :-lag])
    assert torch.equal(wanted[gone[:, :-lag]], level(values[:, :-lag], levels)[gone[:, :-lag]])


def test_a_quarter_is_missing_in_spans_of_one_to_eight(generator):
    gone = missing(300, 1000, generator)
    assert abs(gone.double().mean() - 0.25) < 0.01
    spans, gaps = [], []
    for row in gone.tolist():
        edges = [0, *(place for place in range(1, 1000) if row[place] != row[place - 1])]
        for start, stop in pairwise(edges):
            (spans if row[start] else gaps).append(stop - start)
    assert set(spans) == set(range(1, 9))
    assert set(gaps) == set(range(6, 22))
    assert abs(np.mean(spans) - 4.5) < 0.1


def test_spans_are_drawn_anew_for_every_batch(generator):
    task = filling(generator, length=64)
    one, two = (task.draw(200, generator)[0][..., 1] for _ in range(2))
    assert not torch.equal(one, two)


@pytest.mark.parametrize("value", [-0.5, 0.0, 0.03, 0.5, 0.999, 1.0])
def test_levels_are_equal_steps(value):
    found = level(torch.tensor([value]), 32).item()
    assert found == 31 or value < (found + 1) / 32
    assert found == 0 or value >= found / 32


@pytest.mark.parametrize(
    ("make", "learned", "aside", "tested", "shape"),
    [
        (plaid, 428, 109, 537, (512, 1)),
        (vowels, 216, 54, 370, (29, 12)),
        (basic_motions, 32, 8, 40, (100, 6)),
    ],
)
def test_published_splits_are_kept_and_a_fifth_is_held_back(make, learned, aside, tested, shape, generator):
    task = make(generator)
    assert [len(part[1]) for part in (task.train, task.valid, task.test)] == [learned, aside, tested]
    assert all(part[0].shape[1:] == shape for part in (task.train, task.valid, task.test))
    assert set(task.valid[1].tolist()) == set(task.test[1].tolist()) == set(range(task.classes))


def test_features_are_standardised_by_what_is_learned_from(generator):
    x = basic_motions(generator).train[0].double()
    torch.testing.assert_close(x.mean((0, 1)), torch.zeros(6, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std((0, 1)), torch.ones(6, dtype=torch.float64), atol=1e-3, rtol=0)


def test_short_utterances_begin_with_zeros(generator):
    _, tested = published("load_japanese_vowels")
    x = vowels(generator, length=20).test[0]
    for one, series in zip(x, tested.series, strict=True):
        short = max(0, 20 - len(series))
        assert not one[:short].any()
        assert one[short:].any(1).all()


def test_one_in_five_of_each_class_is_held_back(generator):
    classes = torch.tensor([0] * 10 + [1] * 5 + [2] * 50)
    chosen = held_back(classes, generator)
    assert classes[chosen].bincount().tolist() == [2, 1, 10]
    assert not torch.equal(chosen, held_back(classes, generator))
