"""The native library: one compilation, safe for many processes, and a way on where there is no compiler."""

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


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.library.cache_clear()
    yield tmp_path / "selective-scan"
    build.library.cache_clear()


def scan(**environment: str) -> subprocess.CompletedProcess:
    """One scan in a new process."""
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", SCAN], env=env, cwd=ROOT, capture_output=True, text=True)


def test_a_second_use_compiles_nothing(cache, monkeypatch):
    first = build.library()
    (path,) = cache.iterdir()
    made = path.stat().st_mtime_ns
    build.library.cache_clear()
    assert build.library() is not first
    assert [p.stat().st_mtime_ns for p in cache.iterdir()] == [made]


def test_other_flags_have_another_place(cache, monkeypatch):
    build.library()
    build.library.cache_clear()
    monkeypatch.setattr(build, "OPTIONAL", ((),))
    build.library()
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("changed", ["simd.h", "scan/states.h"])
def test_a_changed_source_has_another_place(tmp_path, cache, monkeypatch, changed):
    copy = tmp_path / "kernels"
    shutil.copytree(build.HERE, copy)
    monkeypatch.setattr(build, "HERE", copy)
    build.library("modes/modes.cpp")
    build.library.cache_clear()
    with (copy / changed).open("a") as file:
        file.write("// changed\n")
    build.library("modes/modes.cpp")
    assert len(list(cache.iterdir())) == 2


def test_a_damaged_library_is_made_again(cache):
    build.library()
    (path,) = cache.iterdir()
    path.unlink()  # a loaded file must not be written to
    path.write_bytes(b"not a library")
    build.library.cache_clear()
    assert build.library().lanes() in (4, 8, 16)


def test_a_flag_that_the_compiler_does_not_know_is_left_out(cache, monkeypatch):
    monkeypatch.setattr(build, "OPTIONAL", (("-fno-such-flag",), ()))
    assert build.library().tile() > 0


def test_several_processes_at_once_all_find_a_whole_library(tmp_path):
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCAN]
    running = [
        subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in running:
        out, error = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, "cpp 0\n"), error
    assert len(list((tmp_path / "selective-scan").iterdir())) == 1


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


def test_a_cache_that_cannot_be_written_is_replaced(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert str(build.cache_folder()).startswith(build.tempfile.gettempdir())
