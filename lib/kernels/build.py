"""Compile a C++ source below this folder on first use, and keep the library in the user's cache.

The cache is keyed by the sources, the compiler, the flags, the CPU and the C library. A library is compiled beside its
place and renamed into it, so that any number of processes may start at once: each finds a whole file or makes one.
What goes wrong ends in a BuildError, and that in the torch version.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lib.files import whole
from lib.kernels import cache
from lib.kernels.cache import cache_folder as cache_folder

HERE = Path(__file__).parent
BASE = ("-O3", "-std=c++17", "-shared", "-fPIC")
OPTIONAL = (("-march=native", "-fopenmp"), ("-mcpu=native", "-fopenmp"), ("-march=native",), ("-mcpu=native",), ())
COMPILERS = ("c++", "g++", "clang++")
BEFORE, AFTER = (
    ("CPPFLAGS", "CXXFLAGS"),
    ("LDFLAGS",),
)  # of the environment; later flags win, so its own come after ours
PATIENCE = 600  # s for one compilation, which takes half a minute on an old machine
FULL = ("No space left on device", "Disk quota exceeded", "Read-only file system")


class BuildError(RuntimeError):
    """No library could be made; the message says why in one line."""


class _NoEnd(BuildError):
    """A compiler that is not done in time will not be with other flags either."""


@functools.cache
def library(source: str = "scan/selective_scan.cpp") -> ctypes.CDLL:
    """The library compiled from a source file below this folder, from the cache where it is there.

    Compiler and flags are those of the environment: CXX, CPPFLAGS, CXXFLAGS, LDFLAGS.

    raises  BuildError where there is no compiler, or where it fails
    """
    compiler = _compiler()
    failed = "no folder to compile into is this user's alone"
    for folder in cache.folders(running=True):
        try:
            return _from(folder, compiler, source)
        except OSError as error:  # full, read-only, or gone meanwhile
            failed = str(error)
    raise BuildError(f"{shlex.join(compiler)} could not make {source}: {failed}")


@functools.cache
def unusable(load: Callable[[], ctypes.CDLL], instead: str) -> str | None:
    """Why a library cannot be loaded, said once aloud with what happens instead; None where it can."""
    try:
        load()
    except (BuildError, OSError) as error:
        told = next(iter(str(error).splitlines()), type(error).__name__)
        warnings.warn(f"{instead}: {told}", stacklevel=5)
        return told
    return None


def _from(folder: Path, compiler: list[str], source: str) -> ctypes.CDLL:
    """The library from one folder, kept there or made.

    raises  BuildError where the compiler fails; OSError where the folder does
    """
    failed = ""
    for flags in OPTIONAL:
        path = folder / f"{Path(source).stem}-{_digest(compiler, flags)}{_SUFFIX}"
        try:
            return _kept(path) or _compiled(compiler, flags, HERE / source, path)
        except BuildError as error:
            failed = str(error)
            if isinstance(error, _NoEnd):
                break
    raise BuildError(f"{shlex.join(compiler)} could not make {source}: {failed}")


def _compiler() -> list[str]:
    """The compiler as the first words of a command.

    raises  BuildError where there is none
    """
    given = os.environ.get("CXX", "").strip()
    if given and (found := shutil.which(given)):  # one program, a space in its path or not
        return [str(Path(found).absolute())]
    try:
        named = [shlex.split(given)] if given else [[name] for name in COMPILERS]
    except ValueError as error:
        raise BuildError(f"no C++ compiler: CXX = {given!r}: {error}") from None
    for program, *arguments in named:
        if found := shutil.which(program):
            return [str(Path(found).absolute()), *arguments]
    raise BuildError(f"no C++ compiler: {', '.join(words[0] for words in named)} not on PATH")


def _environment(names: tuple[str, ...]) -> list[str]:
    """Flags that the environment gives.

    raises  BuildError for a quotation that does not end
    """
    found = []
    for name in names:
        try:
            found += shlex.split(os.environ.get(name, ""))
        except ValueError as error:
            raise BuildError(f"{name} = {os.environ[name]!r}: {error}") from None
    return found


def _kept(path: Path) -> ctypes.CDLL | None:
    """The library that is kept at a path; none where nothing whole and ours is, or where it cannot be loaded here."""
    if not cache.is_sealed(path):
        return None
    try:
        return ctypes.CDLL(str(path))
    except OSError:  # it needs what this machine lacks, as one does that another machine left here
        return None


def _compiled(compiler: list[str], flags: tuple[str, ...], source: Path, path: Path) -> ctypes.CDLL:
    """Compile to a path and load it.

    raises  BuildError, in one line, where the compiler fails or what it makes cannot be loaded; OSError where the
            folder cannot be written
    """
    if not cache.is_sealed(path):
        path.unlink(missing_ok=True)  # whatever it is, it must not lend its mode
    with whole(path, mode=0o700) as made:
        command = [*compiler, *BASE, *flags, *_environment(BEFORE), f"-I{HERE}", str(source), "-o", str(made)]
        code, told = _run([*command, *_environment(AFTER)], PATIENCE)
        if any(words in told for words in FULL):
            raise OSError(_first(told))
        if code:
            raise BuildError(
                _first(told) if code > 0 else f"ended by {signal.Signals(-code).name} {_first(told)}".strip()
            )
        if not made.exists():
            raise BuildError("no library, and no error either")
        cache.seal(made)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise BuildError(str(error)) from None


def _run(command: list[str], patience: float) -> tuple[int, str]:
    """Run a command to its end; its exit status, below zero for a signal, and what it said.

    raises  _NoEnd where it takes longer
    """
    environment = {**os.environ, "LC_ALL": "C"}  # messages are read
    options = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    try:
        process = subprocess.Popen(command, **options, start_new_session=True)
    except OSError as error:
        return 1, str(error)
    try:
        told, _ = process.communicate(timeout=patience)
        return process.returncode, told.decode(errors="replace")
    except subprocess.TimeoutExpired:
        raise _NoEnd(f"not done after {patience:g} s") from None
    finally:
        if process.returncode is None:  # whatever interrupts: what the compiler has started ends with it
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _first(told: str) -> str:
    """The line that says what went wrong."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "it does not say why")


@functools.cache
def _version(compiler: tuple[str, ...]) -> str:
    return _run([*compiler, "--version"], PATIENCE / 10)[1]


def _digest(compiler: list[str], flags: tuple[str, ...]) -> str:
    key = hashlib.sha256()
    environment = _environment(BEFORE + AFTER)
    for text in (*compiler, _version(tuple(compiler)), *BASE, *flags, *environment, cpu(), *platform.libc_ver()):
        key.update(text.encode(errors="surrogateescape") + b"\0")
    for path in sorted(path for path in HERE.rglob("*") if path.suffix in (".cpp", ".h")):
        key.update(path.read_bytes())
    return key.hexdigest()[:16]


def cpu() -> str:
    """What `native` depends on: the machine and, on Linux, the model and its features."""
    lines: list[str] = []
    if sys.platform == "linux":
        wanted = ("model name", "flags", "Features")
        with suppress(OSError), Path("/proc/cpuinfo").open(errors="replace") as file:
            lines = sorted({line for line in file if line.startswith(wanted)})
    return "".join([platform.machine(), platform.processor(), *lines])


_SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"
