"""Which files a view comes from, so that whatever goes wrong while it is made or read names them.

A frame is opened for each view and for each function that reads views. Files that are read are noted in all that are
open; where an exception leaves a frame, it takes their names along, once.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, TypeVar

import pandas as pd

from lib.records import RecordError
from lib.report.frames import Missing

MADE = TypeVar("MADE")
SHOWN = 8  # files that a message names


class Files:
    """Files by the view that read them, for views that are kept and read again."""

    def __init__(self) -> None:
        self._by_view: dict[str, dict[str, None]] = {}
        self._open: list[dict[str, None]] = []

    def note(self, *files: str) -> None:
        """Note files, `<machine>/<record>.json`, in whatever is being made or read."""
        for held in self._open[-1:]:
            for file in files:
                held.pop(file, None)  # the latest stands last
                held[file] = None

    @contextmanager
    def naming(self, view: str | None = None) -> Iterator[None]:
        """Name files in what goes wrong inside: Missing stays so, what is no error of a record becomes a RecordError.

        view   name of what is made; its files are known when it is read again
        """
        held = dict(self._by_view.get(view, {}))
        self._open.append(held)
        try:
            yield
        except (Missing, RecordError) as error:
            if isinstance(error, Missing) and held and error.files is None:
                error.files = _listed(held)
            raise
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            if not held:
                raise
            said = " ".join(str(error).split())[:300]
            raise RecordError(f"{_listed(held)}: {type(error).__name__}: {said}") from error
        finally:
            self._open.pop()
            if view is not None:
                self._by_view[view] = held
            self.note(*held)


def naming_files(function: Callable[..., MADE]) -> Callable[..., MADE]:
    """Let a function whose first argument is an Evidence name the files that it read in whatever goes wrong.

    raises   RecordError for what comes out with a number that is none; Missing as it is raised inside
    """

    @wraps(function)
    def named(evidence: Any, *given: Any, **options: Any) -> MADE:
        with evidence.files.naming():
            made = function(evidence, *given, **options)
            if is_dataclass(made) and (wrong := next(_no_numbers(made, ""), None)):
                raise Missing(f"no {wrong} comes of what is recorded")
            return made

    return named


def _no_numbers(value: Any, name: str) -> Iterator[str]:
    """Names of numbers inside a value that are not finite."""
    if is_dataclass(value):
        for one in fields(value):
            yield from _no_numbers(getattr(value, one.name), f"{name}.{one.name}".lstrip("."))
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _no_numbers(one, f"{name}.{key}")
    elif isinstance(value, list) or (isinstance(value, pd.Series) and value.dtype.kind == "f"):  # a column, not a row
        for number, one in enumerate(value):
            yield from _no_numbers(one, f"{name}.{number}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield name


def _listed(files: dict[str, None]) -> str:
    latest = list(files)[::-1]
    return ", ".join(latest[:SHOWN]) + (f" and {len(latest) - SHOWN} more" if len(latest) > SHOWN else "")
