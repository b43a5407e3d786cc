"""Weights that are not those of their config, files that are not whole, towers of two kinds: each is said in a line."""

import clips
import pytest
import torch
import transformers
from refusals import refused
from safetensors.torch import load_file, save_file

from lib.models.clip import load as clip
from lib.tasks import zero_shot


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda w: w.pop("logit_scale"), "its weights lack logit_scale"),
        (
            lambda w: [w.pop(key) for key in [*w] if key.startswith("text")],
            "its weights lack text_model.embeddings.pos",
        ),
        (lambda w: w.update(other=torch.zeros(1)), "its weights have, beside what its config names, other"),
        (
            lambda w: w["visual_projection.weight"].fill_(torch.nan),
            "visual_projection.weight is not finite in torch.fl",
        ),
    ],
)
def test_weights_that_are_not_those_of_the_config_are_refused(folder, spoil, said):
    file = folder / "model.safetensors"
    weights = load_file(file)
    spoil(weights)
    save_file(weights, file, metadata={"format": "pt"})
    with refused(f"{str(folder)!r}: {said}"):
        clip.load(str(folder))


def test_weights_beyond_half_precision_are_refused_in_it_alone(folder):
    file = folder / "model.safetensors"
    weights = {key: value.float() for key, value in load_file(file).items()}
    weights["visual_projection.weight"][0, 0] = 1e5
    save_file(weights, file, metadata={"format": "pt"})
    with refused(f"{str(folder)!r}: visual_projection.weight is not finite in torch.float16"):
        clip.load(str(folder), dtype=torch.float16)
    assert clip.load(str(folder)).model.visual_projection.weight[0, 0] == 1e5


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, "float32"])
def test_weights_are_loaded_in_floating_point(folder, dtype):
    with refused(f"dtype = {dtype!r}: one of torch.float16, "):
        clip.load(str(folder), dtype=dtype)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("model.safetensors", "its weights cannot be read: "),
        ("tokenizer.json", "its tokenizer cannot be read: "),
        ("preprocessor_config.json", "its processor of images cannot be read: "),
    ],
)
def test_a_file_that_is_missing_or_cut_short_is_said_in_a_line(folder, file, said):
    (folder / file).write_bytes((folder / file).read_bytes()[:7])
    for error in (Exception, Exception):  # cut short, then missing
        with pytest.raises(error, match=said) as caught:
            clip.load(str(folder))
        assert "\n" not in str(caught.value)
        assert caught.type in (ValueError, FileNotFoundError)
        (folder / file).unlink(missing_ok=True)


def test_a_tower_of_another_width_is_refused():
    model = clips.clip()
    other = transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(hidden_size=24, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2)
    )
    with refused("vision_model of width 24: 96 is needed, as clip-scenes-0 has"):
        model.seeing_with(other)
    with refused("vision_model is of type str: a Module is needed", TypeError):
        model.seeing_with("vision_model")


def test_what_is_no_name_is_refused(made):
    assert clip.load(made).name == str(made)
    with refused("name is of type NoneType: a name, or a folder's path, is needed", TypeError):
        clip.load(None)
    with refused("dtype = torch.int64: one of torch.float16, "):
        clip.random_init("openai/clip-vit-base-patch32", dtype=torch.int64)


@pytest.mark.parametrize(("dtype", "unit"), [(torch.float16, 2**-11), (torch.bfloat16, 2**-8)])
def test_half_precision_scores_as_single_precision_does(dtype, unit):
    data = clips.scenes(60)
    exact, half = (clip.load("clip-scenes-0", dtype=one) for one in (torch.float64, dtype))
    classes, images = (
        [ask(one, data).double() for one in (exact, half)] for ask in (zero_shot.classifier, zero_shot.image_features)
    )
    scores = images[0] @ classes[0].T
    # Eight layers, each of a few roundings of features of unit length: what they decide by more than that stays.
    best = scores.topk(2).values
    clear = best[:, 0] - best[:, 1] > 40 * unit
    found = zero_shot.predictions(images[1].float(), classes[1].float())
    assert clear.sum() > 10
    assert torch.equal(found[clear], scores.argmax(1)[clear])
