"""The Hugging Face hub: whether it has a name, loading without progress bars, folders written as a whole.

A library tries for half a minute before it says that there is no network; `why_not` knows in seconds.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi
from transformers.utils import logging

PATIENCE = 10  # seconds for an answer


def why_not(name: str, kind: Literal["model", "dataset"]) -> str | None:
    """The hub's reason for not having a model or a data set, in one line; None where it has it."""
    try:
        HfApi().repo_info(name, repo_type=kind, timeout=PATIENCE)
    except Exception as error:  # no network, no such name, no right to it: many types, one meaning
        return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return None


@contextmanager
def no_bars() -> Iterator[None]:
    """A context without progress bars of transformers, which every chapter would show for weights of a moment."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def quiet() -> Iterator[None]:
    """A context without progress bars and warnings of transformers, for what is looked through by a check of ours."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with no_bars():
            yield
    finally:
        logging.set_verbosity(before)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A context with a new folder to write into, which replaces the target once all is written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield part
        part.chmod(0o755)
        older = part.with_suffix(".older")
        if target.exists():
            target.replace(older)
        part.replace(target)
        shutil.rmtree(older, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)
