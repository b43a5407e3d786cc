"""The training loop: it learns what can be learnt, and stops in words where it cannot go on."""

import pytest
import torch
from torch import nn

from lib.tasks.train import train


def losses(model, x, y):
    while True:
        yield (model(x) - y).square().mean()


def problem(generator):
    x = torch.randn(64, 3, generator=generator)
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5]])


def test_a_linear_model_finds_its_weights(generator):
    model, (x, y) = nn.Linear(3, 1), problem(generator)
    taken = train(model, losses(model, x, y), 300, rate=0.05, progress=False)
    assert len(taken) == 300
    assert taken[-1] < 1e-3 < taken[0]
    assert not model.training


def test_a_parameter_may_learn_at_a_share_of_the_rate(generator):
    (x, y), moved = problem(generator), {}
    for share in (1.0, 0.1, 0.0):
        model = nn.Linear(3, 1)
        bias = model.bias.detach().clone()
        train(model, losses(model, x, y), 1, rate=0.01, shares={"bias": share}, progress=False)
        moved[share] = (model.bias - bias).abs().item()
    assert moved[1.0] == pytest.approx(0.01, rel=0.1)
    assert moved[0.1] == pytest.approx(0.001, rel=0.1)
    assert moved[0.0] == 0


def test_a_loss_that_is_not_finite_names_its_step():
    model = nn.Linear(1, 1)
    steps = ((model(torch.ones(1)) * (1.0 if step < 2 else torch.nan)).sum() for step in range(5))
    with pytest.raises(FloatingPointError, match="step 2: the loss is nan; a lower rate than"):
        train(model, steps, 5, progress=False)


def test_too_few_losses_are_told():
    model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="steps = 5: there were losses for 2 only"):
        train(model, (model(torch.ones(1)).sum() for _ in range(2)), 5, progress=False)


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps = 0"):
        train(nn.Linear(1, 1), iter([]), 0)
