"""Blocks with torch's fused attention, as open_clip's towers have them."""

import torch
from torch import nn


class Block(nn.Module):
    """A residual block as open_clip's towers have it: batch second, no weights of attention returned."""

    def __init__(self, bias=True):
        super().__init__()
        self.ln_1 = nn.LayerNorm(8)
        self.attn = nn.MultiheadAttention(8, 2, bias=bias)

    def forward(self, x, mask=None):
        seen = self.ln_1(x)
        return x + self.attn(seen, seen, seen, need_weights=False, attn_mask=mask)[0]


def blocks(dtype=torch.float64, **options):
    torch.manual_seed(0)
    model = nn.Sequential(Block(**options), Block(**options))
    for block in model:
        for weight in block.attn.parameters():
            weight.data.add_(torch.randn(weight.shape) / 10)  # biases begin at zero
    return model.to(dtype).eval()
