"""Several sequences in one row: what each gives by itself, in float64, one after another."""

from itertools import pairwise

import torch
from scan_magnitudes import magnitudes
from scans import Problem, pulls
from torch import Tensor

from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref

TIMED = ("u", "delta", "B", "C", "z")
LENGTH = 101
BORDERS = {
    "none": [],
    "at checkpoints": [32, 64, 96],
    "beside checkpoints": [31, 33, 63, 65, 100],
    "after the first token": [1],
    "every token": list(range(1, LENGTH)),
    "some": [3, 4, 40, 77],
}


def results(scan, inputs: dict[str, Tensor], **options) -> dict[str, Tensor]:
    """Output, last state, and the gradients of a random function of both, by the names that `scans.run` gives them."""
    leaves = {name: x.detach().requires_grad_() for name, x in inputs.items()}
    out, last = scan(**leaves, **options)
    gradients = torch.autograd.grad([out, last], list(leaves.values()), pulls(out, last))
    return {"out": out, "last": last} | {f"grad of {name}": x for name, x in zip(leaves, gradients, strict=True)}


def together(inputs: dict[str, Tensor], softplus: bool, backend: str, **lengths) -> dict[str, Tensor]:
    """All sequences at once."""
    options = {"delta_softplus": softplus, "return_last_state": True, "backend": backend}
    return results(selective_scan_fn, inputs, **options, **lengths)


def apart(inputs: dict[str, Tensor], softplus: bool, borders: list[list[int]], own: bool = False) -> tuple[dict, dict]:
    """The same by one sequence after another in float64, and the sizes of what is added up, or more.

    borders   of each row: the tokens at which another sequence begins
    own       each sequence has an initial and a last state of its own; else each row has, of its first and its last
    """

    def scan(**leaves) -> tuple[Tensor, Tensor]:
        rows, states = [], []
        for row, inner in enumerate(borders):
            outs, ends = [], []
            for k, (start, stop) in enumerate(pairwise([0, *inner, leaves["u"].shape[2]])):
                timed = {name for name in TIMED if name in leaves and leaves[name].ndim > 2}
                one = {n: x[row : row + 1, ..., start:stop] if n in timed else x for n, x in leaves.items()}
                initial = one.pop("initial_state", None)
                if initial is not None and (own or k == 0):
                    one["initial_state"] = initial[k if own else row].unsqueeze(0)
                out, end = selective_scan_ref(**one, delta_softplus=softplus, return_last_state=True)
                outs.append(out), ends.append(end)
            rows.append(torch.cat(outs, dim=2))
            states += ends if own else ends[-1:]
        return torch.cat(rows), torch.cat(states)

    exact = {name: x.double() for name, x in inputs.items()}
    wanted = results(scan, exact)
    # Without borders only more is added up, all of it positive: no size is less.
    if own and "initial_state" in exact:
        exact["initial_state"] = exact["initial_state"].abs().sum(0, keepdim=True)
    out, last = pulls(wanted["out"], wanted["last"])
    return wanted, magnitudes(exact, softplus, [out, last.abs().sum(0, keepdim=True) if own else last])


def numbered(borders: list[list[int]], length: int) -> Tensor:
    """`seq_idx` of rows."""
    changes = torch.zeros(len(borders), length, dtype=torch.int32)
    for row, inner in enumerate(borders):
        changes[row, inner] = 1
    return changes.cumsum(1, dtype=torch.int32)


def bounds(inner: list[int], length: int) -> Tensor:
    """`cu_seqlens` of one row."""
    return torch.tensor([0, *inner, length], dtype=torch.int32)


def drawn(problem: Problem, sequences: int | None = None) -> dict[str, Tensor]:
    """A problem's inputs, with an initial state for each of so many sequences."""
    inputs = problem.inputs()
    if sequences and "initial_state" in inputs:
        shape = sequences, *inputs["A"].shape
        inputs["initial_state"] = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    return inputs
