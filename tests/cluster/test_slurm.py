"""The workflow on a cluster: a Slurm of one node, the smoke preset, a job that is killed, and a second call.

`make slurm` runs it. It needs root, and Debian's packages slurmctld, slurmd, slurm-client and munge.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from lib.paths import ROOT

HERE = ROOT / "tests/cluster"
SNAKE = ROOT / ".venv-workflow/bin/snakemake"
PROFILE = "workflow/profiles/slurm"
SETTINGS = Path("/etc/slurm/slurm.conf")  # where Slurm looks without being told
LACKING = [
    name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name, path="/usr/sbin:/usr/bin")
]
JOBS = "ssm_background mrss"  # of the smoke preset: enough to be killed, and to go on
NOTEBOOKS = ["mrss.ipynb", "ssm_background.ipynb"]
KEPT = ("variant", "parameters", "flops", "accuracies", "relative_errors")  # of a case, what does not vary

pytestmark = [
    pytest.mark.skipif(bool(LACKING), reason=f"no {', '.join(LACKING)}: install Slurm and munge"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Slurm's daemons need root"),
    pytest.mark.skipif(SETTINGS.exists(), reason=f"{SETTINGS}: there is a Slurm already"),
    pytest.mark.skipif(not SNAKE.exists(), reason="no .venv-workflow: `make slurm` makes it"),
]


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    place = tmp_path_factory.mktemp("slurm")
    subprocess.run(["bash", HERE / "slurm.sh", place], check=True)
    yield
    subprocess.run(["scancel", "--user", "root"], check=False)
    for name in ("slurmd", "slurmctld"):
        subprocess.run(["pkill", "--pidfile", place / f"{name}.pid"], check=False)
    for path in (SETTINGS, SETTINGS.with_name("gres.conf")):
        path.unlink(missing_ok=True)


def snakemake(out, *options):
    """Start it on two jobs of the smoke preset; what it prints goes to a file beside `out`."""
    told = ["--config", "preset=smoke", f"out={out}", f"jobs={JOBS}"]
    with out.with_suffix(".txt").open("w") as log:
        return subprocess.Popen(
            [SNAKE, "-s", "workflow/Snakefile", *options, *told], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )


def on_slurm(out):
    """With the profile that readers are told of; but there is no accounting, and a test does not wait for long."""
    asked = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3")
    return snakemake(out, "--profile", PROFILE, *asked)


def running():
    return subprocess.run(["squeue", "-h", "-t", "R", "-o", "%A"], capture_output=True, text=True).stdout.split()


def printed(out):
    return out.with_suffix(".txt").read_text()[-3000:]


def notebooks(out):
    return sorted(path.name for path in out.glob("*.ipynb"))


def results(out):
    """Record -> its cases, without times and memory."""
    found = {}
    for path in sorted((out / "runs").glob("*/*.json")):
        if path.name != "machine.json":
            cases = json.loads(path.read_text())["cases"]
            found[path.stem] = [{key: case.get(key) for key in KEPT} for case in cases]
    return found


def test_a_killed_job_is_taken_up_and_the_result_is_the_local_one(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    assert snakemake(here, "--cores", "2", "--resources", "machine=1").wait(600) == 0, printed(here)

    first = on_slurm(there)
    deadline = time.monotonic() + 120
    while not (killed := running()):
        assert time.monotonic() < deadline, printed(there)
        time.sleep(0.2)
    time.sleep(5)  # it is in the middle
    subprocess.run(["scancel", *killed], check=True)
    assert first.wait(600) != 0, printed(there)
    assert len(notebooks(there)) < len(NOTEBOOKS)

    second = on_slurm(there)
    assert second.wait(600) == 0, printed(there)
    assert notebooks(there) == notebooks(here) == NOTEBOOKS
    assert results(there) == results(here) != {}
