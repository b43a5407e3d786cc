"""Whether what lies in one folder belongs together: a config, weights, a tokenizer and a processor.

Each was written by somebody, none looks at the others, and what does not fit gives answers all the same. Not to be
told: weights trained with another activation, number of heads or mean of images than the config names.
"""

import math
import re
from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig

from lib.models.clip.load.texts import LEGACY, whole

UNSET = 10**9  # a tokenizer without a longest text has a number beyond this one
PROBES = ("a", "a photo of a dog")  # of two lengths, so that one is padded
FLAGS = ("do_resize", "do_rescale", "do_normalize")
PROCESSORS = {  # as which a folder's processor may have been written
    "clip": ("CLIPImageProcessor", "CLIPFeatureExtractor"),
    "siglip": ("SiglipImageProcessor",),
}


def check_config(name: str, config: PretrainedConfig) -> None:
    """Accept the config of a model of images in three channels and of texts, whose weights are numbers as they are.

    raises   ValueError, quoting it, for another one
    """
    _agree(name, "num_channels", config.vision_config.num_channels, "its config", 3, "an image in colour")
    if getattr(config, "quantization_config", None):
        raise ValueError(f"{name!r}: quantised weights, by its config; floating-point ones are needed")
    if not getattr(config.vision_config, "vision_use_head", True):
        raise ValueError(f"{name!r}: vision_use_head = False in its config, so that images have no features")


def check_tokenizer(name: str, config: PretrainedConfig, tokenizer: Any) -> None:
    """Accept a tokenizer whose numbers, lengths and ends are those of a model's config.

    raises   ValueError, quoting both, where they differ
    """
    text, siglip = config.text_config, config.model_type == "siglip"
    highest = max(tokenizer.get_vocab().values())
    if highest >= text.vocab_size:
        said = f"vocab_size = {text.vocab_size} in its config, tokens up to {highest} in its tokenizer"
        raise ValueError(f"{name!r}: {said}, which has no row for all of them")
    if tokenizer.model_max_length < UNSET:
        most = text.max_position_embeddings
        _agree(name, "longest text", most, "its config", tokenizer.model_max_length, "its tokenizer")
    _agree(name, "padding_side", tokenizer.padding_side, "its tokenizer", "right", "how such a model was trained")
    if tokenizer.pad_token_id is None:
        raise ValueError(f"{name!r}: pad_token = None in its tokenizer, so that texts of two lengths fit no batch")
    words = ["a", *re.findall(r"\b[a-zA-Z]{2,}\b", " ".join(sorted(tokenizer.get_vocab())))[:50]]
    one, other = (tokenizer([case(word) for word in words])["input_ids"] for case in (str.lower, str.upper))
    if one != other:
        raise ValueError(f"{name!r}: its tokenizer tells 'A' from 'a'; such a model was trained on small letters")
    if not siglip:
        _check_ends(name, text, tokenizer)


def _check_ends(name: str, text: PretrainedConfig, tokenizer: Any) -> None:
    found = tokenizer(list(PROBES), padding=True, truncation=False, return_tensors="pt")
    ids, mask = found["input_ids"], found["attention_mask"]
    first, last = ids[0, 0].item(), ids[0, mask[0].sum() - 1].item()
    _agree(name, "start of a text", first, "what its tokenizer writes", tokenizer.bos_token_id, "its bos_token_id")
    _agree(name, "end of a text", last, "what its tokenizer writes", tokenizer.eos_token_id, "its eos_token_id")
    if text.eos_token_id != LEGACY:
        _agree(name, "eos_token_id", text.eos_token_id, "its config", tokenizer.eos_token_id, "its tokenizer")
    elif (highest := max(tokenizer.get_vocab().values())) != tokenizer.eos_token_id:
        said = f"eos_token_id = {LEGACY} in its config, by which the highest token is the end"
        raise ValueError(f"{name!r}: {said}; in its tokenizer that is {highest}, the end {tokenizer.eos_token_id}")
    if not whole(ids, mask, text, tokenizer.eos_token_id).all():
        raise ValueError(f"{name!r}: a text of its tokenizer, {ids[0].tolist()}, is not read at its end")


