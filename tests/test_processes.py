"""A process ends with the one that started it, however that one ends."""

import os
import signal
import subprocess
import sys
import time

import pytest
from watching import LISTED, runs, wait_for

from lib.paths import ROOT
from lib.processes import end_with_parent

CODE = """
import multiprocessing, os, sys, time
from lib.processes import end_with_parent

def work(path):
    end_with_parent()
    with open(path, "w") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(300)

if __name__ == "__main__":
    multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(sys.argv[2],)).start()
    time.sleep(300)
"""


@pytest.mark.skipif(not LISTED, reason="processes are looked up in /proc")
@pytest.mark.parametrize(
    ("how", "number"), [("spawn", signal.SIGKILL), ("forkserver", signal.SIGKILL), ("fork", signal.SIGTERM)]
)
def test_a_process_is_gone_seconds_after_its_parent_was_killed(tmp_path, how, number):
    script, told = tmp_path / "a reader's café.py", tmp_path / "told"
    script.write_text(CODE)
    parent = subprocess.Popen([sys.executable, script, how, told], env=os.environ | {"PYTHONPATH": str(ROOT)})
    wait_for(lambda: told.exists() and told.read_text().endswith("\n"), 60)
    child = int(told.read_text())
    assert runs(child)
    parent.send_signal(number)
    parent.wait(10)
    wait_for(lambda: not runs(child), 10)


def test_a_process_that_nobody_started_goes_on():
    end_with_parent()
    time.sleep(0.05)
