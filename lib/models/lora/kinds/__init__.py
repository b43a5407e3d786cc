"""Kinds of low-rank adapters, a file each: a row of `lib.names.ADAPTERS` names the file, and the file its class.

The class is `ADAPTER = ...`, a subclass of `lib.models.lora.linear.LoraLinear`, which says what differs from LoRA.
"""

from lib import names
from lib.models.checks import check_choice
from lib.models.lora.linear import LoraLinear


def kind(adapter: str) -> type[LoraLinear]:
    """The class of an adapter by the name of its row, loaded from the row's file.

    raises   ValueError, listing the names, for one that has no row; ImportError, naming row and file, where the file is
             missing or names no class as its ADAPTER
    """
    check_choice("adapter", adapter, names.ADAPTERS)
    row = names.ADAPTERS[adapter]
    found = getattr(names.code("ADAPTERS", adapter, row), "ADAPTER", None)
    if not (isinstance(found, type) and issubclass(found, LoraLinear)):
        raise ImportError(
            f"names.ADAPTERS: {adapter!r} is incomplete: ADAPTER in {row.module} is no class of LoraLinear"
        )
    return found
