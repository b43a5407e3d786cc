"""Learning what a token reduction leaves to be learned: the tower stays, the loss falls."""

import pytest
import torch
from refusals import refused

from lib import names
from lib.models.clip import load as clip
from lib.models.clip.learned import learnable
from lib.models.clip.reduction import reduce_tokens
from lib.tasks.data import images
from lib.tasks.training.reductions import learn


@pytest.fixture(scope="module")
def model():
    return clip.load("clip-scenes-0")


@pytest.fixture(scope="module")
def pixels(model):
    return model.pixels(images.rendered(24, torch.Generator().manual_seed(5)).images)


@pytest.mark.parametrize("method", names.LEARNED)
def test_the_loss_falls_and_the_tower_stays(model, pixels, method):
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    wanted = [one.requires_grad for one in model.model.parameters()]
    reduced = learnable(model.model.vision_model, method, 0.5)
    losses = learn(reduced, model, pixels, 12, torch.Generator().manual_seed(0), batch=24)
    assert len(losses) == 12
    assert losses[-1] < losses[0]
    assert all(torch.equal(before[name], value) for name, value in model.model.state_dict().items())
    assert [one.requires_grad for one in model.model.parameters()] == wanted
    assert any(one.abs().sum() > 0 for one in reduced.learned.parameters())


def test_one_seed_learns_one_thing(model, pixels):
    found = []
    for _ in range(2):
        reduced = learnable(model.model.vision_model, "summary_token", 0.5)
        learn(reduced, model, pixels, 2, torch.Generator().manual_seed(3), batch=4)
        found.append(reduced.learned["token"].detach().clone())
    assert torch.equal(*found)


def test_another_tower_and_no_images_are_refused(model, pixels):
    other = learnable(clip.load("clip-scenes-0").model.vision_model, "threshold", 0.5)
    with refused("reduced: its tower is not that of clip-scenes-0, whose features it is to keep"):
        learn(other, model, pixels, 1, torch.Generator())
    with refused("keep = 1.0: all patches stay, so that there is nothing to learn"):
        learn(learnable(model.model.vision_model, "summary_token", 1.0), model, pixels, 1, torch.Generator())
    with refused("pixels"):
        learn(learnable(model.model.vision_model, "threshold", 0.5), model, pixels[:0], 1, torch.Generator())


def test_another_reduction_is_refused(model, pixels):
    with refused("reduced", TypeError):
        learn(reduce_tokens(model.model.vision_model, "norm", 0.5), model, pixels, 1, torch.Generator())
    with refused("batch = 0"):
        learn(learnable(model.model.vision_model, "summary_token", 0.5), model, pixels, 1, torch.Generator(), batch=0)
