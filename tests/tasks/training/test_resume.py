"""An interruption changes nothing: a training goes on where it was, to the same weights."""

import pytest
import torch
from safetensors.torch import load_file, save_file
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


BROKEN = {
    "empty": lambda content: b"",
    "short": lambda content: b"xx",
    "truncated": lambda content: content[: len(content) // 2],
    "all but a byte": lambda content: content[:-1],
    "zeros": lambda content: bytes(len(content)),
    "text": lambda content: b"<html>not found</html>",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_a_power_cut_left_counts_as_not_there_and_is_named_once(how, tmp_path):
    model, generator = parts()
    kept = tmp_path / "run.safetensors"
    wanted = train(model, losses(model, generator), 20, kept=kept, progress=False)
    kept.write_bytes(BROKEN[how](kept.read_bytes()))

    again, generator = parts()
    with pytest.warns(UserWarning, match=r"run\.safetensors: not readable .*begins anew") as said:
        assert train(again, losses(again, generator), 20, kept=kept, progress=False) == wanted
    assert len(said) == 1
    assert train(again, iter([]), 20, kept=kept, progress=False) == wanted


def held(kept):
    """A kept training's tensors, a file that holds them changed, and the attempt to go on from it."""
    model, generator = parts()
    plan = {"every": 10, "kept": kept, "generator": generator, "progress": False}
    train(model, losses(model, generator), 20, **plan)
    return load_file(kept)


OTHERS = {
    "no training": (lambda tensors: tensors.pop("losses"), "holds no training"),
    "fewer weights": (lambda tensors: tensors.pop("model.2.bias"), "of another model .*model.2.bias"),
    "more weights": (lambda tensors: tensors.update({"model.4.bias": torch.zeros(1)}), "of another model .*model.4"),
    "other sizes": (lambda tensors: tensors.update({"model.2.bias": torch.zeros(2)}), r"of another model .*\(2,\)"),
    "another precision": (lambda tensors: tensors.update({"model.2.bias": torch.zeros(1).double()}), "float64"),
    "an optimiser's sizes": (
        lambda tensors: tensors.update({"optimiser.0.0.exp_avg": torch.zeros(5)}),
        "another model .*exp_avg",
    ),
    "more of an optimiser": (lambda tensors: tensors.update({"optimiser.0.9.step": torch.zeros(())}), "optimiser.0.9"),
    "no optimiser": (
        lambda tensors: [tensors.pop(name) for name in [*tensors] if name.startswith("optimiser")],
        "without the state of optimiser 0",
    ),
    "no random numbers": (lambda tensors: tensors.pop("generator"), "without the random numbers"),
    "more losses than steps": (lambda tensors: tensors.update(losses=torch.zeros(21).double()), "losses of shape"),
    "a loss of no number": (
        lambda tensors: tensors.update(losses=torch.full((20,), torch.nan).double()),
        "losses of shape",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_whole_file_of_something_else_is_refused_and_changes_nothing(what, tmp_path):
    change, said = OTHERS[what]
    kept = tmp_path / "run.safetensors"
    tensors = held(kept)
    change(tensors)
    save_file(tensors, kept)
    before = kept.read_bytes()
    model, generator = parts(seed=1)
    weights, drawn = {name: one.clone() for name, one in model.state_dict().items()}, generator.get_state()
    with pytest.raises(ValueError, match=rf"run\.safetensors: .*{said}"):
        train(model, iter([]), 20, kept=kept, generator=generator, progress=False)
    assert all(torch.equal(model.state_dict()[name], one) for name, one in weights.items())
    assert torch.equal(generator.get_state(), drawn)
    assert kept.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_refused_before_a_step_is_taken(tmp_path):
    (tmp_path / "file").touch()
    taken = []
    with pytest.raises(OSError, match="file/deep: nothing can be written there"):
        train(nn.Linear(1, 1), (taken.append(1) for _ in range(3)), 3, kept=tmp_path / "file/deep/a.safetensors")
    assert taken == []


def test_a_disk_that_fills_up_ends_no_training(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    model, generator = parts()
    wanted = train(model, losses(model, generator), 20, progress=False)
    monkeypatch.setattr("lib.tasks.training.checkpoint.write_whole", full)
    model, generator = parts()
    with pytest.warns(UserWarning, match=r"run\.safetensors: not kept \(No space left on device\)"):
        found = train(model, losses(model, generator), 20, kept=tmp_path / "run.safetensors", progress=False)
    assert found == wanted


def test_a_file_is_renewed_after_a_number_of_steps():
    with pytest.raises(ValueError, match="every = 0: an integer of at least 1 is needed"):
        train(nn.Linear(1, 1), iter([]), 20, every=0, progress=False)


def test_training_stops_once_it_is_good_enough():
    model, generator = parts()
    asked = iter([0.1, 0.5, 0.9, 1.0])
    taken = train(model, losses(model, generator), 100, judge=lambda: next(asked), enough=0.8, every=10, progress=False)
    assert len(taken) == 30
    assert not model.training
