"""Compile a C++ source below this folder on first use, and keep the library in the user's cache.

The cache is keyed by the sources, the compiler, the flags and the CPU. A library is compiled beside its place and
renamed into it, so that any number of processes may start at once: each finds a whole file or makes one.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
BASE = ("-O3", "-std=c++17", "-shared", "-fPIC")
OPTIONAL = (("-march=native", "-fopenmp"), ("-mcpu=native", "-fopenmp"), ("-march=native",), ("-mcpu=native",), ())


class BuildError(RuntimeError):
    """No library could be made; the message says why in one line."""


@functools.cache
def library(source: str = "scan/selective_scan.cpp") -> ctypes.CDLL:
    """The library compiled from a source file below this folder, from the cache where it is there.

    raises  BuildError where there is no compiler, or where it fails
    """
    compiler = _compiler()
    folder = cache_folder()
    failed = ""
    for flags in OPTIONAL:
        path = folder / f"{Path(source).stem}-{_digest(compiler, flags)}{_SUFFIX}"
        if not path.exists() and (failed := _compile(compiler, flags, HERE / source, path)):
            continue
        try:
            return ctypes.CDLL(str(path))
        except OSError as error:  # a damaged file, or one that needs what this machine lacks
            path.unlink(missing_ok=True)
            failed = str(error)
    raise BuildError(f"{compiler} could not make {source}: {failed}")


@functools.cache
def unusable(load: Callable[[], ctypes.CDLL], instead: str) -> str | None:
    """Why a library cannot be loaded, said once aloud with what happens instead; None where it can."""
    try:
        load()
    except BuildError as error:
        warnings.warn(f"{instead}: {error}", stacklevel=5)
        return str(error)
    return None


def cache_folder() -> Path:
    """Where compiled libraries are kept: the user's cache, or a temporary folder where that cannot be written."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "selective-scan"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"selective-scan-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _own(folder):  # what is loaded from it is executed
            folder = _fresh()
    return folder


@functools.cache
def _fresh() -> Path:
    """A folder of this process alone."""
    return Path(tempfile.mkdtemp(prefix="selective-scan-"))


def _own(folder: Path) -> bool:
    """Whether nobody else can have put a file there."""
    if not hasattr(os, "getuid"):
        return True
    held = folder.lstat()
    return stat.S_ISDIR(held.st_mode) and held.st_uid == os.getuid() and not held.st_mode & 0o022


def _compiler() -> str:
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    found = [path for name in names if (path := shutil.which(name))]
    if not found:
        raise BuildError(f"no C++ compiler: {', '.join(names)} not on PATH")
    return found[0]


def _compile(compiler: str, flags: tuple[str, ...], source: Path, path: Path) -> str:
    """Compile to `path`; the first line of what went wrong, or nothing."""
    handle, made = tempfile.mkstemp(dir=path.parent, suffix=_SUFFIX)
    os.close(handle)
    command = [compiler, *BASE, *flags, f"-I{HERE}", str(source), "-o", made]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        Path(made).replace(path)
        return ""
    Path(made).unlink()
    return next(iter(done.stderr.strip().splitlines()), f"exit status {done.returncode}")


def _digest(compiler: str, flags: tuple[str, ...]) -> str:
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    key = hashlib.sha256()
    for text in (compiler, version, *BASE, *flags, cpu()):
        key.update(text.encode() + b"\0")
    for path in sorted(path for path in HERE.rglob("*") if path.suffix in (".cpp", ".h")):
        key.update(path.read_bytes())
    return key.hexdigest()[:16]


def cpu() -> str:
    """What `native` depends on: the machine and, on Linux, the model and its features."""
    lines = []
    if sys.platform == "linux":
        wanted = ("model name", "flags", "Features")
        with Path("/proc/cpuinfo").open() as file:
            lines = sorted({line for line in file if line.startswith(wanted)})
    return "".join([platform.machine(), platform.processor(), *lines])


_SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"
