"""Training that makes a model smaller while it learns: states go during the warm-up, a few times.

Source: Chahine, Nazari, Rus and Rusch (2025), arXiv 2510.02823 (CompreSSM).
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from lib.models.checks import check_count, check_number
from lib.models.distill.by_modes import balanced_truncation, hankel_singular_values, states
from lib.models.distill.modes import LAYERS
from lib.tasks.training.loop import train

NOTABLE = 0.95  # of the states: a layer that needs more of them than that stays as it is
CUTS = 4  # as in the paper
POLES = {"log_rate": 0.1, "angle": 0.1}  # share of the rate, as in distillation fine-tuning


def compress(
    model: nn.Module,
    batch_losses: Iterable[Tensor],
    steps: int,
    *,
    share: float,
    cuts: int = CUTS,
    warm_up: float = 0.1,
    **options: Any,
) -> tuple[list[float], list[list[int]]]:
    """Train a model whose layers lose states by balanced truncation, several times during the warm-up of the rate.

    After every part of the warm-up each layer of modes keeps the fewest states that have a share of the sum of its
    Hankel singular values, over all channels: every channel has as many. Moments of the optimiser begin anew, as the
    layers are others.

    share    of the sum that is kept, above 0, at most 1
    cuts     truncations
    warm_up  the part of the steps that they are in, at even distances
    options  of `lib.tasks.training.loop.train`
    returns  the loss at every step [nats]; the states of every layer after each cut
    raises   ValueError, quoting it, for a share, a part or a number out of range, for fewer steps than cuts, for a
             model that has no layers of modes, and what `train` raises
    """
    check_number("share", share, most=1, above=0)
    check_number("warm_up", warm_up, most=1, above=0)
    check_count("cuts", cuts)
    check_count("steps", steps, cuts + 1)
    sizes = {name: states(layer) for name, layer in _layers(model)}
    if not sizes:
        raise ValueError(f"a {type(model).__name__} without S4D or modes: no state can go")
    last = min(steps - 1, max(cuts, round(warm_up * steps)))
    bounds = [0, *(last * cut // cuts for cut in range(1, cuts + 1)), steps]
    parts, losses, history = iter(batch_losses), [], []
    options = {"shares": POLES, **options}
    for begin, end in pairwise(bounds):
        losses += train(model, parts, steps, between=(begin, end), **options)
        if end == steps:
            break
        for name, layer in _layers(model):
            needed = enough(hankel_singular_values(layer), share)
            if needed < NOTABLE * sizes[name]:
                sizes[name] = needed
                model.set_submodule(name, balanced_truncation(layer, needed).module)
        history.append(list(sizes.values()))
    return losses, history


def enough(values: Float[Tensor, "D P"], share: float) -> int:
    """The fewest states per channel whose Hankel singular values have a share of the sum of all, over all channels."""
    whole = values.sum(0).cumsum(0)
    return min(len(whole), int((whole < share * whole[-1]).sum()) + 1)


def _layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, layer) for name, layer in model.named_modules() if isinstance(layer, LAYERS)]
