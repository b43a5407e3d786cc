"""Random problems for the selective scan, and how two of its results compare, for the tests of every backend."""

from dataclasses import dataclass, fields

import pytest
import torch
from torch import Tensor

from lib.models.ssm.scan import KERNELS, selective_scan_fn, selective_scan_ref

MISSING = KERNELS["cpp"].unavailable(torch.device("cpu"), torch.float32)
FAST = (pytest.param("cpp", marks=pytest.mark.skipif(MISSING is not None, reason=str(MISSING))), "torch")
OPTIONAL = ("D", "z", "delta_bias", "initial_state")
LAYOUTS = ("BTD", "BDT", "slices", "expanded")
OUTPUT, GRADIENT = 2e-6, 1e-5  # largest error over largest value
ROUNDED = 2  # times: an addend, and the sum


@dataclass(frozen=True)
class Problem:
    """One point of a grid; `inputs` draws its tensors."""

    batch: int = 2
    channels: int = 16
    length: int = 40
    states: int = 8
    groups: tuple[int, int] = (1, 1)  # of B and of C; 0 where they do not vary
    without: tuple[str, ...] = ()  # optional inputs left out
    softplus: bool = True
    step: float = -1.0  # mean of delta before softplus
    size: float = 1.0  # factor of delta, delta_bias and z
    layout: str = "BTD"  # one of LAYOUTS: how u, delta, z, B and C lie in memory
    crossed: bool = False  # B and C lie as they would with time last in place of first, or first in place of last

    def __str__(self) -> str:
        changed = (f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default)
        return " ".join(changed) or "all options"

    def inputs(
        self, dtype: torch.dtype = torch.float32, seed: int = 0, *, device: str = "cpu", mixed: bool = False
    ) -> dict[str, Tensor]:
        """The scan's tensors by name, all in dtype; where mixed, as under autocast: what does not vary in float32."""
        generator = torch.Generator().manual_seed(seed)
        b, d, t, n = self.batch, self.channels, self.length, self.states

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator)

        def sequence(scale: float = 1.0, mean: float = 0.0) -> Tensor:
            if self.layout == "BTD":
                return (normal(b, t, d) * scale + mean).transpose(1, 2)
            if self.layout == "slices":
                return (normal(b, t, 2 * d + 1) * scale + mean).transpose(1, 2)[:, 1::2]
            if self.layout == "expanded":
                return (normal(d, 1) * scale + mean).expand(b, d, t)
            return normal(b, d, t) * scale + mean

        def rows(groups: int) -> Tensor:
            if groups == 0:
                return normal(d, n)
            if self.layout == "slices":
                return normal(b, t, groups, 2 * n).permute(0, 2, 3, 1)[:, :, :n]
            first = (self.layout == "BTD") != self.crossed
            return normal(b, groups, t, n).transpose(2, 3) if first else normal(b, groups, n, t)

        size = self.size if self.softplus else self.size / 10
        drawn = {
            "u": sequence(),
            "delta": sequence(size / 2, size * self.step),
            "A": -torch.rand(d, n, generator=generator) * n - 0.1,
            "B": rows(self.groups[0]),
            "C": rows(self.groups[1]),
            "D": normal(d),
            "z": sequence(self.size),
            "delta_bias": normal(d) * (size / 5 if self.softplus else size),
            "initial_state": normal(b, d, n),
        }
        if not self.softplus:
            drawn |= {"delta": recast(drawn["delta"], torch.Tensor.abs), "delta_bias": drawn["delta_bias"].abs()}
        varying = {"u", "delta", "z"} | {name for name, groups in zip("BC", self.groups, strict=True) if groups}
        return {
            name: recast(x, lambda y, low=not mixed or name in varying: y.to(device, dtype if low else torch.float32))
            for name, x in drawn.items()
            if name not in self.without
        }


def recast(x: Tensor, change) -> Tensor:
    """A copy, changed value by value, with the same strides, even where elements share memory."""
    storage = change(x.new_empty(0).set_(x.untyped_storage()))
    return storage.as_strided(x.shape, x.stride(), x.storage_offset())


def run(backend: str, inputs: dict[str, Tensor], softplus: bool, seed: int = 1) -> dict[str, Tensor]:
    """Output, last state, and the gradients of a random function of both."""
    leaves = {name: x.detach().requires_grad_() for name, x in inputs.items()}
    scan = selective_scan_ref if backend == "ref" else selective_scan_fn
    chosen = {} if backend == "ref" else {"backend": backend}
    out, last = scan(**leaves, delta_softplus=softplus, return_last_state=True, **chosen)
    generator = torch.Generator().manual_seed(seed)
    seeds = [torch.randn(x.shape, generator=generator).to(x.dtype) for x in (out, last)]
    gradients = torch.autograd.grad([out, last], list(leaves.values()), seeds)
    return {"out": out, "last": last, **{f"grad of {name}": x for name, x in zip(leaves, gradients, strict=True)}}


def error(found: Tensor, wanted: Tensor, added: Tensor | float = 0.0) -> float:
    """The largest error over the largest value.

    added   where the values are sums, those of the magnitudes added: what rounding does to them is no error, even
            where they cancel
    """
    rounding = ROUNDED * torch.finfo(found.dtype).eps * added
    off = ((found.double() - wanted).abs() - rounding).clamp_min(0)
    return (off.max() / wanted.abs().max().clamp_min(1e-30)).item()


def assert_equal(found: dict, wanted: dict, output: float = OUTPUT, gradient: float = GRADIENT) -> None:
    added = {}
    if "grad of delta_bias" in wanted:  # that of delta, added over batch and tokens
        added["grad of delta_bias"] = wanted["grad of delta"].abs().sum((0, 2))
    errors = {name: error(found[name], wanted[name], added.get(name, 0.0)) for name in wanted}
    for name, size in errors.items():
        assert size <= (gradient if name.startswith("grad") else output), errors
