"""A small model with adapters, and what it reads."""

import torch
from torch import nn

from lib.models.lora.layers import adapters, add_lora

TARGETS = r".*\.(q|v)_proj|visual_projection"


def net(seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 10), nn.GELU(), nn.Linear(10, 4, bias=False)).to(dtype)


def shaken(model: nn.Module, seed: int = 1) -> nn.Module:
    """The model with adapters that do something."""
    generator = torch.Generator().manual_seed(seed)
    for _, layer in adapters(model):
        for weight in layer.parameters(recurse=False):
            weight.data.add_(torch.randn(weight.shape, generator=generator))
    return model


def inputs(dtype: torch.dtype = torch.float64):
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(2), dtype=dtype)


def add(model: nn.Module, targets: str = "0|2", rank: int = 3, alpha: float = 6.0, **options) -> nn.Module:
    add_lora(model, targets, rank, alpha, **options)
    return shaken(model)
