"""Small computations on what the original report's repository claims after the report: seconds on any machine.

`TOYS` are among those of `lib.experiments.toys`, which gives each its generator. Each returns plain values under the
name by which `lib.report.evidence.Evidence` has it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AlignVisionConfig, AlignVisionModel, AutoModel, SiglipVisionConfig, SiglipVisionModel

from lib.experiments.clip_cost import SIDES
from lib.models.clip import cost as vit_cost
from lib.models.clip import load as clip
from lib.models.clip.reduction import reduce_tokens
from lib.tasks.data.images import rendered

CHECKPOINT = "clip-scenes-0"  # the small CLIP that toys read
DRAWN, EACH = 320, 3  # scenes drawn, and of each class the first so many, for chance to be exact
HALF = 0.5  # of the patches
VIT = "openai/clip-vit-base-patch16"


@torch.inference_mode()
def consistency(generator: torch.Generator) -> dict[str, Any]:
    """How often half of the patches give the answer of all, for a small CLIP on scenes, by the token of its texts.

    returns   "start" and "end" -> "agreement" with the unreduced model's answers, "accuracy" of the reduced model and
              of the "unreduced", and number of "answers" that differ; "chance"; "images"
    """
    ours = clip.load(CHECKPOINT)
    data = rendered(DRAWN, generator)
    chosen = torch.cat([(data.classes == number).nonzero()[:EACH, 0] for number in range(len(data.names))])
    pixels, classes = ours.pixels(data.images[chosen]), data.classes[chosen]
    reduced = ours.seeing_with(reduce_tokens(ours.model.vision_model, "norm", HALF))
    whole, fewer = ours.image_features(pixels), reduced.image_features(pixels)
    found: dict[str, Any] = {"chance": 1 / len(data.names), "images": len(chosen)}
    for token, texts in _texts(ours, [data.templates[0].format(name) for name in data.names]).items():
        said, kept = (_answers(features, texts) for features in (whole, fewer))
        found[token] = {
            "agreement": (said == kept).float().mean().item(),
            "accuracy": (kept == classes).float().mean().item(),
            "unreduced": (said == classes).float().mean().item(),
            "answers": len(said.unique()),
        }
    return found


def _texts(ours: clip.Clip, prompts: list[str]) -> dict[str, Tensor]:
    """Features of prompts, of unit length, read at the start token, as the original notebooks do, and at the end."""
    inputs = ours.tokenizer(prompts, padding=True, return_tensors="pt")
    states = ours.model.text_model(**inputs).last_hidden_state
    return {
        "start": F.normalize(ours.model.text_projection(states[:, 0]), dim=-1),
        "end": ours.text_features(prompts),
    }


def _answers(features: Tensor, texts: Tensor) -> Tensor:
    """Number of the nearest text; of texts that differ by rounding alone, the first."""
    scores = features @ texts.T
    return (scores >= scores.max(dim=1, keepdim=True).values - 1e-5).int().argmax(dim=1)


def plugs() -> dict[str, dict[str, bool]]:
    """What pruning needs of an image tower, and whether it is there, in small towers by transformers' own classes.

    returns   "CLIP", "ALIGN", "SigLIP" -> "visual tokens": the output has a row per patch; "class token"; "as written":
              the original code runs on it; "mended": patches of large norm, chosen by `reduce_tokens`, do
    """
    sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        towers = {
            "CLIP": clip.load(CHECKPOINT).model.vision_model,
            "ALIGN": AlignVisionModel(AlignVisionConfig(image_size=64, width_coefficient=0.25, depth_coefficient=0.25)),
            "SigLIP": SiglipVisionModel(SiglipVisionConfig(image_size=64, patch_size=16, **sizes)),
        }
    return {name: _plugs(tower.eval()) for name, tower in towers.items()}


@torch.inference_mode()
def _plugs(tower: nn.Module) -> dict[str, bool]:
    names = {name.rpartition(".")[2] for name, _ in tower.named_parameters()}
    x = torch.zeros(1, 3, tower.config.image_size, tower.config.image_size)
    return {
        "visual tokens": tower(pixel_values=x).last_hidden_state.ndim == 3,
        "class token": "class_embedding" in names,
        "as written": _runs(tower, "original", x),
        "mended": _runs(tower, "norm", x),
    }


def _runs(tower: nn.Module, method: str, x: Tensor) -> bool:
    """Does a reduction to half of the patches give features of this tower's own width, or is the tower refused?"""
    try:
        found = reduce_tokens(tower, method, HALF)(pixel_values=x).pooler_output
    except TypeError:
        return False
    return found.shape == tower(pixel_values=x).pooler_output.shape


def map_bytes() -> dict[int, int]:
    """Pixels a side -> bytes of the attention maps of one layer of ViT-B/16 for one image, in float32."""
    config = clip.known_config(VIT).vision_config
    return {side: 4 * config.num_attention_heads * (1 + vit_cost.patches(config, side)) ** 2 for side in SIDES}


def clip_parameters() -> int:
    """Number of weights of CLIP ViT-B/16, both towers."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in AutoModel.from_config(clip.known_config(VIT)).parameters())


TOYS: Mapping[str, Callable[[torch.Generator], Any]] = MappingProxyType(
    {
        "consistency": consistency,
        "plugs": lambda _: plugs(),
        "map_bytes": lambda _: map_bytes(),
        "clip_parameters": lambda _: clip_parameters(),
    }
)
