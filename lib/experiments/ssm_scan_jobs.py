"""Jobs of the scan's benchmark, which take no part in one another: one for each peer, one for each series of timings.

What a job finds are rows of its record: part, variant, what was measured, at which parameters.
"""

import ctypes
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from lib.experiments import base, peers
from lib.kernels.build import library
from lib.names import PEERS
from lib.profilers.failures import attempt
from lib.profilers.latency import latency, timings
from lib.profilers.memory import peak_bytes

FORWARD, TRAINING, SHORT, MEMORY, FLOOR, ABSENT = "forward", "training", "short training", "memory", "floor", "absent"
SIZES = ("batch", "length", "dim", "states")
SERIES = ("threads", "keep_freed", "after")
ITSELF, ANOTHER = "itself", "another"  # what was called before
FALLBACK, EXPONENTIALS, EVERYTHING = PEERS["fallback"].label, "exponentials", "everything"
USUAL = {"cpu": (2, 2048, 256, 16), "cuda": (4, 2048, 1024, 16)}
TOKENS = {"cpu": 512, "cuda": 256}
SMALL = (2, 9, 16, 16)  # where gradients are compared; what is compiled is so for this shape, too

Found = list[tuple[str, str, dict, dict]]


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """Rounds and sizes (B, T, D, N); the float type is float32.

    sizes     of the forward pass and of the training step; by the device where left out
    tokens    most of them in a training step of a peer whose time is quadratic in T; by the device where left out
    memory    sizes of the training step whose memory is measured; as many tokens where left out
    step      sizes (B, T, D, layers, vocabulary) of a model's training step; by the device where left out
    wait      for peers that are compiled first, minutes in all; else those are left out, and the record says so
    isolated  a process of its own for each series on a CPU; False where timings mean nothing, as in a test
    """

    runs: int = 9
    warmup: int = 1
    sizes: tuple[int, int, int, int] | None = None
    tokens: int | None = None
    memory: tuple[int, int, int, int] | None = None
    step: tuple[int, int, int, int, int] | None = None
    wait: bool = False
    isolated: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "sizes", tuple(self.sizes or USUAL[self.device]))
        object.__setattr__(self, "tokens", min(self.tokens or TOKENS[self.device], self.sizes[1]))
        batch, _, *rest = self.sizes
        object.__setattr__(self, "memory", tuple(self.memory or (batch, self.tokens, *rest)))
        object.__setattr__(self, "step", self.step and tuple(self.step))
        object.__setattr__(self, "isolated", self.isolated and self.device == "cpu")


def inputs(sizes: Sequence[int], seed: int, device: str) -> list[torch.Tensor]:
    """The scan's u, delta, A, B, C, D, z, delta_bias at Mamba's initial scales; all want a gradient."""
    (batch, length, dim, states), generator = sizes, torch.Generator().manual_seed(seed)

    def sequence(width):
        return torch.randn(batch, length, width, generator=generator).to(device).transpose(1, 2)

    A = -torch.arange(1.0, states + 1).repeat(dim, 1).to(device)
    D, bias = torch.ones(dim, device=device), torch.full((dim,), -4.6, device=device)  # softplus gives steps of 0.01
    u, delta, B, C, z = (sequence(width) for width in (dim, dim, states, states, dim))
    return [x.requires_grad_() for x in (u, delta, A, B, C, D, z, bias)]


def prepare(settings: Settings, name: str) -> Found:
    """Hold one peer to the definition, and measure the peak of a training step beyond inputs, output and gradients."""
    device, start = torch.device(settings.device), time.perf_counter()

    def hold() -> peers.Peer:
        peer = peers.load(name, device, settings.wait)
        peers.verify(peer, inputs(SMALL, settings.seed, settings.device))
        return peer

    def measure() -> int:
        call, leaves = peer.bind(inputs(settings.memory, settings.seed, settings.device))
        returned = sum(x.nbytes for x in (leaves[0], *leaves))
        return peak_bytes(_step(call, leaves), device=settings.device, inference=False) - returned

    peer, error = attempt(hold, device)
    print(
        f"{name}: {error.removeprefix('Absent: ') if error else f'right, {time.perf_counter() - start:.0f} s'}",
        flush=True,
    )
    if error:
        return [absent(name, EVERYTHING, error)]
    if not peer.gradients:
        return [absent(name, part, "it computes no gradients") for part in (TRAINING, MEMORY)]
    if not peer.counted:
        return [absent(name, MEMORY, "what it allocates cannot be counted here")]
    peak, error = attempt(measure, device)
    return [absent(name, MEMORY, error) if error else (MEMORY, name, {"peak_bytes": peak}, _at(settings.memory))]


