"""The checks that every input of models and tasks goes through: every refusal is worded here.

A message names what was given, quotes it, and says what is allowed. No check returns anything.
"""

import math
from collections.abc import Iterable, Sized
from numbers import Integral, Real
from operator import ge, gt, le, lt

import torch
from torch import Tensor, nn

from lib.kernels.eager import readable

Number = int | float  # a bound
MIXED = (torch.float32, torch.bfloat16, torch.float16)  # what one autocast region holds
WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16)  # integers, True and False none
MOST = 2**31 - 1  # of any count: no size beyond it was ever meant, and memory for it is not to be had


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

    most     the highest there is, 2^31 - 1, where left out
    also     more values that are allowed, such as None
    where    words that end the sentence, such as what a bound comes from
    raises   ValueError, quoting the value and what is allowed
    """
    highest = MOST if most is None else most
    if _integer(value) and least <= value <= highest:
        return
    if value in also:
        return
    beyond = most is None and _integer(value) and value > highest
    bounds = f"of at least {least}" if most is None and not beyond else f"from {least} to {highest}"
    others = "".join(f", or {other!r}" for other in also) + "," * bool(also)
    _refuse(name, value, f"an integer {bounds}{others}", where)


def check_counts(name: str, values: Iterable[object], least: int = 1, most: int | None = None) -> None:
    """Accept one or more integers from `least` to `most`, or to 2^31 - 1.

    raises   ValueError, quoting all of them
    """
    values = tuple(values)
    highest = MOST if most is None else most
    if values and all(_integer(value) and least <= value <= highest for value in values):
        return
    beyond = any(_integer(value) and value > highest for value in values)
    bounds = f"of at least {least}" if most is None and not beyond else f"from {least} to {highest}"
    raise ValueError(f"{name} = {values}: one or more integers {bounds} are needed")


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
    allowed = MIXED if weights.dtype in MIXED and x.dtype in MIXED else (weights.dtype,)
    check_dtype(name, x, *allowed, where=", as in the parameters")
    check_device(name, x, weights)


def check_device(name: str, x: Tensor, weights: Tensor) -> None:
    """Accept a tensor on the device of a model's weights.

    raises   ValueError, quoting both, for another
    """
    if x.device != weights.device:
        raise ValueError(f"{name} on {x.device}: {weights.device} is needed, where the parameters are")


def check_precision(name: str, x: Tensor, weights: Tensor | nn.Module) -> None:
    """Accept a tensor that one of torch's operators multiplies with weights: in their precision, or under autocast.

    weights   themselves, or a layer; one that is not torch's own may mix what it likes
    raises    ValueError, quoting its dtype and that of the weights
    """
    if isinstance(weights, nn.Module):
        weights = weights.weight if type(weights) is nn.Linear else x
    if x.dtype == weights.dtype:
        return
    if torch.is_autocast_enabled(x.device.type) and weights.dtype in MIXED:
        check_dtype(name, x, *MIXED, where=", under autocast")
    else:
        check_dtype(name, x, weights.dtype, where=", as in the parameters; torch.autocast mixes precisions")


def check_finite(name: str, x: Tensor) -> None:
    """Accept a tensor without infinities and without NaN; a compiler or an export finds no values to look at.

    raises   ValueError, naming it, for any other
    """
    if readable(x) and not x.isfinite().all():
        raise ValueError(f"{name}: all of its values must be finite")


def check_tokens(tokens: Tensor, vocabulary: int, *axes: int | str, **least: int) -> None:
    """Accept tokens of these axes from 0 to vocabulary - 1, of int32 or int64.

    Values are looked at on a CPU: elsewhere it costs a wait, and a compiler or an export finds none.
    raises   TypeError for what is no tensor; ValueError, quoting values, dtype or shape, for others
    """
    check_tensor("tokens", tokens)
    _check_whole("tokens", tokens, vocabulary)
    check_dtype("tokens", tokens, torch.int32, torch.int64)  # what an embedding takes
    check_shape("tokens", tokens, *axes, **least)


def check_labels(name: str, labels: Tensor, classes: int, *axes: int | str, ignored: int | None = None) -> None:
    """Accept numbers of classes, from 0 to classes - 1, of these axes, in any integers.

    A column (N, 1) beside a row (N,) would be compared with each of its members, so that it is refused. Numbers from 1
    on are not distinguished from others unless the last class is among them. Values are looked at on a CPU.

    ignored   a number that stands for no answer
    raises    TypeError for what is no tensor; ValueError, quoting values, dtype or shape, for others
    """
    check_tensor(name, labels)
    _check_whole(name, labels, classes, ignored)
    check_shape(name, labels, *axes)


def _check_whole(name: str, numbers: Tensor, count: int, ignored: int | None = None) -> None:
    said, wrong = name, numbers.dtype not in WHOLE
    if numbers.device.type == "cpu" and readable(numbers) and numbers.numel() and not numbers.is_complex():
        plain = numbers.long() if numbers.dtype in WHOLE and numbers.dtype != torch.int64 else numbers
        if ignored is not None:
            plain = plain.where(plain != ignored, 0)
        least, most = plain.min().item(), plain.max().item()
        said, wrong = f"{name} {least} to {most}", wrong or least < 0 or most >= count
    if wrong:
        others = "" if ignored is None else f", or {ignored},"
        raise ValueError(f"{said} of {numbers.dtype}: integers from 0 to {count - 1}{others} are needed")


def _integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _refuse(name: str, value: object, needed: str, where: str = "") -> None:
    raise ValueError(f"{name} = {value!r}: {needed} is needed{where}")
