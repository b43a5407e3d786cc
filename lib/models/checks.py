"""The checks that every input goes through, so that all refusals read alike."""

from torch import Tensor


def check_tensor(name: str, x: Tensor) -> None:
    """raises   TypeError, naming it, for what is no tensor"""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is of type {type(x).__name__}: a tensor is needed")


def check_kind(name: str, value: object, kind: type) -> None:
    """raises   TypeError, naming it, for what is not of a kind"""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is of type {type(value).__name__}: a {kind.__name__} is needed")


def check_state(state: object, kind: type) -> None:
    """raises   TypeError, naming it, for what is not of the kind that a mixer's `initial_state` makes"""
    check_kind("state", state, kind)


def check_shape(name: str, x: Tensor, *axes: int | str, **least: int) -> None:
    """Accept x of these axes: each a size, or the name of one of at least 1, or of at least what `least` says.

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


def check_tokens(tokens: Tensor, vocabulary: int, *axes: int | str) -> None:
    """Accept tokens of these axes from 0 to vocabulary - 1; values are looked at on a CPU: elsewhere it costs a wait.

    raises   TypeError for what is no tensor; ValueError, quoting values or shape, for others
    """
    check_tensor("tokens", tokens)
    if tokens.device.type == "cpu" and tokens.numel():
        least, most = tokens.min().item(), tokens.max().item()
        if tokens.is_floating_point() or least < 0 or most >= vocabulary:
            raise ValueError(
                f"tokens {least} to {most} of {tokens.dtype}: integers from 0 to {vocabulary - 1} are needed"
            )
    check_shape("tokens", tokens, *axes)
