"""`python -m lib.experiments gpu` on jobs that cost nothing: what stays, what is done again, and what is said."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile

import pytest
import toy_jobs
from watching import wait_for

from lib import records
from lib.experiments.gpu import command
from lib.paths import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def environment_as_before(monkeypatch):
    for name in command.OFFLINE:
        monkeypatch.setenv(name, os.environ.get(name, "0"))


@pytest.fixture
def go(tmp_path, capsys):
    """Run toy jobs on the CPU; returns the exit code, what was printed, and the folder of the machine."""

    def run(jobs, *options):
        out = tmp_path / "out"
        given = ["--device", "cpu", "--preset", "smoke", "--out", str(out), *options]
        code = command.main(given, jobs)
        said = capsys.readouterr()
        machines = [path.parent for path in out.glob("*/machine.json")]
        return code, said.out + said.err, machines[0] if machines else out / "none"

    return run


def rest(folder):
    return folder.parent / "rest" / folder.name


def test_every_job_leaves_a_record_and_an_archive_holds_all(go):
    code, said, folder = go(toy_jobs.jobs(first="well", second="full"))
    assert code == 0
    assert records.read(folder / "first.json").cases[1].variant == "variant"
    with tarfile.open(folder.parent / f"{folder.name}.tar.gz") as archive:
        names = set(archive.getnames())
    assert names >= {f"{folder.name}/{name}.json" for name in ("first", "second", "machine")}
    assert f"rest/{folder.name}/summary.txt" in names
    assert "2/2 second" in said
    assert "part: variant 0.50 × baseline (200 ms)" in said


def test_an_out_of_memory_case_is_a_row_and_no_failure(go):
    code, said, folder = go(toy_jobs.jobs(second="full"))
    assert code == 0
    (line,) = [line.split() for line in said.splitlines() if line.startswith("second")]
    assert line[2:] == ["3", "0", "1", "done"]
    assert records.read(folder / "second.json").cases[2].error == "out of memory: 1 GiB"


def test_what_is_finished_is_not_done_again_unless_its_settings_change(go, tmp_path):
    count = tmp_path / "count"
    go(toy_jobs.jobs(count, first="well", second="raises"))
    code, said, _ = go(toy_jobs.jobs(count, first="well", second="well"))
    assert code == 0
    assert "first          finished earlier" in said
    assert count.read_text().split() == ["first", "second", "second"]
    go(toy_jobs.jobs(count, first="full"))
    assert count.read_text().split()[3:] == ["first"]


def test_what_is_finished_is_done_again_where_its_record_is_gone(go, tmp_path):
    _, _, folder = go(toy_jobs.jobs(first="well"))
    (folder / "first.json").unlink()
    go(toy_jobs.jobs(first="well"))
    assert (folder / "first.json").exists()


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ("raises", "failed: ValueError: length = 0: at least 1 is needed"),
        ("killed", "ended by signal SIGKILL; the machine may be out of memory"),
    ],
)
def test_a_job_that_ends_badly_loses_itself_alone_and_its_finished_cases_are_kept_apart(go, how, state):
    code, said, folder = go(toy_jobs.jobs(first=how, second="well"))
    assert code == 1
    assert f"1/2 first          {state}" in said
    assert not (folder / "first.json").exists()
    kept = records.read(rest(folder) / "partial/first.json")
    assert [case.variant for case in kept.cases] == ["baseline", "variant"]
    assert kept.parameters["stopped"] == state
    assert (folder / "second.json").exists()


def test_a_job_over_its_limit_is_stopped_and_leaves_no_partial_record_once_it_is_whole(go):
    code, said, folder = go(toy_jobs.jobs(first="well", slow="sleeps"), "--limit", "1")
    assert code == 1
    assert "slow           stopped after 1 s" in said
    assert (rest(folder) / "partial/slow.json").exists()
    go(toy_jobs.jobs(slow="well"))
    assert not (rest(folder) / "partial/slow.json").exists()


def test_a_record_that_was_there_survives_a_job_that_fails(go):
    _, _, folder = go(toy_jobs.jobs(first="well"))
    before = (folder / "first.json").read_bytes()
    code, _, _ = go(toy_jobs.jobs(first="raises"))
    assert code == 1
    assert (folder / "first.json").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_keeps_what_is_finished_and_leaves_no_process(tmp_path, number):
    out, count = tmp_path / "out", tmp_path / "count"
    script = (
        "import sys, toy_jobs; from lib.experiments.gpu.command import main; "
        f"table = toy_jobs.jobs({str(count)!r}, first='well', slow='sleeps'); "
        f"sys.exit(main(['--device', 'cpu', '--preset', 'smoke', '--out', {str(out)!r}], table))"
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests/helpers")])
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=os.environ | {"PYTHONPATH": paths})
    wait_for(lambda: count.exists() and "slow" in count.read_text())
    process.send_signal(number)
    process.send_signal(number)  # as `timeout` does: to make, and to all that it started
    code = process.wait(120)
    (folder,) = [path.parent for path in out.glob("*/machine.json")]
    assert (folder / "first.json").exists()
    if number != signal.SIGKILL:
        assert code == 130
        assert json.loads((rest(folder) / "jobs/slow.json").read_text())["state"] == "interrupted"
        assert records.read(rest(folder) / "partial/slow.json").parameters["stopped"] == "interrupted"
        assert (out / f"{folder.name}.tar.gz").exists()
    # Nobody holds the folder any more: no process was left.
    wait_for(lambda: not holders(str(out)))
    assert command.main(
        ["--device", "cpu", "--preset", "smoke", "--out", str(out)], toy_jobs.jobs(count, first="well")
    ) in (0,)
    assert count.read_text().split() == ["first", "slow"]


def holders(path):
    """Processes that have a file below a folder open."""
    lines = subprocess.run(
        f"ls -l /proc/[0-9]*/fd 2>/dev/null | grep -F {shlex.quote(path)}", shell=True, capture_output=True, text=True
    ).stdout
    return lines.strip()


def test_two_at_once_in_one_folder_are_refused(go, tmp_path):
    with command.alone(tmp_path / "out"):
        code, said, _ = go(toy_jobs.jobs(first="well"))
    assert code == 1
    assert said == f"--out {tmp_path / 'out'}: another process is at work there; name another folder\n"


def test_a_folder_that_cannot_be_written_ends_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert command.main(["--out", str(tmp_path / "file/out")], toy_jobs.jobs(first="well")) == 1
    assert capsys.readouterr().err == f"--out {tmp_path / 'file/out'}: Not a directory\n"


def test_recorded_runs_are_no_place_for_trials(capsys):
    assert command.main(["--out", str(ROOT / "data/runs/new")], toy_jobs.jobs(first="well")) == 1
    assert "logs and trials do not go there" in capsys.readouterr().err


def test_an_unknown_job_is_named(tmp_path, capsys):
    assert command.main(["--out", str(tmp_path), "--jobs", "first,frist"], toy_jobs.jobs(first="well")) == 1
    assert capsys.readouterr().err == "--jobs first,frist: 'frist' is none of first\n"


def test_without_a_device_it_ends_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert command.main(["--out", str(tmp_path), "--preset", "smoke"], toy_jobs.jobs(first="well")) == 1
    assert capsys.readouterr().err.startswith("no CUDA device answers; torch ")


def test_a_setting_that_is_wrong_is_named_before_anything_runs(go, tmp_path):
    jobs = toy_jobs.jobs(tmp_path / "count", first="well", second="well")
    jobs["second"].more["runs"] = 0
    code, said, _ = go(jobs)
    assert code == 1
    assert said.splitlines()[-1].startswith("ValueError: runs = 0")
    assert not (tmp_path / "count").exists()


def test_a_python_that_lacks_something_is_told_what_and_how(go, monkeypatch):
    jobs = toy_jobs.jobs(first="well")
    jobs["first"] = command.Job("first", "no_such_module", 1)
    code, said, _ = go(jobs)
    assert code == 1
    assert f"{sys.executable} lacks no_such_module: {sys.executable} -m pip install" in said


@pytest.mark.parametrize("limit", ["0", "-5", "nan", "inf"])
def test_a_limit_that_is_no_time_is_refused(tmp_path, capsys, limit):
    assert command.main(["--out", str(tmp_path), "--limit", limit], toy_jobs.jobs(first="well")) == 1
    assert capsys.readouterr().err == f"--limit {float(limit)}: a number of seconds above 0 is needed\n"
