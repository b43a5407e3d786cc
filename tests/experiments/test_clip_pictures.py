"""What each method keeps of an image: as many tokens as its share, every patch accounted for."""

import clips as small
import numpy as np
import pytest

from lib.experiments import clip_pictures
from lib.experiments.clip_variants import NORM, ROUNDS
from lib.models.clip.tokens import GONE


def test_places_are_of_all_patches_and_answers_are_names():
    model, data = small.clip(), small.scenes(4)
    images, names, rows = clip_pictures.answered(model, data, 0.25)
    assert images.shape == (4, 64, 64, 3)
    assert images.max() <= 1
    assert names == [data.names[one] for one in data.classes]
    assert set(rows) == set(clip_pictures.VIEWS)
    for places, answers in rows.values():
        assert places.shape == (4, 64)
        assert set(answers) <= set(data.names)
    assert (rows[NORM][0] != GONE).sum(1).tolist() == [16] * 4  # a quarter of the patches
    assert (rows[ROUNDS][0] != GONE).all()  # merging loses none
    assert [len(np.unique(one)) for one in rows[ROUNDS][0]] == [16] * 4


def test_with_all_tokens_the_answers_are_the_models():
    model, data = small.clip(), small.scenes(4)
    _, _, rows = clip_pictures.answered(model, data, 1.0)
    answers = {tuple(said) for _, said in rows.values()}
    assert len(answers) == 1


@pytest.mark.parametrize(("side", "patches"), [(64, 64), (96, 144)])
def test_photographs_are_seen_at_other_sizes(side, patches):
    images, names, rows = clip_pictures.photographed(small.clip(), side=side)
    assert images.shape == (2, side, side, 3)
    assert names == ["china", "flower"]
    assert all(places.shape == (2, patches) for places, _ in rows.values())
