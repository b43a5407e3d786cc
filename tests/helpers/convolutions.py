"""Random inputs of the causal convolution with SiLU, and what they give in float64 by torch's own operators."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

NAMES = ("x", "past", "weight", "bias")
LAYOUTS = ("half", "whole", "odd", "time first", "expanded")
# Roundings of one output: some ten operations; of a weight's gradient: a sum of tokens, as a random walk, below.
ROUNDINGS = 32


@dataclass(frozen=True)
class Problem:
    """Sizes and kinds of one convolution; `inputs` draws its tensors."""

    batch: int = 2
    length: int = 37
    channels: int = 12
    taps: int = 4
    layout: str = "half"  # one of LAYOUTS: how x lies in memory
    past: bool = True
    bias: bool = True

    def __str__(self) -> str:
        changed = (f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default)
        return " ".join(changed) or "default"

    def inputs(
        self, dtype: torch.dtype = torch.float32, parameters: torch.dtype = torch.float32, device: str = "cpu"
    ) -> list[Tensor | None]:
        """x, past, weight, bias; and the gradient of the output."""
        generator = torch.Generator().manual_seed(0)
        b, t, e, k = self.batch, self.length, self.channels, self.taps

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator).to(device)

        x = {
            "half": lambda: normal(b, t, 2 * e).to(dtype)[..., :e],  # of a projection's output, as in a Mamba block
            "whole": lambda: normal(b, t, e).to(dtype),
            "odd": lambda: normal(b, t, 2 * e + 1).to(dtype)[..., 1 : e + 1],
            "time first": lambda: normal(b, e, t).to(dtype).mT,
            "expanded": lambda: normal(1, 1, e).to(dtype).expand(b, t, e),
        }[self.layout]()
        past = normal(b, k - 1, e).to(dtype) if self.past else None
        bias = normal(e).to(parameters) if self.bias else None
        return [x, past, normal(e, 1, k).to(parameters), bias, normal(b, t, e).to(dtype)]


def definition(x, past, weight, bias, grad) -> dict[str, Tensor]:
    """Output and gradients, in float64."""
    leaves = [one if one is None else one.detach().double().requires_grad_() for one in (x, past, weight, bias)]
    x, past, weight, bias = leaves
    past = x.new_zeros(len(x), weight.shape[2] - 1, x.shape[2]) if past is None else past
    out = F.silu(F.conv1d(torch.cat([past, x], dim=1).mT, weight, bias, groups=len(weight)).mT)
    named = {name: one for name, one in zip(NAMES, leaves, strict=True) if one is not None}
    grads = torch.autograd.grad(out, list(named.values()), grad.double())
    return {"out": out.detach()} | {f"grad of {name}": one for name, one in zip(named, grads, strict=True)}


def kernels(module, x, past, weight, bias, grad) -> dict[str, Tensor]:
    """The same by a module of `lib.kernels.convolution`."""
    out = module.forward(x, past, weight, bias)
    grads = zip(NAMES, module.backward(grad, x, past, weight, bias), strict=True)
    return {"out": out} | {f"grad of {name}": one for name, one in grads if one is not None}


def errors(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, float]:
    """Largest differences by name, relative to the largest value.

    raises   AssertionError where names, shapes differ or something is not finite
    """
    assert found.keys() == wanted.keys()
    assert {name: one.shape for name, one in found.items()} == {name: one.shape for name, one in wanted.items()}
    assert all(one.isfinite().all() for one in found.values())
    return {
        name: ((found[name].cpu() - one.cpu()).abs().max() / one.abs().max()).item()
        for name, one in wanted.items()
        if one.numel()
    }
