"""What adapters recover of the accuracy that small CLIPs lose with fewer visual tokens.

A control learns with all tokens: what more training does alone. Of the first seed the adapters are kept.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lib.experiments import command, lora_cases
from lib.experiments.lora_cases import PARTS, TASKS, Settings, frame, outcomes
from lib.paths import SWEEPS
from lib.records import Record

__all__ = ["PARTS", "TASKS", "Settings", "frame", "outcomes", "run"]

NAME = "lora_tokens_{task}"
CHAPTER = "lora"
GOAL = "tokens"
CONTROL = "all tokens"
METHODS = ("norm", "class_attention", "merge_in_rounds")
HALF, LESS = 0.5, 0.3
KEEPS = (HALF, LESS)


def variant(method: str, keep: float) -> str:
    """Label of a reduction at a share of tokens."""
    return f"{method}, {keep}"


VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {CONTROL: {}} | {variant(method, keep): {"method": method, "keep": keep} for method in METHODS for keep in KEEPS}
)


def run(settings: Settings, folder: Path = SWEEPS) -> Record:
    """Train every variant on one task with its tokens, see `lib.experiments.lora_cases.run`."""
    return lora_cases.run(NAME.format(task=settings.task), GOAL, VARIANTS, settings, folder)


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, outcomes)


if __name__ == "__main__":
    main()
