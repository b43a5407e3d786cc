"""CLIP and its kin from transformers: by name, from a folder, or with random weights; and what to classify with it.

Symbols: `lib/__init__.py`. Source: Radford et al. (2021), https://arxiv.org/abs/2103.00020.
"""

import copy
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
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

from lib.kernels.eager import readable
from lib.models.checks import check_choice, check_device, check_dtype, check_finite, check_kind, check_shape
from lib.models.clip.hub import quiet, why_not
from lib.models.clip.load import agreement
from lib.models.clip.load.pictures import FLOATS, pictures
from lib.models.clip.load.texts import check_apart, check_names, check_templates, check_texts, tokens
from lib.paths import CHECKPOINTS, CONFIGS, INSTALLED, ONLY_IN_REPOSITORY

# What transformers calls the models that are known to work -> what prepares their images. Named here, since some
# releases find them only where torchvision is installed.
KINDS = {"clip": CLIPImageProcessorPil, "siglip": SiglipImageProcessorPil}
UNNORMED = 25.0  # what no normalised pixel comes near, in size: those of CLIP end at 2.2, noise is drawn up to 6


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

    def pixels(self, images: Shaped[Tensor, "B C H W"] | Iterable) -> Float[Tensor, "B 3 side side"]:
        """Images as the model takes them: resized, cropped to a square, and normalised; on its device, in its dtype.

        images   whole numbers from 0 to 255, others from 0 to 1, or pictures of PIL; of one size or of many. All kinds
                 are in `lib.models.clip.load.pictures`, and what is not noticed
        raises   TypeError and ValueError, quoting it, for images of another kind, and for none
        """
        pixels = self.processor(images=pictures(images), return_tensors="pt")["pixel_values"]
        return pixels.to(self.model.device, self.model.dtype)

    def image_features(self, pixels: Float[Tensor, "B 3 H W"], interpolate: bool = False) -> Float[Tensor, "B width"]:
        """Features of images, of unit length.

        pixels        as `pixels` returns them
        interpolate   whether positions are interpolated, for images of another size than the model's
        raises        ValueError, quoting it, for pixels of another shape, dtype or device, for those that are not
                      finite or not normalised, and for features that are not finite or zero
        """
        check_shape("pixels", pixels, "B", 3, "H", "W")
        check_dtype("pixels", pixels, *FLOATS)
        check_device("pixels", pixels, next(self.model.parameters()))
        check_finite("pixels", pixels)
        if readable(pixels) and pixels.device.type == "cpu" and (most := pixels.abs().max().item()) > UNNORMED:
            raise ValueError(f"pixels of up to {most:g}: normalised ones are needed, as `pixels` makes them of images")
        found = self.model.get_image_features(pixel_values=pixels, interpolate_pos_encoding=interpolate)
        return _of_unit_length("images", found.pooler_output)

    def text_features(self, texts: Collection[str]) -> Float[Tensor, "C width"]:
        """Features of texts, of unit length, read where the model reads them: CLIP at a text's end, not at its start.

        raises   ValueError, naming it, for a text that is longer than the model's longest, that is blank or holds an
                 end itself, and for none at all; TypeError for what is no list of texts
        """
        check_texts("texts", texts, "text")
        texts, config = list(texts), self.model.config
        inputs = tokens(self.tokenizer, texts, config, config.text_config.max_position_embeddings, self.name)
        found = self.model.get_text_features(**{key: rows.to(self.model.device) for key, rows in inputs.items()})
        return _of_unit_length("texts", found.pooler_output)

    def classifier(self, names: Collection[str], templates: Collection[str]) -> Float[Tensor, "C width"]:
        """Features of classes, of unit length: of each the mean over all templates.

        names       of the classes, each another
        templates   texts with a {} where the name goes
        raises      ValueError, naming it, for one without, for names or templates that are none or blank, for two names
                    whose texts are the same to the model, and what `text_features` raises
        source      Radford et al. (2021), section 3.1.4, "prompt engineering and ensembling"
        """
        check_names(names)
        check_templates(templates)
        names, templates = list(names), list(templates)
        texts = [template.format(name) for name in names for template in templates]
        check_apart(self.tokenizer, names, texts[:: len(templates)])
        rows = self.text_features(texts).unflatten(0, (len(names), -1))
        exact = torch.promote_types(rows.dtype, torch.float32)
        return _of_unit_length("names", rows.to(exact).mean(1)).to(rows.dtype)

    def seeing_with(self, vision_model: nn.Module) -> "Clip":
        """This model with another vision tower; all other parts are shared.

        raises   TypeError for what is no module; ValueError, quoting both, for a tower of another width
        """
        check_kind("vision_model", vision_model, nn.Module)
        width, own = (getattr(one.config, "hidden_size", None) for one in (vision_model, self.model.vision_model))
        if width != own:
            raise ValueError(f"vision_model of width {width}: {own} is needed, as {self.name} has")
        model = copy.copy(self.model)
        model._modules = {**self.model._modules, "vision_model": vision_model}
        return replace(self, model=model)


