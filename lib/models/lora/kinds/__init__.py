"""Kinds of low-rank adapters, a file each: a row of `lib.names.ADAPTERS` names the file, and the file its class.

The class is `ADAPTER = ...`, a subclass of `lib.models.lora.linear.LoraLinear`, which says what differs from LoRA.
"""

from lib import names
from lib.models.checks import check_choice
from lib.models.lora.linear import LoraLinear
from lib.models.tables import Classes

CLASSES = Classes("ADAPTERS", "ADAPTER", LoraLinear)


def kind(adapter: str) -> type[LoraLinear]:
    """The class of an adapter by the name of its row, loaded from the row's file.

    raises   ValueError, listing the names, for one that has no row; ImportError, naming row and file, where the file is
             missing or names no class as its ADAPTER
    """
    check_choice("adapter", adapter, names.ADAPTERS)
    return CLASSES[adapter]
