"""What a job leaves where it succeeds, and that it leaves nothing where it fails."""

import subprocess
from shlex import quote

import pytest

from lib.paths import ROOT

RECORD = 'mkdir -p "$RECORDS_TO/m" && echo new > "$RECORDS_TO/m/a.json" && echo new > "$RECORDS_TO/m/machine.json"'


@pytest.fixture
def place(tmp_path):
    """A folder whose name a shell could take apart."""
    return tmp_path / "a reader's  café $HOME"


@pytest.fixture
def job(place):
    """Run a command as a job; where records stay there are some already."""
    (place / "runs/m").mkdir(parents=True)
    for name in ("a.json", "machine.json"):
        (place / "runs/m" / name).write_text("old\n")

    def run(command):
        places = [place / "out/chapter.ipynb", place / "out/logs/chapter.log", place / "runs"]
        return subprocess.run([ROOT / "workflow/job.sh", *places, command], capture_output=True, text=True)

    return run


def test_records_and_result_take_their_places_and_a_machine_keeps_its_title(job, place):
    assert job(f"{RECORD} && echo said && touch {quote(str(place))}/out/chapter.ipynb.part").returncode == 0
    assert (place / "runs/m/a.json").read_text() == "new\n"
    assert (place / "runs/m/machine.json").read_text() == "old\n"
    assert (place / "out/chapter.ipynb").exists()
    assert (place / "out/logs/chapter.log").read_text() == "said\n"


def test_a_new_machine_is_named(job, place):
    for path in (place / "runs/m").iterdir():
        path.unlink()
    assert job(f"{RECORD} && touch {quote(str(place))}/out/chapter.ipynb.part").returncode == 0
    assert (place / "runs/m/machine.json").read_text() == "new\n"


@pytest.mark.parametrize("end", ["exit 1", "false | cat"])
def test_a_job_that_fails_late_leaves_records_as_they_were(job, place, end):
    done = job(f"{RECORD} && touch {quote(str(place))}/out/chapter.ipynb.part && echo why >&2 && {end}")
    assert done.returncode == 1
    assert "why" in done.stderr
    assert (place / "runs/m/a.json").read_text() == "old\n"
    assert not (place / "out/chapter.ipynb").exists()
    assert (place / "out/failed/chapter.ipynb").exists()


@pytest.mark.parametrize("lost", ["runs", "out/logs"])
def test_where_nothing_can_be_written_nothing_is_run(job, place, lost):
    for path in sorted((place / lost).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if (place / lost).exists():
        (place / lost).rmdir()
    (place / lost).parent.mkdir(exist_ok=True)
    (place / lost).write_text("a file")
    done = job(f"touch {quote(str(place))}/ran")
    assert done.returncode == 1
    assert f"{place / lost}: nothing can be written there" in done.stderr
    assert not (place / "ran").exists()


def test_records_that_find_no_place_stay_where_the_message_says_also_after_the_next_run(job, place):
    (place / "runs/n").write_text("a file, where the machine's folder should be")
    lost = RECORD.replace("/m", "/n")
    done = job(f"{lost} && touch {quote(str(place))}/out/chapter.ipynb.part")
    assert done.returncode == 1
    assert f"{place}/runs: not written; what was measured is in {place}/out/fresh/chapter" in done.stderr
    assert (place / "out/fresh/chapter/n/a.json").read_text() == "new\n"
    assert not (place / "out/chapter.ipynb").exists()

    assert job(f"{RECORD} && touch {quote(str(place))}/out/chapter.ipynb.part").returncode == 0
    assert [path.read_text() for path in (place / "out/failed").glob("chapter.records.*/n/a.json")] == ["new\n"]


def test_nothing_is_left_beside_the_records(job, place):
    assert job(f"{RECORD} && touch {quote(str(place))}/out/chapter.ipynb.part").returncode == 0
    assert sorted(path.name for path in (place / "runs/m").iterdir()) == ["a.json", "machine.json"]
    assert [path.name for path in (place / "runs").iterdir()] == ["m"]
    assert not (place / "out/fresh/chapter").exists()
