"""CLIP and its kin from transformers: by name, from a folder, or with random weights; and what to classify with it.

Symbols: `lib/__init__.py`. Source: Radford et al. (2021), https://arxiv.org/abs/2103.00020.
"""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    CLIPImageProcessorPil,
    PretrainedConfig,
    SiglipImageProcessorPil,
)

from lib.models.checks import check_choice
from lib.models.clip.hub import no_bars, why_not
from lib.paths import CHECKPOINTS, CONFIGS, INSTALLED, ONLY_IN_REPOSITORY

# What transformers calls the models that are known to work -> what prepares their images. Named here, since some
# releases find them only where torchvision is installed.
KINDS = {"clip": CLIPImageProcessorPil, "siglip": SiglipImageProcessorPil}


@dataclass(frozen=True)
class Clip:
    """A model of images and texts, with what prepares both for it.

    name       by which it was loaded
    model      of transformers, in evaluation mode
    tokenizer  of its texts
    processor  of its images
    """

    name: str
    model: nn.Module
    tokenizer: Any
    processor: Any

    def pixels(self, images: UInt8[Tensor, "B 3 H W"] | Sequence) -> Float[Tensor, "B 3 side side"]:
        """Images as the model takes them: resized, cropped to a square, and normed; on its device, in its dtype.

        images   0 to 255, or pictures of PIL
        raises   ValueError for none
        """
        images = list(images)  # of one size or of many
        if not images:
            raise ValueError("images: at least one is needed")
        pixels = self.processor(images=images, return_tensors="pt")["pixel_values"]
        return pixels.to(self.model.device, self.model.dtype)

    def image_features(self, pixels: Float[Tensor, "B 3 H W"], interpolate: bool = False) -> Float[Tensor, "B width"]:
        """Features of images, of unit length.

        pixels        as `pixels` returns them
        interpolate   whether positions are interpolated, for images of another size than the model's
        """
        found = self.model.get_image_features(pixel_values=pixels, interpolate_pos_encoding=interpolate)
        return F.normalize(found.pooler_output, dim=-1)

    def text_features(self, texts: Sequence[str]) -> Float[Tensor, "C width"]:
        """Features of texts, of unit length, read where the model reads them: CLIP at a text's end, not at its start.

        raises   ValueError, naming it, for a text that is longer than the model's longest, and for none at all
        """
        if isinstance(texts, str) or not len(texts):
            raise ValueError(f"texts = {texts!r}: a list of at least one text is needed")
        # SigLIP was trained on texts that are padded to one length, and reads the last token.
        padding = "max_length" if self.model.config.model_type == "siglip" else True
        inputs = self.tokenizer(list(texts), padding=padding, return_tensors="pt")
        most = self.model.config.text_config.max_position_embeddings
        if inputs["input_ids"].shape[1] > most:
            longest = max(texts, key=len)
            raise ValueError(f"{longest!r}: more than the {most} tokens that {self.name} reads")
        found = self.model.get_text_features(**inputs.to(self.model.device))
        return F.normalize(found.pooler_output, dim=-1)

    def classifier(self, names: Sequence[str], templates: Sequence[str]) -> Float[Tensor, "C width"]:
        """Features of classes, of unit length: of each the mean over all templates.

        names       of the classes
        templates   texts with a {} where the name goes
        raises      ValueError, naming it, for one without, and for no names or templates
        source      Radford et al. (2021), section 3.1.4, "prompt engineering and ensembling"
        """
        for kind, given in (("names", names), ("templates", templates)):
            if isinstance(given, str) or not len(given):
                raise ValueError(f"{kind} = {given!r}: a list of at least one is needed")
        for template in templates:
            if template.count("{}") != 1:
                raise ValueError(f"template {template!r}: one {{}} is needed, where the name goes")
        texts = [template.format(name) for name in names for template in templates]
        return F.normalize(self.text_features(texts).unflatten(0, (len(names), -1)).mean(1), dim=-1)

    def seeing_with(self, vision_model: nn.Module) -> "Clip":
        """This model with another vision tower; all other parts are shared."""
        model = copy.copy(self.model)
        model._modules = {**self.model._modules, "vision_model": vision_model}
        return replace(self, model=model)


def load(name: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Clip:
    """A model by name: one of this project's checkpoints, a folder in the hub's layout, or one of the hub.

    raises   FileNotFoundError: one line that says what was tried, and what works without a network; TypeError for a
             model of another kind
    """
    source = _source(name)
    config = AutoConfig.from_pretrained(source)
    if config.model_type not in KINDS:
        raise TypeError(f"{name!r}: a model of type {config.model_type!r}; {' or '.join(KINDS)} is needed")
    with no_bars():
        model = AutoModel.from_pretrained(source, dtype=dtype, config=config).to(device).eval()
    processor = KINDS[config.model_type].from_pretrained(source)
    return Clip(name, model, AutoTokenizer.from_pretrained(source), processor)


def random_init(name: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A well-known model with random weights, to measure costs, which are those of the trained one.

    name     one of `shipped()`
    raises   ValueError, listing them, for another one
    """
    config = known_config(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(config, dtype=dtype)
    return model.eval()


def known_config(name: str) -> PretrainedConfig:
    """Sizes of a well-known model.

    raises   ValueError, listing them, for one that is not in `shipped()`
    """
    check_choice("name", name, shipped())
    return AutoConfig.for_model(**json.loads((CONFIGS / f"{name}.json").read_text()))


def shipped() -> list[str]:
    """Names of the well-known models whose sizes are in this repository, for `random_init` and `known_config`."""
    return sorted(path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.glob("*/*.json"))


def checkpoints() -> list[str]:
    """Names of this project's trained models, for `load`."""
    return sorted(path.parent.name for path in CHECKPOINTS.glob("*/config.json"))


def _source(name: str) -> str:
    """What transformers loads from: a folder, or the name itself where the hub knows it or it was loaded before."""
    for folder in (Path(name), CHECKPOINTS / name):
        if (folder / "config.json").is_file():
            return str(folder)
    if Path(name).is_dir():
        raise FileNotFoundError(f"{name!r}: a folder without config.json, not one in the hub's layout")
    try:
        AutoConfig.from_pretrained(name, local_files_only=True)  # loaded before
    except OSError:
        if reason := why_not(name, "model"):
            ours = f"this project's checkpoints are {ONLY_IN_REPOSITORY}" if INSTALLED else ", ".join(checkpoints())
            raise FileNotFoundError(
                f"{name!r}: no folder with config.json, not in the cache, and the hub says: {reason}. "
                f"Without a network: {ours}; random_init knows the sizes of {', '.join(shipped())}"
            ) from None
    return name
