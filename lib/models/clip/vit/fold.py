"""A vision transformer with layer scale as a CLIP vision tower of transformers, whose numbers it gives.

Layer scale goes into the weights that it scales, the patches' bias into their positions, and CLIP's first norm is the
identity. Nothing is approximated: results differ by rounding. Symbols: `lib/__init__.py`.
"""

from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModel

from lib.models.clip.vit.graph import BACKBONE, CLASS, PATCHES, Sizes

LINEAR = {  # of CLIP's layers -> of the graph's, and the layer scale that its output goes through
    "self_attn.q_proj": ("attention.attention.query", None),
    "self_attn.k_proj": ("attention.attention.key", None),
    "self_attn.v_proj": ("attention.attention.value", None),
    "self_attn.out_proj": ("attention.output.dense", "layer_scale1.lambda1"),
    "mlp.fc1": ("mlp.fc1", None),
    "mlp.fc2": ("mlp.fc2", "layer_scale2.lambda1"),
}
NORMS = {"layer_norm1": "norm1", "layer_norm2": "norm2"}


class FoldedTower(CLIPVisionModel):
    """A CLIP vision tower whose first norm is the identity, which a file of CLIP's layout cannot say."""

    def save_pretrained(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: what is loaded again would have a first norm.

        raises   ValueError, always
        """
        raise ValueError("a folded tower is not saved: CLIP's layout has no identity for its first norm; fold it again")


def folded(sizes: Sizes, weights: dict[str, Tensor]) -> FoldedTower:
    """A CLIP vision tower that gives, before its last norm, the tokens of the graph's transformer.

    sizes, weights   as `lib.models.clip.vit.graph.read` returns them
    """
    config = CLIPVisionConfig(
        hidden_size=sizes.width,
        intermediate_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        image_size=sizes.side,
        patch_size=sizes.patch,
        projection_dim=sizes.width,
        hidden_act="gelu",
        layer_norm_eps=sizes.eps,
    )
    tower = FoldedTower(config).eval()
    tower.pre_layrnorm = nn.Identity()
    embeddings = f"{BACKBONE}.embeddings"
    bias = weights[f"{embeddings}.patch_embeddings.projection.bias"]
    positions = resized(weights[PATCHES][0], sizes.positions, sizes.side // sizes.patch) + bias
    given = {
        "embeddings.class_embedding": weights[f"{embeddings}.cls_token"][0, 0],
        "embeddings.patch_embedding.weight": weights[f"{embeddings}.patch_embeddings.projection.weight"],
        "embeddings.position_embedding.weight": torch.cat([weights[CLASS][0], positions]),
        **_pair("post_layernorm", weights, f"{BACKBONE}.layernorm"),
    }
    for number in range(sizes.layers):
        ours, theirs = f"encoder.layers.{number}", f"{BACKBONE}.encoder.layer.{number}"
        for name, norm in NORMS.items():
            given |= _pair(f"{ours}.{name}", weights, f"{theirs}.{norm}")
        for name, (linear, scale) in LINEAR.items():
            scaled = 1.0 if scale is None else weights[f"{theirs}.{scale}"]
            pair = _pair(f"{ours}.{name}", weights, f"{theirs}.{linear}")
            given |= {key: (weight.mT * scaled).mT for key, weight in pair.items() if weight.ndim == 2}
            given |= {key: weight * scaled for key, weight in pair.items() if weight.ndim == 1}
    tower.load_state_dict(given)  # strictly: each weight once
    return tower


def resized(positions: Float[Tensor, "N D"], side: int, wanted: int) -> Float[Tensor, "P D"]:
    """Positions of a square grid, interpolated to another one, as the graph does: bicubic.

    side, wanted   sides of the grids, in patches
    """
    grid = positions.mT.reshape(1, -1, side, side)
    grid = F.interpolate(grid, size=(wanted, wanted), mode="bicubic", align_corners=False)
    return grid[0].flatten(1).mT


def _pair(name: str, weights: dict[str, Tensor], theirs: str) -> dict[str, Tensor]:
    return {f"{name}.{half}": weights[f"{theirs}.{half}"] for half in ("weight", "bias")}
