"""Folders that compiled code is loaded from: this user's alone, whoever was there before."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lib.kernels import cache
from lib.paths import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owner")
ME = os.geteuid() if hasattr(os, "geteuid") else 0


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The only folder for temporary files; the user's cache cannot be made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    folder.chmod(0o1777)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file/cache"))
    monkeypatch.setattr(cache, "_temporary", lambda: [str(folder)])
    yield folder
    cache._fresh.clear()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's cache that can be written."""
    folder = tmp_path / "home/.cache"
    folder.mkdir(parents=True, mode=0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def belongs_to_another(monkeypatch, *paths):
    """From now on these paths are another user's."""
    real = Path.lstat

    def lstat(path):
        held = real(path)
        return os.stat_result([*held[:4], ME + 7, *held[5:]]) if path in paths else held

    monkeypatch.setattr(Path, "lstat", lstat)


def test_a_user_has_a_private_folder_in_the_cache(home):
    assert cache.cache_folder() == home / "selective-scan"
    assert mode(home / "selective-scan") == 0o700
    assert cache.cache_folder() == home / "selective-scan"


def test_a_cache_that_is_not_there_is_made_private_all_the_way(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new/deep"))
    before = os.umask(0)
    try:
        assert cache.cache_folder() == tmp_path / "new/deep/selective-scan"
    finally:
        os.umask(before)
    assert {mode(tmp_path / part) for part in ("new", "new/deep", "new/deep/selective-scan")} == {0o700}


@pytest.mark.parametrize("given", ["", "relative/cache", "."])
def test_a_cache_named_by_no_whole_path_is_ignored_as_the_convention_says(tmp_path, monkeypatch, given):
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert cache.cache_folder() == tmp_path / ".cache/selective-scan"


def test_without_a_home_there_is_a_temporary_folder(temporary, monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(cache.Path, "home", nobody)
    assert cache.cache_folder() == temporary / f"selective-scan-{ME}"


def test_a_cache_that_cannot_be_written_is_replaced_by_one_that_lasts(temporary):
    assert cache.cache_folder() == temporary / f"selective-scan-{ME}"
    assert mode(cache.cache_folder()) == 0o700


@pytest.mark.limit(
    "machines",
    "A cache of compiled code that others can write to, or that lies below a folder in which they can rename",
    "Whoever can put a library there decides what runs. Another folder is used; `chmod 700` brings it back into use.",
)
@pytest.mark.parametrize("open_to", [0o777, 0o770, 0o720, 0o702, 0o1777])
@pytest.mark.parametrize("where", ["home", "temporary"])
def test_a_folder_that_others_can_write_is_not_used(request, temporary, where, open_to):
    name = {"home": "selective-scan", "temporary": f"selective-scan-{ME}"}[where]
    folder = (request.getfixturevalue("home") if where == "home" else temporary) / name
    folder.mkdir()
    folder.chmod(open_to)
    found = cache.cache_folder()
    assert found != folder
    assert cache.others(found) is None
    assert mode(found) == 0o700


def test_a_folder_of_another_user_is_not_used(temporary, monkeypatch):
    folder = temporary / f"selective-scan-{ME}"
    folder.mkdir(mode=0o700)
    belongs_to_another(monkeypatch, folder)
    found = cache.cache_folder()
    assert found != folder
    assert found.name.startswith("selective-scan-")
    assert cache.cache_folder() == found  # one for the whole process


def test_a_folder_of_the_system_is_not_a_users():
    assert cache.others(Path("/")) is None or ME != 0
    if ME != 0:
        assert cache.others(Path("/usr")) == "/usr belongs to user 0"


def test_a_link_in_the_place_of_the_folder_is_not_followed(temporary, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (temporary / f"selective-scan-{ME}").symlink_to(tmp_path / "elsewhere")
    assert cache.cache_folder().resolve() != tmp_path / "elsewhere"
    assert not [*(tmp_path / "elsewhere").iterdir()]


def test_a_file_in_the_place_of_the_folder_is_not_used(temporary):
    (temporary / f"selective-scan-{ME}").touch()
    assert cache.others(cache.cache_folder()) is None


@pytest.mark.parametrize("open_to", [0o777, 0o775])
def test_a_folder_below_one_that_others_can_write_is_not_used(home, temporary, monkeypatch, open_to):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    home.parent.chmod(open_to)  # whoever can write there can rename the cache and put another one in its place
    assert cache.others(home) == f"{home.parent} can be written by others"
    assert cache.cache_folder().parent == temporary


def test_a_shared_cache_below_which_nobody_can_rename_is_used(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
    assert cache.cache_folder() == shared / "selective-scan"


def test_a_folder_below_another_users_is_not_used(home, temporary, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    belongs_to_another(monkeypatch, home)
    assert cache.cache_folder().parent == temporary


def test_a_users_own_link_to_the_cache_is_followed(home, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link"))
    assert cache.cache_folder() == home / "selective-scan"


def test_where_no_folder_is_safe_it_is_one_line(temporary):
    temporary.chmod(0o777)  # others can rename whatever is made there
    with pytest.raises(PermissionError, match=r"^no folder is this user's alone: [^\n]*, nor in /[^\n]*$"):
        cache.cache_folder()


def test_a_folder_of_one_process_goes_with_it(tmp_path):
    code = f"""
from pathlib import Path
from lib.kernels import cache
cache._temporary = lambda: [{str(tmp_path)!r}]
(Path({str(tmp_path)!r}) / f"selective-scan-{ME}").touch()
folder = cache.cache_folder()
(folder / "library").touch()
print(folder)
"""
    env = {**os.environ, "XDG_CACHE_HOME": "/proc/no/such"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path}/selective-scan-")
    assert not Path(done.stdout.strip()).exists()


def test_what_is_kept_is_read_back_and_private(home):
    path = cache.cache_folder() / "module"
    assert cache.kept(path) is None
    cache.keep(path, b"content")
    assert cache.kept(path) == b"content"
    assert mode(path) == 0o600


@pytest.mark.parametrize("damage", [b"", b"content", b"\0" * 100])
def test_what_is_damaged_counts_as_not_there(home, damage):
    path = cache.cache_folder() / "module"
    cache.keep(path, b"content")
    path.write_bytes(damage)
    assert cache.kept(path) is None


def test_what_others_may_have_written_counts_as_not_there_and_is_written_anew(home):
    path = cache.cache_folder() / "module"
    cache.keep(path, b"planted")
    path.chmod(0o666)
    assert cache.kept(path) is None
    cache.keep(path, b"content")
    assert (cache.kept(path), mode(path)) == (b"content", 0o600)
