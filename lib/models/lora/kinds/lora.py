"""LoRA itself. Source: Hu et al. (2022), https://arxiv.org/abs/2106.09685."""

from lib.models.lora.linear import LoraLinear

ADAPTER = LoraLinear
