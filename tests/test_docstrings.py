"""Every public name of lib says what it is. What overrides a name of a base class has that one's words."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

from lib.paths import LIB, ROOT

FILES = sorted(LIB.rglob("*.py"))


def silent(path: Path, root: Path) -> list[str]:
    """Public functions, classes and methods of a file that have no docstring, as module:name."""
    module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    tree = ast.parse(path.read_text())
    found = [] if ast.get_docstring(tree) else [module]
    for node in tree.body:
        if not _public(node):
            continue
        if not ast.get_docstring(node):
            found.append(f"{module}:{node.name}")
        if isinstance(node, ast.ClassDef):
            mute = [one for one in node.body if _public(one) and not ast.get_docstring(one)]
            inherited = _inherited(module, node) if mute else set()
            found += [f"{module}:{node.name}.{one.name}" for one in mute if one.name not in inherited]
    return found


def _public(node: ast.AST) -> bool:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return isinstance(node, kinds) and not node.name.startswith("_")


def _inherited(module: str, node: ast.ClassDef) -> set[str]:
    """Names that the bases of a class have."""
    if not node.bases:
        return set()
    bases = getattr(import_module(module), node.name).__mro__[1:]
    return {name for base in bases for name in dir(base)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(LIB).as_posix())
def test_every_public_name_says_what_it_is(path):
    assert silent(path, ROOT) == []


def test_a_name_that_says_nothing_is_found(tmp_path, monkeypatch):
    (tmp_path / "room_of_a_test.py").write_text(
        "import collections\n"
        "def spoken():\n    'It says what it is.'\n"
        "def mute(): pass\n"
        "def _private(): pass\n"
        "class Mute:\n    def method(self): pass\n    def __len__(self): return 0\n"
        "class Spoken(collections.UserDict):\n    'A map.'\n    def keys(self): pass\n    def other(self): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert silent(tmp_path / "room_of_a_test.py", tmp_path) == [
        "room_of_a_test",
        "room_of_a_test:mute",
        "room_of_a_test:Mute",
        "room_of_a_test:Mute.method",
        "room_of_a_test:Spoken.other",
    ]
