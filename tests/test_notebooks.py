"""Every chapter is checked and executed once; every checker is shown a chapter that it must refuse."""

import copy
import json
import os
import re
import subprocess
import sys
from unittest.mock import patch

import chapters
import nbformat
import papermill
import pytest
import rehearsal
import yaml

from lib import names
from lib.paths import BOOK, PRESETS, ROOT, RUNS
from lib.report.parameters import MODELS

NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))
MRSS = BOOK / "mrss.ipynb"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
# What readers change, over the smoke preset; a trial of trainings leaves records alone.
ASKED = {
    "mrss": {"r": 3, "retrain": True, "task": "motions", "seeds": 2, "steps": 2},
    "ssm_background": {"state": 8, "backend": "torch"},
    "clip_vtp": {"timed": "clip-scenes-0"},  # a small one of ours
}

every_chapter = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def chapter(name):
    """A test of one chapter, named after it as the others are: what looks at one run stays in its process."""
    return pytest.mark.parametrize("path", [BOOK / f"{name}.ipynb"], ids=[name])


def read(path):
    return nbformat.read(path, as_version=4)


def test_there_is_a_notebook_for_every_chapter():
    assert {path.stem for path in NOTEBOOKS} == set(names.CHAPTERS) == set(MODELS)


@every_chapter
@pytest.mark.parametrize("check", chapters.CHECKS, ids=lambda check: check.__name__)
def test_a_chapter_is_well_made(path, check):
    assert check(read(path)) == []


def test_all_chapters_together_are_short():
    code = [cell for path in NOTEBOOKS for cell in chapters.cells(read(path), "code")]
    assert sum(map(chapters.lines, code)) <= chapters.EACH * len(NOTEBOOKS)


@every_chapter
def test_papers_are_in_the_bibliography(path):
    assert chapters.links(read(path), (BOOK / "references.bib").read_text()) == []


@every_chapter
def test_parameters_and_their_rules_agree(path):
    found = papermill.inspect_notebook(path)
    model = MODELS[path.stem]
    assert set(found) == set(model.model_fields)
    defaults = {name: yaml.safe_load(one["default"].replace("'", '"')) for name, one in found.items()}
    assert model(**defaults)
    assert all(one["help"] for one in found.values())


@every_chapter
def test_a_badge_opens_the_chapter_in_colab(path):
    address = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"].removeprefix(
        "https://github.com/"
    )
    opens = f"](https://colab.research.google.com/github/{address}/blob/main/book/{path.name})"
    assert opens in (ROOT / "README.md").read_text()
    assert read(path).cells[0].source.endswith(f"[![Open in Colab]({BADGE}){opens}")


def test_set_up_cells_are_identical_and_short():
    sources = {chapters.tagged(read(path), "setup")[0].source for path in NOTEBOOKS}
    assert len(sources) == 1
    assert len([line for line in sources.pop().splitlines() if line]) < 15


OF_CHAPTERS = sorted(path for path in PRESETS.glob("*/*.yml") if path.parent.name in MODELS)


