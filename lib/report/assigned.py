"""Names that a notebook's parameters cells set, read from its history.

papermill injects a cell of its own after the chapter's and only warns of names it does not know.
"""

import ast
from collections.abc import Iterable

MARK = "# Parameters"  # the first line of a parameters cell, ours and papermill's
OWN = {"PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"}  # what papermill injects for itself, on request


def assigned(history: Iterable[str], names: list[str]) -> list[str]:
    """Names set by the latest parameters cell and by what papermill injected after it; other targets as they stand."""
    current: list[str] = []
    for cell in history:
        if cell.startswith(MARK):
            here = list(_targets(cell))
            current = here if set(names) <= set(here) else current + here
    return current


def _targets(cell: str) -> Iterable[str]:
    try:
        body = ast.parse(cell).body
    except SyntaxError:  # it was not run either
        return
    for statement in body:
        for target in getattr(statement, "targets", [getattr(statement, "target", None)]):
            if target is not None:
                yield ast.unparse(target)
