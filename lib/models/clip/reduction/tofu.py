"""Pruning in early layers, merging that keeps lengths in late ones (token fusion, ToFu). Symbols: `lib/__init__.py`.

Source: Kim et al. (2023), https://arxiv.org/abs/2312.01026, as we read it: where a model's answer to interpolated
tokens is far from linear, which is early, one of two matched tokens is left out; later they merge, and keep a length.
Our own: the first half of the layers prunes, and a merged token has the direction of the mean of its patches and the
largest of their lengths.
"""

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from lib.models.clip.merge import dropped, match, merged, remaining
from lib.models.clip.reduction.base import Attended, Cut
from lib.models.clip.reduction.merge import Merge
from lib.models.clip.tokens import Tokens, wide


class ToFu(Merge):
    """A vision tower in whose early layers one of two similar tokens goes, and in whose late ones they become one."""

    def planned(self, patches: int) -> list[Cut]:
        """A cut inside every layer: without merging in the first half."""
        early = len(self.tower.layers) // 2
        return [Cut(cut.count, merging=number > early) for number, cut in enumerate(super().planned(patches))]

    def fewer(self, tokens: Tokens, cut: Cut, attended: Attended | None) -> Tokens:
        """Tokens after the most similar pairs have lost one, or have become one of preserved length."""
        sources, targets = match(wide(attended.key).mean(1), cut.count, tokens.classes)
        return merged_at_length(tokens, sources, targets) if cut.merging else dropped(tokens, sources)


def merged_at_length(tokens: Tokens, sources: Int[Tensor, "B R"], targets: Int[Tensor, "B R"]) -> Tokens:
    """Tokens after sources have merged into targets, each as long as the longest of those that it is made of.

    sources, targets   as `lib.models.clip.merge.merged` takes them
    """
    lengths = wide(tokens.x).norm(dim=-1)
    longest = lengths.scatter_reduce(1, targets, lengths.gather(1, sources), "amax")
    touched = torch.zeros_like(lengths, dtype=torch.bool).scatter(
        1, targets, torch.ones_like(targets, dtype=torch.bool)
    )
    found = merged(tokens, sources, targets)
    left = remaining(sources, lengths.shape[1])
    longest, touched = longest.gather(1, left), touched.gather(1, left)
    x = wide(found.x)
    scale = torch.where(touched, longest / x.norm(dim=-1).clamp(min=torch.finfo(x.dtype).tiny), 1)
    return replace(found, x=(x * scale.unsqueeze(-1)).to(tokens.x.dtype))


METHOD = ToFu
