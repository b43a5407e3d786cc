"""Sixteen patches that merge to eight, in one matching and in rounds: what a diagram shows, by the code of `lib`."""

import torch

from lib.models.clip.merge import match, merged
from lib.models.clip.merge_schedules import rounds
from lib.models.clip.tokens import Tokens

SHOWN = "ssssssbsggbggggg"  # sky, bird or grass on 4 x 4 patches, row by row; the bird's are both even
COUNT = 8  # of tokens that merge
MEANS = {"s": (1.0, 0.0), "b": (0.6, 0.8), "g": (-0.4, 0.9)}  # features of what is shown, before noise
NOISE, SEED = 0.12, 0


def tokens() -> Tokens:
    """One token a patch, without a class token: two features each, alike where patches show the same."""
    generator = torch.Generator().manual_seed(SEED)
    x = torch.tensor([MEANS[kind] for kind in SHOWN])
    return Tokens.of((x + NOISE * torch.randn(x.shape, generator=generator))[None], classes=0)


def at_once() -> list[list[int]]:
    """Index of each patch's token before and after one bipartite matching has merged COUNT pairs."""
    held = tokens()
    return [held.places[0].tolist(), merged(held, *match(held.x, COUNT, 0)).places[0].tolist()]


def in_rounds() -> list[list[int]]:
    """Index of each patch's token before and after every round, matched anew, until COUNT tokens have merged."""
    held = tokens()
    steps = [held.places[0].tolist()]
    for cut in rounds(COUNT, held.count):
        held = merged(held, *match(held.x, cut, 0, held.sizes))
        steps.append(held.places[0].tolist())
    return steps


def mixed(places: list[int]) -> int:
    """Number of tokens that hold patches of different things."""
    shown = [{SHOWN[patch] for patch, token in enumerate(places) if token == one} for one in set(places)]
    return sum(len(kinds) > 1 for kinds in shown)
