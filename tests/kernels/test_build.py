"""The native library: one compilation, safe for many processes, and a way on where there is no compiler."""

import ctypes
import os
import shutil
import subprocess
import sys

import pytest

from lib.kernels import build
from lib.paths import ROOT

COMPILER = any(map(shutil.which, ("c++", "g++", "clang++")))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COMPILER, reason="no C++ compiler on PATH: install g++ or clang"),
]
SMALL = 'extern "C" int answer() { return ANSWER; }\n'

SCAN = """
import sys, warnings, torch
from lib.models.ssm.scan import selective_scan_fn, selective_scan_ref, explain_backend
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    g = torch.Generator().manual_seed(0)
    u, delta, B, C = (torch.rand(1, n, 9, generator=g) for n in (5, 5, 3, 3))
    A = -torch.rand(5, 3, generator=g)
    out = selective_scan_fn(u, delta, A, B, C)
    again = selective_scan_fn(u, delta, A, B, C)
exact = selective_scan_ref(*(x.double() for x in (u, delta, A, B, C)))
assert ((out - exact).abs() / exact).max() < 64 * 2**-24  # no term is below zero: at most as many roundings are passed
print(explain_backend().backend, len(caught), *(str(w.message) for w in caught))
"""
BUILD = """
import sys
from pathlib import Path
from lib.kernels import build
build.HERE = Path(sys.argv[1])
print(build.library("small.cpp").answer())
"""


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """A folder of sources with one that is small, a cache of its own, and an environment without flags."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    (folder / "small.cpp").write_text(SMALL.replace("ANSWER", "42"))
    monkeypatch.setattr(build, "HERE", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("CXX", *build.BEFORE, *build.AFTER):
        monkeypatch.delenv(name, raising=False)
    yield folder
    build.library.cache_clear()


@pytest.fixture
def cache(kernels, tmp_path):
    return tmp_path / "cache/selective-scan"


def answer():
    build.library.cache_clear()
    return build.library("small.cpp").answer()


def scan(**environment: str) -> subprocess.CompletedProcess:
    """One scan in a new process."""
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", SCAN], env=env, cwd=ROOT, capture_output=True, text=True)


def test_a_second_use_compiles_nothing(cache):
    assert answer() == 42
    (path,) = cache.iterdir()
    made = path.stat().st_mtime_ns
    assert answer() == 42
    assert [p.stat().st_mtime_ns for p in cache.iterdir()] == [made]


def test_other_flags_have_another_place(cache, monkeypatch):
    answer()
    monkeypatch.setattr(build, "OPTIONAL", ((),))
    answer()
    monkeypatch.setenv("CXXFLAGS", "-O1")
    answer()
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("changed", ["simd.h", "scan/states.h"])
def test_a_changed_source_has_another_place(kernels, cache, changed):
    (kernels / "scan").mkdir()
    answer()
    (kernels / changed).write_text("// changed\n")
    answer()
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "emptied", "overwritten", "one bit"])
def test_a_damaged_library_is_made_again_with_the_same_flags(cache, damage):
    answer()
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.unlink()  # a loaded file must not be written to
    flipped = bytes([whole[1000] ^ 1])
    made = {"cut": whole[:5000], "emptied": b"", "overwritten": b"no library"}
    path.write_bytes(made.get(damage, whole[:1000] + flipped + whole[1001:]))
    path.chmod(0o700)
    assert answer() == 42
    assert [*cache.iterdir()] == [path]
    assert path.read_bytes() == whole


def test_a_library_that_cannot_be_loaded_here_is_made_again(cache):
    answer()
    (path,) = cache.iterdir()
    path.unlink()
    path.write_bytes(b"\x7fELF of another machine")
    build.cache.seal(path)  # whole and ours, as on a disk that several machines share
    assert build.cache.is_sealed(path)
    assert answer() == 42


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owner")
@pytest.mark.parametrize("how", ["open to all", "a link", "of another user"])
def test_a_library_that_others_can_have_put_there_is_not_loaded(kernels, cache, tmp_path, monkeypatch, how):
    answer()
    (path,) = cache.iterdir()
    planted = tmp_path / "planted.so"
    path.rename(planted)
    if how == "a link":
        path.symlink_to(planted)
    else:
        shutil.copy(planted, path)
        path.chmod(0o777 if how == "open to all" else 0o700)
    if how == "of another user":
        real = type(path).lstat
        monkeypatch.setattr(type(path), "lstat", lambda p: owned(real(p)) if p == path else real(p))
    assert build._kept(path) is None
    assert not build.cache.is_sealed(path)


def owned(held: os.stat_result) -> os.stat_result:
    """As if it belonged to another user."""
    return os.stat_result([*held[:4], held.st_uid + 1, *held[5:]])


def test_a_cache_that_is_removed_meanwhile_costs_one_compilation(cache):
    answer()
    shutil.rmtree(cache.parent)
    assert answer() == 42
    assert len(list(cache.iterdir())) == 1


def test_several_processes_at_once_all_find_a_whole_library(kernels, cache):
    command = [sys.executable, "-c", BUILD, str(kernels)]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in running:
        out, error = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, "42\n"), error
    assert len(list(cache.iterdir())) == 1


def test_a_loaded_library_is_what_was_compiled_and_its_digest_is_no_part_of_it(cache):
    answer()
    (path,) = cache.iterdir()
    assert path.stat().st_mode & 0o077 == 0
    assert ctypes.CDLL(str(path)).answer() == 42


def test_without_a_compiler_torch_takes_over_with_one_warning(tmp_path):
    done = scan(PATH=str(tmp_path), CXX="", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("torch 1 the scan runs in torch")
    assert "no C++ compiler: c++, g++, clang++ not on PATH" in done.stdout


def test_a_compiler_that_fails_is_quoted(tmp_path):
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\necho 'no space left' >&2; exit 3\n")
    compiler.chmod(0o755)
    done = scan(CXX=str(compiler), XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("torch 1 ")
    assert "could not make scan/selective_scan.cpp: no space left" in done.stdout
    assert not [p for p in (tmp_path / "selective-scan").iterdir()]
