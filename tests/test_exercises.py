"""Exercises of the chapters: each has a folded solution, whose code runs and shows what it says."""

import ast

import chapters
import nbformat
import papermill
import pytest
import torch
from exercises import exercises, unknown

from lib import names
from lib.paths import BOOK, ROOT

MOST, FEWEST = 12, 4  # code lines of a block, blank ones left out, and exercises of a chapter
OF = {name: exercises(nbformat.read(BOOK / f"{name}.ipynb", as_version=4)) for name in names.CHAPTERS}
ALL = [pytest.param(name, exercise, id=f"{name}-{exercise.number}") for name, found in OF.items() for exercise in found]
BLOCKS = [
    pytest.param(block, id=f"{name}-{exercise.number}")
    for name, found in OF.items()
    for exercise in found
    for block in exercise.blocks
]


@pytest.mark.parametrize("name", OF)
def test_a_chapter_has_at_least_four_exercises_numbered_from_one(name):
    assert len(OF[name]) >= FEWEST
    assert [exercise.number for exercise in OF[name]] == list(range(1, len(OF[name]) + 1))


@pytest.mark.parametrize(("name", "exercise"), ALL)
def test_an_exercise_has_a_solution(name, exercise):
    assert exercise.solution is not None
    assert "<" not in exercise.sentence  # nothing that is folded in another way
    assert len(exercise.blocks) == exercise.solution.count("```python")


@pytest.mark.parametrize(("name", "exercise"), ALL)
def test_an_exercise_names_what_is_there(name, exercise):
    parameters = set(papermill.inspect_notebook(BOOK / f"{name}.ipynb"))
    assert unknown(exercise, parameters) == []


@pytest.mark.parametrize("block", BLOCKS)
def test_code_of_a_solution_is_short_and_asserts(block):
    lines = [line for line in block.splitlines() if line.strip()]
    assert len(lines) <= MOST
    assert max(map(len, lines)) <= chapters.WIDE
    assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(block)))


@pytest.mark.parametrize("block", BLOCKS)
def test_code_of_a_solution_shows_what_it_says(block, monkeypatch):
    monkeypatch.chdir(ROOT)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        exec(compile(block, "solution", "exec"), {"__name__": "solution"})


def notebook(section):
    """A chapter of nothing but its last cell."""
    text = f"## What we could not show\n\nAll.\n\n## Exercises\n\n{section}\n\n## References\n\n- None."
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])


SOLVED = """1. Set `state` to 64.

   <details><summary>Solution</summary>

   It grows.

   ```python
   if True:
       assert 1
   ```

   </details>

2. Why?"""


def test_sentences_solutions_and_code_are_read():
    first, second = exercises(notebook(SOLVED))
    assert (first.number, first.sentence, first.blocks) == (1, "Set `state` to 64.", ["if True:\n    assert 1\n"])
    assert (second.number, second.sentence, second.solution) == (2, "Why?", None)


def test_a_block_that_is_not_closed_is_no_solution():
    (found,) = exercises(notebook("1. Why?\n\n   <details><summary>Solution</summary>\n\n   So."))
    assert found.solution is None


@pytest.mark.parametrize(
    "name",
    [
        *("-p no_parameter 3", "lib/models/nothing.py", "no_record.json", "lib.models.ssm.scan.nothing"),
        *(
            "lib.nothing",
            "python -m lib.experiments.nothing",
            "no_such_name",
            'selective_scan_fn(backend="no such word")',
            "not a name",
        ),
    ],
)
def test_a_name_that_nothing_has_is_found(name):
    (found,) = exercises(notebook(f"1. See `{name}`, `state`, `lib.models.ssm.scan` and `backend`."))
    assert len(unknown(found, {"state"})) == 1
