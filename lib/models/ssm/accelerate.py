"""Our scan, and on a GPU our convolution, inside transformers' own Mamba and Mamba-2 models.

Their modelling files look the functions `mamba_selective_scan`, `mamba2_chunk_scan` and `causal_conv1d_fn` up by name
at every call: they are replaced there.
"""

import importlib
import inspect
import warnings
from collections.abc import Callable
from functools import partial
from types import ModuleType

from torch import nn

from lib.models.checks import check_choice, check_kind
from lib.models.ssm.convolution import convolution_silu
from lib.models.ssm.mamba2 import OF_ATTENTION, check_wishes, chunk_scan
from lib.models.ssm.scan import backends, selective_scan_fn

SCAN, HEADS_SCAN, CONVOLUTION = "mamba_selective_scan", "mamba2_chunk_scan", "causal_conv1d_fn"
FAMILIES = {
    **dict.fromkeys(("mamba", "falcon_mamba", "jamba", "zamba"), SCAN),
    **dict.fromkeys(("mamba2", "bamba", "falcon_h1", "granitemoehybrid", "nemotron_h", "zamba2"), HEADS_SCAN),
}
EXPECTED = {  # the arguments that are known, in transformers' order
    SCAN: ("hidden_states", "dt", "A", "B", "C", "D", "z", "delta_bias", "delta_softplus", "return_last_state"),
    HEADS_SCAN: (
        *("hidden_states", "dt", "A", "B", "C", "chunk_size", "D", "dt_bias", "initial_states", "dt_softplus"),
        *("dt_limit", "return_final_states"),
    ),
    CONVOLUTION: ("hidden_states", "weight", "bias", "activation"),
}
KNOWN_TO_WORK = "transformers 5.15 to 5.23"


class Acceleration:
    """Another scan inside transformers' models until `undo`, or until the end of a `with` block; several end in any
    order.

    scan         takes what transformers' own takes
    modules      modelling files; afterwards, names of those that are patched
    convolution  whether our convolution goes with it, where a GPU can run it
    heads_scan   makes of transformers' own scan of Mamba-2 the one that takes its place; none where left out
    """

    def __init__(
        self,
        scan: Callable,
        modules: list[ModuleType],
        convolution: bool = False,
        heads_scan: Callable[[Callable], Callable] | None = None,
    ):
        self.modules = tuple(module.__name__ for module in modules)
        self._puts: dict[tuple[ModuleType, str], Callable] = {}
        for module in modules:
            if heads_scan is not None and hasattr(module, HEADS_SCAN):
                self._put(module, HEADS_SCAN, heads_scan)
            else:
                self._put(module, SCAN, lambda _: scan)
            if convolution and _mismatch(module, CONVOLUTION) is None:
                self._put(module, CONVOLUTION, partial(_convolution, packs=hasattr(module, HEADS_SCAN)))
        _active.append(self)
        _install()

    def _put(self, module: ModuleType, name: str, make: Callable) -> None:
        original = _originals.setdefault((module, name), getattr(module, name))
        self._puts[module, name] = make(original)

    def undo(self) -> None:
        """End this acceleration, once; with the last one, transformers' own scan returns."""
        if self in _active:
            _active.remove(self)
            _install()

    def __enter__(self) -> "Acceleration":
        if self not in _active:
            raise RuntimeError("this acceleration is undone already: call accelerate_transformers anew")
        return self

    def __exit__(self, *error) -> None:
        self.undo()


_active: list[Acceleration] = []  # the last one scans
_originals: dict[tuple[ModuleType, str], Callable] = {}


