"""What lies in one folder is compared when it is loaded: each part is changed alone, and both values are named."""

import pytest
from clips import PROCESSOR, TOKENIZER, change
from refusals import refused

from lib.models.clip import load as clip

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
