"""An image tower of state space blocks, with the interface of CLIP's own: it takes that tower's place in a CLIP.

    clip = CLIPModel(config)
    clip.vision_model = VisionTower(config.vision_config, "vision_mamba")

Patches, positions and the norms before and after are CLIP's; between them stand the mixers of `lib.names.TOWERS`, each
with a norm before and a residual around. No class token: the image's features are the mean of its patches'.
Symbols: `lib/__init__.py`; P patches.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lib import names
from lib.models.checks import check_choice, check_count, check_kind, check_shape
from lib.models.ssm.mamba_block import MambaConfig, fresh
from lib.models.ssm.residual import Residual
from lib.models.tables import Modules

MIXERS = Modules("TOWERS", "mixers")
CLOSE = 0.02  # of the parameters, by which towers that are compared may differ
READ = (  # of a transformer's config: what decides its parameters, positions left out
    *("hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size"),
    *("patch_size", "num_channels"),
)
DEEPEST = 8  # times the blocks of the transformer, at most


@dataclass(frozen=True)
class Sizes:
    """Sizes of a tower's mixers.

    mamba    of a scanning block; `layers` is not read
    blocks   number of mixers
    heads    of attention, where a tower has it
    """

    mamba: MambaConfig
    blocks: int
    heads: int


class VisionTower(nn.Module):
    """Patches, mixers of one kind, and the mean of what they make, as transformers' CLIP calls its tower.

    config     of the tower in whose place it stands: side, patch, width, heads; its layers decide the parameters
    kind       one of `lib.names.TOWERS`
    sizes      of the mixers; where left out, those of `fitted`
    generator  that weights are drawn from
    raises     ValueError, quoting it, for another kind, for sides that patches do not divide, for pixels of another
               shape, and for an option of CLIP's tower that this one has not
    """

    def __init__(
        self,
        config: CLIPVisionConfig,
        kind: str,
        sizes: Sizes | None = None,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_kind("config", config, CLIPVisionConfig)
        check_choice("kind", kind, names.TOWERS)
        if config.image_size % config.patch_size:
            raise ValueError(f"image_size = {config.image_size}: no multiple of patch_size = {config.patch_size}")
        self.config, self.kind, self.sizes = config, kind, sizes or fitted(config, kind)
        side, patch, dim = config.image_size // config.patch_size, config.patch_size, config.hidden_size
        self.grid = side, side
        pixels = {"stride": patch, "bias": False, "generator": generator}
        self.patch_embedding = fresh(nn.Conv2d, config.num_channels, dim, patch, **pixels)
        self.positions = nn.Parameter(torch.empty(side * side, dim).normal_(std=0.02, generator=generator))
        self.pre_layrnorm = nn.LayerNorm(dim, eps=config.layer_norm_eps)  # spelled as in transformers
        self.layers = Residual(dim, MIXERS[kind].mixers(self.sizes, generator=generator))
        self.post_layernorm = nn.LayerNorm(dim, eps=config.layer_norm_eps)

    def forward(self, pixel_values: Float[Tensor, "B C S S"], **options: object) -> BaseModelOutputWithPooling:
        """Features of every patch, and of the image.

        options   of CLIP's tower, as transformers hands them on: only those that leave everything as it is
        """
        x = self.embedded(pixel_values, options)
        x, _ = self.layers.run(lambda mixer, y, _: (mixer(y, self.grid), None), x, [None] * len(self.layers))
        return self.finished(x, x.mean(1))

    def embedded(self, pixel_values: Float[Tensor, "B C S S"], options: Mapping[str, object]) -> Float[Tensor, "B P D"]:
        """Patches with their positions, as the first block reads them; options as in `forward`."""
        if others := [name for name, value in options.items() if value and name != "return_dict"]:
            raise ValueError(f"{others[0]} = {options[others[0]]!r}: a tower of state space blocks has no such option")
        side = self.config.image_size
        check_shape("pixel_values", pixel_values, "B", self.config.num_channels, side, side)
        x = self.patch_embedding(pixel_values.to(self.positions.dtype)).flatten(2).transpose(1, 2)
        return self.pre_layrnorm(x + self.positions)

    def finished(self, x: Float[Tensor, "B P D"], pooled: Float[Tensor, "B D"]) -> BaseModelOutputWithPooling:
        """What transformers expects, of the last block's patches and of their mean."""
        return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=self.post_layernorm(pooled))


def fitted(config: CLIPVisionConfig, kind: str) -> Sizes:
    """Sizes with which a tower has the parameters of CLIP's own, within a fiftieth.

    16 states, twice the width inside, and the number of blocks that comes closest; where that is not close enough, the
    rank of the step sizes changes, or, of a tower without step sizes, the number of states.
    raises   ValueError, quoting width and layers, where none comes close
    """
    check_choice("kind", kind, names.TOWERS)
    return _fitted(kind, *(getattr(config, name) for name in READ))


@cache
def _fitted(kind: str, *read: int) -> Sizes:
    given = dict(zip(READ, read, strict=True))
    config = CLIPVisionConfig(**given, image_size=given["patch_size"])
    dim, layers, heads = config.hidden_size, config.num_hidden_layers, config.num_attention_heads
    goal = _parameters(lambda: CLIPVisionModel(config))

    def counted(sizes: Sizes) -> int:
        return _parameters(lambda: VisionTower(config, kind, sizes))

    first = Sizes(MambaConfig(dim=dim, layers=1), 1, heads)
    block = max(1, counted(replace(first, blocks=8)) - counted(replace(first, blocks=4))) / 4
    about = round((goal - counted(replace(first, blocks=4))) / block) + 4
    check_count("blocks", about, 1, DEEPEST * layers, where=f" of {kind} at width {dim} in the place of {layers}")
    close = []
    for blocks in sorted({max(1, about - 1), about, about + 1}):
        sizes = replace(first, blocks=blocks)
        for change, other in _others(sizes, goal, counted):
            if abs(counted(other) / goal - 1) <= CLOSE:
                close.append((change, abs(counted(other) / goal - 1), other))
    if not close:
        said = f"width {dim}, {layers} layers: no {kind} has its parameters within {CLOSE:.0%}"
        raise ValueError(f"{said}; one in the place of more layers may")
    return min(close, key=lambda one: one[:2])[2]  # the least change among those that are close


def _others(sizes: Sizes, goal: int, counted: Callable[[Sizes], int]) -> Iterator[tuple[int, Sizes]]:
    """These sizes; with the rank that comes closest to a number of parameters; or, where none counts, other states."""
    usual = sizes.mamba
    yield 0, sizes
    slope = counted(replace(sizes, mamba=replace(usual, rank=usual.step_rank + 1))) - counted(sizes)
    if slope:
        rank = max(1, usual.step_rank + round((goal - counted(sizes)) / slope))
        yield abs(rank - usual.step_rank), replace(sizes, mamba=replace(usual, rank=rank))
        return
    for more in (-4, -2, 2, 4):
        yield abs(more), replace(sizes, mamba=replace(usual, states=usual.states + more))


def _parameters(make: Callable[[], nn.Module]) -> int:
    """Of a tower that is made without memory, its positions left out: they depend on the image's side alone."""
    with torch.device("meta"):
        made = make()
    return sum(weight.numel() for name, weight in made.named_parameters() if "position" not in name)
