"""Trainings end with the notebook that asked for them, however it ends."""

import os
import subprocess
import sys

import nbformat
import pytest
from watching import LISTED, runs, wait_for

from lib.paths import ROOT

pytestmark = pytest.mark.slow

WORK = """
import os, time
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Run:
    seed: int
    task: str = "toy"
    steps: int = 3

def work(run):
    path = Path(__file__).with_name(f"{run.seed}.pids")
    path.with_suffix(".part").write_text(f"{os.getpid()} {os.getppid()}")
    path.with_suffix(".part").replace(path)
    time.sleep(300)
    return {}
"""
CELL = """
from pathlib import Path
from endless import Run, work
from lib.tasks.training.sweep import sweep
sweep([Run(0), Run(1)], work, Path("kept"), workers=2, progress=False)
"""


@pytest.mark.skipif(not LISTED, reason="processes are looked up in /proc")
def test_no_process_is_left_when_papermill_is_killed(tmp_path):
    (tmp_path / "endless.py").write_text(WORK)
    cells = [nbformat.v4.new_code_cell(CELL)]
    spec = {"name": "python3", "display_name": "Python", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), tmp_path / "in.ipynb")
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    command = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "--no-progress-bar"]
    with (tmp_path / "log").open("w") as log:
        papermill = subprocess.Popen(
            command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, stdout=log, stderr=log
        )
    told = [tmp_path / f"{seed}.pids" for seed in (0, 1)]
    wait_for(lambda: all(path.exists() for path in told), 120)
    started = {int(one) for path in told for one in path.read_text().split()}
    assert len(started) == 3  # two workers and their kernel
    assert all(map(runs, started))
    papermill.kill()
    papermill.wait(10)
    wait_for(lambda: not any(map(runs, started)), 20)
