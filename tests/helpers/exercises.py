"""The exercises of a chapter: their sentences, their folded solutions, and the code in them."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import chapters
from nbformat import NotebookNode

from lib.paths import LIB, ROOT, RUNS

FOLDED = re.compile(r"^   <details><summary>Solution</summary>\n\n(.*?)\n\n   </details>$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^   ```python\n(.*?)^   ```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"(?:lib|data|book|tests|workflow)/[\w./-]*")
MODULE = re.compile(r"python -m (lib[\w.]+)")
OPTION = re.compile(r"-p (\w+)")


@dataclass(frozen=True)
class Exercise:
    """An exercise: its sentences, and its solution in Markdown, None where there is none."""

    number: int
    sentence: str
    solution: str | None

    @property
    def blocks(self) -> list[str]:
        """The code of the solution."""
        return [dedent(block) for block in FENCED.findall(self.solution or "")]


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a chapter, in their order."""
    text = "\n".join(cell.source for cell in chapters.cells(notebook, "markdown"))
    section = text.split("\n## Exercises\n")[-1].split("\n## References\n")[0]
    items = re.split(r"^(\d+)\. ", section, flags=re.MULTILINE)[1:]
    found = []
    for number, item in zip(items[::2], items[1::2], strict=True):
        sentence, *folded = FOLDED.split(item)
        found.append(Exercise(int(number), sentence.strip(), folded[0] if folded else None))
    return found


def unknown(exercise: Exercise, parameters: set[str]) -> list[str]:
    """Names in code spans, of the sentence or of the solution's prose, that nothing has.

    parameters   of the chapter
    """
    prose = FENCED.sub("", exercise.solution or "")
    spans = SPAN.findall(f"{exercise.sentence}\n{prose}")
    return [name for span in spans for name in _unknown(span, parameters)]


def _unknown(span: str, parameters: set[str]) -> list[str]:
    if options := OPTION.findall(span):
        return [f"-p {name}" for name in options if name not in parameters]
    if started := MODULE.match(span):
        return [] if _reached(started[1]) else [span]
    if PATH.match(span):
        return [] if (ROOT / span.split("<")[0]).exists() else [span]
    if span.endswith((".json", ".yml", ".csv", ".py")):
        return [] if [*RUNS.glob(f"*/{span}"), *LIB.rglob(span)] else [span]
    if span.startswith("lib."):
        return [] if _reached(span) else [span]
    if span in parameters:
        return []
    words = {node.id for node in ast.walk(_parsed(span)) if isinstance(node, ast.Name)}
    words |= {node.attr for node in ast.walk(_parsed(span)) if isinstance(node, ast.Attribute)}
    words |= {node.arg for node in ast.walk(_parsed(span)) if isinstance(node, ast.keyword) and node.arg}
    words |= {node.value for node in ast.walk(_parsed(span)) if _is_text(node)}
    return sorted(words - names() - parameters)


def _parsed(span: str) -> ast.AST:
    """A span as code; what is no code is one name, which nothing has."""
    try:
        return ast.parse(span)
    except SyntaxError:
        return ast.Name(span)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _reached(name: str) -> bool:
    """Whether a dotted name is a module of the library, or something that one defines."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        if (path := ROOT.joinpath(*parts[:count])).with_suffix(".py").is_file() or path.is_dir():
            found = import_module(".".join(parts[:count]))
            for part in parts[count:]:
                if not hasattr(found, part):
                    return False
                found = getattr(found, part)
            return True
    return False


@cache
def names() -> frozenset[str]:
    """Whatever the library's source names: functions, classes, arguments, fields, attributes, and words in quotes."""
    found: set[str] = set()
    for path in LIB.rglob("*.py"):
        found |= _names(path)
    return frozenset(found)


def _names(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif _is_text(node):
            found.add(node.value)
    return found
