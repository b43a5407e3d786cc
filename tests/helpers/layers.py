"""Who may import whom in lib, and how large a file or a room may be. What is not so is a complaint, one line each."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from lib.paths import SOURCES

LOW = {"names", "paths", "files", "processes"}  # leaves: any layer may read them
MEASURES = {"profilers", "provenance", "records"}
ALLOWED = {
    "names": {"names"},
    "paths": set(),
    "files": {"files"},
    "processes": set(),
    "colab": {"paths"},
    "requirements": {"paths", "colab"},
    "kernels": LOW | {"kernels"},
    "models": LOW | {"kernels", "models"},
    "profilers": LOW | {"profilers"},
    "tasks": LOW | {"kernels", "models", "profilers", "tasks"},
    "provenance": LOW | {"profilers"},
    "records": LOW | {"profilers", "provenance", "records"},
    "experiments": LOW | MEASURES | {"requirements", "kernels", "models", "tasks", "experiments"},
    "report": LOW | MEASURES | {"experiments", "report"},
    "__init__": set(),
}
ROOMS = 9  # at the top of lib/models: rooms and files
LINES = 250
UNNAMED = ("utils.py", "util.py", "helpers.py", "misc.py", "common.py")  # names that say nothing of what is inside


def complaints(lib: Path) -> list[str]:
    """Imports in lib that their layer may not make, those inside functions included."""
    found = []
    for path in sorted(lib.rglob("*.py")):
        layer = path.relative_to(lib).parts[0].removesuffix(".py")
        if layer not in ALLOWED:
            found.append(f"{path.name}: no layer is named {layer}")
            continue
        for target in imported(path):
            if target not in ALLOWED[layer]:
                found.append(f"{path.relative_to(lib)}: {layer} may not import lib.{target}")
    return found


def imported(path: Path) -> set[str]:
    """Second parts of what a file imports from lib: `models` for `lib.models.mrss.proxy`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            names |= {f"{start}.{alias.name}" if start == "lib" else start for alias in node.names}
    return {f"{name}.".split(".")[1] for name in names if name.split(".")[0] in ("lib", "")}


def circles(lib: Path) -> list[str]:
    """The first circle of files that import each other while they are loaded; none where there is none."""
    try:
        TopologicalSorter(loads(lib)).prepare()
    except CycleError as error:
        return [" imports ".join(reversed(error.args[1]))]
    return []


def loads(lib: Path) -> dict[str, set[str]]:
    """Modules of lib -> those that must be there before one is loaded.

    What a function imports when it is called does not count. Whoever imports a module needs the `__init__` of the
    rooms around it first; a module in the same room has that one behind it, unless it takes a name from there.
    """
    modules = {_name(path, lib): path for path in sorted(lib.rglob("*.py"))}
    return {name: set(_needed(name, path, modules)) - {name} for name, path in modules.items()}


def oversized(*folders: Path) -> list[str]:
    """Files of code that are too long, or whose name says nothing."""
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in SOURCES)
    files = [path for path in files if "node_modules" not in path.parts]
    lengths = {path: len(path.read_text().splitlines()) for path in files}
    found = [f"{path.name}: {length} lines, {LINES} are allowed" for path, length in lengths.items() if length > LINES]
    return found + [f"{path.parent.name}/{path.name}: the name says nothing" for path in files if path.name in UNNAMED]


def crowded(room: Path) -> list[str]:
    """A room with more rooms and files at its top than a reader takes in."""
    held = [path.name for path in room.iterdir() if not path.name.startswith("_")]
    return [f"{room.name}: {len(held)} rooms and files, {ROOMS} are allowed"] if len(held) > ROOMS else []


def _name(path: Path, lib: Path) -> str:
    parts = path.relative_to(lib.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _needed(name: str, path: Path, modules: dict[str, Path]) -> Iterator[str]:
    for node in _at_loading(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            targets = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [target if target in modules else str(node.module) for target in targets]
        for target in targets:
            if target in modules:
                yield target
            parts = target.split(".")
            rooms = {".".join(parts[:depth]) for depth in range(1, len(parts))}
            yield from {room for room in rooms if room in modules and not f"{name}.".startswith(f"{room}.")}


def _at_loading(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports of a file outside its functions and outside `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _at_loading(node)
