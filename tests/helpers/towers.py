"""Small vision towers of transformers for the tests of token reduction."""

import torch
import transformers
from torch import Tensor, nn

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
KINDS = ("clip", "siglip")
OTHERS = {  # more kinds of towers -> prefix of transformers' names of them
    "dinov2": "Dinov2",
    "dinov2_with_registers": "Dinov2WithRegisters",
    "vit": "ViT",
    "deit": "DeiT",
    "metaclip_2": "MetaClip2Vision",
    "clipseg": "CLIPSegVision",
}
BEFORE = {"siglip": 0, "dinov2_with_registers": 5, "deit": 2}  # tokens before the patches, where not one


def tower(
    kind: str = "clip", side: int = 32, seed: int = 0, dtype: torch.dtype = torch.float64, **sizes: float
) -> nn.Module:
    """Sixteen patches of 8 x 8 pixels, in double precision, with weights that make tokens differ.

    sizes   in place of SIZES
    """
    torch.manual_seed(seed)
    name = {"clip": "CLIPVision", "siglip": "SiglipVision", **OTHERS}[kind]
    config, model = (getattr(transformers, name + end) for end in ("Config", "Model"))
    sizes = {**SIZES, **sizes}
    if kind.startswith("dinov2"):
        sizes["mlp_ratio"] = sizes.pop("intermediate_size") // sizes["hidden_size"]
    model = model(config(**sizes, image_size=side, patch_size=8))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model.to(dtype).eval()


def images(batch: int = 3, side: int = 32, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def of_equal_patches(kind: str = "clip", times: int = 2, **options: float) -> tuple[nn.Module, Tensor]:
    """A tower that does not know where patches are, and images of 16 of them, each as often as its neighbours."""
    model, x = tower(kind, **options), images(2)
    with torch.no_grad():
        positions = getattr(model.embeddings, "position_embedding", None)
        (model.embeddings.position_embeddings if positions is None else positions.weight).zero_()
    patches = x.unflatten(3, (4, 8)).unflatten(2, (4, 8)).transpose(3, 4).flatten(2, 3)  # (B, C, 16, 8, 8)
    patches = patches[:, :, torch.arange(16) // times * times]
    return model, patches.unflatten(2, (4, 4)).transpose(3, 4).flatten(4, 5).flatten(2, 3)
