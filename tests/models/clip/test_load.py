"""CLIP by name, folder or with random weights; texts and images into one space."""

import clips
import pytest
import torch
import transformers
from torch.testing import assert_close

from lib.models.clip import hub
from lib.models.clip import load as clip

TEXTS = ["a red disc.", "there is a blue star in the picture."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return clips.folder(tmp_path_factory.mktemp("hub"))


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(hub.HfApi, "repo_info", lambda *_, **__: (_ for _ in ()).throw(OSError("no network\nat all")))


def test_a_folder_gives_what_transformers_loads_from_it(folder):
    found = clip.load(str(folder))
    theirs = transformers.CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    inputs = found.tokenizer(TEXTS, padding=True, return_tensors="pt")
    pixels = found.pixels(clips.scenes().images)
    wanted = theirs(**inputs, pixel_values=pixels)
    assert_close(found.text_features(TEXTS), wanted.text_embeds)
    assert_close(found.image_features(pixels), wanted.image_embeds)
    assert found.model.dtype == torch.float32
    assert not found.model.training


def test_dtype_is_what_was_asked_for(folder):
    found = clip.load(str(folder), dtype=torch.bfloat16)
    assert found.image_features(found.pixels(clips.scenes().images)).dtype == torch.bfloat16


def test_texts_are_read_at_their_end(folder):
    found = clip.load(str(folder))
    one, two = found.text_features(TEXTS)
    assert (one - two).norm() > 1e-3
    states = found.model.text_model(**found.tokenizer(TEXTS, padding=True, return_tensors="pt")).last_hidden_state
    assert_close(states[0, 0], states[1, 0])  # at the start token all texts are alike: attention is causal
    alone = torch.cat([found.text_features([text]) for text in TEXTS])
    assert_close(torch.stack([one, two]), alone)  # padding changes nothing


def test_a_class_is_the_mean_of_its_texts(folder):
    found = clip.load(str(folder))
    rows = found.classifier(["red disc", "blue star"], ["a {}.", "a picture of a {}."])
    own = found.text_features(["a blue star.", "a picture of a blue star."])
    assert_close(rows[1], own.mean(0) / own.mean(0).norm())
    assert_close(rows.norm(dim=1), torch.ones(2))


def test_pixels_are_the_processors(folder):
    found = clip.load(str(folder))
    images = torch.randint(256, (2, 3, 100, 80), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    pixels = found.pixels(images)
    assert pixels.shape == (2, 3, 64, 64)
    theirs = transformers.CLIPImageProcessorPil.from_pretrained(folder)
    assert_close(pixels, theirs(images=list(images), return_tensors="pt")["pixel_values"])


def test_another_tower_sees_and_the_first_model_stays(folder):
    found = clip.load(str(folder))
    pixels = found.pixels(clips.scenes().images)
    before = found.image_features(pixels)
    other = clip.load(str(folder)).model.vision_model
    with torch.no_grad():
        other.post_layernorm.bias.add_(1)
    seeing = found.seeing_with(other)
    assert (seeing.image_features(pixels) - before).abs().max() > 1e-3
    assert torch.equal(found.image_features(pixels), before)
    assert seeing.model.text_model is found.model.text_model


@pytest.mark.parametrize("name", clip.shipped())
def test_shipped_sizes_are_those_of_the_name(name):
    vision = clip.known_config(name).vision_config
    width, depth = (1024, 24) if "large" in name else (768, 12)
    assert (vision.hidden_size, vision.num_hidden_layers) == (width, depth)
    assert f"patch{vision.patch_size}" in name
    assert vision.intermediate_size == 4 * width
    assert vision.image_size == 224


@pytest.mark.slow
def test_random_weights_come_from_the_seed_and_leave_the_global_one_alone():
    before = torch.random.get_rng_state()
    one = clip.random_init("openai/clip-vit-base-patch32")
    assert torch.equal(torch.random.get_rng_state(), before)
    # From the paper's repository: 151,277,313 weights.
    assert sum(weight.numel() for weight in one.parameters()) == 151_277_313


def test_images_are_prepared_without_the_class_that_some_releases_tie_to_torchvision(folder, monkeypatch):
    def tied(*_, **__):
        raise ImportError("AutoImageProcessor requires the Torchvision library")

    monkeypatch.setattr(transformers.AutoImageProcessor, "from_pretrained", tied)
    found = clip.load(str(folder))
    side = found.model.config.vision_config.image_size
    assert found.pixels(clips.scenes().images).shape[1:] == (3, side, side)


def test_a_name_that_is_nowhere_says_what_was_tried(offline):
    with pytest.raises(
        FileNotFoundError, match=r"'openai/clip-vit-base-patch16': .*the hub says: no network\. Without"
    ) as e:
        clip.load("openai/clip-vit-base-patch16")
    assert "\n" not in str(e.value)


def test_what_cannot_be_is_said(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a folder without config.json"):
        clip.load(str(tmp_path))
    transformers.MambaConfig().save_pretrained(tmp_path)
    with pytest.raises(TypeError, match="a model of type 'mamba'; clip or siglip is needed"):
        clip.load(str(tmp_path))
    with pytest.raises(ValueError, match=r"name = 'vit-g': one of .*patch16.* is needed"):
        clip.random_init("vit-g")
    found = clip.load(str(folder))
    with pytest.raises(ValueError, match=r"template 'a photo': one \{\} is needed"):
        found.classifier(["red disc"], ["a photo"])
    for given in ([], "a red disc"):
        with pytest.raises(ValueError, match=r"texts = .* a list of at least one text is needed"):
            found.text_features(given)
    with pytest.raises(ValueError, match=r"names = .*: a list of at least one"):
        found.classifier([], ["a {}."])
    with pytest.raises(ValueError, match=r"templates = .*: a list of at least one"):
        found.classifier(["red disc"], [])
    with pytest.raises(ValueError, match="images: at least one is needed"):
        found.pixels([])
    with pytest.raises(ValueError, match="more than the 16 tokens that"):
        found.text_features(["red " * 20])
