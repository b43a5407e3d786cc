"""Texts, names and templates: what would be read as something else is refused before it is read."""

from dataclasses import replace

import clips
import numpy as np
import pandas as pd
import pytest
import torch
from refusals import refused
from torch.testing import assert_close
from transformers import CLIPTextConfig

from lib.models.clip.load.texts import check_names, check_templates, check_texts, read_at, whole

TEXTS = ["a red disc.", "there is a blue star in the picture."]


@pytest.fixture(scope="module")
def model():
    return clips.clip()


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda texts: pd.Series(texts, index=[7, 5])])
def test_texts_in_any_ordered_collection_are_read(model, kind):
    with torch.inference_mode():
        assert torch.equal(model.text_features(kind(TEXTS)), model.text_features(TEXTS))


NO_TEXTS = {
    "a string": ("red", ValueError, "texts = 'red': a list of at least one is needed"),
    "bytes": (b"red", ValueError, "texts = b'red': a list of at least one is needed"),
    "none": ([], ValueError, "texts = []: a list of at least one is needed"),
    "blank": (["red", " "], ValueError, "texts[1] = ' ': a text with at least one character is needed"),
    "nothing": (None, TypeError, "texts is of type NoneType: a list of texts is needed"),
    "no order": ({"red"}, TypeError, "texts is of type set: a list of texts is needed"),
    "a table": ({"red": 0}, TypeError, "texts is of type dict: a list of texts is needed"),
    "a generator": ((text for text in TEXTS), TypeError, "texts is of type generator: a list of texts is needed"),
    "a member of bytes": (["red", b"blue"], TypeError, "texts[1] is of type bytes: a text is needed"),
    "a missing member": (["red", None], TypeError, "texts[1] is of type NoneType: a text is needed"),
    "numbers": ([1], TypeError, "texts[0] is of type int: a text is needed"),
    "pairs": ([("red", "disc")], TypeError, "texts[0] is of type tuple: a text is needed"),
    "a table of pandas": (
        pd.DataFrame({"red": ["disc"]}),
        TypeError,
        "texts is of type DataFrame: a list of texts is ne",
    ),
    "one text in an array": (np.array("red"), TypeError, "texts is of type ndarray: a list of texts is needed"),
    "none in an array": (np.array([], dtype=str), ValueError, "texts is empty: a list of at least one is needed"),
    "tokens": (torch.zeros(2, 3).long(), TypeError, "texts is of type Tensor: a list of texts is needed"),
}


@pytest.mark.parametrize("kind", NO_TEXTS)
def test_what_is_no_list_of_texts_is_refused(kind):
    given, error, said = NO_TEXTS[kind]
    with refused(said, error):
        check_texts("texts", given)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("red <end> disc", "texts[1] = 'red <end> disc': small would not read it at its end, which is token 3"),
        ("\u200b", "texts[1] = '\\u200b': small has no token for it"),
        ("red " * 15, "'" + "red " * 15 + "': more than the 16 tokens that small reads"),
    ],
)
def test_a_text_that_would_not_be_read_to_its_end_is_quoted(model, text, said):
    if text == "\u200b":  # which a tokenizer of words takes for one
        model = replace(model, tokenizer=Deaf(model.tokenizer))
    with refused(said):
        replace(model, name="small").text_features(["a longer text that has no end.", text])


class Deaf:
    """A tokenizer that drops what it cannot write, as SigLIP's does with full stops."""

    def __init__(self, tokenizer):
        self.tokenizer, self.eos_token, self.eos_token_id = tokenizer, tokenizer.eos_token, tokenizer.eos_token_id

    def __call__(self, texts, **options):
        return self.tokenizer([text.replace("\u200b", "") for text in texts], **options)


def test_the_text_named_as_too_long_is_the_one_of_most_tokens(model):
    with refused("'" + "a " * 16 + "': more than the 16 tokens that"):
        model.text_features(["uncharacteristicallylongbutoneword" * 3, "a " * 16])


def test_a_cut_that_a_tokenizer_was_saved_with_does_not_cut(model):
    model.tokenizer.backend_tokenizer.enable_truncation(4)
    with torch.inference_mode():
        one, two = model.text_features(["a red disc.", "a red star."])
    assert not torch.equal(one, two)


