"""Random problems for the selective scan, and how its results compare with its definition, for every backend."""

from dataclasses import dataclass, fields
from functools import cache

import pytest
import torch
from precision import UNIT
from scan_magnitudes import magnitudes
from torch import Tensor

from lib.models.ssm.scan import KERNELS, selective_scan_fn, selective_scan_ref

MISSING = KERNELS["cpp"].unavailable(torch.device("cpu"), torch.float32)
FAST = (pytest.param("cpp", marks=pytest.mark.skipif(MISSING is not None, reason=str(MISSING))), "torch")
OPTIONAL = ("D", "z", "delta_bias", "initial_state")
LAYOUTS = ("BTD", "BDT", "slices", "expanded")
# Half an eps each: a term passes some hundred roundings, which add up as a random walk does, to about ten of them
# (Higham and Mary, 2019); three times as many are allowed.
ROUNDINGS = 32


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


def run(backend: str, inputs: dict[str, Tensor], softplus: bool) -> dict[str, Tensor]:
    """Output, last state, and the gradients of a random function of both."""
    leaves = {name: x.detach().requires_grad_() for name, x in inputs.items()}
    scan = selective_scan_ref if backend == "ref" else selective_scan_fn
    chosen = {} if backend == "ref" else {"backend": backend}
    out, last = scan(**leaves, delta_softplus=softplus, return_last_state=True, **chosen)
    gradients = torch.autograd.grad([out, last], list(leaves.values()), pulls(out, last))
    return {"out": out, "last": last, **{f"grad of {name}": x for name, x in zip(leaves, gradients, strict=True)}}


def pulls(*ends: Tensor) -> list[Tensor]:
    """Random gradients of the ends, as they would come from a loss."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(x.shape, generator=generator).to(x.dtype) for x in ends]


@cache
def definition(problem: Problem) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What `run` gives by the definition in float64, and the sizes of what is added up to it."""
    inputs = {name: x.double() for name, x in problem.inputs().items()}
    wanted = run("ref", inputs, problem.softplus)
    return wanted, magnitudes(inputs, problem.softplus, pulls(wanted["out"], wanted["last"]))


def error(found: Tensor, wanted: Tensor, size: Tensor | None = None) -> float:
    """The largest error relative to the largest value wanted, or to the largest size of what is added up to it."""
    largest = (wanted if size is None else size).abs().max().clamp_min(1e-30)
    return ((found.double() - wanted).abs().max() / largest).item()


def assert_equal(
    found: dict[str, Tensor],
    wanted: dict[str, Tensor],
    sizes: dict[str, Tensor] | None = None,
    allowed: float = ROUNDINGS * UNIT,
) -> None:
    errors = {name: error(found[name], wanted[name], sizes and sizes[name]) for name in wanted}
    assert max(errors.values()) <= allowed, errors
