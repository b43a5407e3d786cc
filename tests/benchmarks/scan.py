"""The selective scan against its peers on this machine: `make bench`, or `make bench RECORD=1` to keep the result.

Protocol: inputs lie in memory as a Mamba block lays them out, (B, T, D), and come as transposed views; all peers
compute the same problem, which is checked first; they take turns; each is called twice a turn, the first call after
another peer finds cold caches and is kept apart. Each series has a process of its own. Memory comes from the
allocator as it is; in a last series freed memory is kept: large temporary tensors then cost no page faults, which
favours the peers.
"""

import argparse
import ctypes
import importlib.util
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
import transformers
from transformers.models.mamba.modeling_mamba import mamba_selective_scan

from lib import records
from lib.kernels.build import library
from lib.models.ssm.scan import KERNELS, explain_backend, selective_scan_fn
from lib.profilers.latency import latency
from lib.profilers.memory import peak_bytes
from lib.report import units

SHAPES = {"forward": (2, 2048, 256, 16), "training": (2, 512, 256, 16)}  # B, T, D, N
MEMORY = (2, 2048, 256, 16)
FALLBACK = "transformers, fallback"
COLUMNS = ("threads", "keep_freed", "after")


def inputs(batch: int, length: int, dim: int, states: int, seed: int, device: str) -> list[torch.Tensor]:
    """u, delta, A, B, C, D, z, delta_bias at Mamba's initial scales; all want a gradient."""
    generator = torch.Generator().manual_seed(seed)

    def sequence(width):
        return torch.randn(batch, length, width, generator=generator).to(device).transpose(1, 2)

    A = -torch.arange(1.0, states + 1).repeat(dim, 1).to(device)
    D, bias = torch.ones(dim, device=device), torch.full((dim,), -4.6, device=device)  # softplus gives steps of 0.01
    u, delta, B, C, z = (sequence(width) for width in (dim, dim, states, states, dim))
    return [x.requires_grad_() for x in (u, delta, A, B, C, D, z, bias)]


def peers(device: str) -> dict[str, Callable]:
    """Scans of the eight inputs with softplus, by name; those that this machine cannot run are left out."""
    transformers.logging.set_verbosity_error()
    found = {}
    for backend, kernel in KERNELS.items():
        if kernel.unavailable(torch.device(device), torch.float32) is None:
            found[backend] = lambda *x, backend=backend: selective_scan_fn(*x, delta_softplus=True, backend=backend)
    if importlib.util.find_spec("mambapy"):
        found["transformers, mambapy"] = lambda *x: mamba_selective_scan(*x, delta_softplus=True, use_mambapy=True)
    if device == "cuda" and importlib.util.find_spec("mamba_ssm"):
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn as theirs

        found["mamba_ssm"] = lambda *x: theirs(*x, delta_softplus=True)
    found[FALLBACK] = lambda *x: mamba_selective_scan(*x, delta_softplus=True)
    return found


def step(scan: Callable, tensors: list[torch.Tensor], part: str) -> Callable[[], object]:
    """One forward pass, or one forward and backward pass."""
    if part == "forward":
        return lambda: scan(*tensors)
    grad = torch.ones_like(tensors[0])
    return lambda: torch.autograd.grad(scan(*tensors), tensors, grad)


def check(scans: dict[str, Callable], tensors: list[torch.Tensor]) -> None:
    """Every peer gives the fallback's output.

    raises  AssertionError with the largest difference
    """
    wanted = scans[FALLBACK](*tensors)
    for scan in scans.values():
        torch.testing.assert_close(scan(*tensors), wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())


def measure(part: str, threads: int, keep: bool, rounds: int, seed: int, device: str) -> list[records.Case]:
    """Every peer at one shape, number of threads and manner of memory: calls after itself, and after another peer."""
    torch.set_num_threads(threads)
    batch, length, dim, states = SHAPES[part]
    tensors, scans = inputs(*SHAPES[part], seed, device), peers(device)
    calls = {}
    for name, scan in scans.items():
        calls[f"{name}, first"] = calls[name] = step(scan, tensors, part)
    inference = part == "forward"
    taken = latency(calls, runs=rounds, warmup=1, device=device, inference=inference, keep_freed=keep)
    at = dict(part=part, threads=threads, keep_freed=keep, batch=batch, length=length, dim=dim, states=states)
    return [
        records.Case(variant=name, seconds=taken[label], parameters={**at, "after": after})
        for name in scans
        for after, label in (("itself", name), ("another", f"{name}, first"))
    ]