def test_a_tower_reads_where_its_config_says():
    ids = torch.tensor([[7, 1, 9, 9], [7, 9, 1, 2]])
    assert read_at(ids, CLIPTextConfig(eos_token_id=9)).tolist() == [2, 1]  # the first end
    assert read_at(ids, CLIPTextConfig(eos_token_id=2)).tolist() == [2, 1]  # the highest number, whatever 2 is
    assert read_at(ids, CLIPTextConfig(eos_token_id=4)).tolist() == [0, 0]  # none: the start
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    assert whole(ids, mask, CLIPTextConfig(eos_token_id=9), 9).tolist() == [True, False]
    assert whole(ids, mask, CLIPTextConfig(eos_token_id=4), 9).tolist() == [False, False]
    assert whole(ids.flip(1), mask.flip(1), CLIPTextConfig(eos_token_id=7), 7).tolist() == [False, True]


def test_where_texts_are_read_is_where_transformers_reads_them():
    from transformers import CLIPTextModel

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    ids = torch.randint(10, (6, 5), generator=torch.Generator().manual_seed(0))
    for end in (2, 4):
        config = CLIPTextConfig(**sizes, vocab_size=10, max_position_embeddings=5, eos_token_id=end)
        found = CLIPTextModel(config).eval()(input_ids=ids)
        assert_close(found.pooler_output, found.last_hidden_state[torch.arange(6), read_at(ids, config)])


@pytest.mark.parametrize("template", ["a {}.", "{}", "{{}} {}", "{{name}}: {}", "100% {}"])
def test_a_template_with_one_place_is_accepted(template):
    check_templates([template])


@pytest.mark.parametrize(
    "template", ["a photo", "{} {}", "{0}", "{name}", "{{}}", "{!r}", "{:>9}", "{} {name}", "{", "} {}", "{}{"]
)
def test_a_template_without_one_plain_place_is_refused(template):
    with refused(f"template {template!r}: one {{}} is needed, where the name goes, and no other field"):
        check_templates(["a {}.", template])


def test_templates_are_texts():
    for given, said in (([lambda name: name], "templates[0] is of type function"), ([b"{}"], "templates[0] is of typ")):
        with refused(said, TypeError):
            check_templates(given)
    with refused("templates = 'a {}.': a list of at least one is needed"):
        check_templates("a {}.")


def test_a_doubled_brace_is_a_brace_in_the_text(model):
    rows = model.classifier(["red disc", "blue star"], ["{{}} {}"])
    assert_close(rows, model.text_features(["{} red disc", "{} blue star"]))


@pytest.mark.limit(
    "clip",
    "Two classes of the same name, or of names whose tokens are the same",
    "The second would never be answered. Give each a name of its own, or count them as one class.",
)
def test_classes_that_no_text_tells_apart_are_named(model):
    with refused("names[0] and names[2] are both 'red disc': each must be another"):
        check_names(["red disc", "blue star", "red disc"])
    for one, other in (("red disc", "Red  Disc"), ("cat", "dog")):  # neither animal is a word of this tokenizer
        with refused(f"names {one!r} and {other!r} are the same tokens: no image could tell them apart"):
            model.classifier([one, "blue star", other], ["a {}."])


def test_a_name_may_hold_braces(model):
    assert len(model.classifier(["red {disc}", "blue {0}"], ["a {}."])) == 2


def test_classes_in_half_precision_keep_unit_length():
    half = clips.clip()
    half.model.bfloat16()
    with torch.inference_mode():
        rows = half.classifier(clips.scenes().names, clips.scenes().templates)
    assert rows.dtype == torch.bfloat16
    # Each of 48 numbers is rounded by at most 2^-9 of itself, and so is their norm.
    assert (rows.double().norm(dim=1) - 1).abs().max() <= 2**-9


@pytest.mark.parametrize(("factor", "said"), [(0.0, "zero"), (torch.inf, "not finite")])
def test_features_without_a_direction_are_refused(factor, said):
    model, images = clips.clip(), clips.scenes(2).images
    model.model.visual_projection.weight.data *= factor
    model.model.text_projection.weight.data *= factor
    with torch.inference_mode():
        with refused(f"images[0]: its features are {said}"):
            model.image_features(model.pixels(images))
        with refused(f"texts[0]: its features are {said}"):
            model.text_features(["a red disc."])
