"""Images with names: rendered, or from a folder as the hub has CIFAR-10."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from lib.models.clip import hub
from lib.tasks.data import images
from lib.tasks.training import clips

NAMES = ["airplane", "automobile", "bird"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five images of three classes for testing, four for training, in the hub's layout."""
    datasets = pytest.importorskip("datasets")
    place = tmp_path_factory.mktemp("cifar10")
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    for split, count in (("train", 4), ("test", 5)):
        rows = {"img": [], "label": []}
        for number in range(count):
            file = io.BytesIO()
            Image.fromarray(np.full((32, 32, 3), number, dtype=np.uint8)).save(file, format="PNG")
            rows["img"].append({"bytes": file.getvalue(), "path": None})
            rows["label"].append(number % 3)
        datasets.Dataset.from_dict(rows, features).to_parquet(str(place / f"{split}-00000-of-00001.parquet"))
    return place


def test_a_folder_is_read_as_it_is(folder):
    found = images.cifar10("test", str(folder))
    assert found.names == tuple(NAMES)
    assert found.images.shape == (5, 3, 32, 32)
    assert found.images.dtype == torch.uint8
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert found.classes.tolist() == [0, 1, 2, 0, 1]
    assert len(images.cifar10("train", str(folder))) == 4
    assert len(images.named(str(folder), 3, seed=0)) == 3


def test_scenes_come_from_the_seed():
    one, two, other = (images.named("scenes", 4, seed) for seed in (0, 0, 1))
    assert torch.equal(one.images, two.images)
    assert not torch.equal(one.images, other.images)
    assert one.images.shape == (4, 3, 64, 64)
    assert len(one.names) == 32


def test_more_scenes_than_are_drawn_at_once(monkeypatch):
    monkeypatch.setattr(images, "AT_ONCE", 3)
    assert len(images.rendered(7, torch.Generator().manual_seed(0))) == 7


def test_no_scenes_are_refused():
    with pytest.raises(ValueError, match="count = 0: an integer of at least 1"):
        images.named("scenes", 0, seed=0)


def test_what_is_nowhere_is_named_with_what_works_offline(monkeypatch, tmp_path):
    monkeypatch.setattr(hub.HfApi, "repo_info", lambda *_, **__: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(FileNotFoundError, match=r"'uoft-cs/cifar10': no such folder, and the hub says: no network\."):
        images.cifar10("test")
    with pytest.raises(FileNotFoundError, match=r"test-\*\.parquet is needed"):
        images.cifar10("test", str(tmp_path))


@pytest.mark.parametrize("seed", [3, images.NEW - 1, images.NEW + 3, 2 * images.NEW - 1])
def test_images_to_learn_from_are_others_of_the_same_kind(seed):
    judged, learned = images.named("scenes", 20, seed), images.to_learn("scenes", 20, seed)
    assert learned.names == judged.names
    assert not {one.numpy().tobytes() for one in learned.images} & {one.numpy().tobytes() for one in judged.images}


def test_no_scene_to_judge_by_is_one_that_a_small_clip_learned_from(monkeypatch):
    def bytes_of(found):
        return {one.numpy().tobytes() for one in found.images}

    monkeypatch.setattr(images, "AT_ONCE", 20)  # as many as are judged, so that equal seeds would draw equal scenes
    monkeypatch.setattr(clips, "TRAINING", 20)
    seeds = (*range(5), images.NEW, images.NEW + 1, 2 * images.NEW - 1, 2 * images.NEW, 2**63 - 1)
    judged = set().union(*(bytes_of(images.named("scenes", 20, seed)) for seed in seeds))
    for seed in range(3):
        assert not judged & bytes_of(clips.training_images(clips.Plan("scenes", seed, 1)))


def test_training_images_of_a_folder_are_learned_from(folder):
    assert torch.equal(images.to_learn(str(folder), 3, seed=0).images, images.cifar10("train", str(folder)).images[:3])
    assert len(images.to_learn(str(folder), 10**6, seed=0)) == 4
