"""Zero-shot classification: by hand, and what would be scored wrongly is refused."""

from dataclasses import replace

import clips
import numpy as np
import pytest
import torch
from refusals import refused

from lib.tasks import zero_shot
from lib.tasks.data.images import Images


@pytest.fixture(scope="module")
def model():
    return clips.clip()


def test_the_nearest_class_is_found_and_of_two_as_near_the_first():
    features = torch.tensor([[0.6, 0.8], [0.8, 0.6], [2**-0.5, 2**-0.5]])
    assert zero_shot.predictions(features, torch.eye(2)).tolist() == [1, 0, 0]
    assert zero_shot.predictions(features.bfloat16(), torch.eye(2)).tolist() == [1, 0, 0]


def test_accuracy_is_the_share_of_right_classes(model):
    data = clips.scenes(7)
    found = zero_shot.predictions(zero_shot.image_features(model, data), zero_shot.classifier(model, data))
    wanted = np.mean([one == other for one, other in zip(found.tolist(), data.classes.tolist(), strict=True)])
    assert zero_shot.accuracy(model, data) == pytest.approx(wanted)
    assert zero_shot.accuracy(model, replace(data, classes=found)) == 1
    assert zero_shot.accuracy(model, replace(data, classes=found.to(torch.uint8)), batch=3) == 1


EYE = torch.eye(4)
UNFIT = {
    "another width": (EYE, EYE[:, :3], "classes of shape (4, 3): (C, 4) with C >= 1 is needed"),
    "no classes": (EYE, EYE[:0], "classes of shape (0, 4): (C, 4) with C >= 1 is needed"),
    "one image alone": (EYE[0], EYE, "features of shape (4,): (N, width) with"),
    "NaN": (EYE * torch.nan, EYE, "features: all of its values must be finite"),
    "infinite": (EYE, EYE + torch.inf, "classes: all of its values must be finite"),
    "zero": (EYE, EYE * torch.tensor([1, 0, 1, 1])[:, None], "classes[1] is zero: it is as near to every class"),
    "zero image": (EYE * torch.tensor([0, 1, 1, 1])[:, None], EYE, "features[0] is zero: it is as near to every class"),
    "twice": (EYE, EYE[[0, 1, 2, 1]], "classes 1 and 3 are the same: no image could tell them apart"),
    "elsewhere": (EYE, EYE.to("meta"), "classes on meta: cpu is needed"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_features_that_decide_nothing_are_refused(kind):
    features, classes, said = UNFIT[kind]
    with refused(said):
        zero_shot.predictions(features, classes)


BYTES = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
GOOD = {"images": BYTES, "classes": torch.tensor([0, 1]), "names": ("red", "blue"), "templates": ("a {}.",)}
LABELS = {
    "one-based": torch.tensor([1, 2]),
    "missing": torch.tensor([-100, 1]),
    "real numbers": torch.tensor([0.0, 1.0]),
    "chances": torch.eye(2),
    "one-hot": torch.eye(2).long(),
    "a column": torch.tensor([[0], [1]]),
    "one too many": torch.tensor([0, 1, 1]),
    "yes and no": torch.tensor([True, False]),
}


@pytest.mark.limit(
    "clip",
    "Labels that are no row of integers from 0: a column, real numbers, one-hot rows, -100, or numbers of no class",
    "A column beside a row would be compared with each of its members. Numbers from 1 on are refused where the last "
    "class is among them; else they cannot be distinguished.",
)
@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_another_kind_are_refused(kind):
    with refused("classes "):
        Images(**{**GOOD, "classes": LABELS[kind]})


@pytest.mark.parametrize(
    ("part", "value", "said", "error"),
    [
        ("images", BYTES.float(), "images of torch.float32: torch.uint8 is needed, from 0 to 255", ValueError),
        ("images", BYTES[:, :1], "images of shape (2, 1, 8, 8): (B, 3, H, W) with", ValueError),
        ("images", BYTES[0], "images of shape (3, 8, 8): (B, 3, H, W) with", ValueError),
        ("images", [BYTES], "images is of type list: a tensor is needed", TypeError),
        ("classes", [0, 1], "classes is of type list: a tensor is needed", TypeError),
        ("names", ("red", "red"), "names[0] and names[1] are both 'red': each must be another", ValueError),
        ("names", "rb", "names = 'rb': a list of at least one is needed", ValueError),
        ("names", (0, 1), "names[0] is of type int: a text is needed", TypeError),
        ("templates", ("a photo",), "template 'a photo': one {} is needed", ValueError),
    ],
)
def test_data_of_another_kind_is_refused(part, value, said, error):
    assert len(Images(**GOOD)) == 2
    with refused(said, error):
        Images(**{**GOOD, part: value})


def test_what_is_no_data_is_named(model):
    for ask in (zero_shot.image_features, zero_shot.classifier, zero_shot.accuracy):
        with refused("data is of type Tensor: a collection `Images` is needed", TypeError):
            ask(model, BYTES)
    with refused("batch = 0: an integer of at least 1 is needed"):
        zero_shot.accuracy(model, clips.scenes(2), batch=0)
