"""Who may import whom in lib. An arrow that points back is a complaint."""

import ast
from pathlib import Path

ALLOWED = {
    "paths": set(),
    "requirements": {"paths"},
    "models": {"models", "kernels", "paths"},
    "kernels": {"kernels", "paths"},
    "tasks": {"tasks", "models", "kernels", "paths"},
    "profilers": {"profilers"},
    "provenance": {"paths", "profilers"},
    "records": {"paths", "profilers", "provenance"},
    "report": {"report", "records", "profilers", "provenance", "paths"},
    "__init__": set(),
}


def complaints(lib: Path) -> list[str]:
    """One line per import in lib that its layer may not make."""
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
