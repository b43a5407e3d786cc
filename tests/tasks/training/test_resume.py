"""An interruption changes nothing: a training goes on where it was, to the same weights."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lib.tasks.training.loop import train


class Interruption(Exception):
    pass


def parts(seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return model, generator


def losses(model, generator, until=None):
    step = 0
    while True:
        if step == until:
            raise Interruption
        x = torch.randn(16, 3, generator=generator)
        yield (model(x) - x.sum(1, keepdim=True)).square().mean()
        step += 1


def test_an_interrupted_training_ends_as_an_uninterrupted_one(tmp_path):
    model, generator = parts()
    wanted = train(model, losses(model, generator), 50, progress=False)

    again, generator = parts()
    plan = {"every": 10, "kept": tmp_path / "deep" / "run.safetensors", "generator": generator, "progress": False}
    with pytest.raises(Interruption):
        train(again, losses(again, generator, until=33), 50, **plan)
    resumed, generator = parts(seed=1)
    plan["generator"] = generator
    assert train(resumed, losses(resumed, generator), 50, **plan) == wanted
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))


def test_a_finished_training_is_not_repeated(tmp_path):
    model, generator = parts()
    kept = tmp_path / "run.safetensors"
    wanted = train(model, losses(model, generator), 20, kept=kept, progress=False)
    other, _ = parts(seed=1)
    assert train(other, iter([]), 20, kept=kept, progress=False) == wanted
    assert torch.equal(other[0].weight, model[0].weight)


def test_a_failed_step_leaves_what_was_kept(tmp_path):
    model, generator = parts()
    kept = tmp_path / "run.safetensors"
    with pytest.raises(Interruption):
        train(model, losses(model, generator, until=15), 20, every=10, kept=kept, progress=False)
    before = kept.read_bytes()
    with pytest.raises(FloatingPointError):
        train(model, iter([model(torch.ones(1, 3)).sum() * torch.nan] * 20), 20, every=10, kept=kept, progress=False)
    assert kept.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [kept.name]


@pytest.mark.parametrize("change", ["steps", "model"])
def test_what_was_kept_of_another_training_is_refused(change, tmp_path):
    model, generator = parts()
    kept = tmp_path / "run.safetensors"
    train(model, losses(model, generator), 20, kept=kept, progress=False)
    other = nn.Linear(3, 1) if change == "model" else model
    expected = "of another model" if change == "model" else "of 20 steps, not 30; delete it"
    with pytest.raises(ValueError, match=f"run.safetensors: .*{expected}"):
        train(other, losses(other, generator), 30 if change == "steps" else 20, kept=kept, progress=False)


@pytest.mark.parametrize(("content", "message"), [(b"xx", "not readable"), (None, "holds no training")])
def test_a_file_that_holds_no_training_is_refused(content, message, tmp_path):
    kept = tmp_path / "run.safetensors"
    if content is None:
        save_file({"other": torch.zeros(1)}, kept)
    else:
        kept.write_bytes(content)
    with pytest.raises(ValueError, match=f"run.safetensors: {message}"):
        train(nn.Linear(1, 1), iter([]), 20, kept=kept, progress=False)


def test_a_file_is_renewed_after_a_number_of_steps():
    with pytest.raises(ValueError, match="every = 0: an integer of at least 1 is needed"):
        train(nn.Linear(1, 1), iter([]), 20, every=0, progress=False)


def test_training_stops_once_it_is_good_enough():
    model, generator = parts()
    asked = iter([0.1, 0.5, 0.9, 1.0])
    taken = train(model, losses(model, generator), 100, judge=lambda: next(asked), enough=0.8, every=10, progress=False)
    assert len(taken) == 30
    assert not model.training
