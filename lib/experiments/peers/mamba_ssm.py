"""The CUDA scan of mamba_ssm, called as its authors' models call it: each channel's tokens side by side in memory."""

import importlib.util
from collections.abc import Sequence

import torch
from torch import Tensor

from lib.experiments import peers


def mamba_ssm(device: torch.device, wait: bool) -> peers.Peer:
    """The fused kernel of Mamba-1, where it was built: since July 2026 an install of the package may lack it.

    raises   Absent on a CPU, and where it is not installed; ImportError where the package cannot be loaded. What was
             installed without the kernel fails at its first call
    """
    if device.type != "cuda":
        raise peers.Absent("it needs a CUDA device")
    if not importlib.util.find_spec("mamba_ssm"):
        raise peers.Absent("mamba_ssm is not installed")
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    def bind(inputs: Sequence[Tensor]) -> peers.Bound:
        own = [x.detach().contiguous().requires_grad_() for x in inputs]
        return lambda: selective_scan_fn(*own, delta_softplus=True), own

    return peers.Peer(bind)
