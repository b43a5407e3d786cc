"""Files and folders that are there whole or not at all, after a power cut too.

What is written goes beside its place under a hidden name, then to the disk, and only then takes the place. A reader, a
second process or the next start finds what was there before or all of what is new.
"""

import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What a file system says that has no such thing as writing a file out now.
_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EROFS, errno.EBADF)


@contextmanager
def whole(path: str | Path, mode: int = 0o666) -> Iterator[Path]:
    """A file to write beside a path, which takes its place once all is written; if it is not, nothing has changed.

    path   of the file; missing folders above it are made, and a link stays one: the file that it leads to is replaced
    mode   of the file, less the bits that the process masks; what stood there before gives its own in its place
    raises OSError where the folder cannot be written, before anything is; IsADirectoryError for a path that is a folder
    """
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    try:
        yield part
        if path.exists():
            part.chmod(path.stat().st_mode & 0o777)
        synced(part)
        part.replace(path)
        synced(path.parent)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(path: str | Path, content: str | bytes, mode: int = 0o666) -> Path:
    """Write a text (UTF-8) or bytes to a file by `whole`; returns the path."""
    with whole(path, mode) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(path)


@contextmanager
def whole_folder(path: str | Path, mode: int = 0o777) -> Iterator[Path]:
    """A new folder to fill beside a path, which takes its place, with all that was in it, once this ends without error.

    mode    of the folder, less the bits that the process masks
    raises  NotADirectoryError for a path that is a file; OSError where the folder around it cannot be written
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file, not a folder", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    part.mkdir(mode)
    try:
        yield part
        for held in [*part.rglob("*"), part]:
            if not held.is_symlink() and (held.is_file() or held.is_dir()):
                synced(held)
        _put(part, path)
        synced(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def synced(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk; where the file system knows no such thing, go on.

    raises   OSError for a disk that failed or is full
    """
    try:
        handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    except OSError:  # no folder can be opened on Windows; a file may be for others' eyes
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def _beside(path: Path) -> Path:
    """A hidden name that nobody can foresee; it does not end as the path does, so that no pattern takes it for one."""
    return path.parent / f".{path.name[:40]}.{secrets.token_hex(6)}"


def _put(part: Path, path: Path) -> None:
    """Rename a folder to a path; what was there is deleted after it, and put back where that cannot be done."""
    try:
        part.rename(path)  # nothing is there, or an empty folder
        return
    except OSError:
        if not path.is_dir():
            raise
    if _exchanged(part, path):  # what was there before is now the part
        return
    older = _beside(path)
    path.rename(older)
    try:
        part.rename(path)
    except OSError:
        older.rename(path)
        raise
    shutil.rmtree(older, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two names could be exchanged at one stroke: by Linux, on most of its file systems."""
    try:
        call = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return call(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0