def accelerate_transformers(backend: str = "auto", model: nn.Module | None = None) -> Acceleration:
    """Let transformers' models with scans of Mamba (FAMILIES) use ours, from now on until undone.

    `with accelerate_transformers(): ...`, or `undo = accelerate_transformers().undo`. Models built before gain too.
    Mamba, Falcon Mamba, Jamba and Zamba scan on any device; those that scan as Mamba-2 does (Mamba2, Bamba, Falcon-H1,
    Granite, Nemotron-H, Zamba2) on a CPU, see `lib.models.ssm.mamba2`, but for single tokens.
    On a GPU, and for packed rows, the convolution before the scan is ours, too, with the SiLU behind it.
    Packed rows: those that scan as Mamba-2 does keep the sequences of a row apart by `seq_idx`, which transformers' own
    torch code refuses. Mamba2ForCausalLM drops it unseen: give it to its backbone.

    model    one that is meant: what has no layer of these families is refused by name
    raises   ValueError for an unknown backend; TypeError for a model without such layers, and for what is none;
             RuntimeError for a transformers whose Mamba scans by other means. Another family than Mamba whose scan is
             another keeps its own, with a warning
    """
    check_kind("backend", backend, str)  # and not a model, which is long to quote
    check_choice("backend", backend, backends())
    if model is not None:
        check_kind("model", model, nn.Module)
        _check_served(model)
    modules = []
    for family, name in FAMILIES.items():
        try:
            module = importlib.import_module(_modelling(family))
        except ImportError as error:
            # An older transformers lacks a family, and no model of it can be made: nothing to say.
            module, reason = None, str(error)
        else:
            reason = _mismatch(module, name)
        if reason is None:
            modules.append(module)
        elif family == "mamba":
            version = importlib.import_module("transformers").__version__
            raise RuntimeError(f"transformers {version}: {reason}; known to work: {KNOWN_TO_WORK}")
        elif module is not None:
            warnings.warn(f"{family} keeps its own scan: {reason}; known to work: {KNOWN_TO_WORK}", stacklevel=2)
    return Acceleration(_scan(backend), modules, convolution=True, heads_scan=partial(chunk_scan, backend=backend))


def _modelling(family: str) -> str:
    return f"transformers.models.{family}.modeling_{family}"


def _check_served(model: nn.Module) -> None:
    served = {_modelling(family) for family in FAMILIES}
    kinds = {kind.__module__ for layer in model.modules() for kind in type(layer).__mro__}
    if not kinds & served:
        raise TypeError(
            f"a {type(model).__name__} has no layer to accelerate: {', '.join(FAMILIES)} of transformers have"
        )


def _scan(backend: str) -> Callable:
    """What stands in the place of transformers' `mamba_selective_scan`."""

    def mamba_selective_scan(
        hidden_states, dt, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, return_last_state=False,
        use_mambapy=False, use_associative_scan=False, **others,
    ):  # fmt: skip
        check_wishes(**others)  # but for the two flags, which choose among slower scans
        inputs = (hidden_states, dt, A, B, C, D, z, delta_bias, delta_softplus, return_last_state)
        return selective_scan_fn(*inputs, backend=backend)

    return mamba_selective_scan


def _convolution(original: Callable, packs: bool) -> Callable:
    """Our convolution on a GPU and for packed rows, transformers' own elsewhere and for what ours does not know.

    packs   whether the scan behind it learns of the sequences in a row, too
    """

    def causal_conv1d_fn(hidden_states, weight, bias=None, activation=None, **others):
        seq_idx = others.get("seq_idx")
        packed = [name for name in ("seq_idx", "cu_seqlens", *OF_ATTENTION) if others.get(name) is not None]
        if packed and not packs:
            raise ValueError(
                f"{packed[0]}: transformers hands it to this model's convolution and not to its scan, which would mix "
                "packed sequences; its models of Mamba-2 take seq_idx, and so does our MambaLM"
            )
        if packed and seq_idx is None:
            raise ValueError(f"{packed[0]} without seq_idx: it is needed, DataCollatorWithFlattening can return it")
        if activation in ("silu", "swish") and (seq_idx is not None or hidden_states.device.type == "cuda"):
            return convolution_silu(hidden_states.mT, weight.unsqueeze(1), bias, None, seq_idx).mT
        if seq_idx is not None:
            raise ValueError(f"seq_idx with activation = {activation!r}: silu or swish is needed")
        return original(hidden_states, weight, bias, activation=activation, **others)

    return causal_conv1d_fn


def _mismatch(module: ModuleType, name: str) -> str | None:
    expected = EXPECTED[name]
    function = getattr(module, name, None)
    if function is None:
        return f"{module.__name__} has no function {name}"
    parameters = tuple(inspect.signature(function).parameters)
    if parameters[: len(expected)] == expected:
        return None
    return f"{module.__name__}.{name} takes {', '.join(parameters)}, not {', '.join(expected)}"


def _install() -> None:
    for (module, name), original in _originals.items():
        puts = (one._puts[module, name] for one in reversed(_active) if (module, name) in one._puts)
        setattr(module, name, next(puts, original))
    if not _active:
        _originals.clear()