def check_processor(name: str, config: PretrainedConfig, processor: Any, written: dict[str, Any]) -> None:
    """Accept a processor that makes images of any size such as a model's config names.

    written   what the folder says of it
    raises    ValueError, quoting both, where they differ
    """
    kind = written.get("image_processor_type", written.get("feature_extractor_type"))
    known = {f"{one}{end}" for one in PROCESSORS[config.model_type] for end in ("", "Fast", "Pil")}
    if kind is not None and kind not in known:
        raise ValueError(f"{name!r}: model_type = {config.model_type!r} in its config, a processor of type {kind!r}")
    for flag in FLAGS:
        if getattr(processor, flag) is not True:
            raise ValueError(f"{name!r}: {flag} = {getattr(processor, flag)} in its processor; True is needed")
    factor = processor.rescale_factor
    if not isinstance(factor, float) or not math.isclose(factor, 1 / 255, rel_tol=1e-3):
        raise ValueError(f"{name!r}: rescale_factor = {factor} in its processor; 1 / 255 is needed")
    for what, least in (("image_mean", 0), ("image_std", 1e-3)):
        values = getattr(processor, what)
        values = [values] * 3 if isinstance(values, float) else list(values)
        _agree(
            name, f"channels of {what}", len(values), "its processor", config.vision_config.num_channels, "its config"
        )
        if not all(least <= value <= 1 for value in values):
            raise ValueError(
                f"{name!r}: {what} = {values} in its processor; {least} to 1 is needed, of images from 0 to 1"
            )
    side = config.vision_config.image_size
    wanted = (side, side) if isinstance(side, int) else tuple(side)
    _agree(name, "image_size", wanted, "its config", _made(name, processor), "what its processor makes")


def _made(name: str, processor: Any) -> tuple[int, int]:
    """Height and width of the images that a processor makes of images of any size."""
    size = {key: value for key, value in dict(processor.size).items() if value is not None}
    crop = dict(processor.crop_size) if getattr(processor, "do_center_crop", None) else None
    if size.keys() == {"height", "width"}:
        resized = size["height"], size["width"]
    elif size.keys() == {"shortest_edge"} and crop:
        resized = size["shortest_edge"], size["shortest_edge"]
    else:
        raise ValueError(f"{name!r}: size = {size} in its processor, without a crop: images would differ in theirs")
    made = (crop["height"], crop["width"]) if crop else resized
    if made[0] > resized[0] or made[1] > resized[1]:
        raise ValueError(f"{name!r}: crop_size = {made} in its processor, of images resized to {resized}")
    return made


def check_weights(name: str, model: nn.Module, info: dict[str, Any], dtype: torch.dtype) -> None:
    """Accept weights that are all there, and no others, of the shapes that the config names, and finite.

    info     of transformers, on loading
    dtype    asked for
    raises   ValueError, naming the first of those that are not
    """
    if info["mismatched_keys"]:
        key, found, wanted = min(info["mismatched_keys"], key=str)
        _agree(name, key, tuple(found), "its weights", tuple(wanted), "its config")
    for what, keys in (
        ("lack", info["missing_keys"]),
        ("have, beside what its config names,", info["unexpected_keys"]),
    ):
        if keys:
            more = f", and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise ValueError(f"{name!r}: its weights {what} {min(keys)}{more}")
    for key, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise ValueError(f"{name!r}: {key} is not finite in {dtype}")
    if hasattr(model.text_model, "head"):
        reads, sees = model.text_model.head.out_features, model.config.vision_config.hidden_size
        _agree(name, "width", reads, "features of its texts", sees, "of its images")


def _agree(name: str, what: str, one: Any, where: str, other: Any, there: str) -> None:
    if one != other:
        raise ValueError(f"{name!r}: {what} {one} in {where}, {other} in {there}: they must be the same")
