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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from typing import Any, Self

import pandas as pd
import torch
import transformers
from transformers.models.mamba.modeling_mamba import mamba_selective_scan

from lib import records
from lib.experiments import base
from lib.kernels.build import library
from lib.models.ssm.scan import KERNELS, explain_backend, selective_scan_fn
from lib.profilers.latency import latency
from lib.profilers.memory import peak_bytes
from lib.records import Record

NAME = "scan"
CHAPTER = "ssm_background"
PRESETS = "scan"  # a folder of data/presets: these sizes are no parameters of the chapter
FORWARD, TRAINING, MEMORY, FLOOR = "forward", "training", "memory", "floor"
SIZES = ("batch", "length", "dim", "states")
SERIES = ("threads", "keep_freed", "after")
PARTS = {FORWARD: (*SIZES, *SERIES), TRAINING: (*SIZES, *SERIES), MEMORY: SIZES, FLOOR: (*SIZES, "threads")}
ITSELF, ANOTHER = "itself", "another"  # what was called before
FALLBACK, EXPONENTIALS = "transformers, fallback", "exponentials"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Rounds and sizes (B, T, D, N); the float type is float32.

    seed       of the inputs
    device     "cpu" or "cuda"
    rounds     timed turns
    forward    sizes of the forward pass, and of the exponentials in it
    training   sizes of the training step that is timed
    memory     sizes of the training step whose memory is measured
    isolated   a process of its own for each series; False where timings mean nothing, as in a test
    """

    seed: int = 42
    device: str = "cpu"
    rounds: int = 9
    forward: tuple[int, int, int, int] = (2, 2048, 256, 16)
    training: tuple[int, int, int, int] = (2, 512, 256, 16)
    memory: tuple[int, int, int, int] = (2, 2048, 256, 16)
    isolated: bool = True

    @classmethod
    def of(cls, source: Mapping[str, Any]) -> Self:
        """Take the fields that a mapping has; lists become tuples."""
        held = {one.name: source[one.name] for one in fields(cls) if one.name in source}
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in held.items()})


def run(settings: Settings) -> Record:
    """Check that all peers agree, measure their memory, time them in every series, and time the exponentials alone."""
    most = torch.get_num_threads()
    cases = base.Cases(PARTS)
    for found in _done(settings, _jobs(settings, most)):
        for part, variant, measured, at in found:
            cases.add(part, variant, measured=measured, **at)
    torch.set_num_threads(most)
    given = {"rounds": settings.rounds, "threads": most}
    return records.new(NAME, cases, seed=settings.seed, parameters=given, device=settings.device)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`; `most` is the threads that torch took."""
    return pd.concat([base.frame([one], PARTS).assign(most=one.parameters["threads"]) for one in found])


def inputs(sizes: Sequence[int], seed: int, device: str) -> list[torch.Tensor]:
    """The scan's u, delta, A, B, C, D, z, delta_bias at Mamba's initial scales; all want a gradient."""
    (batch, length, dim, states), generator = sizes, torch.Generator().manual_seed(seed)

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


def check(scans: dict[str, Callable], tensors: list[torch.Tensor]) -> None:
    """Compare every peer's output with the fallback's.

    raises  AssertionError with the largest difference
    """
    wanted = scans[FALLBACK](*tensors)
    for scan in scans.values():
        torch.testing.assert_close(scan(*tensors), wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())


Found = list[tuple[str, str, dict, dict]]  # part, variant, what was measured, at which parameters


def memory(settings: Settings) -> Found:
    """Peak of a training step beyond its inputs, its output and its gradients; first, all peers are checked."""
    tensors, scans = inputs(settings.memory, settings.seed, settings.device), peers(settings.device)
    check(scans, tensors)
    returned = sum(x.nbytes for x in (tensors[0], *tensors))
    found = []
    for name, scan in scans.items():
        grad = torch.ones_like(tensors[0])

        def train(scan=scan, grad=grad):
            out = scan(*tensors)
            return out, torch.autograd.grad(out, tensors, grad)

        peak = peak_bytes(train, device=settings.device, inference=False) - returned
        found.append((MEMORY, name, {"peak_bytes": peak}, _sizes(settings.memory)))
    return found


def timings(settings: Settings, part: str, threads: int, keep: bool) -> Found:
    """Every peer at one shape, number of threads and manner of memory: calls after itself, and after another peer."""
    torch.set_num_threads(threads)
    sizes = settings.forward if part == FORWARD else settings.training
    tensors, scans = inputs(sizes, settings.seed, settings.device), peers(settings.device)
    calls = {}
    for name, scan in scans.items():
        calls[name, ANOTHER] = calls[name, ITSELF] = _pass(scan, tensors, part)  # called in this order
    options = dict(runs=settings.rounds, warmup=1, device=settings.device, inference=part == FORWARD, keep_freed=keep)
    taken = latency(calls, **options)
    at = _sizes(sizes) | {"threads": threads, "keep_freed": keep}
    kinds = [(name, after) for name in scans for after in (ITSELF, ANOTHER)]
    return [(part, name, {"seconds": taken[name, after]}, at | {"after": after}) for name, after in kinds]


