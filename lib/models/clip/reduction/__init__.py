"""Fewer visual tokens in a vision tower of transformers, without training: a table of methods, one file each.

`reduce_tokens(model, method, keep=...)` returns a module with the model's own call and output. The table is
`lib.names.REDUCTIONS`; a new method is a row there and a file here. The file names its class, `METHOD = ...`: a
subclass of `Reduced` that says how many tokens go where (`planned`) and which (`fewer`). Symbols: `lib/__init__.py`.
"""

from collections.abc import Sequence

from torch import nn

from lib import names
from lib.models.checks import check_choice
from lib.models.clip.reduction.base import Options, Reduced, Reduction
from lib.models.clip.tower import Tower
from lib.models.tables import Classes

CLASSES = Classes("REDUCTIONS", "METHOD", Reduction)

__all__ = ["Reduced", "Reduction", "kind", "reduce_tokens"]


def kind(method: str) -> type[Reduction]:
    """The class of a token reduction by the name of its row, loaded from the row's file.

    raises   ValueError, listing the names, for one that has no row; ImportError, naming row and file, where the file is
             missing, names no class as its METHOD, or where that class lacks what every reduction defines
    """
    check_choice("method", method, names.REDUCTIONS)
    return CLASSES[method]


def reduce_tokens(
    model: nn.Module,
    method: str,
    keep: float = 1.0,
    *,
    schedule: str | Sequence[int] = "decreasing",
    layer: int | None = None,
    class_row_only: bool = False,
    summary: bool = False,
    seed: int = 0,
    dense: bool | str = False,
    tile: int = 1,
) -> Reduction:
    """A vision tower with fewer tokens, to be put where the model is: the same call, output and weights.

    model           a vision tower of transformers, of a kind of `lib.models.clip.tower.families`: CLIP's, SigLIP's,
                    DINOv2's, ViT's and their kin
    method          one of `lib.names.REDUCTIONS`
    keep            share of the patches' tokens that remains at the end, of `adaptive` the share of the class token's
                    attention; at 1 the output is the model's to the last bit, for every method but `original`
    schedule        of merging: "constant", "decreasing", "front", or numbers, one per layer that merges, and for
                    `merge_in_rounds` one more, for what merges before the first layer
    layer           in which the class token chooses, or K-means groups; by default the second, or, after merging, the
                    middle one
    class_row_only  of the last layer, which then takes nothing away, the class token alone is computed
    summary         patches that are left out, by a choice of a fixed number, are replaced by one token, their mean
    seed            of the random choice
    dense           last_hidden_state and hidden states hold, at every patch, the token that the patch has gone into:
                    as many as the model's, for readers that take a mean, need a grid or count them, such as
                    CLIPForImageClassification and LLaVA; for merging, and for choices with a summary. "nearest": for
                    all methods, where a patch that no token holds has the token of the nearest patch that one holds
    tile            numbers of tokens, the class token included, are rounded up to multiples of it at every cut, so that
                    they fill the tiles of 8, 16 or 64 rows that matrix products run on; of `adaptive` the batch's
    returns         an instance of the model's own class, whose parts and weights are the model's, under their names:
                    what it saves is the model, to be reduced again once it is loaded
    raises          ValueError, quoting it, for an unknown method, for a value out of range, and for what needs a class
                    token where the tower has none; TypeError for a model that is not known, with the reason, and for
                    a reduced one
    """
    if isinstance(model, Reduction):
        raise TypeError(f"{type(model).__name__}: reduced already; `.model` is the tower that it was made of")
    Tower.of(model)
    made = kind(method)
    if summary and not made.summarises:
        able = ", ".join(name for name in names.REDUCTIONS if kind(name).summarises)
        raise ValueError(f"summary: method = {method!r} leaves out no fixed number of patches; {able} do")
    return made.of(model, method, Options(keep, schedule, layer, class_row_only, summary, seed, dense, tile))
