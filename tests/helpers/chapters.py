"""What every chapter's notebook must be. Each checker returns complaints, one line each; none means good."""

import ast
import re
from functools import cache
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner
from nbformat import NotebookNode
from papermill import cli
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from lib.paths import BOOK
from lib.report.assigned import MARK
from lib.report.take_aways import CELL

ORDER = ("abstract", "parameters", "setup")
ENDING = ["## What we could not show", "## Exercises", "## References"]
SOURCE = re.compile(r"recorded|this run|live|original report", re.IGNORECASE)
SPECIAL = {"parameters", "setup"}  # cells whose size is checked by themselves
MOST, TEXT, EACH = 15, 10, 216  # code lines: of a cell, of one that writes text, of a chapter on average
WIDE = 88  # characters of code that fit the text
FOLDED = {"remove-input", "remove-cell", "hide-input"}
DECIMAL = re.compile(r"(?<![\w./-])\d+[.,]\d+")


@cache
def _to_fill(name: str) -> NotebookNode:
    """A chapter as papermill loads it, its parameters cell alone."""
    notebook = load_notebook_node(str(BOOK / f"{name}.ipynb"))
    notebook.cells = tagged(notebook, "parameters")
    return notebook


def asked(name: str, *words: object) -> dict[str, Any]:
    """A chapter's namespace after its parameters cells, as papermill's command line fills them; no kernel is started.

    words   of the command line, after both notebooks
    """
    command = [str(BOOK / f"{name}.ipynb"), "out.ipynb", *map(str, words)]
    with patch.object(cli, "execute_notebook") as execute:
        CliRunner().invoke(cli.papermill, command, catch_exceptions=False)
    given = execute.call_args.kwargs["parameters"]
    notebook = parameterize_notebook(_to_fill(name), given, kernel_name="python3", language="python")
    history = [cell.source for tag in ("parameters", "injected-parameters") for cell in tagged(notebook, tag)]
    namespace: dict[str, Any] = {"In": history}
    for source in history:
        exec(source, namespace)
    return namespace


def cells(notebook: NotebookNode, kind: str) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def outputs(notebook: NotebookNode) -> list[str]:
    """No outputs and no execution counts in git."""
    dirty = [cell for cell in cells(notebook, "code") if cell.outputs or cell.execution_count]
    return [f"cell {cell.id} holds outputs" for cell in dirty]


def definitions(notebook: NotebookNode) -> list[str]:
    """Logic lives in lib: no functions and no classes here."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    return [
        f"cell {cell.id} defines {getattr(node, 'name', 'a lambda')}"
        for cell in cells(notebook, "code")
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, kinds)
    ]


def skeleton(notebook: NotebookNode) -> list[str]:
    """Title, take-aways, abstract, parameters, set-up; 12 to 47 cells; the closing sections."""
    found = []
    if not 12 <= len(notebook.cells) <= 47:
        found.append(f"{len(notebook.cells)} cells: 12 to 47 are allowed")
    if not notebook.cells[0].source.startswith("# "):
        found.append("the first cell holds no title")
    written = [cell.id for cell in notebook.cells].count(CELL)
    if written and notebook.cells[1].id != CELL:
        found.append(f"cell 1 must be the one of the id {CELL}")
    for place, tag in enumerate(ORDER, start=1 + written):
        if [tag in cell.metadata.get("tags", []) for cell in notebook.cells].count(True) != 1:
            found.append(f"exactly one cell must be tagged {tag}")
        elif tag not in notebook.cells[place].metadata.get("tags", []):
            found.append(f"cell {place} must be the one tagged {tag}")
    headings = re.findall(r"^## .*", "\n".join(cell.source for cell in cells(notebook, "markdown")), re.MULTILINE)
    if headings[-3:] != ENDING:
        found.append(f"the last sections are {headings[-3:]}, must be {ENDING}")
    return found


def parameter_cell(notebook: NotebookNode) -> list[str]:
    """Typed and commented, one a line, no `=` in a comment: papermill's parser trips on it."""
    first, *lines = tagged(notebook, "parameters")[0].source.splitlines()
    found = [] if first.startswith(MARK) else [f"the parameters cell must begin with {MARK!r}"]
    shape = re.compile(r"^\w+: (int|float|str|bool) = [^#(]+  # [^=]+$")
    return found + [f"parameter line {line!r}" for line in [first[1:], *lines] if "=" in line and not shape.match(line)]


