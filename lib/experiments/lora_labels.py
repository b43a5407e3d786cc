"""What small CLIPs learn of labels that they do not know: by full fine-tuning, by adapters, by bottlenecks.

Scenes: objects in four new colours. CIFAR-10: half of the images are turned by 180 degrees, and the caption says so.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lib.experiments import command, lora_cases
from lib.experiments.lora_cases import BOTTLENECK, PARTS, TASKS, Settings, frame, last_losses, outcomes
from lib.experiments.lora_training import EVERYWHERE, FULL, PROJECTIONS, USUAL
from lib.paths import SWEEPS
from lib.records import Record

__all__ = ["PARTS", "TASKS", "Settings", "frame", "last_losses", "outcomes", "run"]

NAME = "lora_labels_{task}"
CHAPTER = "lora"
GOAL = "labels"
RANKS = (1, 2, 4, 8, 16, 32)
LONGER = 4  # times the steps of the others
LIKE, SVD = "projections, rank 8", f"{USUAL}, SVD start"
FULL_LONGER, USUAL_LONGER = (f"{name}, {LONGER} × steps" for name in (FULL, USUAL))
LADDER = {f"{EVERYWHERE}, rank {rank}": rank for rank in RANKS}
PLACED = {  # variants that differ in where the adapters are, or in how they start
    "image tower, rank 2": {"place": "image tower"},
    "text tower, rank 2": {"place": "text tower"},
    "queries, values, rank 8": {"place": "queries, values", "rank": 8},
    "queries, values, projections, rank 8": {"place": "queries, values, projections", "rank": 8},
    LIKE: {"place": PROJECTIONS, "rank": 8},
    SVD: {"init": "svd"},
}
VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        FULL: {"way": "full"},
        **{name: {"rank": rank} for name, rank in LADDER.items()},
        **PLACED,
        BOTTLENECK: {"way": "bottleneck", "place": PROJECTIONS, "rank": 8},
        FULL_LONGER: {"way": "full", "longer": LONGER},
        USUAL_LONGER: {"longer": LONGER},
    }
)


def run(settings: Settings, folder: Path = SWEEPS) -> Record:
    """Train every variant on one task's new labels, see `lib.experiments.lora_cases.run`."""
    return lora_cases.run(NAME.format(task=settings.task), GOAL, VARIANTS, settings, folder)


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, outcomes)


if __name__ == "__main__":
    main()
