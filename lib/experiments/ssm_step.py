"""A whole training step of a language model: ours, and transformers' Mamba with one scan or another put in.

A part of the scan's benchmark. All models have the same weights and get the same tokens; before anything is timed,
their logits and the gradient of their embedding are held to ours. transformers' own scan takes time that is quadratic
in the length: it is compared at fewer tokens, beside ours.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.experiments.ssm_scan_jobs import Found, Settings, absent
from lib.models.ssm.accelerate import Acceleration, accelerate_transformers
from lib.models.ssm.mamba import MambaLM
from lib.models.ssm.mamba_block import MambaConfig
from lib.models.ssm.mamba_weights import to_transformers
from lib.profilers.failures import attempt
from lib.profilers.latency import timings
from lib.profilers.memory import available_bytes, peak_bytes

STEP = "step"
SIZES = ("batch", "length", "dim", "layers", "vocabulary")
OURS, ACCELERATED = "our model", "transformers, our scan"
FUSED, FALLBACK = "transformers, mamba_ssm's scan", "transformers, its own scan"
SINGLE, HALF = "float32", "half"  # half: bfloat16, or float16 where a GPU has no bfloat16, by autocast
CLOSE = {SINGLE: 1e-3, HALF: 0.2}  # of the largest value; rounding alone leaves some 1e-5 and some 1e-2
MOST_ROUNDS = 5  # a step of a model takes long enough
FEW = {"cpu": 64, "cuda": 128}  # tokens of a step with transformers' own scan, at most
LARGE = 70 * 2**30  # bytes of a GPU that eight sequences need with transformers' intermediate results


def usual(device: torch.device) -> tuple[int, int, int, int, int]:
    """Sizes (B, T, D, layers, vocabulary): on a GPU the smallest Mamba that was published, but for the vocabulary."""
    if device.type == "cuda":
        return (8, 2048, 768, 24, 8192) if available_bytes(device) >= LARGE else (1, 1024, 768, 24, 8192)
    return 1, 512, 256, 2, 1000


def step(settings: Settings, fused: bool) -> Found:
    """Rows of the training steps.

    fused   whether mamba_ssm's scan runs here
    """
    device = torch.device(settings.device)
    batch, length, dim, layers, vocabulary = sizes = settings.step or usual(device)
    print(f"training steps, (B, T, D, layers, vocabulary) = {tuple(sizes)}", flush=True)
    generator = settings.generator()
    ours = MambaLM(MambaConfig(dim=dim, layers=layers, vocabulary=vocabulary), generator=generator).to(device).train()
    theirs = to_transformers(ours, use_cache=False)
    theirs.tie_weights()  # a device may have got a copy of each
    models = {OURS: ours, **dict.fromkeys((ACCELERATED, FUSED, FALLBACK), theirs)}
    few = min(settings.tokens, FEW[device.type], length)
    found = []
    for count, names, precision in _series(length, few, fused, device):
        tokens = torch.randint(vocabulary, (batch if count == length else 1, count), generator=generator).to(device)
        at = dict(zip(SIZES, (*tokens.shape, dim, layers, vocabulary), strict=True)) | {"precision": precision}
        found += _timed({name: models[name] for name in names}, tokens, precision, settings, at)
    return found


def _series(length: int, few: int, fused: bool, device: torch.device) -> Iterator[tuple[int, tuple[str, ...], str]]:
    """Tokens, variants and precision of each series; ours comes first."""
    together = (FALLBACK,) if few == length else ()
    names = (OURS, ACCELERATED, *((FUSED,) if fused else ()))
    yield length, (*names, *together), SINGLE
    if device.type == "cuda":
        yield length, names, HALF
    if few < length:
        yield few, (OURS, FALLBACK), SINGLE


def _timed(models: dict[str, nn.Module], tokens: Tensor, precision: str, settings: Settings, at: dict) -> Found:
    """Rows of one series; the first model's results are what the others are held to."""
    device, calls, peaks, found, wanted = tokens.device, {}, {}, [], []

    def prepare(call: Callable[[], tuple[Tensor, ...]]) -> int:
        """Hold a step to the first one; returns its peak."""
        results = [one.detach() for one in call()[:2]]
        wanted.extend(results if not wanted else ())
        _compare(results, wanted, precision)
        return peak_bytes(call, device=device, inference=False)

    for name, model in models.items():
        call = training(name, model, tokens, precision)
        peak, error = attempt(partial(prepare, call), device)
        if error:
            found.append(absent(name, f"{STEP} of {at['length']} tokens in {precision}", error))
        else:
            calls[name], peaks[name] = call, peak
    rounds = min(settings.runs, MOST_ROUNDS)
    taken = timings(calls, runs=rounds, warmup=settings.warmup, device=device, inference=False, failing=True)
    for name, one in taken.items():
        measured = {"seconds": one.seconds, "host_seconds": one.host_seconds, "clock": one.clock}
        measured["peak_bytes"] = peaks[name]
        of = f"{STEP} of {at['length']} tokens in {precision}"
        found.append(absent(name, of, one.error) if one.error else (STEP, name, measured, at))
    return found


def training(name: str, model: nn.Module, tokens: Tensor, precision: str) -> Callable[[], tuple[Tensor, ...]]:
    """A training step without the optimizer's: logits, and the gradients of the mean loss, the embedding's first."""
    device, weights = tokens.device, list(model.parameters())  # the embedding is the first of both models
    old = device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0)
    dtype = torch.float16 if old else torch.bfloat16
    ours = name == OURS

    def call() -> tuple[Tensor, ...]:
        with _scan_of(name), torch.autocast(device.type, dtype, enabled=precision == HALF):
            logits = model(tokens) if ours else model(tokens, use_cache=False).logits
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())
        return logits, *torch.autograd.grad(loss, weights)

    return call


def _scan_of(name: str) -> AbstractContextManager:
    """A context in which transformers' Mamba scans as a variant does."""
    if name == ACCELERATED:
        return accelerate_transformers()
    if name == FUSED:
        return Acceleration(_mamba_ssm(), [_modelling()])
    return nullcontext()


def _mamba_ssm() -> Callable:
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    def mamba_selective_scan(
        hidden_states, dt, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, return_last_state=False, **_
    ):
        return selective_scan_fn(hidden_states, dt, A, B, C, D, z, delta_bias, delta_softplus, return_last_state)

    return mamba_selective_scan


def _modelling():
    from transformers.models.mamba import modeling_mamba

    return modeling_mamba


def _compare(found: list[Tensor], wanted: list[Tensor], precision: str) -> None:
    """Hold logits and the embedding's gradient to ours.

    raises   ValueError, saying which is off, and how far
    """
    for what, one, other in zip(("the logits", "the embedding's gradient"), found, wanted, strict=True):
        off = ((one.float() - other.float()).abs().max() / other.float().abs().max()).item()
        if not off <= CLOSE[precision]:  # a NaN is off, too
            raise ValueError(f"{what}: off by {off:.1e} of the largest value, {CLOSE[precision]:.0e} is allowed")
