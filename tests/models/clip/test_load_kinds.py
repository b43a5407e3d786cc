"""Older layouts and other kinds of a CLIP are read as transformers reads them, or refused."""

import json
import shutil

import clips
import pytest
import torch
import transformers
from clips import PROCESSOR, TOKENIZER, change
from refusals import refused
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from lib.models.clip import load as clip
from lib.tasks import zero_shot


def test_an_older_layout_that_reads_at_the_highest_token_is_right_where_the_end_is_the_highest(folder):
    """As OpenAI's own: end 2 in the config, and in the tokenizer the last of all."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    words, last = tokenizer["model"]["vocab"], len(tokenizer["model"]["vocab"]) - 1
    (other,) = (word for word, number in words.items() if number == last)
    words["<end>"], words[other] = last, words["<end>"]
    text = json.dumps(tokenizer).replace('"id": 3, "content": "<end>"', f'"id": {last}, "content": "<end>"')
    text = text.replace('"ids": [3]', f'"ids": [{last}]')
    (folder / "tokenizer.json").write_text(text)
    change(folder, "config.json", "text_config.eos_token_id", 2)
    found = clip.load(str(folder))
    assert found.tokenizer.eos_token_id == last
    texts = ["a red disc.", "there is a blue star in the picture."]
    alone = torch.cat([found.text_features([text]) for text in texts])
    assert_close(found.text_features(texts), alone)
    assert (alone[0] - alone[1]).norm() > 1e-3
    found.tokenizer.add_tokens("inverted")  # above the end: where it stands, the tower would read
    with refused("texts[0] = 'an inverted disc': "):
        found.text_features(["an inverted disc"])


def test_a_wrong_end_makes_all_classes_one_which_is_why_it_is_refused():
    model = clips.clip()
    inputs = model.tokenizer(["a red disc.", "a blue star."], return_tensors="pt")
    model.model.text_model.eos_token_id = 5
    one, two = model.model.get_text_features(**inputs).pooler_output
    assert_close(one, two)
    rows = torch.ones(2, 4)
    with refused("classes 0 and 1 are the same: no image could tell them apart"):
        zero_shot.predictions(torch.eye(4), rows)


@pytest.fixture(scope="module")
def siglip(tmp_path_factory):
    return clips.siglip(tmp_path_factory.mktemp("siglip"))


def test_a_siglip_reads_texts_padded_to_one_length(siglip):
    found = clip.load(str(siglip))
    texts = ["a red disc.", "a blue"]
    inputs = found.tokenizer(texts, padding="max_length", max_length=16, return_tensors="pt")
    wanted = found.model.get_text_features(**inputs).pooler_output
    assert_close(found.text_features(texts), wanted / wanted.norm(dim=1, keepdim=True))
    assert_close(found.text_features(texts[1:]), found.text_features(texts)[1:])


def test_a_siglip_is_compared_as_well(siglip, tmp_path):
    for file, at, value, said in (
        (TOKENIZER, "model_max_length", 77, "longest text 16 in its config, 77 in its tokenizer"),
        ("config.json", "vision_config.vision_use_head", False, "vision_use_head = False in its config"),
        ("config.json", "text_config.projection_size", 8, "text_model.head.bias (16,) in its weights, (8,) in its"),
        (PROCESSOR, "image_processor_type", "CLIPImageProcessor", "model_type = 'siglip' in its config, a processor"),
        (PROCESSOR, "size", {"height": 24, "width": 32}, "image_size (32, 32) in its config, (24, 32) in what its"),
    ):
        folder = shutil.copytree(siglip, tmp_path / at)
        change(folder, file, at, value)
        with refused(f"{str(folder)!r}: {said}"):
            clip.load(str(folder))


def test_openais_own_layout_is_read_at_its_end(folder):
    """Byte pairs, padding and unknown alike with the end, which is the highest token, and an end of 2 in the config."""
    letters = [f"{letter}{end}" for letter in "abcdefghijklmnopqrstuvwxyz.?" for end in ("", "</w>")]
    words = [*letters, "re", "red</w>", "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    merges = [("r", "e"), ("re", "d</w>")]
    transformers.CLIPTokenizer(vocabulary, merges, model_max_length=16).save_pretrained(folder)
    change(folder, "config.json", "text_config.eos_token_id", 2)
    change(folder, "config.json", "text_config.bos_token_id", 0)  # as written there
    change(folder, "config.json", "text_config.vocab_size", len(words))
    file = folder / "model.safetensors"
    weights = load_file(file)
    key = "text_model.embeddings.token_embedding.weight"
    weights[key] = torch.randn(len(words), 48, generator=torch.Generator().manual_seed(0)).half()
    save_file(weights, file, metadata={"format": "pt"})
    change(folder, PROCESSOR, "image_processor_type", None)
    change(folder, PROCESSOR, "feature_extractor_type", "CLIPFeatureExtractor")
    change(folder, PROCESSOR, "size", 64)
    change(folder, PROCESSOR, "crop_size", 64)
    found = clip.load(str(folder))
    texts = ["a red disc?", "Red."]
    inputs = found.tokenizer(texts, padding=True, return_tensors="pt")
    wanted = found.model.get_text_features(**inputs).pooler_output
    assert_close(found.text_features(texts), wanted / wanted.norm(dim=1, keepdim=True))
    assert_close(found.text_features(["red."]), found.text_features(texts[1:]))
    with refused("texts[0] = 'a <|endoftext|> red': "):
        found.text_features(["a <|endoftext|> red"])
    with refused("names 'Red' and 'red' are the same tokens: no image could tell them apart"):
        found.classifier(["Red", "red"], ["a {}."])
