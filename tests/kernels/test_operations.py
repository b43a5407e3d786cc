"""Operations of the kernels' operators: one count a scan, by whichever backend, and that of the definition by hand."""

from dataclasses import replace
from math import exp

import pytest
import torch
from recurrences import exact
from torch import Tensor

from lib import names
from lib.kernels import modes
from lib.models.mrss import variants as mrss
from lib.models.ssm import mixers, scan
from lib.models.ssm.mamba import MambaConfig
from lib.profilers.flops import flops

B, T, D, N = 2, 12, 8, 4
BACKENDS = ("cpp", "torch", "ref")
FORWARD, TRAINING = B * T * D * (7 * N + 3), B * T * D * (27 * N + 11)


@pytest.fixture
def x(generator) -> Tensor:
    return torch.randn(B, T, D, generator=generator)


def counted(model: torch.nn.Module, x: Tensor) -> int:
    return flops(lambda: model(x)) + mixers.uncounted(model, x)


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
def test_a_scan_forward_is_counted_in_closed_form_on_every_backend(backend, x):
    assert counted(mixers.Scan(D, N, backend), x) == FORWARD


@pytest.mark.parametrize("backend", ["auto", "cpp", "torch"])
def test_a_scan_in_training_is_counted_in_closed_form_on_every_backend(backend, x):
    model, leaf = mixers.Scan(D, N, backend), x.requires_grad_()
    assert flops(lambda: torch.autograd.grad(model(leaf).sum(), leaf), inference=False) == TRAINING


def test_the_issues_scan_has_7_536_640_operations(generator):
    x = torch.randn(1, 256, 256, generator=generator)
    assert {counted(mixers.Scan(256, 16, backend), x) for backend in ("cpp", "torch")} == {7_536_640}


SCANNING = {"scale_mixer", "hnet"}  # forms that scan outside of a block, where nobody counts the scan "ref"


def forms() -> dict[str, mrss.MrssConfig]:
    """Those of `lib.experiments.mrss_scan`, all as wide as the baseline: widths that match take a search."""
    sizes = MambaConfig(dim=16, layers=4, states=4)
    factors = {name: 1 if name == "wrapped" else 8 for name in names.FORMS}
    return {name: mrss.MrssConfig(sizes, name, factor) for name, factor in factors.items()} | mrss.proposed(sizes, 8)


def test_every_multi_resolution_form_has_the_same_ratio_on_every_backend(generator):
    x, ratios = torch.randn(1, 32, 1, generator=generator), {}
    for backend in BACKENDS:
        operations = {name: counted(mrss.spend(_model(config, backend)), x) for name, config in forms().items()}
        baseline = counted(_model(mrss.MrssConfig(forms()["low"].mamba), backend), x)
        ratios[backend] = {name: count / baseline for name, count in operations.items()}
    assert ratios["cpp"] == ratios["torch"]
    for form in set(ratios["ref"]) - SCANNING:
        assert ratios["ref"][form] == ratios["cpp"][form]
    assert len({*ratios["ref"].values()}) >= len(names.FORMS)


def _model(config: mrss.MrssConfig, backend: str) -> torch.nn.Module:
    config = replace(config, mamba=replace(config.mamba, backend=backend))
    return mrss.model(config, 1, 10, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # compiled, and in torch
def test_a_bank_of_modes_is_counted_once_by_either_version(dtype, generator):
    x = torch.randn(B, T, D, generator=generator, dtype=dtype)
    kind = torch.complex64 if dtype is torch.float32 else torch.complex128
    decay, weight = torch.rand(2, D, N, generator=generator).to(kind)
    bank = (x, decay, weight, torch.ones(D, dtype=dtype), torch.zeros(B, D, N, dtype=kind))
    assert flops(lambda: modes.recurrence(*bank)) == 12 * B * T * D * N
    assert torch.allclose(modes.recurrence(*bank)[0].double(), exact(*bank).out, atol=1e-4)


class Counted(float):
    """A number that counts what is done with it, a multiplication, an addition or an exponential each as one."""

    done = 0

    def __mul__(self, other):
        return self._one(float(self) * float(other))

    def __add__(self, other):
        return self._one(float(self) + float(other))

    def exp(self):
        return self._one(exp(self))

    @classmethod
    def _one(cls, value):
        cls.done += 1
        return cls(value)


def by_hand(u, delta, A, B, C, D, dy):
    """One channel of the scan and its gradients by the definition, accumulated from zero: y, gradients, operations."""
    zero, tokens, states = Counted(0), range(len(u)), range(len(A))
    Counted.done = 0
    h, y = [[zero] * len(A)], []
    for t in tokens:
        inflow = delta[t] * u[t]
        h.append([(delta[t] * A[n]).exp() * h[-1][n] + B[t][n] * inflow for n in states])
        out = zero
        for n in states:
            out = out + C[t][n] * h[-1][n]
        y.append(out + D * u[t])
    forward, Counted.done = Counted.done, 0
    found = {name: [zero] * len(u) for name in ("u", "delta")} | {"A": [zero] * len(A), "D": zero}
    found |= {name: [[zero] * len(A) for _ in tokens] for name in "BC"}
    decays, again, inflows = [], [[zero] * len(A)], []
    for t in tokens:  # the states, once more
        inflows.append(delta[t] * u[t])
        decays.append([(delta[t] * A[n]).exp() for n in states])
        again.append([decays[t][n] * again[-1][n] + B[t][n] * inflows[t] for n in states])
    carried = [zero] * len(A)
    for t in reversed(tokens):
        of_inflow = of_step = zero
        for n in states:
            g = dy[t] * C[t][n] + carried[n]
            found["C"][t][n] = found["C"][t][n] + dy[t] * again[t + 1][n]
            found["B"][t][n] = found["B"][t][n] + g * inflows[t]
            of_inflow = of_inflow + g * B[t][n]
            carried[n] = decays[t][n] * g
            of_exponent = g * again[t][n] * decays[t][n]  # what is carried is not used again
            of_step = of_step + of_exponent * A[n]
            found["A"][n] = found["A"][n] + of_exponent * delta[t]
        found["delta"][t] = of_step + of_inflow * u[t]
        found["u"][t] = of_inflow * delta[t] + dy[t] * D
        found["D"] = found["D"] + dy[t] * u[t]
    return y, found, forward, Counted.done


def test_the_definition_by_hand_takes_as_many_operations(generator):
    def numbers(x):
        return [numbers(one) for one in x] if x.ndim else Counted(x.item())

    inputs = [
        torch.rand(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in ((T,), (T,), (N,), (T, N), (T, N), (), (T,))
    ]
    u, delta, A, row_B, row_C, skip, dy = inputs
    y, found, forward, backward = by_hand(*map(numbers, inputs))
    out = scan.selective_scan_ref(
        u.view(1, 1, T), delta.view(1, 1, T), A.view(1, N), row_B.T[None], row_C.T[None], skip.view(1)
    ).view(T)
    grads = torch.autograd.grad(out, inputs[:-1], dy)
    assert torch.allclose(out, torch.tensor(y, dtype=out.dtype))
    for name, grad in zip(("u", "delta", "A", "B", "C", "D"), grads, strict=True):
        assert torch.allclose(grad, torch.tensor(found[name], dtype=grad.dtype)), name
    assert (forward, backward) == (T * (7 * N + 3), T * (20 * N + 8))
