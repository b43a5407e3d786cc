"""Peers of the selective scan: what others run for the same equations, as the benchmark times them.

A peer is a row of `lib.names.PEERS` and a function of the row's name in the row's file:

    peer(device, wait) -> Peer
        device   a torch.device
        wait     compile first what must be compiled, for up to a minute; else such a peer is absent
        raises   Absent, in words for a reader, where this machine cannot run it; anything else it raises counts, too

All take u, delta, A, B, C, D, z and delta_bias with softplus and return the output (B, D, T), so that step sizes,
skip and gate are inside for every one. `verify` holds them to the definition.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata

import torch
from torch import Tensor

from lib import names
from lib.experiments.peers.ggml import PACKAGE, VERSION
from lib.models.ssm.scan import KERNELS, selective_scan_fn, selective_scan_ref
from lib.models.tables import Functions

PEERS = Functions("PEERS")
CLOSE = 1e-4  # of the largest value: twenty times what rounding in single precision leaves
Bound = tuple[Callable[[], Tensor], Sequence[Tensor]]


class Absent(Exception):
    """Why a peer cannot run here, in words for a reader."""


@dataclass(frozen=True)
class Peer:
    """A scan that can be timed.

    bind        the eight inputs -> a call that scans them, and those tensors whose gradients it gives: the inputs, or
                copies in the layout that the peer likes best
    gradients   whether it has any
    sequential  whether a training step takes time that is quadratic in T: it is timed at fewer tokens
    counted     whether the memory profiler sees what it allocates
    """

    bind: Callable[[Sequence[Tensor]], Bound]
    gradients: bool = True
    sequential: bool = False
    counted: bool = True


def of(scan: Callable[..., Tensor], **kind: bool) -> Peer:
    """A peer that takes the inputs as they are."""
    return Peer(lambda inputs: (lambda: scan(*inputs), inputs), **kind)


def labels() -> dict[str, str]:
    """What a record calls each peer -> the name of its row."""
    return {row.label: name for name, row in names.PEERS.items()}


def everyone(device: torch.device) -> list[str]:
    """Our own backends that run on a device, the fastest first, and labels of all peers, here or not."""
    ours = [name for name, kernel in KERNELS.items() if kernel.unavailable(device, torch.float32) is None]
    return ours + list(labels())


def load(variant: str, device: torch.device, wait: bool) -> Peer:
    """One of `everyone`.

    raises   whatever keeps it from running
    """
    if variant in labels():
        return PEERS[labels()[variant]](device, wait)
    return of(lambda *inputs: selective_scan_fn(*inputs, delta_softplus=True, backend=variant))


def verify(peer: Peer, inputs: Sequence[Tensor]) -> None:
    """Hold a peer's output to the definition in double precision, and its gradients if it has any.

    raises   ValueError with the tensor that is off, and how far; whatever the peer raises
    """
    call, leaves = peer.bind(inputs)
    out = call()
    compare("the output", out, exact(inputs))
    if not peer.gradients:
        return
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(0)).to(out)
    found = torch.autograd.grad(out, leaves, grad)
    doubles = [x.detach().double().requires_grad_() for x in inputs]
    wanted = torch.autograd.grad(selective_scan_ref(*doubles, delta_softplus=True), doubles, grad.double())
    for name, one, true in zip(("u", "delta", "A", "B", "C", "D", "z", "bias"), found, wanted, strict=True):
        compare(f"the gradient of {name}", one, true)


def exact(inputs: Sequence[Tensor]) -> Tensor:
    """The output by the definition, in double precision."""
    with torch.no_grad():
        return selective_scan_ref(*(x.double() for x in inputs), delta_softplus=True)


def compare(what: str, found: Tensor, wanted: Tensor) -> None:
    """Accept a tensor that is as wanted, up to rounding in single precision.

    raises   ValueError, saying how far it is off
    """
    if found.shape != wanted.shape:
        raise ValueError(f"{what} is {tuple(found.shape)}, not {tuple(wanted.shape)}")
    off = ((found.detach().double() - wanted).abs().max() / wanted.abs().max()).item()
    if not off <= CLOSE:  # a NaN is off, too
        raise ValueError(f"{what} is off by {off:.1e} of the largest value, {CLOSE:.0e} is allowed")


def versions() -> str:
    """Versions of the peers' packages that are installed, or that are built here."""
    found = {PACKAGE: VERSION}
    for package in ("mambapy", "mamba-ssm"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(f"{package} {version}" for package, version in found.items())
