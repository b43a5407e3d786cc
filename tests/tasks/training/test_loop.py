"""The training loop: it learns what can be learnt, and stops in words where it cannot go on."""

import math

import pytest
import torch
from refusals import refused
from torch import nn

from lib.tasks.training.loop import train


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


@pytest.mark.parametrize("rate", [0, -1e-3, math.nan, math.inf, None, "1e-3"])
def test_a_rate_of_which_nothing_is_learned_is_refused_before_the_model_changes(rate):
    model = nn.Linear(2, 1).eval()
    with refused(f"rate = {rate!r}: "):
        train(model, iter([]), 2, rate=rate, progress=False)
    assert not model.training


def test_a_loss_of_several_numbers_is_refused():
    model = nn.Linear(2, 1)
    with refused("loss of shape (2, 1): () is needed"):
        train(model, iter([model(torch.ones(2, 2))]), 1, progress=False)


def test_matrices_take_muons_steps_and_go_on_after_an_interruption(generator, tmp_path):
    class Enough(Exception):
        pass

    def learnt(kept=None, stop=None):
        draw = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))

        def batches():
            for step in range(12):
                if step == stop:
                    raise Enough
                x, y = problem(draw)
                yield (model(x) - y).square().mean()

        options = {"matrices": {"0.": 10.0}, "kept": kept, "generator": draw, "every": 4, "progress": False}
        return model, train(model, batches(), 12, rate=1e-3, **options)

    model, whole = learnt()
    kept = tmp_path / "kept.safetensors"
    with pytest.raises(Enough):
        learnt(kept, stop=6)
    again, resumed = learnt(kept)
    assert resumed == whole
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), again.parameters(), strict=True))
    torch.manual_seed(0)
    start = nn.Linear(3, 8).weight
    assert torch.linalg.matrix_norm(model[0].weight - start, 2) > 10 * 1e-3  # a step of Muon has that norm at least


def test_frozen_weights_stay_and_do_not_count_as_gradients(generator):
    model, (x, y) = nn.Linear(3, 1), problem(generator)
    model.bias.requires_grad_(False)
    before = model.bias.clone()
    train(model, losses(model, x, y + 1), 20, rate=0.05, progress=False)
    assert torch.equal(model.bias, before)


def test_a_model_of_which_nothing_learns_is_refused():
    model = nn.Linear(1, 1).requires_grad_(False)
    with pytest.raises(ValueError, match="Linear: no weight requires a gradient"):
        train(model, iter([]), 5, progress=False)


def test_a_batch_in_parts_takes_the_steps_of_the_whole(generator):
    (x, y), found = problem(generator), []
    for parts in (1, 4):
        torch.manual_seed(0)
        model = nn.Linear(3, 1).double()

        def chunks(model=model, parts=parts):
            while True:
                for inputs, wanted in zip(x.double().chunk(parts), y.double().chunk(parts), strict=True):
                    yield (model(inputs) - wanted).square().mean()

        taken = train(model, chunks(), 10, rate=0.05, accumulate=parts, progress=False)
        found.append((model.weight.detach(), torch.tensor(taken)))
    torch.testing.assert_close(*[weight for weight, _ in found])
    torch.testing.assert_close(*[taken for _, taken in found])


def test_too_few_parts_of_a_batch_are_told():
    model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="steps = 2: there were losses for 1 only"):
        train(model, (model(torch.ones(1)).sum() for _ in range(3)), 2, accumulate=2, progress=False)
