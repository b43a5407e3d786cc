"""New label sets: what they ask for is on the image, and the new words reach the text tower."""

import clips as small
import pytest
import torch

from lib.tasks.data import labels
from lib.tasks.data.scenes import SHAPES, scenes


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_new_colours_are_those_of_the_objects_and_in_the_names():
    new = labels.by_colour(200, drawn())
    assert new.names[0] == "orange disc"
    assert len(new.names) == len(labels.COLOURS) * len(SHAPES)
    one = scenes(200, drawn(), colours=labels.COLOURS)
    for number, (name, wanted) in enumerate(labels.COLOURS.items()):
        chosen = one.classes // len(SHAPES) == number
        inside = (one.inside[chosen] > 0.99).unsqueeze(1)
        seen = (one.images[chosen] * inside).sum((0, 2, 3)) / inside.sum((0, 2, 3))
        assert new.names[int(one.classes[chosen][0])].startswith(name)
        assert torch.allclose(seen, torch.tensor(wanted), atol=0.05)


def test_images_told_by_way_are_turned_where_the_class_says_so():
    plain = small.scenes(40)
    new = labels.by_way(plain, drawn())
    inverted = new.classes >= len(plain.names)
    assert 0 < inverted.sum() < 40
    assert torch.equal(new.images[~inverted], plain.images[~inverted])
    assert torch.equal(new.images[inverted].rot90(2, (-2, -1)), plain.images[inverted])
    assert torch.equal(new.classes % len(plain.names), plain.classes)
    assert new.names[len(plain.names)] == f"inverted {plain.names[0]}"


def test_new_words_are_tokens_of_their_own_and_the_old_ones_stay():
    before, after = small.clip(), small.clip()
    labels.learn_words(after, labels.WAYS, drawn())
    unknown = after.tokenizer.unk_token_id
    assert unknown in before.tokenizer("an inverted red disc.")["input_ids"]
    found = after.tokenizer(["an inverted red disc.", "an upright red disc."])["input_ids"]
    assert found[0][2] == len(after.tokenizer) - 1
    assert found[1][2] == len(after.tokenizer) - 2
    texts = ["a red disc.", "a blue star."]
    with torch.inference_mode():
        assert torch.equal(after.text_features(texts), before.text_features(texts))
        inverted, upright = after.text_features(["an inverted red disc.", "an upright red disc."])
    assert not torch.allclose(inverted, upright)


def test_one_generator_gives_the_new_words_one_vector():
    rows = []
    for seed in (0, 0, 1):
        model = small.clip()
        labels.learn_words(model, labels.WAYS, drawn(seed))
        rows.append(model.model.text_model.embeddings.token_embedding.weight[-2:].detach())
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])


@pytest.mark.parametrize("words", [(), "cyan"])
def test_no_words_are_refused(words):
    with pytest.raises(ValueError, match="a tuple of at least one is needed"):
        labels.learn_words(small.clip(), words, drawn())