def series(settings: Settings, part: str, threads: int, keep: bool, names: Sequence[str]) -> Found:
    """Every peer at one shape, number of threads and manner of memory: calls after itself, and after another peer."""
    torch.set_num_threads(threads)
    print(f"{part}, {threads} threads{', freed memory kept' if keep else ''}", flush=True)
    device, (batch, length, *rest) = torch.device(settings.device), settings.sizes
    sizes = (batch, settings.tokens if part == SHORT else length, *rest)
    tensors = inputs(sizes, settings.seed, settings.device)
    wanted, found, calls = peers.exact(tensors), [], {}

    def bound(peer: peers.Peer) -> Callable[[], object]:
        """A pass to be timed, which was called once: it is compiled then, and its output is right."""
        call, leaves = peer.bind(tensors)
        with torch.inference_mode(part == FORWARD):
            peers.compare("the output", call(), wanted)
            timed = call if part == FORWARD else _step(call, leaves)
            timed()
        return timed

    for name in names:
        peer, error = attempt(partial(peers.load, name, device, settings.wait), device)
        if not error and not _takes_part(peer, part, name):
            continue
        if not error and part == TRAINING and peer.sequential and settings.tokens < length:
            error = f"its time is quadratic in the length: timed at {settings.tokens} tokens"
        if not error:
            timed, error = attempt(partial(bound, peer), device)
        if error:
            found.append(absent(name, part, error))
        else:
            calls[name, ANOTHER] = calls[name, ITSELF] = timed  # called in this order
    options = dict(runs=settings.runs, warmup=settings.warmup, device=device, inference=part == FORWARD)
    taken = timings(calls, **options, keep_freed=keep, failing=True)
    for name, after in sorted(taken, key=lambda one: (list(names).index(one[0]), one[1] == ANOTHER)):
        one, at = taken[name, after], _at(sizes, threads=threads, keep_freed=keep, after=after)
        measured = {"seconds": one.seconds, "host_seconds": one.host_seconds, "clock": one.clock}
        found.append(absent(name, part, one.error) if one.error else (part, name, measured, at))
    return found


def floor(settings: Settings) -> Found:
    """Seconds that the exponentials of the forward shape take on one core, from the nearest cache."""
    registers, repeats, lib = 128, 4096, library("scan/floor.cpp")
    lanes = library("scan/selective_scan.cpp").lanes()
    lib.sum_of_powers.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    x = -torch.rand(registers * lanes)
    taken = latency({"": lambda: lib.sum_of_powers(x.data_ptr(), registers, repeats)}, runs=settings.runs, warmup=1)
    share = math.prod(settings.sizes) / (registers * lanes * repeats)
    seconds = [one * share for one in taken[""]]
    return [(FLOOR, EXPONENTIALS, {"seconds": seconds}, _at(settings.sizes, threads=1))]


def _takes_part(peer: peers.Peer, part: str, name: str) -> bool:
    """Whether a part is about a peer: the short training is about the sequential ones, beside our own scans."""
    return part == FORWARD or (peer.gradients and (part == TRAINING or peer.sequential or name not in peers.labels()))


def _step(call: Callable[[], torch.Tensor], leaves: Sequence[torch.Tensor]) -> Callable[[], object]:
    """A forward and a backward pass."""
    grad = torch.ones_like(leaves[0])

    def train():
        out = call()
        return out, torch.autograd.grad(out, leaves, grad)

    return train


def absent(name: str, of: str, error: str) -> tuple[str, str, dict, dict]:
    """The row of a peer that is not in a part, or in EVERYTHING, and why."""
    return ABSENT, name, {"error": error.removeprefix("Absent: ")}, {"of": of}


def _at(sizes: Sequence[int], **more: object) -> dict[str, object]:
    return dict(zip(SIZES, sizes, strict=True)) | more
