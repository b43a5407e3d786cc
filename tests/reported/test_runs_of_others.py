"""What was reported of the tools that run this project's measurements: Python's pools of processes, Snakemake."""

import os
import subprocess
import sys
from shlex import quote

import pytest
from watching import LISTED, runs, wait_for

from lib.paths import ROOT

POOL = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from lib.processes import end_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent)
    told = Path(sys.argv[1])
    told.with_suffix(".part").write_text(str(pool.submit(os.getpid).result()))
    told.with_suffix(".part").replace(told)
    time.sleep(300)
"""


@pytest.mark.skipif(not LISTED, reason="processes are looked up in /proc")
@pytest.mark.reported("python/cpython", 111873)
def test_an_idle_worker_of_a_pool_ends_with_its_parent(tmp_path):
    """Workers of a ProcessPoolExecutor waited for ever after their parent was killed."""
    script, told = tmp_path / "pool.py", tmp_path / "told"
    script.write_text(POOL)
    parent = subprocess.Popen([sys.executable, script, told], env=os.environ | {"PYTHONPATH": str(ROOT)})
    wait_for(told.exists, 60)
    worker = int(told.read_text())
    assert runs(worker)
    parent.kill()
    parent.wait(10)
    wait_for(lambda: not runs(worker), 10)


@pytest.mark.parametrize("folder", ["user's folder", "users directory", 'a "b" $HOME `c`', "café"])
@pytest.mark.reported("snakemake/snakemake", 2981)
def test_a_job_runs_in_a_folder_of_any_name(tmp_path, folder):
    """Rules failed in folders with a space or a single quote in their names."""
    place = tmp_path / folder
    result = place / "out/chapter.txt"
    command = f'mkdir "$RECORDS_TO/m" && echo "{{}}" > "$RECORDS_TO/m/a.json" && echo done > {quote(f"{result}.part")}'
    command += ' && cp "$RECORDS_TO/m/a.json" "$RECORDS_TO/m/machine.json"'
    done = subprocess.run(
        [ROOT / "workflow/job.sh", result, place / "out/log.txt", place / "runs", command],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert result.read_text() == "done\n"
    assert (place / "runs/m/a.json").read_text() == "{}\n"
