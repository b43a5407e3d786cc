"""Small CLIPs: their texts, their loss, and a training that is kept as the hub has it."""

import json
from dataclasses import replace
from functools import partial

import clips as small
import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from lib.models.clip import load as clip
from lib.tasks import zero_shot
from lib.tasks.training import clips


def test_a_word_is_a_token_and_the_end_is_found():
    words = clips.tokenizer(["a red disc.", "a blue star."])
    found = words(["A red disc.", "a green disc."])["input_ids"]
    start, end = words.bos_token_id, words.eos_token_id
    assert found[0][0] == start
    assert found[0][-1] == end
    assert found[1] == [*found[0][:2], words.unk_token_id, *found[0][3:]]
    assert end != 2  # which transformers takes for an older layout, and then reads elsewhere


def test_every_class_has_a_text_of_its_own_before_training():
    model = small.clip()
    rows = model.classifier(small.scenes().names, small.scenes().templates)
    cosines = rows @ rows.T
    assert cosines.fill_diagonal_(0).max() < 1 - 1e-5


def test_images_that_share_a_caption_share_it_as_their_match():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    classes = torch.tensor([0, 0, 1, 3, 3, 3])  # of the third class there is no image
    by_image = F.cross_entropy(logits, classes, label_smoothing=clips.SMOOTHING)
    by_text = 0.0
    for number in (0, 1, 3):
        chances = logits[:, number].softmax(0)
        by_text -= chances[classes == number].log().mean() / 3
    assert_close(clips.contrast(logits, classes), (by_image + by_text) / 2)


def test_one_image_per_caption_gives_the_loss_of_clip(monkeypatch):
    monkeypatch.setattr(clips, "SMOOTHING", 0.0)
    logits, classes = torch.randn(5, 5, generator=torch.Generator().manual_seed(1)).double(), torch.arange(5)
    wanted = (F.cross_entropy(logits, classes) + F.cross_entropy(logits.T, classes)) / 2
    assert_close(clips.contrast(logits, classes), wanted)


@pytest.fixture
def trial(monkeypatch, tmp_path):
    """A plan of three steps on a few scenes, whose files go into a folder."""
    monkeypatch.setattr(clips, "TRAINING", 40)
    monkeypatch.setattr(clips, "TESTING", 40)
    monkeypatch.setattr(clips, "BATCH", 16)
    monkeypatch.setattr(clips, "SWEEPS", tmp_path / "sweeps")
    monkeypatch.setattr(clips, "STEPS", {"scenes": 3})
    monkeypatch.setattr(clips, "keep", partial(clips.keep, folder=tmp_path / "checkpoints"))
    return clips.Plan("scenes", 0, 3), tmp_path


@pytest.mark.slow
def test_what_is_kept_is_what_was_judged(trial):
    plan, folder = trial
    found = clips.made(plan)
    kept = clip.load(str(folder / "checkpoints" / plan.name))
    data = clips.held_out("scenes")
    assert found["accuracy"] == zero_shot.accuracy(kept, data)
    assert len(found["losses"]) == 3
    assert kept.model.config.trained == {
        "task": "scenes",
        "seed": 0,
        "steps": 3,
        "accuracy": found["accuracy"],
        "tested": 40,
    }
    config = json.loads((folder / "checkpoints" / plan.name / "config.json").read_text())
    assert config["dtype"] == "float16"
    again = clips.made(plan)  # from the training that is kept
    assert again["accuracy"] == found["accuracy"]


def test_a_task_that_there_is_not_is_named():
    for ask in (lambda: clips.Plan("digits", 0, 1), lambda: clips.held_out("digits")):
        with pytest.raises(ValueError, match="task = 'digits': one of scenes, cifar10 is needed"):
            ask()


def test_a_trial_keeps_no_checkpoint(trial):
    plan, folder = trial
    clips.made(replace(plan, steps=2))
    assert not (folder / "checkpoints").exists()


def test_checkpoints_of_the_project_are_small_and_good():
    names = clip.checkpoints()
    assert {f"clip-{task}-{seed}" for task in ("scenes", "cifar10") for seed in range(3)} <= set(names)
    size = sum(path.stat().st_size for name in names for path in (clip.CHECKPOINTS / name).iterdir())
    assert size <= 8e6
    for name in names:
        about = clip.load(name).model.config.trained
        assert about["accuracy"] > {"scenes": 0.9, "cifar10": 0.65}[about["task"]]


@pytest.mark.slow
def test_a_checkpoint_is_as_good_as_it_says():
    model = clip.load("clip-scenes-0")
    data = clips.held_out("scenes").first(400)
    assert abs(zero_shot.accuracy(model, data) - model.model.config.trained["accuracy"]) < 0.04


@pytest.mark.parametrize(("count", "batch", "said"), [(12, 0, "batch = 0"), (0, 4, "images = 0")])
def test_losses_of_nothing_are_refused(count, batch, said):
    batches = clips.losses(small.clip(), small.scenes().first(count), torch.Generator(), batch)
    with pytest.raises(ValueError, match=f"{said}: an integer of at least 1 is needed"):
        next(batches)
