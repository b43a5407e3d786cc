"""Our scan inside transformers' own Mamba models.

Their modelling files look the function `mamba_selective_scan` up by name at every call: it is replaced there.
"""

import importlib
import inspect
from collections.abc import Callable
from types import ModuleType

from lib.models.checks import check_choice
from lib.models.ssm.scan import backends, selective_scan_fn

FAMILIES = ("mamba", "falcon_mamba", "jamba", "zamba")
KNOWN_TO_WORK = "transformers 5.15 to 5.23"


class Acceleration:
    """Our scan inside transformers' models until `undo`, or until the end of a `with` block; several end in any order.

    modules   names of the patched modules
    """

    def __init__(self, scan: Callable, modules: list[ModuleType]):
        self.modules = tuple(module.__name__ for module in modules)
        self._scan, self._modules = scan, modules
        for module in modules:
            _originals.setdefault(module, module.mamba_selective_scan)
        _active.append(self)
        _install()

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
_originals: dict[ModuleType, Callable] = {}


def accelerate_transformers(backend: str = "auto") -> Acceleration:
    """Let transformers' Mamba, and Falcon Mamba, Jamba and Zamba, use our scan, from now on until undone.

    `with accelerate_transformers(): ...`, or `undo = accelerate_transformers().undo`. Models built before gain too.
    Another family than Mamba is left out where its module has no such function: see `modules` of what is returned.
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
            reason = _mismatch(module, expected)
        if reason is None:
            modules.append(module)
        elif family == "mamba":
            version = importlib.import_module("transformers").__version__
            raise RuntimeError(f"transformers {version}: {reason}; known to work: {KNOWN_TO_WORK}")
    return Acceleration(mamba_selective_scan, modules)


def _mismatch(module: ModuleType, expected: list[str]) -> str | None:
    function = getattr(module, "mamba_selective_scan", None)
    if function is None:
        return f"{module.__name__} has no function mamba_selective_scan"
    parameters = list(inspect.signature(function).parameters)
    if parameters[: len(expected)] == expected:
        return None
    return f"{module.__name__}.mamba_selective_scan takes {', '.join(parameters)}, not {', '.join(expected)}"


def _install() -> None:
    for module, original in _originals.items():
        module.mamba_selective_scan = next((a._scan for a in reversed(_active) if module in a._modules), original)
    if not _active:
        _originals.clear()
