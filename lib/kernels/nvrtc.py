"""Compile CUDA C++ at run time by NVRTC, which every CUDA build of torch brings along, and keep it in the user's cache.

No compiler has to be installed. A module is kept under a digest of its sources, options, architecture and of NVRTC's
version, with a digest of its own behind: a damaged file is made again. It is written beside its place and renamed
into it, so that any number of processes may start at once.
"""

import ctypes
import functools
import hashlib
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from lib.kernels import cache
from lib.kernels.build import HERE, BuildError

OLDEST = (7, 5)  # compute capability of a T4, the oldest that NVRTC of CUDA 13 compiles for
NOT_KEPT = "compiled kernels are not kept, each process compiles them anew"
LANGUAGE = "--std=c++17", "--device-as-default-execution-space"  # NVRTC 12 takes lambdas for the host's without it


def compiled(source: str, options: Sequence[str], capability: tuple[int, int]) -> bytes:
    """A module for one compute capability, from the cache where it is there.

    source      a file below this folder; what it includes is looked for beside it, then here
    options     of the compiler, such as -DNAME=1
    capability  (major, minor) of the device; newer than NVRTC knows, it gets the newest portable code
    raises      BuildError where there is no NVRTC or where it fails, in one line
    """
    texts = sources(source)
    nvrtc = library()
    arch = architecture(capability)
    key = hashlib.sha256(
        repr((sorted(texts.items()), LANGUAGE, tuple(options), arch, version(nvrtc))).encode()
    ).hexdigest()[:24]
    path = _place(f"{Path(source).stem}-{key}.cubin")
    if path is not None and (held := cache.kept(path)) is not None:
        return held
    image = build(texts, source, [f"--gpu-architecture={arch}", *options], ptx=arch.startswith("compute"))
    if path is not None:
        _keep(path, image)
    return image


def build(texts: dict[str, str], source: str, options: Sequence[str], ptx: bool = False) -> bytes:
    """Compile `source`, one of the texts; the others are what it may include.

    ptx     portable code, which the driver finishes, in place of machine code
    raises  BuildError with the first error of the compiler's log
    """
    image, _ = build_with_log(texts, source, options, ptx)
    return image


def build_with_log(texts: dict[str, str], source: str, options: Sequence[str], ptx: bool = False) -> tuple[bytes, str]:
    """The same with the compiler's log, in which `--ptxas-options=-v` writes registers, spills and shared memory."""
    nvrtc, program = library(), ctypes.c_void_p()
    headers = {name: text for name, text in texts.items() if name != source}
    names = (ctypes.c_char_p * len(headers))(*(name.rsplit("/")[-1].encode() for name in headers))
    bodies = (ctypes.c_char_p * len(headers))(*(text.encode() for text in headers.values()))
    code = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), texts[source].encode(), source.encode(), len(headers), bodies, names
    )
    if code:
        raise BuildError(f"NVRTC could not take {source}: error {code}")
    try:
        every = [*LANGUAGE, *options]
        given = (ctypes.c_char_p * len(every))(*(option.encode() for option in every))
        code = nvrtc.nvrtcCompileProgram(program, len(every), given)
        log = _get(nvrtc, "ProgramLog", program).rstrip(b"\0").decode(errors="replace")
        if code:
            first = next((line for line in log.splitlines() if "error" in line), f"error {code}")
            raise BuildError(f"NVRTC could not compile {source}: {first}")
        return _get(nvrtc, "PTX" if ptx else "CUBIN", program), log
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def sources(source: str) -> dict[str, str]:
    """The text of a source file below this folder, and of the headers beside it and here, by name."""
    path = HERE / source
    found = {source: path.read_text()}
    for folder in (HERE, path.parent):
        found |= {header.name: header.read_text() for header in sorted(folder.glob("*.cuh"))}
    return found


def unavailable() -> str | None:
    """Why there is no NVRTC, in one line, or None."""
    try:
        library()
    except BuildError as error:
        return str(error)
    return None


@functools.cache
def library() -> ctypes.CDLL:
    """NVRTC: torch's own where it has one, else the newest that is found.

    raises  BuildError naming where it was looked for
    """
    for name in _candidates():
        try:
            found = ctypes.CDLL(name)
        except OSError:  # not there, or for another machine
            continue
        if hasattr(found, "nvrtcGetCUBINSize"):
            return found
    raise BuildError("NVRTC, the CUDA compiler in a library, is not found: neither with torch nor in CUDA_HOME")


def version(nvrtc: ctypes.CDLL) -> tuple[int, int]:
    """Of CUDA, as (major, minor)."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


def architecture(capability: tuple[int, int]) -> str:
    """What to compile for: the device's machine code, or portable code where NVRTC is older than the device.

    raises  BuildError for a device that is older than NVRTC compiles for
    """
    known, wanted = supported(), capability[0] * 10 + capability[1]
    older = [one for one in known if one <= wanted]
    if capability < OLDEST or not older:
        needed = f"{OLDEST[0]}.{OLDEST[1]} or newer is needed, of those that NVRTC knows, {known}"
        raise BuildError(f"compute capability {capability[0]}.{capability[1]}: {needed}")
    if wanted in known:
        return f"sm_{wanted}"
    return f"compute_{older[-1]}"


def supported() -> list[int]:
    """The compute capabilities that NVRTC compiles for, such as 75 for 7.5, the oldest first."""
    nvrtc, count = library(), ctypes.c_int()
    nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    found = (ctypes.c_int * count.value)()
    nvrtc.nvrtcGetSupportedArchs(found)
    return sorted(found)


def _candidates() -> list[str]:
    """Files and names to try: CUDA's major version that torch was built with first, since the driver runs that one."""
    major = (torch.version.cuda or "").split(".")[0]
    own = Path(torch.__file__).parent
    places = [(own.parent / "nvidia", "*/lib/libnvrtc.so*"), (own.parent / "nvidia", "*/bin/nvrtc64_*.dll")]
    places += [(own / "lib", "libnvrtc*.so*"), (own / "lib", "nvrtc64_*.dll")]
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    places += [(Path(home) / "lib64", "libnvrtc.so*") for home in homes if home]
    found = [str(path) for folder, name in places for path in sorted(folder.glob(name), reverse=True)]
    found = [path for path in found if not any(part in Path(path).name for part in ("builtins", ".alt."))]
    found.sort(key=lambda path: (_major(path) == major, _major(path)), reverse=True)
    plain = [f"libnvrtc.so.{number}" for number in (major, "13", "12") if number]
    return [*found, *plain, "libnvrtc.so"] if sys.platform != "win32" else found


def _major(path: str) -> str:
    """CUDA's major version in a library's name, such as 12 in libnvrtc.so.12 and in nvrtc64_120_0.dll."""
    found = re.search(r"(?:\.so\.|nvrtc64_)(\d\d)", path)
    return found[1] if found else ""


def _get(nvrtc: ctypes.CDLL, what: str, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{what}")(program, text)
    return text.raw


def _place(name: str) -> Path | None:
    """Where a module is kept; None, said aloud, where no folder is this user's alone."""
    try:
        return cache.cache_folder() / name
    except OSError as error:
        warnings.warn(f"{NOT_KEPT}: {error}", stacklevel=2)
    return None


def _keep(path: Path, image: bytes) -> None:
    """Keep a module; where the folder cannot be written, say so, and go on without."""
    try:
        cache.keep(path, image)
    except OSError as error:
        warnings.warn(f"{NOT_KEPT}: {error}", stacklevel=2)
