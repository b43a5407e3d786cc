"""Compilers as found: named with arguments, without OpenMP, killed, hanging, out of space: all have a way on."""

import os
import shutil
import time
import warnings
from pathlib import Path

import pytest

from lib.kernels import build
from lib.kernels.build import BuildError

REAL = next(filter(None, map(shutil.which, build.COMPILERS)), None)
pytestmark = [
    pytest.mark.skipif(REAL is None, reason="no C++ compiler on PATH: install g++ or clang"),
    pytest.mark.skipif(os.name == "nt", reason="compilers here are scripts of a shell"),
]
COMPILE = f'exec {REAL} "$@"'
OUTPUT = 'for last; do if [ "$before" = -o ]; then out="$last"; fi; before="$last"; done'  # what follows -o


@pytest.fixture(autouse=True)
def kernels(tmp_path, monkeypatch):
    folder = tmp_path / "kernels"
    folder.mkdir()
    (folder / "small.cpp").write_text('extern "C" int answer() { return 42; }\n')
    monkeypatch.setattr(build, "HERE", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(build.cache.tempfile, "tempdir", None)
    for name in ("CXX", *build.BEFORE, *build.AFTER):
        monkeypatch.delenv(name, raising=False)
    build.library.cache_clear()
    build._version.cache_clear()
    yield folder
    build.library.cache_clear()
    build.cache._fresh.clear()


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Make a compiler of lines of a shell, and name it in the environment."""

    def make(*lines: str, name: str = "compiler") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(['#!/bin/sh\ncase "$*" in *--version*) echo 1; exit;; esac', OUTPUT, *lines]) + "\n")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))
        return path

    return make


def answer() -> int:
    return build.library("small.cpp").answer()


def kept(tmp_path):
    return [path.name for path in (tmp_path / "cache/selective-scan").iterdir()]


def fails(match):
    return pytest.raises(BuildError, match=rf"^.*could not make small\.cpp: .*{match}[^\n]*$")


@pytest.mark.parametrize(
    "named",
    ["env {}", "'{}'", "{} -O1", '"{}" -DX="a b"', "  {}  "],
)
def test_a_compiler_may_be_named_with_arguments_and_quotes(monkeypatch, named):
    monkeypatch.setenv("CXX", named.format(REAL))
    assert answer() == 42


@pytest.mark.parametrize("name", ["a folder/g++ 13", "it's/c++"])
def test_a_path_with_a_space_or_a_quote_is_one_program(compiler, name):
    compiler(COMPILE, name=name)
    assert answer() == 42


def test_a_relative_path_is_one_from_here(compiler, monkeypatch):
    path = compiler(COMPILE, name="tools/compiler")
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("CXX", "./compiler -O1")
    assert answer() == 42


@pytest.mark.parametrize("empty", ["", "   "])
def test_a_compiler_named_by_nothing_is_the_systems(monkeypatch, empty):
    monkeypatch.setenv("CXX", empty)
    assert answer() == 42


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CXX", "no-such-compiler -O2", "no C.. compiler: no-such-compiler not on PATH"),
        ("CXX", "g++ 'half", "no C.. compiler: CXX = .*: No closing quotation"),
        ("CXXFLAGS", "-DX='half", "CXXFLAGS = .*: No closing quotation"),
    ],
)
def test_what_the_environment_says_wrongly_is_named(monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)
    with pytest.raises(BuildError, match=f"^{told}$"):
        answer()


def test_flags_of_the_environment_come_last_and_win(kernels, monkeypatch):
    text = '#ifndef MORE\n#error none\n#endif\nextern "C" int answer() { return MORE + OTHER; }\n'
    (kernels / "small.cpp").write_text(text)
    monkeypatch.setattr(build, "OPTIONAL", (("-DMORE=1",),))
    monkeypatch.setenv("CPPFLAGS", "-UMORE -DMORE=40")
    monkeypatch.setenv("CXXFLAGS", "-DOTHER=2 -DTEXT='\"a b\"'")
    monkeypatch.setenv("LDFLAGS", "-Wl,-rpath,/nowhere")
    assert answer() == 42


def test_a_compiler_without_openmp_that_removes_its_output_is_asked_without(compiler, tmp_path):
    compiler('case "$*" in *-fopenmp*) echo "ld: cannot find -lomp" >&2; rm -f "$out"; exit 1;; esac', COMPILE)
    assert answer() == 42
    assert len(kept(tmp_path)) == 1


def test_a_compiler_that_is_killed_says_by_which_signal(compiler, tmp_path):
    compiler("kill -9 $$")
    with fails("ended by SIGKILL"):
        answer()
    assert kept(tmp_path) == []


def test_a_compiler_that_does_not_end_is_ended_with_all_that_it_started(compiler, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "PATIENCE", 0.5)
    compiler(f"sleep 60 & echo $! > {tmp_path}/child; wait")
    begun = time.monotonic()
    with fails("not done after 0.5 s"):
        answer()
    assert time.monotonic() - begun < 20
    child = (tmp_path / "child").read_text().strip()
    while runs(child):
        assert time.monotonic() - begun < 20
        time.sleep(0.02)


def runs(process: str) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_what_a_compiler_says_in_no_encoding_is_still_one_line(compiler):
    compiler(r"printf 'caf\351\377\nsmall.cpp:1: error: \340 no\n' >&2; exit 1")
    with fails("error: � no"):
        answer()


@pytest.mark.parametrize("lines", [["exit 0"], ['rm "$out"; exit 0'], ['echo no library > "$out"']])
def test_a_compiler_that_makes_no_library_is_not_believed(compiler, tmp_path, lines):
    compiler(*lines)
    with fails(""):
        answer()
    assert kept(tmp_path) == []


def test_a_program_that_is_no_compiler_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "text").write_bytes(b"\x00\x01")
    (tmp_path / "text").chmod(0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "text"))
    with fails("Exec format error"):
        answer()


@pytest.mark.parametrize("said", build.FULL)
def test_a_folder_that_is_full_or_read_only_is_left_for_the_next(compiler, tmp_path, said):
    compiler(f'case "$out" in {tmp_path}/cache/*) echo "ld: final link failed: {said}" >&2; exit 1;; esac', COMPILE)
    assert answer() == 42
    assert kept(tmp_path) == []


def test_where_every_folder_is_full_it_is_one_line(compiler):
    compiler('echo "fatal error: error writing to x: No space left on device" >&2; exit 1')
    with fails("No space left on device"):
        answer()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fills_up_at_the_end_leaves_nothing_and_torch_takes_over(tmp_path, monkeypatch, step):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], full)
    with pytest.warns(UserWarning, match=r"^in torch instead: .*No space left on device$") as caught:
        assert "No space left" in build.unusable(lambda: build.library("small.cpp"), "in torch instead")
    assert len(caught) == 1
    assert kept(tmp_path) == []


def test_a_file_system_that_bars_running_is_left_for_the_next(tmp_path, monkeypatch):
    barred = str(tmp_path / "cache")
    monkeypatch.setattr(build.cache, "_bars_running", lambda folder: str(folder).startswith(barred))
    assert answer() == 42
    assert kept(tmp_path) == []


def test_a_failure_is_said_once_and_an_interruption_passes():
    def fail():
        raise BuildError("first\nsecond")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [build.unusable(fail, "instead") for _ in range(2)] == ["first"] * 2
    assert [str(one.message) for one in caught] == ["instead: first"]

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build.unusable(stop, "instead")
