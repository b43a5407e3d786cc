"""CIFAR-10 as sequences, from a folder of random images."""

import pytest
import torch
from folder_of_images import written
from PIL import Image
from refusals import refused

from lib.tasks.data import patches as cutting
from lib.tasks.data.cifar import DEVIATION, MEAN, cifar
from lib.tasks.data.cifar_grey import DEVIATION as GREY_DEVIATION
from lib.tasks.data.cifar_grey import MEAN as GREY_MEAN
from lib.tasks.data.cifar_grey import cifar_grey
from lib.tasks.data.patches import loaded, patches


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("datasets")
    return str(written(tmp_path_factory.mktemp("images"), {"train": 11, "test": 5}, seed=1))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(cutting, "HELD_BACK", 4)


@pytest.mark.parametrize("patch", [1, 2, 4, 32])
def test_a_token_is_a_square_of_pixels_row_by_row(patch, generator):
    images = torch.randint(256, (2, 3, 32, 32), generator=generator, dtype=torch.uint8)
    found, side = patches(images, patch), 32 // patch
    assert found.shape == (2, side * side, 3 * patch * patch)
    for row in range(side):
        for column in range(side):
            square = images[:, :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
            assert torch.equal(found[:, row * side + column], square.flatten(1))


def test_the_last_training_images_are_held_back_and_the_test_is_the_sources(folder, generator):
    task = cifar(generator, source=folder, patch=2)
    train, test = loaded("train", folder), loaded("test", folder)
    assert torch.equal(task.valid[1], train.classes[7:])
    assert torch.equal(task.test[1], test.classes)
    mean, deviation = (torch.tensor(one).view(3, 1, 1) for one in (MEAN, DEVIATION))
    whole = (test.images / 255 - mean) / deviation
    torch.testing.assert_close(task.test[0][:, 17], whole[:, :, 2:4, 2:4].flatten(1))


def test_every_image_that_is_drawn_is_one_of_the_others_with_its_class(folder, generator):
    task = cifar(generator, source=folder, patch=32)
    x, classes = task.draw(300, generator)
    train = loaded("train", folder)
    mean, deviation = (torch.tensor(one).repeat_interleave(1024) for one in (MEAN, DEVIATION))
    pixels = (x[:, 0] * deviation + mean).mul(255).round()
    same = (pixels.unsqueeze(1) == train.images.flatten(1)).all(2)
    place = same.int().argmax(1)
    assert same.any(1).all()
    assert set(place.tolist()) == set(range(7))
    assert torch.equal(train.classes[place], classes)


def test_grey_is_what_pillow_calls_grey(folder, generator):
    task = cifar_grey(generator, source=folder)
    images = loaded("test", folder).images
    for one, image in zip(task.test[0], images, strict=True):
        pillow = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")
        expected = torch.tensor(list(pillow.tobytes()))
        assert ((one[:, 0] * GREY_DEVIATION + GREY_MEAN) * 255 - expected).abs().max() < 1.01  # it rounds otherwise


def test_images_are_decoded_once_in_a_process(folder, generator):
    cifar(generator, source=folder)
    before = loaded.cache_info().misses
    cifar(generator, source=folder, patch=4)
    cifar_grey(generator, source=folder)
    assert loaded.cache_info().misses == before


def test_too_few_training_images_are_refused(folder, generator, monkeypatch):
    monkeypatch.setattr(cutting, "HELD_BACK", 11)
    with refused(f"{folder!r}: 11 training images; more than 11 are needed"):
        cifar(generator, source=folder)


def test_images_that_patches_do_not_fit_are_refused():
    with refused("images of shape (1, 3, 32, 30): sides that are multiples of 4 are needed"):
        patches(torch.zeros(1, 3, 32, 30, dtype=torch.uint8), 4)
