"""Token reductions of which a few numbers are learned while the tower stays as it is: a table, one file each.

The original report proposes two: a learnable summary token, and thresholds learned per image. The table is
`lib.names.LEARNED`; a new one is a row there and a file here, which names its class, `METHOD = ...`: a subclass of
`Learned`. `lib.tasks.training.reductions.learn` trains what is learned. Symbols: `lib/__init__.py`.
"""

from torch import nn

from lib import names
from lib.models.checks import check_choice
from lib.models.clip.learned.base import Learned
from lib.models.clip.reduction.base import Options, Reduction
from lib.models.clip.tower import Tower
from lib.models.tables import Classes

CLASSES = Classes("LEARNED", "METHOD", Learned)

__all__ = ["Learned", "learnable"]


def learnable(
    model: nn.Module,
    method: str,
    keep: float,
    *,
    layer: int | None = None,
    class_row_only: bool = False,
    tile: int = 1,
) -> Learned:
    """A vision tower with fewer tokens, of which some numbers are to be learned: its `learned`, a module of its own.

    model, layer, class_row_only, tile   as `lib.models.clip.reduction.reduce_tokens` takes them
    method    one of `lib.names.LEARNED`
    keep      share of the patches' tokens that remains; of `threshold` the mean over images that it is learned for
    returns   a tower whose numbers are as they begin: a token of zeros, one threshold for all images
    raises    as `reduce_tokens`
    """
    if isinstance(model, Reduction):
        raise TypeError(f"{type(model).__name__}: reduced already; `.model` is the tower that it was made of")
    Tower.of(model)
    check_choice("method", method, names.LEARNED)
    made = CLASSES[method]
    options = Options(keep, "decreasing", layer, class_row_only, made.summarises, seed=0, tile=tile)
    return made.of(model, method, options)
