"""Files and folders that are whole or not there: what is found when writing ends early, and what reaches the disk."""

import errno
import os
import stat

import pytest

from lib import files
from lib.files import whole, whole_folder, write_whole


@pytest.fixture(autouse=True)
def masked():
    """The usual mask of a process, whatever it was."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def stop_after(path, error):
    path.write_text("half")
    raise error


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("content", ["é\n", b"\x00\xff", ""])
def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path, content):
    path = write_whole(tmp_path / "deep/er/file.json", content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert names(path.parent) == ["file.json"]
    assert mode(path) == 0o644


def test_a_private_file_is_private_from_its_first_moment(tmp_path):
    with whole(tmp_path / "key", mode=0o600) as part:
        assert mode(part) == 0o600
    assert mode(tmp_path / "key") == 0o600


def test_a_file_that_is_replaced_gives_its_mode(tmp_path):
    write_whole(tmp_path / "run", "1")
    (tmp_path / "run").chmod(0o640)
    write_whole(tmp_path / "run", "2")
    assert mode(tmp_path / "run") == 0o640


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError("no")])
def test_an_error_on_the_way_leaves_what_was_there(tmp_path, error):
    path = write_whole(tmp_path / "file", "before")
    with pytest.raises(type(error)), whole(path) as part:
        stop_after(part, error)
    assert path.read_text() == "before"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_disk_that_is_full_at_the_end_leaves_what_was_there(tmp_path, monkeypatch, step):
    path = write_whole(tmp_path / "file", "before")
    monkeypatch.setattr(step, no_space)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "after")
    assert path.read_text() == "before"
    assert names(tmp_path) == ["file"]


def test_the_file_is_on_the_disk_before_it_has_its_name_and_the_name_after(tmp_path, monkeypatch):
    done, replace = [], files.Path.replace
    monkeypatch.setattr(files.os, "fsync", lambda handle: done.append(os.fstat(handle).st_ino))
    monkeypatch.setattr(files.Path, "replace", lambda part, path: (done.append("named"), replace(part, path)))
    write_whole(tmp_path / "file", "x")
    assert done == [(tmp_path / "file").stat().st_ino, "named", tmp_path.stat().st_ino]


def test_a_file_system_that_knows_no_syncing_still_gets_its_file(tmp_path, monkeypatch):
    def unknown(_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(files.os, "fsync", unknown)
    assert write_whole(tmp_path / "file", "x").read_text() == "x"


def test_a_link_stays_one_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere/file")
    write_whole(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere/file").read_text() == "x"


def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(IsADirectoryError, match="runs"), whole(tmp_path / "runs"):
        pytest.fail("began")
    assert names(tmp_path) == ["runs"]


def test_no_pattern_takes_a_part_for_the_whole(tmp_path):
    with whole(tmp_path / "record.json"):
        assert not [*tmp_path.glob("*.json")]


def test_a_long_name_is_written(tmp_path):
    assert write_whole(tmp_path / ("é" * 120), "x").read_text() == "x"


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_the_place_of_another_with_nothing_of_it(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    for content in ("older", "newer"):
        with whole_folder(tmp_path / "model") as part:
            (part / "deep").mkdir()
            (part / f"deep/{content}").write_text(content)
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model/deep") == ["newer"]
    assert mode(tmp_path / "model") == 0o755


def test_a_folder_that_is_not_filled_leaves_what_was_there(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/kept").touch()
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "model") as part:
        stop_after(part / "half", RuntimeError())
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["kept"]


def test_a_folder_that_cannot_take_its_place_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/kept").touch()
    monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    rename = files.Path.rename

    def rename_but_no_new_one(path, target):
        if target == tmp_path / "model" and (path / "new").exists():
            no_space()
        return rename(path, target)

    monkeypatch.setattr(files.Path, "rename", rename_but_no_new_one)
    with pytest.raises(OSError, match="No space left"), whole_folder(tmp_path / "model") as part:
        (part / "new").touch()
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["kept"]


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "model").touch()
    with pytest.raises(NotADirectoryError, match="model"), whole_folder(tmp_path / "model"):
        pytest.fail("began")


def test_all_of_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(files, "synced", lambda path: done.append((path.name, (tmp_path / "model").exists())))
    with whole_folder(tmp_path / "model") as part:
        (part / "weights").touch()
    assert done == [("weights", False), (part.name, False), (tmp_path.name, True)]
