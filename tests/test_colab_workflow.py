"""The weekly rehearsal in Colab's image: its commands exist, its checks can fail, its issue is opened once."""

import json
import os
import re
import shlex
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from worktree import shell

from lib import colab
from lib.paths import BOOK, PRESETS, ROOT
from lib.report.assigned import assigned
from lib.requirements import PYPROJECT

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/colab.yml").read_text())
JOBS = WORKFLOW["jobs"]
SPEC = spec_from_file_location("rehearse", ROOT / "tests/colab/rehearse.py")
rehearse = module_from_spec(SPEC)
SPEC.loader.exec_module(rehearse)


def commands(job):
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def test_it_runs_every_week_and_by_hand():
    ((when,),) = [list(one.values()) for one in WORKFLOW[True]["schedule"]]  # YAML reads `on` as true
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", when)
    assert "workflow_dispatch" in WORKFLOW[True]


@pytest.mark.parametrize(("job", "preset"), [("cpu", "smoke"), ("gpu", rehearse.NONE), ("newest", "smoke")])
def test_each_job_rehearses_all_chapters_of_the_repository_that_it_runs_in(job, preset):
    (words,) = [shlex.split(line) for line in commands(job) if "rehearse.py" in line]
    at = words.index("tests/colab/rehearse.py")
    assert (ROOT / words[at]).is_file()
    asked = rehearse.parser().parse_args(words[at + 1 :])
    assert (asked.repository, asked.branch) == ("$REPOSITORY", "$BRANCH")
    assert (asked.preset, asked.chapters) == (preset, [])
    assert asked.backend == ("cuda" if job == "gpu" else None)
    assert ("$IMAGE" in words) == (job != "newest")


def test_the_gpu_is_asked_for_only_where_there_is_one():
    assert JOBS["gpu"]["if"] == "vars.GPU_RUNNER != ''"
    assert "--gpus all" in " ".join(commands("gpu"))


def test_only_the_report_may_write_and_it_waits_for_all_others():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert [name for name, job in JOBS.items() if "permissions" in job] == ["report"]
    assert set(JOBS["report"]["needs"]) == JOBS.keys() - {"report"}
    assert "failure" in JOBS["report"]["if"]


@pytest.mark.parametrize(("already", "done"), [("", "create"), ("7", "comment 7")])
def test_one_issue_is_open_at_a_time(tmp_path, already, done):
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncase "$2" in list) echo "{already}" ;; esac\n')
    gh.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUN": "https://example.org/run"}
    shell("bash", "-e", "-c", commands("report")[0], env=environment)
    asked = (tmp_path / "asked").read_text()
    (line,) = [line for line in asked.splitlines() if "https://example.org/run" in line]
    assert line.startswith(f"issue {done} ")


def test_what_colab_brings_is_all_of_ours_but_what_the_set_up_installs():
    lines = (ROOT / "tests/colab/brings.txt").read_text().splitlines()
    brought = {line for line in lines if not line.startswith("#")}
    ours = {Requirement(text).name for text in tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]}
    assert ours - brought == {"sktime", "papermill", "jaxtyping"}
    assert brought - ours == {"nbclient", "nbformat"}  # the rehearsal's own


def test_the_server_that_is_played_is_understood():
    with rehearse.opened_from("a-student/my-fork", "try/v2", "mrss.ipynb") as variables:
        assert colab.opened(variables, kernel="") == colab.Opened("https://github.com/a-student/my-fork", "try/v2")


def test_a_preset_reaches_the_chapter_and_nothing_is_recorded():
    notebook = rehearse.prepared(BOOK / "mrss.ipynb", "cpu")
    preset = yaml.safe_load((PRESETS / "mrss/cpu.yml").read_text())
    cells = [cell.source for cell in notebook.cells if cell.source.startswith("# Parameters")]
    assert set(assigned(cells[1:], [])) == preset.keys() | {"record"}
    namespace = {}
    exec(cells[1], namespace)
    assert namespace["record"] is False
    assert namespace["length"] == preset["length"]
    plain = rehearse.prepared(BOOK / "mrss.ipynb", rehearse.NONE)
    assert len(plain.cells) == len(notebook.cells) - 1


@pytest.mark.parametrize(
    ("setup", "whole", "text", "backend", "found"),
    [
        (12, 200, "> cuda    CUDA kernels\n  torch   torch", "cuda", []),
        (61, 200, "", None, ["set-up takes 61 s, 60 are allowed"]),
        (12, 301, "", None, ["takes 301 s, 300 are allowed"]),
        (12, 200, "a\n  cuda   too old\n> torch   torch", "cuda", ["the scan runs by torch, not by cuda"]),
        (12, 200, "> torch   torch", None, []),
    ],
)
def test_a_broken_promise_is_a_complaint(setup, whole, text, backend, found):
    assert rehearse.complaints(setup, whole, text, backend) == found


@pytest.mark.slow
def test_a_failing_cell_is_timed_and_shown(tmp_path):
    cells = [nbformat.v4.new_code_cell("print('> torch'); import time; time.sleep(0.3)"),
             nbformat.v4.new_code_cell("import google.colab\nraise ValueError('this one fails')"),
             nbformat.v4.new_code_cell("print('never')")]  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=cells)
    script = f"""
import sys, json, nbformat
sys.path.insert(0, {str(ROOT / "tests/colab")!r})
import rehearse
from pathlib import Path
notebook = nbformat.reads({nbformat.writes(notebook)!r}, as_version=4)
whole, wrong = rehearse.run(notebook, Path({str(tmp_path)!r}), rehearse.as_colab(Path({str(tmp_path)!r})))
print(json.dumps([whole, wrong, rehearse.seconds(notebook.cells[0]), rehearse.said(notebook)]))
"""
    whole, wrong, first, text = json.loads(shell(sys.executable, "-c", script).splitlines()[-1])
    assert whole > first > 0.3
    assert "this one fails" in wrong
    assert text == "> torch\n"
