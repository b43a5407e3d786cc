"""A method that is not there: a row "dummy" in a table of `lib.names`, and its file, for as long as a test runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

from lib import names


@contextmanager
def dummy(kind: str, room: ModuleType, folder: Path, text: str | None) -> Iterator[None]:
    """Inside, the table of that kind has a row, and its room a file of that text; no file where there is none."""
    module = f"{room.__name__}.dummy"
    if text is not None:
        (folder / "dummy.py").write_text(text)
    row = names.Method("dummy", module, "a method of a test")
    path = patch.object(room, "__path__", [*room.__path__, str(folder)])
    try:
        with path, patch.dict(getattr(names, kind), {"dummy": row}):
            yield
    finally:
        if sys.modules.pop(module, None):
            del room.dummy
