"""torch's attention with a linear layer each for queries, keys and values, so that each can have an adapter.

`nn.MultiheadAttention`, which open_clip's towers are made of, holds the three in one matrix, `in_proj_weight`. Split
it, adapt, merge, and fuse it again: `split_attention`, `add_lora`, `merge_lora`, `fuse_attention`. Symbols:
`lib/__init__.py`.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from lib.models.checks import check_kind
from lib.models.lora.linear import become
from lib.models.lora.targets import check_alone, check_plain, checked, uncompiled

FUSED = {"in_proj_weight", "in_proj_bias", "q_proj_weight", "k_proj_weight", "v_proj_weight"}
PARTS = ("q_proj", "k_proj", "v_proj")  # in the order of the fused matrix's rows


class SplitAttention(nn.MultiheadAttention):
    """torch's attention, which reads its fused matrix and bias from three linear layers at every call.

    q_proj, k_proj, v_proj   of the same sizes; in its state dict in place of `in_proj_weight` and `in_proj_bias`
    out_proj                 a plain linear layer, under its own name

    Without adapters the output is that of the fused attention to the last bit: the same matrix meets the same kernels.
    An adapter's dropout does nothing here, since the layers are read and not called.
    """

    _held: Tensor | None = None  # the fused matrix, while a call reads it several times

    @property
    def in_proj_weight(self) -> Float[Tensor, "rows E"]:
        """The three weights, one below the other."""
        held = self._held
        return torch.cat([getattr(self, part).weight for part in PARTS]) if held is None else held

    @property
    def in_proj_bias(self) -> Tensor | None:
        """The three biases, one after the other; None where there are none."""
        biases = [getattr(self, part).bias for part in PARTS]
        return None if biases[0] is None else torch.cat(biases)

    def forward(self, *args, **kwargs) -> tuple[Tensor, Tensor | None]:
        """What nn.MultiheadAttention computes."""
        if torch.compiler.is_compiling():
            return super().forward(*args, **kwargs)
        self._held = self.in_proj_weight
        try:
            return super().forward(*args, **kwargs)
        finally:
            self._held = None


def split_attention(model: nn.Module, targets: str = ".*") -> list[str]:
    """Split the fused matrices of nn.MultiheadAttention into linear layers q_proj, k_proj and v_proj, in place.

    The output stays the same to the last bit. `lib.models.lora.layers.add_lora` then finds the three, and `out_proj`,
    under the attention's name: r".*attn\\.(q|v)_proj".

    targets   a regular expression for the attention's name, "" where it is the model itself
    returns   names of the attentions that were split, in the model's order
    raises    ValueError, and changes nothing, for a pattern that matches no attention, and, naming it, for a subclass,
              an attention whose weights are computed (a parametrisation, a norm, pruning), shared, quantised or on the
              meta device, and for keys or values of another size than queries
    """
    pattern, model = checked(model, targets)
    known = {name: one for name, one in model.named_modules() if isinstance(one, nn.MultiheadAttention)}
    found = {
        name: one for name, one in known.items() if pattern.fullmatch(name) and not isinstance(one, SplitAttention)
    }
    if not found:
        near = f"fused ones are {', '.join(list(known)[:4])}" if known else "there is no nn.MultiheadAttention"
        raise ValueError(f"targets = {targets!r}: no fused attention has such a name; {near}")
    for name, one in found.items():
        _check_plain(name or "model", one)
    for weight in ("in_proj_weight", "in_proj_bias"):
        check_alone(model, found, weight)
    for one in found.values():
        become(one, _split(one))
    return list(found)


def fuse_attention(model: nn.Module) -> list[str]:
    """Put the three linear layers of every split attention into one matrix again, in place.

    returns   names of the attentions that were fused, in the model's order; the state dict has torch's names again
    raises    ValueError, and changes nothing, for a model without split attentions, and, naming it, for a part that is
              no plain linear layer, such as one with an adapter, or has hooks
    """
    check_kind("model", model, nn.Module)
    model = uncompiled(model)
    found = {name: one for name, one in model.named_modules() if isinstance(one, SplitAttention)}
    if not found:
        raise ValueError(f"{type(model).__name__} has no split attention: split_attention makes them")
    for name, one in found.items():
        for part in (*PARTS, "out_proj"):
            layer, label = getattr(one, part), f"{name}.{part}".lstrip(".")
            if type(layer) is not nn.Linear:
                raise ValueError(f"{label} is of type {type(layer).__name__}, not Linear: merge its adapter first")
            check_plain(label, layer)
    for one in found.values():
        become(one, _fused(one))
    return list(found)


def _check_plain(name: str, one: nn.MultiheadAttention) -> None:
    if type(one) is not nn.MultiheadAttention:
        said = "its weight is computed, or its call is another one"
        raise ValueError(f"{name} is of type {type(one).__name__}, not MultiheadAttention: {said}")
    check_plain(name, one, FUSED | {"bias_k", "bias_v"} & set(one._parameters), {"out_proj"})
    if one.in_proj_weight is None:
        raise ValueError(f"{name}: kdim = {one.kdim} and vdim = {one.vdim}: {one.embed_dim} is needed, as of queries")
    if type(one.out_proj) is not NonDynamicallyQuantizableLinear:
        raise ValueError(f"{name}.out_proj is of type {type(one.out_proj).__name__}: torch's own is needed")
    check_plain(f"{name}.out_proj", one.out_proj)


def _split(one: nn.MultiheadAttention) -> SplitAttention:
    other = _another(SplitAttention, one)
    biases = [None] * 3 if one.in_proj_bias is None else one.in_proj_bias.detach().chunk(3)
    for part, weight, bias in zip(PARTS, one.in_proj_weight.detach().chunk(3), biases, strict=True):
        other._modules[part] = _linear(weight, bias, one)
    for name in ("in_proj_weight", "in_proj_bias"):
        del other._parameters[name]
    other._modules["out_proj"] = _another(nn.Linear, one.out_proj)
    return other


def _fused(one: SplitAttention) -> nn.MultiheadAttention:
    other = _another(nn.MultiheadAttention, one)
    vars(other).pop("_held", None)
    for name, value in (("in_proj_weight", one.in_proj_weight), ("in_proj_bias", one.in_proj_bias)):
        learns = value is not None and value.requires_grad
        other._parameters[name] = None if value is None else nn.Parameter(value.detach(), requires_grad=learns)
    for part in PARTS:
        del other._modules[part]
    other._modules["out_proj"] = _another(NonDynamicallyQuantizableLinear, one.out_proj)
    return other


def _linear(weight: Tensor, bias: Tensor | None, one: nn.MultiheadAttention) -> nn.Linear:
    """A layer with a weight of its own, as ready to learn as the fused one."""
    layer = nn.Linear(1, 1, bias=False, device="meta").train(one.training)
    layer.out_features, layer.in_features = weight.shape
    layer.weight = nn.Parameter(weight.clone(), requires_grad=one.in_proj_weight.requires_grad)
    if bias is not None:
        layer.bias = nn.Parameter(bias.clone(), requires_grad=one.in_proj_bias.requires_grad)
    return layer


def _another(kind: type[nn.Module], one: nn.Module) -> nn.Module:
    """A module of another class with the same parts and the same state; what becomes of the one leaves the other."""
    other = kind.__new__(kind)
    held = {key: dict(vars(one)[key]) for key in ("_parameters", "_modules")}
    object.__setattr__(other, "__dict__", {**vars(one), **held})
    return other
