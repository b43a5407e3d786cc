"""New label sets: what they ask for is on the image, and the new words reach the text tower."""

import clips as small
import pytest
import torch
from refusals import refused

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


@pytest.mark.parametrize(
    ("words", "said", "error"),
    [
        ((), "words = (): a list of at least one is needed", ValueError),
        ("cyan", "words = 'cyan': a list of at least one is needed", ValueError),
        (("cyan", "pink", "cyan"), "words[0] and words[2] are both 'cyan': each must be another", ValueError),
        (("cyan", ""), "words[1] = '': a text with at least one character is needed", ValueError),
        (("cyan", "red"), "words: 'red' is token 16 of clip-scenes-0 already", ValueError),
        ((b"cyan",), "words[0] is of type bytes: a text is needed", TypeError),
    ],
)
def test_words_that_cannot_be_learned_change_nothing(words, said, error):
    model = small.clip()
    with refused(said, error):
        labels.learn_words(model, words, drawn())
    assert len(model.tokenizer) == model.model.config.text_config.vocab_size == 24


@pytest.mark.reported("huggingface/transformers", 21029)
def test_a_model_that_would_read_texts_at_a_new_word_learns_none():
    model = small.clip()
    model.model.config.text_config.eos_token_id = 2
    with refused("clip-scenes-0: eos_token_id = 2 in its config: it would read texts at a new word"):
        labels.learn_words(model, ("cyan",), drawn())
    model.model.config.text_config.eos_token_id = 3
    model.tokenizer.add_tokens("cyan")
    with refused("clip-scenes-0: 24 rows for 25 tokens; one for each is needed"):
        labels.learn_words(model, ("pink",), drawn())
