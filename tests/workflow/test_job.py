"""What a job leaves where it succeeds, and that it leaves nothing where it fails."""

import subprocess

import pytest

from lib.paths import ROOT

RECORD = 'mkdir -p "$RECORDS_TO/m" && echo new > "$RECORDS_TO/m/a.json" && echo new > "$RECORDS_TO/m/machine.json"'


@pytest.fixture
def job(tmp_path):
    """Run a command as a job; where records stay there are some already."""
    (tmp_path / "runs/m").mkdir(parents=True)
    for name in ("a.json", "machine.json"):
        (tmp_path / "runs/m" / name).write_text("old\n")

    def run(command):
        places = [tmp_path / "out/chapter.ipynb", tmp_path / "out/logs/chapter.log", tmp_path / "runs"]
        return subprocess.run([ROOT / "workflow/job.sh", *places, command], capture_output=True, text=True)

    return run


def test_records_and_result_take_their_places_and_a_machine_keeps_its_title(job, tmp_path):
    assert job(f"{RECORD} && echo said && touch {tmp_path}/out/chapter.ipynb.part").returncode == 0
    assert (tmp_path / "runs/m/a.json").read_text() == "new\n"
    assert (tmp_path / "runs/m/machine.json").read_text() == "old\n"
    assert (tmp_path / "out/chapter.ipynb").exists()
    assert (tmp_path / "out/logs/chapter.log").read_text() == "said\n"


def test_a_new_machine_is_named(job, tmp_path):
    for path in (tmp_path / "runs/m").iterdir():
        path.unlink()
    assert job(f"{RECORD} && touch {tmp_path}/out/chapter.ipynb.part").returncode == 0
    assert (tmp_path / "runs/m/machine.json").read_text() == "new\n"


@pytest.mark.parametrize("end", ["exit 1", "false | cat"])
def test_a_job_that_fails_late_leaves_records_as_they_were(job, tmp_path, end):
    done = job(f"{RECORD} && touch {tmp_path}/out/chapter.ipynb.part && echo why >&2 && {end}")
    assert done.returncode == 1
    assert "why" in done.stderr
    assert (tmp_path / "runs/m/a.json").read_text() == "old\n"
    assert not (tmp_path / "out/chapter.ipynb").exists()
    assert (tmp_path / "out/failed/chapter.ipynb").exists()
