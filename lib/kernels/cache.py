"""Folders for compiled code that are this user's alone: what is loaded from them runs in this process.

Whoever can write to a folder, to one above it, or to a file in it decides what runs here. So each must be this user's
or the system's and closed to others; a folder for all, such as /tmp, may stand above if it keeps others from renaming.
"""

import atexit
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from lib.files import whole

NAME = "selective-scan"
SYSTEM = 0  # user number of root
MARK = b"\0sha256:"  # between a library and its digest; who loads a library reads no further than its own end
SIGNED = sys.platform == "darwin"  # there a library is signed as a whole, so that nothing may follow it

_fresh: list[Path] = []


def cache_folder() -> Path:
    """Where compiled code is kept: the user's cache, or a temporary folder where that is not this user's alone.

    raises   OSError where there is no such folder at all
    """
    for folder in folders():
        return folder
    raise PermissionError(f"no folder is this user's alone: not in the user's cache, nor in {', '.join(_temporary())}")


def folders(running: bool = False) -> Iterator[Path]:
    """All such folders: the user's cache, then in each place for temporary files one that lasts and one that does not.

    running   leave out those of file systems from which nothing can be run
    """
    number = os.geteuid() if hasattr(os, "geteuid") else "user"
    ways = [(base, partial(_made, name=NAME)) for base in _caches()]
    for base in _temporary():
        ways += [(base, partial(_made, name=f"{NAME}-{number}")), (base, _of_this_process)]
    for base, make in ways:
        with suppress(OSError):
            folder = make(Path(os.path.realpath(base)))
            if others(folder) is None and not (running and _bars_running(folder)):
                tempfile.TemporaryFile(dir=folder).close()
                yield folder


def others(folder: Path) -> str | None:
    """Who else could put something into a folder, in one line; None where nobody can.

    folder   as `os.path.realpath` gives it, but for its own name
    raises   OSError where it is not there
    """
    if not hasattr(os, "geteuid"):
        return None
    for part in (folder, *folder.parents):
        held = part.lstat()
        if not stat.S_ISDIR(held.st_mode):
            return f"{part} is no folder"
        if held.st_uid != os.geteuid() and (part == folder or held.st_uid != SYSTEM) and part != part.parent:
            return f"{part} belongs to user {held.st_uid}"
        if held.st_mode & 0o022 and (part == folder or not held.st_mode & stat.S_ISVTX):
            return f"{part} can be written by others"
    return None


def is_ours(path: Path) -> bool:
    """Whether a path is a file, no link, of this user, that nobody else can write."""
    try:
        held = path.lstat()
    except OSError:
        return False
    if not hasattr(os, "geteuid"):
        return stat.S_ISREG(held.st_mode)
    return stat.S_ISREG(held.st_mode) and held.st_uid == os.geteuid() and not held.st_mode & 0o022


def keep(path: Path, content: bytes) -> None:
    """Write content and its digest to a file of this user alone.

    raises   OSError where it cannot be written
    """
    path.unlink(missing_ok=True)  # whatever it was, its mode must not be the new one's
    with whole(path, mode=0o600) as part:
        part.write_bytes(content + MARK + hashlib.sha256(content).digest())


def kept(path: Path) -> bytes | None:
    """Content that `keep` wrote, or a library that `seal` closed; None where it is not there, damaged or not ours."""
    if not is_ours(path):
        return None
    try:
        held = path.read_bytes()
    except OSError:
        return None
    end = len(held) - len(MARK) - hashlib.sha256().digest_size
    whole_one = end >= 0 and held[end:] == MARK + hashlib.sha256(held[:end]).digest()
    return held[:end] if whole_one else None


def seal(path: Path) -> None:
    """Close a library that was just made: this user's alone, its digest behind it."""
    path.chmod(0o700)
    if not SIGNED:
        digest = hashlib.sha256(path.read_bytes()).digest()
        with path.open("ab") as file:
            file.write(MARK + digest)


def is_sealed(path: Path) -> bool:
    """Whether a library is this user's, and whole."""
    return is_ours(path) if SIGNED else kept(path) is not None


def _caches() -> list[str]:
    given = os.environ.get("XDG_CACHE_HOME", "")
    if Path(given).is_absolute():  # the convention: any other is to be ignored
        return [given]
    try:
        return [str(Path.home() / ".cache")]
    except RuntimeError:  # a user without a home
        return []


def _temporary() -> list[str]:
    try:
        chosen = tempfile.gettempdir()
    except OSError:
        return []
    return [*dict.fromkeys([chosen, *(folder for folder in ("/tmp", "/var/tmp") if Path(folder).is_dir())])]


def _made(base: Path, name: str) -> Path:
    missing = [part for part in (base, *base.parents) if not part.exists()]
    for part in reversed(missing):
        part.mkdir(0o700, exist_ok=True)
    (base / name).mkdir(0o700, exist_ok=True)
    return base / name


def _of_this_process(base: Path) -> Path:
    for folder in _fresh:
        if folder.parent == base and folder.exists():
            return folder
    folder = Path(tempfile.mkdtemp(prefix=f"{NAME}-", dir=base))
    _fresh.append(folder)
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not by a child that was forked
        shutil.rmtree(folder, ignore_errors=True)


def _bars_running(folder: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))
