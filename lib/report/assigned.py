"""Names that a notebook's parameters cells set, read from its history.

papermill injects a cell of its own after the chapter's and only warns of names it does not know.
"""

import ast
from collections.abc import Iterable

MARK = "# Parameters"  # the first line of a parameters cell, ours and papermill's
OWN = "PAPERMILL_"  # begins the names that papermill injects for itself


def assigned(history: Iterable[str], names: list[str]) -> list[str]:
    """Names set by the latest parameters cell and by what papermill injected after it."""
    current: list[str] = []
    for cell in history:
        if cell.startswith(MARK):
            here = list(_targets(cell))
            current = here if set(names) <= set(here) else current + here
    return current


def _targets(cell: str) -> Iterable[str]:
    for statement in ast.parse(cell).body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        yield from (target.id for target in targets if isinstance(target, ast.Name))
