"""FLOPs: floating-point operations of a call, a multiply-add counted as two, element-wise work left out.

Each operator that passes through torch's dispatcher is counted by a formula, taken apart into operators that are,
known to be free (`lib.profilers.free_operators`), or refused by name: none is zero because nobody knows it. Compiled
functions run uncompiled, threads that the call starts are counted, and what replays kernels without operators is
refused. What never passes through torch, such as NumPy or a C++ extension called directly, cannot be seen.
"""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Self

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator, OpOverload, OpOverloadPacket
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry

from lib import names
from lib.profilers.calls import check_callable, computed, settings_kept
from lib.profilers.flop_formulas import FORMULAS
from lib.profilers.free_operators import is_free
from lib.profilers.unseen import Shared, seen


def flops(
    call: Callable[[], object],
    *,
    formulas: Mapping[Callable, Callable[..., int]] | None = None,
    inference: bool = True,
) -> int:
    """Count the operations of one call from what passes through torch's dispatcher.

    formulas   for operators of your own: operator -> function of the operator's argument shapes and `out_shape`; those
               that are registered with `torch.utils.flop_counter.register_flop_formula` are known, too
    inference  run under `torch.inference_mode`; False for training steps, whose backward pass is counted too
    raises     NotImplementedError, naming the operator, for one that is neither counted nor known to be free;
               TypeError for what cannot be called, and for a formula of something that is no operator
    """
    check_callable(call)
    tally = Tally(formulas or {})
    with settings_kept(), torch.inference_mode(inference), seen(), Counter(tally):
        computed(call())
    return tally.total


class Tally:
    """Operations so far, of all threads, and how each operator is counted."""

    def __init__(self, formulas: Mapping[Callable, Callable[..., int]]):
        for operator in formulas:
            if not isinstance(operator, OpOverload | OpOverloadPacket | HigherOrderOperator):
                raise TypeError(f"formulas: {operator!r} is no operator; name one such as torch.ops.aten.mm")
        self.formulas = {operator: partial(_of_shapes, formula) for operator, formula in formulas.items()}
        self.total = 0
        self._found: dict[OpOverload | HigherOrderOperator, Callable[..., int] | None] = {}
        self._lock = threading.Lock()

    def formula(self, operator: OpOverload | HigherOrderOperator) -> Callable[..., int] | None:
        """How many operations an operator takes; None for one that is to be taken apart.

        raises   NotImplementedError, naming it, for one that nobody knows
        """
        if operator not in self._found:
            self._found[operator] = self._find(operator)
        return self._found[operator]

    def add(self, operator: OpOverload | HigherOrderOperator, count: int) -> None:
        """Add the operations of one operator."""
        if not isinstance(count, int) or count < 0:
            raise TypeError(f"{_name(operator)}: its formula gives {count!r}; a whole number from 0 is needed")
        with self._lock:
            self.total += count

    def _find(self, operator):
        packet = getattr(operator, "_overloadpacket", operator)
        for table in (self.formulas, FORMULAS):
            for key in (operator, packet):
                if key in table:
                    return table[key]
        counts = names.OPERATORS.get(_name(operator).partition("::")[0])
        if counts and (formula := import_module(counts).FORMULAS.get(_name(operator))):
            return formula
        if packet in flop_registry:
            return partial(_of_torch, flop_registry[packet])
        if isinstance(operator, OpOverload):
            if is_free(operator):
                return _none
            if torch._C._dispatch_has_kernel_for_dispatch_key(operator.name(), "CompositeImplicitAutograd"):
                return None
        raise NotImplementedError(
            f"{_name(operator)}: its operations are not known; call flops(..., formulas={{torch.ops."
            f"{_name(operator).replace('::', '.')}: a formula}}), or count what it stands for"
        )


class Counter(Shared):
    """A context that counts what passes through torch's dispatcher in its thread."""

    supports_higher_order_operators = True

    def __init__(self, tally: Tally):
        super().__init__()
        self.tally = tally

    def copy(self) -> Self:
        """A counter for another thread, to the same account."""
        return type(self)(self.tally)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if wrapper := next((kind for kind in types if _wraps(kind)), None):
            with self:  # what it wraps is computed with
                return wrapper.__torch_dispatch__(func, types, args, kwargs)
        if isinstance(func, HigherOrderOperator) and func.name() in CONTROL:
            with self:
                return CONTROL[func.name()](*args, **kwargs)
        formula = self.tally.formula(func)
        if formula is _none:
            return func(*args, **kwargs)
        if any(isinstance(x, Tensor) and x.is_nested for x in tree_leaves((args, kwargs))):
            raise NotImplementedError(f"{_name(func)}: its operations are not known where a tensor is nested")
        if formula is None:
            with self:
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        try:
            self.tally.add(func, formula(out, *args, **kwargs))
        except NotImplementedError as error:
            raise NotImplementedError(f"{_name(func)}: {error}") from None
        return out


def _none(*_, **__) -> int:
    return 0


def _of_shapes(formula: Callable[..., int], result, /, *args, **kwargs) -> int:
    if getattr(formula, "_get_raw", False):
        return formula(*args, **kwargs, out_val=result)
    args, kwargs, shape = tree_map(lambda x: x.shape if isinstance(x, Tensor) else x, (args, kwargs, result))
    return formula(*args, **kwargs, out_shape=shape)


def _of_torch(formula: Callable[..., int], result, /, *args, **kwargs) -> int:
    return formula(*args, **kwargs, out_val=result)


def _name(operator: OpOverload | HigherOrderOperator) -> str:
    """With its space, such as aten::mm, and without what tells its forms apart."""
    return operator._schema.name if isinstance(operator, OpOverload) else f"higher_order::{operator.name()}"


def _wraps(kind: type) -> bool:
    """Whether a class of tensors computes by itself with tensors that it holds; those that only trace do not."""
    return kind.__torch_dispatch__ is not Tensor.__torch_dispatch__ and not kind.__module__.startswith(TRACING)


TRACING = ("torch._subclasses.",)


def _branch(predicate, if_true, if_false, operands=()):
    return (if_true if predicate else if_false)(*operands)


def _loop(condition, body, carried, others=()):
    while condition(*carried, *others):
        carried = body(*carried, *others)
    return tuple(carried)


CONTROL: dict[str, Callable] = {"cond": _branch, "while_loop": _loop}
