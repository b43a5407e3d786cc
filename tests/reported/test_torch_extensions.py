"""Situations that were reported of extensions that torch compiles when they are used, and of where it keeps them."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lib.kernels import build, cache
from lib.paths import ROOT

COMPILER = next((name for name in build.COMPILERS if shutil.which(name)), None)
compiled = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler on PATH: install g++ or clang")


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A small C++ source in a folder of its own, a cache of its own, and no flags from outside."""
    folder = tmp_path / "the sources"
    folder.mkdir()
    (folder / "small.cpp").write_text('#include "small.h"\nextern "C" int answer() { return ANSWER; }\n')
    (folder / "small.h").write_text("#define ANSWER 42\n")
    monkeypatch.setattr(build, "HERE", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("CXX", *build.BEFORE, *build.AFTER):
        monkeypatch.delenv(name, raising=False)
    build.library.cache_clear()
    yield folder
    build.library.cache_clear()


@compiled
@pytest.mark.reported("pytorch/pytorch", 122476)
def test_sources_in_a_folder_with_a_space_are_compiled(sources):
    """Paths of included files went to the compiler unquoted."""
    assert build.library("small.cpp").answer() == 42


@compiled
@pytest.mark.reported("pytorch/pytorch", 33701)
def test_a_compiler_behind_another_program_is_a_compiler(sources, monkeypatch):
    """g++ behind ccache was not taken for the g++ that it is."""
    monkeypatch.setenv("CXX", f"env {COMPILER}")
    assert build.library("small.cpp").answer() == 42


@compiled
@pytest.mark.reported("pytorch/pytorch", 95708)
def test_without_openmp_a_library_is_made_without(sources, tmp_path, monkeypatch):
    """Where a compiler has no omp.h, compiling ended in an error in place of code for one thread."""
    script = tmp_path / "compiler"
    refuse = 'case "$*" in *-fopenmp*) echo "fatal error: omp.h: No such file" >&2; exit 1;; esac'
    script.write_text(f'#!/bin/sh\n{refuse}\nexec {COMPILER} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    assert build.library("small.cpp").answer() == 42


@pytest.mark.reported("pytorch/pytorch", 46334)
def test_processes_that_make_the_cache_at_once_all_have_it(tmp_path, monkeypatch):
    """The first that made the folder of extensions stopped the others with FileExistsError."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "deep/cache"))
    found = []
    threads = [threading.Thread(target=lambda: found.append(cache.cache_folder())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "deep/cache/selective-scan"] * 16


KILLED = """
import sys
from pathlib import Path
from lib.kernels import build
build.HERE = Path(sys.argv[1])
build.library("small.cpp")
"""


@compiled
@pytest.mark.reported("pytorch/pytorch", 189245)
def test_a_compilation_that_was_killed_keeps_nobody_waiting(sources, tmp_path, monkeypatch):
    """Whoever was killed while compiling left a lock, and everybody later waited for it for ever."""
    script = tmp_path / "compiler"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) exit;; esac\necho $$ > "{tmp_path}/begun"\nexec sleep 100\n'
    )
    script.chmod(0o755)
    environment = {**os.environ, "CXX": str(script)}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(sources)], cwd=ROOT, env=environment)
    while not (tmp_path / "begun").exists() or not (tmp_path / "begun").read_text().strip():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.kill(int((tmp_path / "begun").read_text()), signal.SIGKILL)
    begun = time.monotonic()
    assert build.library("small.cpp").answer() == 42
    assert time.monotonic() - begun < 30


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owner")
@pytest.mark.reported("pytorch/pytorch", 34238)
def test_a_temporary_folder_that_another_user_made_first_is_left_to_that_user(tmp_path, monkeypatch):
    """Of several users of a machine, only the first could compile: the folder in /tmp was that user's."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(cache, "_temporary", lambda: [str(tmp_path)])
    theirs, real = tmp_path / f"selective-scan-{os.geteuid()}", Path.lstat
    theirs.mkdir()

    def lstat(path):
        held = real(path)
        return os.stat_result([*held[:4], held.st_uid + 1, *held[5:]]) if path == theirs else held

    monkeypatch.setattr(Path, "lstat", lstat)
    found = cache.cache_folder()
    assert found != theirs
    assert found.stat().st_mode & 0o077 == 0
    cache._fresh.clear()


@pytest.mark.reported("pytorch/pytorch", 140765)
def test_a_user_without_an_account_has_a_cache(tmp_path, monkeypatch):
    """In a container that runs as a bare number, the name of the cache was asked for and there was none."""

    def nobody(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr(cache, "_temporary", lambda: [str(tmp_path)])
    assert cache.cache_folder().parent == tmp_path


@compiled
@pytest.mark.reported("pytorch/pytorch", 91005)
def test_where_nothing_can_be_run_from_a_folder_another_one_is_compiled_into(sources, tmp_path, monkeypatch):
    """On a file system mounted noexec, libraries were compiled and could not be loaded."""
    monkeypatch.setattr(cache, "_bars_running", lambda folder: folder.is_relative_to(tmp_path / "cache"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(cache, "_temporary", lambda: [str(tmp_path / "temporary")])
    assert build.library("small.cpp").answer() == 42
    assert len([*(tmp_path / "temporary").rglob("small-*")]) == 1
