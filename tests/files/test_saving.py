"""A folder is tried before a measurement, and what it does not take afterwards is kept in a private place."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from lib.files import saving


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path):
    (tmp_path / "a reader's café").mkdir()
    saving.try_folder(tmp_path / "a reader's café")
    saving.try_folder(tmp_path / "new/and/deep")
    assert [path.name for path in tmp_path.rglob("*")] == ["a reader's café"]


@pytest.mark.parametrize("place", ["file", "file/deep/er", "dangling", "dangling/deep"])
def test_what_is_no_folder_is_refused_by_name(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(OSError, match=f"{tmp_path / place}: nothing can be written there"):
        saving.try_folder(tmp_path / place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no files")
def test_a_file_system_that_takes_no_files_is_refused():
    with pytest.raises(OSError, match="/proc/new: nothing can be written there"):
        saving.try_folder(Path("/proc/new"))


@pytest.mark.limit(
    "records",
    "A run that is to be recorded, into a folder that is full or cannot be written",
    "It is refused before anything is measured; free space there, or name another folder with RECORDS_TO.",
)
def test_a_disk_that_is_full_is_noticed_before_and_nothing_stays_there(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(saving, "synced", full)
    with pytest.raises(OSError, match="No space left on device"):
        saving.try_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_finds_no_place_is_kept_where_nobody_else_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = saving.save_elsewhere("toy.json", "{}")
    (path,) = tmp_path.glob("*/toy.json")
    assert said == f"what was measured is in {path}"
    assert path.read_text() == "{}"
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_another_place_is_found_where_the_first_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert str(tmp_path) in saving.save_elsewhere("toy.json", b"{}")


def test_where_nothing_can_be_kept_this_is_said(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    for name in ("home", "cwd"):
        monkeypatch.setattr(Path, name, lambda: Path("/proc/none"))
    assert saving.save_elsewhere("toy.json", "{}") == "what was measured could not be kept anywhere"