def load(name: str | Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Clip:
    """A model by name: one of this project's checkpoints, a folder in the hub's layout, or one of the hub.

    What lies in the folder is compared when it is loaded, see `lib.models.clip.load.agreement`.

    dtype    of the weights: float32, float64, float16 or bfloat16
    raises   FileNotFoundError: one line that says what was tried, and what works without a network; TypeError for a
             model of another kind; ValueError, quoting both, where config, weights, tokenizer and processor differ
    """
    check_kind("name", name, (str, Path), "name, or a folder's path,")
    check_choice("dtype", dtype, FLOATS)
    name = str(name)
    source = _source(name)
    config = _part(name, "config", AutoConfig, source)
    if config.model_type not in KINDS:
        raise TypeError(f"{name!r}: a model of type {config.model_type!r}; {' or '.join(KINDS)} is needed")
    agreement.check_config(name, config)
    tokenizer = _part(name, "tokenizer", AutoTokenizer, source)
    agreement.check_tokenizer(name, config, tokenizer)
    processor = _part(name, "processor of images", KINDS[config.model_type], source)
    agreement.check_processor(name, config, processor, processor.get_image_processor_dict(source)[0])
    told = {"output_loading_info": True, "ignore_mismatched_sizes": True}  # so that the check below can say what
    with quiet():
        model, info = _part(name, "weights", AutoModel, source, dtype=dtype, config=config, **told)
    agreement.check_weights(name, model, info, dtype)
    return Clip(name, model.to(device).eval(), tokenizer, processor)


def _part(name: str, what: str, kind: type, source: str, **options: Any) -> Any:
    """A part of a folder, by the class that reads it."""
    try:
        return kind.from_pretrained(source, **options)
    except Exception as error:  # a file that is missing, or broken in one of many ways
        said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        missing = FileNotFoundError if isinstance(error, OSError) else ValueError
        raise missing(f"{name!r}: its {what} cannot be read: {said}") from None


def random_init(name: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A well-known model with random weights, to measure costs, which are those of the trained one.

    name     one of `shipped()`
    raises   ValueError, listing them, for another one, and for a dtype that is no floating-point one
    """
    check_choice("dtype", dtype, FLOATS)
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


def files(name: str) -> list[Path]:
    """Files of one of this project's trained models, by its name; none of a name that is no such model's."""
    return sorted(path for path in (CHECKPOINTS / name).glob("*") if path.is_file())


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


def _of_unit_length(what: str, x: Float[Tensor, "N width"]) -> Float[Tensor, "N width"]:
    """Features divided by their lengths, which a rounding to half precision would change; values are seen on a CPU.

    raises   ValueError, naming it, for the first that is zero or not finite
    """
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    if readable(x) and x.device.type == "cpu" and not x.requires_grad:
        lengths = torch.linalg.vector_norm(exact, dim=-1)
        for number in (~(lengths.isfinite() & (lengths > 0))).nonzero()[:, 0].tolist():
            raise ValueError(f"{what}[{number}]: its features are {'zero' if lengths[number] == 0 else 'not finite'}")
    unit = F.normalize(exact, dim=-1)
    return unit if torch.is_autocast_enabled(x.device.type) else unit.to(x.dtype)
