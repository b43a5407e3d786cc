"""The hub, in short: whether it has something, asked before a library tries for half a minute; loading without bars;
folders in its layout."""

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
    """None where the hub has it; else what it said, in one line."""
    try:
        HfApi().repo_info(name, repo_type=kind, timeout=PATIENCE)
    except Exception as error:  # no network, no such name, no right to it: many types, one meaning
        return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return None


@contextmanager
def no_bars() -> Iterator[None]:
    """No progress bars of transformers: small weights come and go in a moment, and every chapter would show it."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder to write into, which takes the target's place, and an older one's, once all is written."""
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
