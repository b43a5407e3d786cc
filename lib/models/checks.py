"""The checks that every input of models and tasks goes through: every refusal is worded here.

A message names what was given, quotes it, and says what is allowed. No check returns anything.
"""

import math
from collections.abc import Iterable, Sized
from numbers import Integral, Real
from operator import ge, gt, le, lt

import torch
from torch import Tensor

from lib.kernels.eager import readable

Number = int | float  # a bound
MIXED = (torch.float32, torch.bfloat16, torch.float16)  # what one autocast region holds


def check_kind(name: str, value: object, kind: type | tuple[type, ...], needed: str = "") -> None:
    """Accept a value of a kind.

    needed   the kind in words; its name where left out
    raises   TypeError, naming value and type, for one of another
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} is of type {type(value).__name__}: a {needed or kind.__name__} is needed")


def check_tensor(name: str, x: Tensor) -> None:
    """Accept a tensor with an element for every index: no sparse, nested or packed one.

    raises   TypeError, naming it, for anything else
    """
    check_kind(name, x, Tensor, "tensor")
    if x.layout is not torch.strided or x.is_nested:
        kind = "a nested tensor" if x.is_nested else f"of layout {x.layout}"
        raise TypeError(f"{name} is {kind}: a dense tensor is needed, such as {name}.to_dense() or a padded one")


def check_state(state: object, kind: type) -> None:
    """Accept a state of the kind that a model's `initial_state` makes.

    raises   TypeError, naming it, for one of another
    """
    check_kind("state", state, kind)


def check_count(
    name: str, value: object, least: int = 1, most: int | None = None, *, also: tuple = (), where: str = ""
) -> None:
    """Accept an integer, torch's own or numpy's, from `least` to `most`; True and False are none.

    also     more values that are allowed, such as None
    where    words that end the sentence, such as what a bound comes from
    raises   ValueError, quoting the value and what is allowed
    """
    if _integer(value) and value >= least and (most is None or value <= most):
        return
    if value in also:
        return
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    others = "".join(f", or {other!r}" for other in also) + "," * bool(also)
    _refuse(name, value, f"an integer {bounds}{others}", where)


def check_counts(name: str, values: Iterable[object], least: int = 1) -> None:
    """Accept one or more integers of at least `least`.

    raises   ValueError, quoting all of them
    """
    values = tuple(values)
    if not values or not all(_integer(value) and value >= least for value in values):
        raise ValueError(f"{name} = {values}: one or more integers of at least {least} are needed")


def check_number(
    name: str,
    value: object,
    least: Number | None = None,
    most: Number | None = None,
    *,
    above: Number | None = None,
    below: Number | None = None,
    where: str = "",
) -> None:
    """Accept a finite real number within bounds: `least` and `most` are allowed themselves, `above` and `below` not.

    where    words that end the sentence, such as what a bound comes from
    raises   ValueError, quoting the value and its bounds
    """
    finite = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    rules = {"at least": (least, ge), "more than": (above, gt), "at most": (most, le), "less than": (below, lt)}
    rules = {words: (bound, holds) for words, (bound, holds) in rules.items() if bound is not None}
    if finite and all(holds(value, bound) for bound, holds in rules.values()):
        return
    closed = f"{least} to {most}" if least is not None and most is not None else ""
    said = closed or " and ".join(f"{words} {bound}" for words, (bound, _) in rules.items())
    _refuse(name, value, said if finite else f"a finite number, {said}," if said else "a finite number", where)


def check_choice(name: str, value: object, allowed: Iterable[object]) -> None:
    """Accept one of the values allowed, such as the keys of a table.

    raises   ValueError, quoting the value and listing what is allowed
    """
    allowed = tuple(allowed)
    if value not in allowed:
        _refuse(name, value, f"{'one of ' if len(allowed) > 1 else ''}{', '.join(map(str, allowed))}")


def check_many(name: str, values: Sized, count: int, what: str) -> None:
    """Accept a collection of just so many.

    what     its members, in the plural
    raises   ValueError, naming both numbers
    """
    if len(values) != count:
        raise ValueError(f"{name} of {len(values)} {what}: one of {count} is needed")


def check_shape(name: str, x: Tensor, *axes: int | str, **least: int) -> None:
    """Accept a tensor of these axes: each a size, or the name of one of at least 1, or of at least what `least` says.

    raises   TypeError for what is no tensor; ValueError, quoting its shape and the axes, for another shape
    """
    check_tensor(name, x)
    if x.ndim == len(axes) and all(
        size >= least.get(axis, 1) if isinstance(axis, str) else size == axis
        for size, axis in zip(x.shape, axes, strict=True)
    ):
        return
    needed = str(axes).replace("'", "")
    if bounds := " and ".join(f"{axis} >= {least.get(axis, 1)}" for axis in axes if isinstance(axis, str)):
        needed += f" with {bounds}"
    raise ValueError(f"{name} of shape {tuple(x.shape)}: {needed} is needed")


def check_dtype(name: str, x: Tensor, *allowed: torch.dtype, where: str = "") -> None:
    """Accept a tensor of one of these dtypes.

    raises   ValueError, quoting its dtype and those allowed
    """
    if x.dtype not in allowed:
        raise ValueError(f"{name} of {x.dtype}: {' or '.join(map(str, allowed))} is needed{where}")


def check_beside(name: str, x: Tensor, weights: Tensor) -> None:
    """Accept a tensor on the device of a model's weights, in their precision; single and half precision mix.

    raises   ValueError, quoting both, for another
    """
    if weights.dtype in MIXED and x.dtype in MIXED:
        allowed = MIXED
    else:
        allowed = (weights.dtype,)
    check_dtype(name, x, *allowed, where=", as in the parameters")
    check_device(name, x, weights)


def check_device(name: str, x: Tensor, weights: Tensor) -> None:
    """Accept a tensor on the device of a model's weights.

    raises   ValueError, quoting both, for another
    """
    if x.device != weights.device:
        raise ValueError(f"{name} on {x.device}: {weights.device} is needed, where the parameters are")


def check_finite(name: str, x: Tensor) -> None:
    """Accept a tensor without infinities and without NaN; a compiler or an export finds no values to look at.

    raises   ValueError, naming it, for any other
    """
    if readable(x) and not x.isfinite().all():
        raise ValueError(f"{name}: all of its values must be finite")


def check_tokens(tokens: Tensor, vocabulary: int, *axes: int | str) -> None:
    """Accept tokens of these axes from 0 to vocabulary - 1.

    Values are looked at on a CPU: elsewhere it costs a wait, and a compiler or an export finds none.
    raises   TypeError for what is no tensor; ValueError, quoting values or shape, for others
    """
    check_tensor("tokens", tokens)
    said, wrong = "tokens", tokens.is_floating_point()
    if tokens.device.type == "cpu" and readable(tokens) and tokens.numel():
        least, most = tokens.min().item(), tokens.max().item()
        said, wrong = f"tokens {least} to {most}", wrong or least < 0 or most >= vocabulary
    if wrong:
        raise ValueError(f"{said} of {tokens.dtype}: integers from 0 to {vocabulary - 1} are needed")
    check_shape("tokens", tokens, *axes)


def _integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _refuse(name: str, value: object, needed: str, where: str = "") -> None:
    raise ValueError(f"{name} = {value!r}: {needed} is needed{where}")
