"""Tagging against the best answers that there are: Bayes' rule on states and phases, which are a Markov chain."""

import math

import pytest
import torch
from torch.nn import functional as F

from lib.tasks.data import tagging as rule
from lib.tasks.data.tagging import FAST, FAST_DWELL, FAST_GRID, SLOW, SLOW_DWELL, SLOW_GRID, tagging, wave


def filtered(x, periods, grid, dwell, amplitude):
    """Probabilities (B, T, 4) of the states of one wave in noise, each from the tokens so far; in float64."""
    belief = torch.full((len(x), len(periods), grid), 1 / (len(periods) * grid), dtype=torch.float64)
    mean = amplitude * torch.sin(2 * math.pi / grid * torch.arange(grid, dtype=torch.float64))
    found = []
    for sample in x.double().unbind(1):
        others = belief.sum(1, keepdim=True) - belief
        belief = (1 - 1 / dwell) * belief + others / (dwell * (len(periods) - 1))
        belief = torch.stack([belief[:, n].roll(grid // period, 1) for n, period in enumerate(periods)], dim=1)
        belief = belief * torch.exp(-0.5 * ((sample[:, None, None] - mean) / rule.NOISE) ** 2)
        belief = belief / belief.sum((1, 2), keepdim=True)
        found.append(belief.sum(2))
    return torch.stack(found, dim=1)


def slow_part(size, length, generator):
    """States, and what is left of the signal without its fast part."""
    states, drift = wave(size, length, SLOW, SLOW_GRID, SLOW_DWELL, generator)
    return states, rule.SLOW_AMPLITUDE * drift + rule.NOISE * torch.randn(size, length, generator=generator)


def test_long_windows_tell_the_slow_state_and_short_ones_do_not(generator):
    states, x = slow_part(30, 768, generator)
    slow = (SLOW, SLOW_GRID, SLOW_DWELL, rule.SLOW_AMPLITUDE)
    whole = (filtered(x, *slow).argmax(2) == states)[:, 128:].double().mean()
    short = filtered(x.unfold(1, 16, 16).reshape(-1, 16), *slow)[:, -1].argmax(1)
    short = (short == states[:, 15::16].flatten()).double().mean()
    assert whole > 0.78
    assert short < 0.5  # by chance: 0.25


def test_short_windows_tell_the_fast_state(generator):
    states, pattern = wave(40, 512, FAST, FAST_GRID, FAST_DWELL, generator)
    x = rule.FAST_AMPLITUDE * pattern + rule.NOISE * torch.randn(40, 512, generator=generator)
    fast = (FAST, FAST_GRID, FAST_DWELL, rule.FAST_AMPLITUDE)
    short = filtered(x.unfold(1, 16, 16).reshape(-1, 16), *fast)[:, -1].argmax(1)
    assert (short == states[:, 15::16].flatten()).double().mean() > 0.75


@pytest.mark.parametrize(("periods", "grid", "dwell"), [(SLOW, SLOW_GRID, SLOW_DWELL), (FAST, FAST_GRID, FAST_DWELL)])
def test_states_stay_as_long_as_they_say_and_are_as_likely(periods, grid, dwell, generator):
    size, length = 200, 4096
    states, _ = wave(size, length, periods, grid, dwell, generator)
    changes = (states.diff(dim=1) != 0).sum().item()
    expected = size * (length - 1) / dwell
    assert abs(changes - expected) < 4 * expected**0.5
    shares = states.flatten().bincount(minlength=4) / states.numel()
    assert torch.allclose(shares, torch.tensor(0.25), atol=0.03)
    after = states[:, 1:][states.diff(dim=1) != 0]  # all others are as likely
    assert torch.allclose(after.bincount(minlength=4) / len(after), torch.tensor(0.25), atol=0.05)


@pytest.mark.parametrize(("periods", "grid"), [(SLOW, SLOW_GRID), (FAST, FAST_GRID)])
def test_a_wave_has_the_period_of_its_state_and_no_jump(periods, grid, generator):
    states, values = wave(8, 2048, periods, grid, 512, generator)
    for number, period in enumerate(periods):
        stays = F.pad((states == number).float(), (period, 0)).unfold(1, period + 1, 1).all(2)[:, period:]
        assert stays.any()
        torch.testing.assert_close(values[:, period:][stays], values[:, :-period][stays], atol=1e-4, rtol=0)
    fastest = 2 * math.pi / min(periods)
    assert values.diff(dim=1).abs().max() <= 2 * math.sin(fastest / 2) + 1e-4


def test_the_class_is_of_both_states_and_the_signal_of_both_waves(generator, monkeypatch):
    monkeypatch.setattr(rule, "NOISE", 0)
    x, answers = tagging(torch.Generator().manual_seed(0), length=300, tested=4).test
    again = torch.Generator().manual_seed(0)
    slow, drift = wave(4, 300, SLOW, SLOW_GRID, SLOW_DWELL, again)
    fast, pattern = wave(4, 300, FAST, FAST_GRID, FAST_DWELL, again)
    assert torch.equal(answers, 4 * slow + fast)
    torch.testing.assert_close(x[..., 0], rule.SLOW_AMPLITUDE * drift + rule.FAST_AMPLITUDE * pattern)


def test_the_headline_length_is_made(generator):
    x, answers = tagging(generator, length=4096, tested=2).test
    assert (x.shape, answers.shape) == ((2, 4096, 1), (2, 4096))
    assert answers.unique().tolist() == list(range(16))
