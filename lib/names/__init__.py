"""Names of chapters, tasks, methods and backends: the one list of each, which every layer reads.

A leaf: it imports nothing of lib outside this folder. To add a method, add a row in its subject's file and the file
that the row names; parameters, comparisons, documentation and tests follow. A row whose file is missing fails by its
name (`code`).
"""

from importlib import import_module
from types import ModuleType

from lib.names.clip import LEARNED, REDUCTIONS, SMALL_CLIPS
from lib.names.distill import DISTILLATIONS, DISTILLED, STATE_CHOICES
from lib.names.lora import ADAPTERS
from lib.names.mrss import FORMS, STEMS, family
from lib.names.rows import Compared, Method, Sequences
from lib.names.ssm import BACKENDS, OPERATORS, PEERS
from lib.names.ssm_vlm import SCAN_REDUCTIONS, TOWERS
from lib.names.tasks import BENCHMARKS, REFERENCES, SEQUENCES

__all__ = [
    "ADAPTERS",
    "BACKENDS",
    "BENCHMARKS",
    "CHAPTERS",
    "DISTILLATIONS",
    "DISTILLED",
    "FORMS",
    "LEARNED",
    "OPERATORS",
    "PEERS",
    "REDUCTIONS",
    "REFERENCES",
    "SCAN_REDUCTIONS",
    "SEQUENCES",
    "SMALL_CLIPS",
    "STATE_CHOICES",
    "STEMS",
    "TOWERS",
    "Compared",
    "Method",
    "Sequences",
    "code",
    "family",
]

CHAPTERS = {  # notebook -> the subject's word on every floor
    "ssm_background": "ssm",
    "mrss": "mrss",
    "kernel_distillation": "distill",
    "clip_vtp": "clip",
    "lora": "lora",
    "ssm_vlm": "ssm_vlm",
    "claims": "claims",
}


def code(kind: str, name: str, row: Method) -> ModuleType:
    """The module of a row.

    kind     the table, for the message
    raises   ImportError, naming the row and the file that is missing
    """
    try:
        return import_module(row.module)
    except ModuleNotFoundError as error:
        if error.name != row.module:
            raise
        file = row.module.replace(".", "/") + ".py"
        raise ImportError(f"names.{kind}: {name!r} has no code: write {file}") from None
