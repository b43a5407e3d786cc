"""Merging of similar tokens by bipartite soft matching, at once or in rounds.

`lib.models.clip.tower.attend` knows how many patches a token holds. Symbols: `lib/__init__.py`.
Source: Bolya et al. (2023), https://arxiv.org/abs/2210.09461, section 3; the rounds are ours.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from lib.models.checks import check_count
from lib.models.clip.merge_schedules import rounds
from lib.models.clip.tokens import Tokens, moved, starts, take, wide


def match(
    metric: Float[Tensor, "B S D"], count: int, classes: int, sizes: Float[Tensor, "B S"] | None = None
) -> tuple[Int[Tensor, "B R"], Int[Tensor, "B R"]]:
    """The `count` most similar pairs of a token with an even number and one with an odd one, counted after the class.

    Every even token has one partner, the odd one that is most similar by cosine; an odd one may have several.

    metric   features that tokens are compared by
    count    number of pairs
    classes  number of class tokens, which never merge
    sizes    numbers of patches in each token: the distance between two large tokens then counts for more
    returns  indices of the even tokens, each at most once, and of their partners, the most similar pair first
    raises   ValueError, quoting both, for more pairs than there are even tokens
    source   section 3, "bipartite soft matching"
    """
    unit = F.normalize(metric[:, classes:].float(), dim=-1)
    even, odd = unit[:, ::2], unit[:, 1::2]
    check_count("count", count, 0, odd.shape[1], where=f": at most half of {unit.shape[1]} tokens merge at once")
    distance = 1 - even @ odd.mT
    if sizes is not None:
        # Ward's cost of a merger is that of its patches, n m / (n + m) times the squared distance. The root of the
        # sizes is a compromise: without it backgrounds swallow objects, with all of it they do not become one.
        shares = sizes[:, classes:].reciprocal()
        distance = distance * (shares[:, ::2].unsqueeze(2) + shares[:, 1::2].unsqueeze(1)).rsqrt()
    nearest, partner = distance.min(dim=-1)
    first = ordered(nearest)[:, :count]
    return classes + 2 * first, classes + 2 * partner.gather(1, first) + 1


def merged(tokens: Tokens, sources: Int[Tensor, "B R"], targets: Int[Tensor, "B R"]) -> Tokens:
    """Tokens after sources have merged into targets: means over their patches, in the order of those that remain.

    sources, targets   indices of tokens, pair by pair; no source is a target
    """
    count = tokens.sizes.shape[1]
    moving = tokens.sizes.gather(1, sources)
    held = tokens.sizes.scatter_add(1, targets, moving)
    share = (moving / held.gather(1, targets)).unsqueeze(-1)
    x, start = wide(tokens.x), starts(tokens.x)
    pulls = (take(x, sources, start) - take(x, targets, start)) * share
    x = x.scatter_add(1, targets.unsqueeze(-1).expand_as(pulls), pulls).to(tokens.x.dtype)
    left = remaining(sources, count)
    places = moved(tokens.places, count, left, sources, targets)
    return replace(tokens, x=take(x, left, start), sizes=held.gather(1, left), places=places, single=False)


def dropped(tokens: Tokens, sources: Int[Tensor, "B R"]) -> Tokens:
    """Tokens without some of them, whose patches are gone; the others keep their order.

    sources   indices of tokens, each at most once per image, no class token
    """
    return tokens.kept(remaining(sources, tokens.x.shape[1])[:, tokens.classes :] - tokens.classes)


def remaining(sources: Int[Tensor, "B R"], count: int) -> Int[Tensor, "B K"]:
    """Indices, in their order, of those of `count` tokens that are no sources."""
    # Not by nonzero: a shape that depends on data would wait for a GPU, and break the graph of torch.compile.
    numbers = torch.arange(count, device=sources.device).expand(sources.shape[0], -1)
    numbers = numbers.scatter(1, sources, torch.full_like(sources, count))
    return numbers.topk(count - sources.shape[1], dim=1, largest=False).values


def ordered(x: Float[Tensor, "B N"] | Int[Tensor, "B N"]) -> Int[Tensor, "B N"]:
    """Indices of rows from their smallest number to the largest, equal ones in their order."""
    if torch.onnx.is_in_onnx_export():  # it has no stable sort by that name, but orders equal numbers in just this way
        return x.topk(x.shape[1], dim=1, largest=False).indices
    return x.argsort(dim=1, stable=True)


def merged_in_rounds(tokens: Tokens, count: int) -> Tokens:
    """Tokens after `count` of them have merged into others, matched by their features, in `merge_schedules.rounds`.

    A matching of two halves pairs half of the tokens with the other half, and finds neither a similar token of the own
    half nor a third one of a kind. After every round, what has merged is matched anew, and counts as one; tokens of
    many patches merge less readily. Source of that: Ward (1963), https://doi.org/10.1080/01621459.1963.10500845
    """
    for cut in rounds(count, tokens.count):
        tokens = merged(tokens, *match(tokens.x, cut, tokens.classes, tokens.weights))
    return tokens
