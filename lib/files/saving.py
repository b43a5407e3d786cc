"""What was measured is not lost: a folder is tried before, and what it does not take afterwards is kept elsewhere."""

import errno
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from lib.files import synced

ENOUGH = 2**20  # bytes that are written to see that there is room: ten times the largest record


def try_folder(folder: Path) -> None:
    """See that files can be written to a folder, or, where it is not there yet, that it can be made; leave nothing.

    raises   OSError, naming the folder, where they cannot be, or where the disk is full
    """
    place = folder.absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    part = place / f".tried.{secrets.token_hex(6)}"
    try:
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with part.open("xb") as file:
            file.write(os.urandom(ENOUGH))  # nothing that a file system could make smaller
        synced(part)
    except OSError as error:
        why = error.strerror or str(error)
        refusal = type(error)(f"{folder}: nothing can be written there ({why})")
        refusal.strerror = why
        raise refusal from None
    finally:
        with suppress(OSError):  # a file stands where the folder should be
            part.unlink(missing_ok=True)


def save_elsewhere(name: str, content: str | bytes) -> str:
    """Write what its own place does not take to a new private folder; returns words that say where it is.

    name   of the file
    """
    for parent in (tempfile.gettempdir(), Path.home(), Path.cwd()):
        try:
            path = Path(tempfile.mkdtemp(prefix="measured-", dir=parent)) / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            synced(path)
        except OSError:
            continue
        return f"what was measured is in {path}"
    return "what was measured could not be kept anywhere"
