"""The scans in transformers: a loop over tokens, one through mambapy, and one that torch compiles."""

import importlib.util
import inspect
import warnings

import torch
import transformers
from transformers.models.mamba.modeling_mamba import mamba_selective_scan

from lib.experiments import peers

# The function below its decorators, which would call mamba_ssm in its place where that is installed.
SCAN = inspect.unwrap(mamba_selective_scan)
transformers.logging.set_verbosity_error()


def fallback(device: torch.device, wait: bool) -> peers.Peer:
    """A Python loop over tokens; autograd fills a gradient of all tokens with zeros for each of them."""
    return peers.of(lambda *inputs: SCAN(*inputs, delta_softplus=True), sequential=True)


def mambapy(device: torch.device, wait: bool) -> peers.Peer:
    """Blelloch's parallel scan in torch.

    raises   Absent where mambapy is not installed
    """
    if not importlib.util.find_spec("mambapy"):
        raise peers.Absent("mambapy is not installed")
    return peers.of(lambda *inputs: SCAN(*inputs, delta_softplus=True, use_mambapy=True))


def associative(device: torch.device, wait: bool) -> peers.Peer:
    """An associative scan, compiled by torch for the shape it is called with: 20 to 60 seconds for each.

    raises   Absent where nobody waits for that
    """
    if not wait:
        raise peers.Absent("left out: it compiles for a minute")

    warnings.filterwarnings("ignore", message="Dynamo detected a call to a `functools.lru_cache`")  # of theirs

    def scan(*inputs: torch.Tensor) -> torch.Tensor:
        return SCAN(*inputs, delta_softplus=True, use_associative_scan=True)

    compiled = torch.compile(scan, fullgraph=True, dynamic=False)
    return peers.of(compiled, counted=device.type == "cuda")  # on a CPU its tensors come from past the dispatcher
