"""Our scan, and on a GPU our convolution, inside transformers' own Mamba models.

Their modelling files look the functions `mamba_selective_scan` and `causal_conv1d_fn` up by name at every call: they
are replaced there.
"""

import importlib
import inspect
from collections.abc import Callable
from types import ModuleType

from lib.models.checks import check_choice
from lib.models.ssm.convolution import convolution_silu
from lib.models.ssm.scan import backends, selective_scan_fn

FAMILIES = ("mamba", "falcon_mamba", "jamba", "zamba")
SCAN, CONVOLUTION = "mamba_selective_scan", "causal_conv1d_fn"
KNOWN_TO_WORK = "transformers 5.15 to 5.23"


class Acceleration:
    """Another scan inside transformers' models until `undo`, or until the end of a `with` block; several end in any
    order.

    scan         takes what transformers' own takes
    modules      modelling files; afterwards, names of those that are patched
    convolution  whether our convolution goes with it, where a GPU can run it
    """

    def __init__(self, scan: Callable, modules: list[ModuleType], convolution: bool = False):
        self.modules = tuple(module.__name__ for module in modules)
        self._puts: dict[tuple[ModuleType, str], Callable] = {}
        for module in modules:
            self._put(module, SCAN, scan)
            if (
                convolution
                and _mismatch(module, CONVOLUTION, ["hidden_states", "weight", "bias", "activation"]) is None
            ):
                original = _originals.get((module, CONVOLUTION), getattr(module, CONVOLUTION))
                self._put(module, CONVOLUTION, _convolution(original))
        _active.append(self)
        _install()

    def _put(self, module: ModuleType, name: str, function: Callable) -> None:
        _originals.setdefault((module, name), getattr(module, name))
        self._puts[module, name] = function

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


def accelerate_transformers(backend: str = "auto") -> Acceleration:
    """Let transformers' Mamba, and Falcon Mamba, Jamba and Zamba, use our scan, from now on until undone.

    `with accelerate_transformers(): ...`, or `undo = accelerate_transformers().undo`. Models built before gain too.
    Another family than Mamba is left out where its module has no such function: see `modules` of what is returned.
    On a GPU, the convolution before the scan is ours, too, with the SiLU behind it.
    raises   ValueError for an unknown backend; RuntimeError for a transformers whose Mamba scans by other means
    """
    check_choice("backend", backend, backends())

    def mamba_selective_scan(
        hidden_states, dt, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, return_last_state=False,
        use_mambapy=False, use_associative_scan=False, **others,
    ):  # fmt: skip
        # The two flags choose among slower scans. Any other wish must not be dropped in silence.
        if given := [name for name, value in others.items() if value is not None]:
            raise ValueError(f"{', '.join(given)}: the accelerated scan does not know it; undo the acceleration")
        inputs = (hidden_states, dt, A, B, C, D, z, delta_bias, delta_softplus, return_last_state)
        return selective_scan_fn(*inputs, backend=backend)

    expected = list(inspect.signature(mamba_selective_scan).parameters)[:10]
    modules = []
    for family in FAMILIES:
        name = f"transformers.models.{family}.modeling_{family}"
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            module, reason = None, str(error)
        else:
            reason = _mismatch(module, SCAN, expected)
        if reason is None:
            modules.append(module)
        elif family == "mamba":
            version = importlib.import_module("transformers").__version__
            raise RuntimeError(f"transformers {version}: {reason}; known to work: {KNOWN_TO_WORK}")
    return Acceleration(mamba_selective_scan, modules, convolution=True)


def _convolution(original: Callable) -> Callable:
    """Our convolution on a GPU, transformers' own elsewhere and for what ours does not know."""

    def causal_conv1d_fn(hidden_states, weight, bias=None, activation=None, **others):
        packed = any(others.get(name) is not None for name in ("seq_idx", "cu_seqlens"))
        if hidden_states.device.type == "cuda" and activation in ("silu", "swish") and not packed:
            return convolution_silu(hidden_states.mT, weight.unsqueeze(1), bias).mT
        return original(hidden_states, weight, bias, activation=activation, **others)

    return causal_conv1d_fn


def _mismatch(module: ModuleType, name: str, expected: list[str]) -> str | None:
    function = getattr(module, name, None)
    if function is None:
        return f"{module.__name__} has no function {name}"
    parameters = list(inspect.signature(function).parameters)
    if parameters[: len(expected)] == expected:
        return None
    return f"{module.__name__}.{name} takes {', '.join(parameters)}, not {', '.join(expected)}"


def _install() -> None:
    for (module, name), original in _originals.items():
        puts = (one._puts[module, name] for one in reversed(_active) if (module, name) in one._puts)
        setattr(module, name, next(puts, original))
    if not _active:
        _originals.clear()
