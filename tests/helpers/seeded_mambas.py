"""Small Mamba models of seeded weights, and tokens for them."""

import torch

from lib.models.ssm.mamba import MambaConfig

VOCABULARY = 11


def config(**options):
    return MambaConfig(**({"dim": 6, "layers": 2, "states": 3, "vocabulary": VOCABULARY} | options))


def seeded(kind, *sizes, seed=0, head=None, **options):
    """A model whose weights are all away from their start, the scales of norm and skip among them."""
    generator = torch.Generator().manual_seed(seed)
    model = kind(config(**options), *sizes, **head or {}, generator=generator)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.empty_like(weight).normal_(std=0.1, generator=generator))
    return model


def tokens(generator, batch=2, length=9):
    return torch.randint(VOCABULARY, (batch, length), generator=generator)