def floor(settings: Settings) -> Found:
    """Seconds that the exponentials of the forward shape take on one core, from the nearest cache."""
    registers, repeats, lib = 128, 4096, library("scan/floor.cpp")
    lanes = library("scan/selective_scan.cpp").lanes()
    lib.sum_of_powers.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    x = -torch.rand(registers * lanes)
    taken = latency({"": lambda: lib.sum_of_powers(x.data_ptr(), registers, repeats)}, runs=settings.rounds, warmup=1)
    batch, length, dim, states = settings.forward
    share = batch * length * dim * states / (registers * lanes * repeats)
    seconds = [one * share for one in taken[""]]
    return [(FLOOR, EXPONENTIALS, {"seconds": seconds}, _sizes(settings.forward) | {"threads": 1})]


def _jobs(settings: Settings, most: int) -> Iterator[tuple]:
    yield (memory,)
    series = [(most, False)]
    if settings.device == "cpu":
        series = sorted({(1, False), (most, False), (most, True)}, key=lambda pair: pair[::-1])
    for threads, keep in series:
        for part in (FORWARD, TRAINING):
            yield timings, part, threads, keep
    if settings.device == "cpu" and KERNELS["cpp"].unavailable(torch.device("cpu"), torch.float32) is None:
        yield (floor,)  # compiled as the scan is


def _done(settings: Settings, jobs: Iterable[tuple]) -> Iterator[Found]:
    if not settings.isolated:
        yield from (job(settings, *more) for job, *more in jobs)
        return
    # A process of its own for each: what one series leaves of its heap and threads would be another's start.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as fresh:
        for job, *more in jobs:
            yield fresh.submit(job, settings, *more).result()


def _pass(scan: Callable, tensors: list[torch.Tensor], part: str) -> Callable[[], object]:
    """One forward pass, or one forward and backward pass."""
    if part == FORWARD:
        return lambda: scan(*tensors)
    grad = torch.ones_like(tensors[0])
    return lambda: torch.autograd.grad(scan(*tensors), tensors, grad)


def _sizes(sizes: Sequence[int]) -> dict[str, int]:
    return dict(zip(SIZES, sizes, strict=True))


def show(record: Record) -> None:
    """Print medians, in brackets how many times as long the fallback takes; memory; and the exponentials' time."""
    rows = frame([record])
    for part in (FORWARD, TRAINING):
        timed = rows[rows["part"] == part]
        wide = timed.pivot(index="variant", columns=list(SERIES), values="seconds")
        wide = wide.loc[timed["variant"].unique(), timed[list(SERIES)].drop_duplicates().itertuples(index=False)]
        sizes = ", ".join(f"{timed.iloc[0][name]:.0f}" for name in SIZES)
        print(f"\n{part}, (B, T, D, N) = ({sizes}), float32, median [fallback / this]")
        print(f"{'':24}" + "".join(f"{_heading(*column):>24}" for column in wide))
        for name, line in wide.iterrows():
            cells = (f"{1e3 * s:.1f} ms [{b / s:5.1f}]" for s, b in zip(line, wide.loc[FALLBACK], strict=True))
            print(f"{name:24}" + "".join(f"{text:>24}" for text in cells))
    print("\nmemory of a training step beyond inputs, output and gradients")
    for row in rows[rows["part"] == MEMORY].itertuples():
        print(f"{row.variant:24}{row.memory_bytes / 2**20:>18.1f} MiB")
    for row in rows[rows["part"] == FLOOR].itertuples():
        alone = rows[(rows["part"] == FORWARD) & (rows["threads"] == 1) & (rows["after"] == ITSELF)].iloc[0]
        print(f"\nexponentials of the forward pass alone, one thread: {1e3 * row.seconds:.1f} ms", end="; ")
        print(f"the scan by {alone.variant} runs at {row.seconds / alone.seconds:.0%} of that speed")


def _heading(threads: float, keep: bool, after: str) -> str:
    plural = "" if threads == 1 else "s"
    return f"{threads:.0f} thread{plural}{', kept' if keep else ''}{', first' if after == ANOTHER else ''}"


def main(arguments: list[str] | None = None) -> None:
    """Run this experiment from the command line: print the table of peers, and keep the record with `--record`."""
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("--record", action="store_true", help="write data/runs/<machine>/scan.json")
    about.add_argument("--rounds", type=int, default=9, help="timed turns (default: 9)")
    about.add_argument("--seed", type=int, default=42, help="of the inputs (default: 42)")
    about.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: cpu")
    chosen = about.parse_args(arguments)
    if chosen.rounds < 2:
        about.error(f"--rounds {chosen.rounds}: at least 2 is needed")
    print(explain_backend(chosen.device))
    made = run(Settings(seed=chosen.seed, device=chosen.device, rounds=chosen.rounds))
    show(made)
    if chosen.record:
        print(f"\nwritten: {records.write(made)}")


if __name__ == "__main__":
    main()