@pytest.mark.parametrize("preset", OF_CHAPTERS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_preset_sets_parameters_of_its_chapter(preset):
    assert set(yaml.safe_load(preset.read_text())) <= set(MODELS[preset.parent.name].model_fields)


@every_chapter
def test_every_chapter_has_every_preset(path):
    assert {preset.stem for preset in (PRESETS / path.stem).iterdir()} == {"smoke", "cpu", "gpu"}


def smoke(path):
    return yaml.safe_load((PRESETS / path.stem / "smoke.yml").read_text())


@pytest.fixture(scope="session")
def ten_machines(tmp_path_factory):
    """Records of ten machines: the committed one, complete ones, and ones with records of cost alone."""
    folder = tmp_path_factory.mktemp("runs")
    rehearsal.machines(folder, count=10)
    return folder


@pytest.fixture(scope="session")
def executed(ten_machines, tmp_path_factory):
    """A chapter as it ran, once for all tests that look at it: smallest sizes, ten recorded machines."""
    done = {}

    def run(path):
        if path not in done:
            output = tmp_path_factory.mktemp(path.stem) / "out.ipynb"
            place = BOOK if path == MRSS else ROOT  # of one that starts in its own folder
            asked = {**smoke(path), **ASKED.get(path.stem, {})}
            with patch.dict(os.environ, {"RECORDS_FROM": str(ten_machines)}):
                done[path] = papermill.execute_notebook(path, output, cwd=place, progress_bar=False, parameters=asked)
        return done[path]

    return run


@pytest.mark.slow
@every_chapter
def test_a_chapter_runs_from_end_to_end_and_leaves_records_alone(path, executed, ten_machines):
    before = {file: file.read_bytes() for folder in (RUNS, ten_machines) for file in folder.rglob("*.json")}
    done = executed(path)
    assert not [out for cell in chapters.cells(done, "code") for out in cell.outputs if out.output_type == "error"]
    assert {file: file.read_bytes() for file in before} == before
    shown = json.dumps(chapters.tagged(done, "abstract")[0].outputs)
    assert "original report" in shown or "state space model" in shown
    assert "when the chapter has run" not in shown


@pytest.mark.slow
@every_chapter
def test_a_chapter_compares_the_recorded_machines_once(path, executed):
    if path.stem == "claims":
        return  # verdicts are of the reference machine alone
    outputs = [json.dumps(cell.outputs) for cell in chapters.cells(executed(path), "code")]
    (comparison,) = [text for text in outputs if "on every recorded machine" in text]
    assert all(title in comparison for title in ("Tesla T4", "Nvidia A100", "Made Up 1", "Made Up 7"))


@pytest.mark.slow
@chapter("mrss")
def test_the_chapter_on_multi_resolution_takes_what_its_readers_change(path, executed):
    done = executed(path)
    assert "low, r = 3" in json.dumps([cell.get("outputs") for cell in done.cells])


@pytest.mark.slow
@chapter("mrss")
def test_a_trial_of_trainings_is_shown(path, executed):
    (table,) = [line for line in json.dumps(executed(path).cells).split("**Table ") if line.startswith("8.")]
    assert {f"{form}, r = 3" for form in names.family()} <= set(re.findall(r"\w+, r = 3", table))


@pytest.mark.slow
@chapter("ssm_background")
def test_the_chapter_on_state_space_models_takes_what_its_readers_change(path, executed):
    done = executed(path)
    assert "asked for by name" in json.dumps([cell.get("outputs") for cell in done.cells])


WRONG = {  # chapter -> words of papermill's command line, and the last line that it prints; more: test_bad_parameters
    "mrss": (
        ("-p", "r", "99999999999999999999999"),
        "ParameterError: `r` is 99999999999999999999999; allowed is a downsampling factor, a whole number, at least 1, "
        "at most 128",
    ),
    "claims": (
        ("--inject-paths", "--report-mode", "--log-output", "-y", "{seed: 7, machine: [t4]}"),
        "ParameterError: `machine` is ['t4']; allowed is 'auto', or a folder of data/runs: the machine whose records "
        "the text reads",
    ),
}


@pytest.mark.slow
@pytest.mark.reported("nteract/papermill", 501)  # a notebook that failed ended with exit code 0 and no message
@pytest.mark.parametrize("name", WRONG)
def test_a_bad_parameter_ends_the_run_with_one_plain_line(name, tmp_path):
    words, line = WRONG[name]
    notebooks = [str(BOOK / f"{name}.ipynb"), str(tmp_path / "out, é's.ipynb")]
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", *notebooks, "-p", "device", "cpu", *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1] == line
    assert "torch" not in ended.stderr  # no frame of it


def shown(notebook):
    """The first cell whose code a page shows."""
    return next(cell for cell in chapters.cells(notebook, "code") if not cell.metadata.get("tags"))


BROKEN = {
    "outputs": lambda nb: nb.cells[3].update(execution_count=1),
    "definitions": lambda nb: nb.cells[5].update(source="def helper():\n    pass"),
    "skeleton": lambda nb: nb.cells.pop(2),
    "parameter_cell": lambda nb: nb.cells[3].update(source="# Parameters\nr: int = 4  # a factor (>= 1)"),
    "typed_decimals": lambda nb: chapters.cells(nb, "markdown")[-1].update(source="It is 1.52 times faster."),
    "sizes": lambda nb: nb.cells[5].update(source="prose.render('a', b)\n" + "x = 1\n" * 10),
    "widths": lambda nb: shown(nb).update(source="x = " + "1 + " * 30 + "1"),
    "folds": lambda nb: nb.cells[5].metadata.pop("tags"),
    "numbers": lambda nb: nb.cells[5].update(source='caption("Figure 7. Late")'),
    "provenance": lambda nb: nb.cells[5].update(source='caption("Table 9. Figures of nowhere")'),
    "figures": lambda nb: nb.cells[5].update(source="plt.show()"),
}


@pytest.mark.parametrize("check", chapters.CHECKS, ids=lambda check: check.__name__)
def test_a_checker_finds_what_it_looks_for(check):
    notebook = copy.deepcopy(read(MRSS))
    BROKEN[check.__name__](notebook)
    assert check(notebook)


def test_a_typed_decimal_in_a_string_is_found_too():
    notebook = copy.deepcopy(read(MRSS))
    notebook.cells[4].source = 'prose.say(f"It takes 1.52 of {p.r}")'
    assert chapters.typed_decimals(notebook)


def test_an_unlisted_paper_is_found():
    assert chapters.links(read(MRSS), "")
