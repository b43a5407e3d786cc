"""JSON from files: each name once, whole letters, nothing that breaks off."""

import json
from pathlib import Path
from typing import Any


class UnreadableError(ValueError):
    """Not JSON, or not readable at all; one line that names the file."""


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    raises   UnreadableError, naming the file, for one that is broken, binary, no file, or not for us to read, and for
             a link that leads nowhere; FileNotFoundError where there is nothing
    """
    try:
        if path.exists() and not path.is_file():
            raise UnreadableError(f"{path}: no file")  # a folder, or a pipe that nobody may ever write to
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise UnreadableError(f"{path}: a link to a file that is not there") from None
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from None
    except OSError as error:
        raise UnreadableError(f"{path}: not readable ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path}: not readable as JSON ({error.reason}); the file may be damaged") from None
    return parse_json(text, path)


def parse_json(text: str, path: Path) -> Any:
    """What a text holds that is, or would be, a JSON file's.

    raises   UnreadableError, naming the file
    """
    try:
        content = json.loads(text, object_pairs_hook=_once)
        if "\\ud" in text.lower():
            json.dumps(content, ensure_ascii=False).encode()  # half a letter cannot be written
        return content
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{path}: not readable as JSON ({error}); the file may be truncated") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return held