def typed_decimals(notebook: NotebookNode) -> list[str]:
    """No decimal is typed in prose, in Markdown or in a string of a code cell: numbers come from records."""
    texts = [(cell.id, re.sub(r"\]\([^)]*\)", "]", cell.source)) for cell in cells(notebook, "markdown")]
    texts = [one for one in texts if one[0] != CELL]  # of computed words
    for cell in cells(notebook, "code"):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append((cell.id, re.sub(r"section \d+\.\d+", "", node.value)))
    return [f"cell {name}: {number} is typed" for name, text in texts for number in DECIMAL.findall(text)]


def lines(cell: NotebookNode) -> int:
    """Code lines of a cell, blank ones left out."""
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def sizes(notebook: NotebookNode) -> list[str]:
    """Short cells: experiments live in lib/experiments, sentences in book/_text."""
    found = []
    for cell in cells(notebook, "code"):
        if SPECIAL & set(cell.metadata.get("tags", [])):
            continue
        most = TEXT if "prose.render" in cell.source else MOST
        if lines(cell) > most:
            found.append(f"cell {cell.id} has {lines(cell)} code lines: at most {most} are allowed")
    return found


def widths(notebook: NotebookNode) -> list[str]:
    """Code that a page shows fits the text's width."""
    return [
        f"cell {cell.id} shows a line of {len(line)} characters: at most {WIDE} fit"
        for cell in cells(notebook, "code")
        if not FOLDED & set(cell.metadata.get("tags", []))
        for line in cell.source.splitlines()
        if len(line) > WIDE
    ]


def folds(notebook: NotebookNode) -> list[str]:
    """A page begins with what it asks and found: parameters, imports and runs are folded."""
    found, asked = [], False
    for cell in notebook.cells:
        asked = asked or (cell.cell_type == "markdown" and cell.source.startswith("## The question"))
        begins = not asked or ".Settings.of(p" in cell.source
        folded = FOLDED & set(cell.metadata.get("tags", []))
        if cell.cell_type == "code" and begins and not folded:
            found.append(f"cell {cell.id} is not folded: it sets up or runs, and a reader wants what came out")
    return found


def figures(notebook: NotebookNode) -> list[str]:
    """Every cell that draws says in words what is seen, and folds its code."""
    found = []
    for cell in cells(notebook, "code"):
        if "plt.show()" in cell.source:
            if not cell.metadata.get("mystnb", {}).get("image", {}).get("alt"):
                found.append(f"cell {cell.id} draws without an alternative text")
            if "hide-input" not in cell.metadata.get("tags", []):
                found.append(f"cell {cell.id} draws without folding its code")
    return found


def numbers(notebook: NotebookNode) -> list[str]:
    """Figures and tables are numbered from 1 on, in the order of their captions."""
    found = []
    for kind in ("Figure", "Table"):
        captions = [int(n) for cell in cells(notebook, "code") for n in re.findall(rf'"{kind} (\d+)', cell.source)]
        if captions != list(range(1, len(captions) + 1)):
            found.append(f"{kind} captions are numbered {captions}")
    return found


def provenance(notebook: NotebookNode) -> list[str]:
    """Every caption tells where its numbers come from: recorded, of this run, or the seed report's own."""
    texts = [cell.source for cell in cells(notebook, "code")]
    captions = [
        text for source in texts for text in re.findall(r'"((?:Figure|Table) \d+.*?)"\s*[,)\n]', source, re.DOTALL)
    ]
    return [f"no source is told in {text[:60]!r}" for text in captions if not SOURCE.search(text)]


def links(notebook: NotebookNode, bibliography: str) -> list[str]:
    """Every paper linked in a chapter stands in references.bib."""
    text = "\n".join(cell.source for cell in cells(notebook, "markdown"))
    return [
        f"{url} is not in references.bib"
        for url in re.findall(r"https://arxiv[^)\s]*", text)
        if url not in bibliography
    ]


CHECKS = (
    outputs,
    definitions,
    skeleton,
    parameter_cell,
    typed_decimals,
    sizes,
    widths,
    folds,
    figures,
    numbers,
    provenance,
)
