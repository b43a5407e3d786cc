"""LoRA with a scale that falls with the root of the rank. Source: Kalajdzievski (2023), https://arxiv.org/abs/2312.03732."""

from types import MappingProxyType

from lib.models.lora.linear import LoraLinear


class RankStabilised(LoraLinear):
    """LoRA of scale alpha / sqrt(rank).

    With alpha / rank, what a step changes becomes smaller as the rank grows; with the root it does not.
    """

    FIELDS = MappingProxyType({"use_rslora": True})

    @staticmethod
    def scaled(rank: int, alpha: float) -> float:
        """Scale of the product of a rank, alpha / sqrt(rank)."""
        return alpha / rank**0.5


ADAPTER = RankStabilised
