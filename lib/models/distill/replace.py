"""Kernel distillation: the S4D layers of a trained model in a smaller form. Symbols: `lib/__init__.py`.

The original report proposes low-rank or structured-sparse kernels; modes are what state space models are made of.
"""

import copy
from collections.abc import Callable

from torch import nn

from lib.models.checks import check_choice, check_count, check_kind
from lib.models.distill.by_taps import LowRankConvolution
from lib.models.distill.distilled import LONGEST, Distilled
from lib.models.distill.modes import Modes
from lib.models.distill.recurrence import Recurrence
from lib.models.ssm.fft_convolution import CachedConvolution, CachedLowRank
from lib.models.ssm.s4d import S4D
from lib.models.ssm.s5 import S5
from lib.models.tables import Functions

METHODS = Functions("DISTILLATIONS")  # name -> (a layer or a bank, order, length=1024) -> Distilled


def distill(
    model: nn.Module,
    order: int,
    method: str = "modal",
    length: int = 1024,
    heal: Callable[[nn.Module, nn.Module], object] | None = None,
) -> tuple[nn.Module, list[Distilled]]:
    """Copy a model with every S4D and S5 in a smaller form; returns the copy, and the results as in `named_modules`.

    order    a number of states, of `modal` and `balanced_truncation`; a rank; a number of taps
    method   one of METHODS, the rows of `lib.names.DISTILLATIONS`. Those with modes leave a module that streams
    length   L taps that count
    heal     distillation fine-tuning: trains the copy, given as (student, teacher), in place. The results hold the
             modules as they are after it, and the errors as they were before
    raises   TypeError for what is no model, and where a method takes no S5; ValueError, quoting it, for an unknown
             method, a model without S4D and S5, and what the method refuses
    """
    check_kind("model", model, nn.Module)
    check_choice("method", method, METHODS)
    reduce = METHODS[method]
    places = {
        name: layer for name, layer in model.named_modules(remove_duplicate=False) if isinstance(layer, (S4D, S5))
    }
    if not places:
        raise ValueError(f"a {type(model).__name__} without S4D and S5: there is nothing to distill")
    results = {layer: reduce(layer, order, length=length) for layer in dict.fromkeys(places.values())}
    student = _replaced(model, {name: results[layer].module for name, layer in places.items()})
    student.train(model.training)
    if heal is not None:
        heal(student, model)
    return student, list(results.values())


def deployed(model: nn.Module, length: int) -> nn.Module:
    """Copy a model for inference: modes as fused recurrences, all other long kernels by spectra computed once.

    The kernel of an S4D is fixed at `length` taps; as `CachedConvolution` it streams at their cost.

    length   the most tokens of a sequence
    raises   TypeError for what is no model; ValueError, quoting it, for a length below 1 or above four million, and for
             a model that has neither
    """
    check_kind("model", model, nn.Module)
    check_count("length", length, 1, LONGEST)
    forms = {
        Modes: Recurrence,
        S4D: lambda layer: CachedConvolution(layer.kernel(length), length, layer.skip),
        LowRankConvolution: lambda layer: CachedLowRank(layer.left, layer.right, length, layer.skip),
    }
    places = {name: layer for name, layer in model.named_modules(remove_duplicate=False) if type(layer) in forms}
    if not places:
        raise ValueError(f"a {type(model).__name__} without S4D, modes or low rank: there is nothing to deploy")
    forms = {layer: forms[type(layer)](layer) for layer in dict.fromkeys(places.values())}
    return _replaced(model, {name: forms[layer] for name, layer in places.items()}).eval()


def _replaced(model: nn.Module, places: dict[str, nn.Module]) -> nn.Module:
    """A copy of a model with other modules under some names; the model itself has the name ""."""
    if "" in places:
        return places[""]
    model = copy.deepcopy(model)
    for name, module in places.items():
        model.set_submodule(name, module)
    return model