def memory(seed: int, device: str) -> list[records.Case]:
    """Peak of a training step beyond its inputs, its output and its gradients; first, all peers are checked."""
    tensors = inputs(*MEMORY, seed, device)
    check(peers(device), tensors)
    returned = sum(x.nbytes for x in (tensors[0], *tensors))
    at = dict(zip(("batch", "length", "dim", "states"), MEMORY, strict=True), part="memory")
    cases = []
    for name, scan in peers(device).items():
        grad = torch.ones_like(tensors[0])

        def train(scan=scan, grad=grad):
            out = scan(*tensors)
            return out, torch.autograd.grad(out, tensors, grad)

        peak = peak_bytes(train, device=device, inference=False) - returned
        cases.append(records.Case(variant=name, peak_bytes=peak, parameters=at))
    return cases


def floor(rounds: int) -> records.Case:
    """Seconds that the exponentials of the forward shape take on one core, from the nearest cache."""
    registers, repeats = 128, 4096
    lib = library("floor.cpp")
    lanes = library("selective_scan.cpp").lanes()
    lib.sum_of_powers.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    x = -torch.rand(registers * lanes)
    taken = latency({"": lambda: lib.sum_of_powers(x.data_ptr(), registers, repeats)}, runs=rounds, warmup=1)[""]
    batch, length, dim, states = SHAPES["forward"]
    share = batch * length * dim * states / (registers * lanes * repeats)
    at = dict(part="floor", threads=1, batch=batch, length=length, dim=dim, states=states)
    return records.Case(variant="exponentials", seconds=[seconds * share for seconds in taken], parameters=at)


def show(cases: list[records.Case]) -> None:
    """The tables: medians, and in brackets how many times as long the fallback takes."""
    for part, shape in SHAPES.items():
        timed = [case for case in cases if case.parameters["part"] == part]
        columns = list(dict.fromkeys(tuple(case.parameters[name] for name in COLUMNS) for case in timed))
        print(f"\n{part}, (B, T, D, N) = {shape}, float32, median [fallback / this]")
        print(f"{'':24}" + "".join(f"{heading(*column):>22}" for column in columns))
        for name in dict.fromkeys(case.variant for case in timed):
            cells = (cell(timed, name, column) for column in columns)
            print(f"{name:24}" + "".join(f"{text:>22}" for text in cells))
    print(f"\nmemory of a training step at {MEMORY} beyond inputs, output and gradients")
    for case in cases:
        if case.parameters["part"] == "memory":
            print(f"{case.variant:24}{units.binary(case.peak_bytes):>22}")
    for case in cases:
        if case.parameters["part"] == "floor":
            least = statistics.median(case.seconds)
            share = least / median(cases, "cpp", (1, False, "itself"), "forward")
            print(f"\nexponentials of the forward pass alone, one thread: {units.milliseconds(least)}", end="; ")
            print(f"the C++ scan runs at {units.share(share)} of that speed")


def heading(threads: int, keep: bool, after: str) -> str:
    return f"{threads} thread{'s'[: threads - 1]}{', kept' if keep else ''}{', first' if after == 'another' else ''}"


def cell(cases: list[records.Case], name: str, column: tuple) -> str:
    seconds = median(cases, name, column)
    return f"{units.milliseconds(seconds)} [{median(cases, FALLBACK, column) / seconds:5.1f}]"


def median(cases: list[records.Case], name: str, column: tuple, part: str | None = None) -> float:
    (case,) = [
        case
        for case in cases
        if case.variant == name
        and case.parameters["part"] == (part or case.parameters["part"])
        and tuple(case.parameters.get(key) for key in COLUMNS) == column
    ]
    return statistics.median(case.seconds)


def main() -> None:
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("--record", action="store_true", help="write data/runs/<machine>/scan.json")
    about.add_argument("--rounds", type=int, default=9, help="timed turns (default: 9)")
    about.add_argument("--seed", type=int, default=42, help="of the inputs (default: 42)")
    about.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: cpu")
    chosen = about.parse_args()
    if chosen.rounds < 2:
        about.error(f"--rounds {chosen.rounds}: at least 2 is needed")
    print(explain_backend(chosen.device))
    most = torch.get_num_threads()
    series = (
        sorted({(1, False), (most, False), (most, True)}, key=lambda pair: pair[::-1])
        if chosen.device == "cpu"
        else [(most, False)]
    )
    # A process of its own for each: what one series leaves of its heap and threads would be another's start.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as fresh:
        cases = fresh.submit(memory, chosen.seed, chosen.device).result()
        for threads, keep in series:
            for part in SHAPES:
                work = (part, threads, keep, chosen.rounds, chosen.seed, chosen.device)
                cases += fresh.submit(measure, *work).result()
        if chosen.device == "cpu":
            cases.append(fresh.submit(floor, chosen.rounds).result())
    show(cases)
    if chosen.record:
        settings = {"rounds": chosen.rounds, "threads": most}
        run = records.new("scan", cases, seed=chosen.seed, parameters=settings, device=chosen.device)
        print(f"\nwritten: {records.write(run)}")


if __name__ == "__main__":
    main()
