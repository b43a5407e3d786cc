"""What lies in one folder is compared when it is loaded: each part is changed alone, and both values are named."""

import json
import shutil

import clips
import pytest
import torch
import transformers
from refusals import refused
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from lib.models.clip import load as clip
from lib.tasks import zero_shot


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return clips.folder(tmp_path_factory.mktemp("hub"))


@pytest.fixture
def folder(made, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(made, tmp_path / "small")


def change(folder, file, at, value):
    """Set a field of a JSON file, `at` its path with dots; None takes it away."""
    path = folder / file
    whole = part = json.loads(path.read_text())
    *before, last = at.split(".")
    for key in before:
        part = part[int(key) if key.isdigit() else key]
    if value is None:
        del part[last]
    else:
        part[last] = value
    path.write_text(json.dumps(whole))


PROCESSOR, TOKENIZER = "preprocessor_config.json", "tokenizer_config.json"
FIELDS = [  # file, field, value, what is said of the folder
    (
        "config.json",
        "text_config.eos_token_id",
        5,
        "eos_token_id 5 in its config, 3 in its tokenizer: they must be the",
    ),
    (
        "config.json",
        "text_config.eos_token_id",
        2,
        "eos_token_id = 2 in its config, by which the highest token is the e",
    ),
    (
        "config.json",
        "text_config.eos_token_id",
        [3],
        "eos_token_id [3] in its config, 3 in its tokenizer: they must be",
    ),
    ("config.json", "text_config.vocab_size", 20, "vocab_size = 20 in its config, tokens up to 23 in its tokenizer"),
    ("config.json", "text_config.vocab_size", 30, "text_model.embeddings.token_embedding.weight (24, 48) in its weig"),
    (
        "config.json",
        "text_config.max_position_embeddings",
        8,
        "longest text 8 in its config, 16 in its tokenizer: they",
    ),
    (
        "config.json",
        "text_config.num_hidden_layers",
        1,
        "its weights have, beside what its config names, text_model.en",
    ),
    ("config.json", "vision_config.num_hidden_layers", 7, "its weights lack vision_model.encoder.layers.6.layer_norm1"),
    ("config.json", "vision_config.image_size", 72, "image_size (72, 72) in its config, (64, 64) in what its process"),
    ("config.json", "vision_config.patch_size", 16, "vision_model.embeddings.patch_embedding.weight (96, 3, 8, 8) in"),
    ("config.json", "vision_config.num_channels", 1, "num_channels 1 in its config, 3 in an image in colour: they mus"),
    ("config.json", "projection_dim", 24, "text_projection.weight (48, 48) in its weights, (24, 48) in its config"),
    ("config.json", "quantization_config", {"quant_method": "bitsandbytes"}, "quantised weights, by its config"),
    (TOKENIZER, "model_max_length", 77, "longest text 16 in its config, 77 in its tokenizer: they must be the same"),
    (TOKENIZER, "padding_side", "left", "padding_side left in its tokenizer, right in how such a model was trained"),
    (TOKENIZER, "pad_token", None, "pad_token = None in its tokenizer, so that texts of two lengths fit no batch"),
    (TOKENIZER, "eos_token", "<pad>", "end of a text 3 in what its tokenizer writes, 0 in its eos_token_id: they must"),
    ("tokenizer.json", "post_processor", None, "start of a text 5 in what its tokenizer writes, 2 in its bos_token_id"),
    (
        "tokenizer.json",
        "normalizer",
        None,
        "its tokenizer tells 'A' from 'a'; such a model was trained on small letters",
    ),
    (
        PROCESSOR,
        "image_processor_type",
        "ViTImageProcessor",
        "model_type = 'clip' in its config, a processor of type 'Vi",
    ),
    (
        PROCESSOR,
        "image_processor_type",
        "SiglipImageProcessor",
        "model_type = 'clip' in its config, a processor of type",
    ),
    (PROCESSOR, "do_rescale", False, "do_rescale = False in its processor; True is needed"),
    (PROCESSOR, "do_normalize", False, "do_normalize = False in its processor; True is needed"),
    (PROCESSOR, "do_resize", False, "do_resize = False in its processor; True is needed"),
    (PROCESSOR, "rescale_factor", 1.0, "rescale_factor = 1.0 in its processor; 1 / 255 is needed"),
    (PROCESSOR, "image_mean", [123.7, 116.3, 103.5], "image_mean = [123.7, 116.3, 103.5] in its processor; 0 to 1 is"),
    (PROCESSOR, "image_std", [0.2, 0.2], "channels of image_std 2 in its processor, 3 in its config: they must be"),
    (PROCESSOR, "image_std", [0.0, 0.2, 0.2], "image_std = [0.0, 0.2, 0.2] in its processor; 0.001 to 1 is needed"),
    (
        PROCESSOR,
        "crop_size",
        {"height": 56, "width": 56},
        "image_size (64, 64) in its config, (56, 56) in what its proc",
    ),
    (PROCESSOR, "size", {"shortest_edge": 32}, "crop_size = (64, 64) in its processor, of images resized to (32, 32)"),
    (PROCESSOR, "do_center_crop", False, "size = {'shortest_edge': 64} in its processor, without a crop"),
]


@pytest.mark.limit(
    "clip",
    "A folder whose config, weights, tokenizer and processor contradict one another",
    "It would load, and answer wrongly: a tower that reads texts at another token than the tokenizer ends them with "
    "finds all classes alike. Both values are named; mend the one that is wrong.",
)
@pytest.mark.parametrize("field", FIELDS, ids=lambda field: f"{field[1]}={field[2]}")
def test_a_part_that_contradicts_another_is_refused(folder, field):
    *where, said = field
    change(folder, *where)
    with refused(f"{str(folder)!r}: {said}"):
        clip.load(str(folder))


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
    model, data = clips.clip(), clips.scenes()
    inputs = model.tokenizer(["a red disc.", "a blue star."], return_tensors="pt")
    model.model.text_model.eos_token_id = 5
    one, two = model.model.get_text_features(**inputs).pooler_output
    assert_close(one, two)
    rows = torch.ones(2, 4)
    with refused("classes 0 and 1 are the same: no image could tell them apart"):
        zero_shot.predictions(torch.eye(4), rows)
    assert len(data)


@pytest.fixture(scope="module")
def siglip(tmp_path_factory):
    """A small SigLIP as the hub has it: no class token, no start, texts padded to one length."""
    path = tmp_path_factory.mktemp("siglip")
    words = clips.clips.tokenizer(["a red disc.", "a blue star."])
    from tokenizers import processors

    ends = [("<end>", words.eos_token_id)]
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=ends)
    words.save_pretrained(path)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(words), "max_position_embeddings": 16}
    torch.manual_seed(0)
    config = transformers.SiglipConfig(text_config=text, vision_config={**sizes, "image_size": 32, "patch_size": 8})
    transformers.SiglipModel(config).save_pretrained(path)
    transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(path)
    return path


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


def test_a_tower_of_another_width_is_refused():
    model = clips.clip()
    other = transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(hidden_size=24, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2)
    )
    with refused("vision_model of width 24: 96 is needed, as clip-scenes-0 has"):
        model.seeing_with(other)
    with refused("vision_model is of type str: a Module is needed", TypeError):
        model.seeing_with("vision_model")
