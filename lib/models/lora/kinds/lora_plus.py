"""LoRA whose two matrices learn at two rates. Source: Hayou et al. (2024), https://arxiv.org/abs/2402.12354."""

from types import MappingProxyType

from lib.models.lora.linear import LoraLinear

RATIO = 16.0  # of the rate of B to that of A; to be chosen with the rate, as the paper says


class TwoRates(LoraLinear):
    """LoRA whose B learns RATIO times as fast as A: see `lib.models.lora.rates.parameter_groups`.

    It computes what LoRA computes, and its file is LoRA's: a rate belongs to a training.
    """

    SHARES = MappingProxyType({"B": RATIO})


ADAPTER = TwoRates
