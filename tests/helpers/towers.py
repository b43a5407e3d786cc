"""Small vision towers of transformers for the tests of token reduction."""

import torch
import transformers
from torch import Tensor, nn

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
KINDS = ("clip", "siglip")


def tower(kind: str = "clip", side: int = 32, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Sixteen patches of 8 x 8 pixels, in double precision, with weights that make tokens differ."""
    torch.manual_seed(seed)
    configs = {
        "clip": (transformers.CLIPVisionConfig, transformers.CLIPVisionModel),
        "siglip": (transformers.SiglipVisionConfig, transformers.SiglipVisionModel),
    }
    config, model = configs[kind]
    model = model(config(**SIZES, image_size=side, patch_size=8))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model.to(dtype).eval()


def images(batch: int = 3, side: int = 32, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=dtype)
