"""Whether the hub has something: asked once, briefly, before a library tries for half a minute."""

from typing import Literal

from huggingface_hub import HfApi

PATIENCE = 10  # seconds for an answer


def why_not(name: str, kind: Literal["model", "dataset"]) -> str | None:
    """None where the hub has it; else what it said, in one line."""
    try:
        HfApi().repo_info(name, repo_type=kind, timeout=PATIENCE)
    except Exception as error:  # no network, no such name, no right to it: many types, one meaning
        return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return None
