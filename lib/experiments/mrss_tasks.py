"""What the sequence tasks are: their sizes, and what the nearest neighbour answers. Computed in seconds; no record."""

from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd
import torch

from lib.experiments.mrss_runs import LABELS, SIZES, TASKS, plan_of
from lib.models.checks import check_counts
from lib.models.mrss import variants as mrss
from lib.tasks.data.sequences import TASKS as DATA
from lib.tasks.references.nearest_neighbour import nearest_neighbour


def frame(seeds: Iterable[int]) -> pd.DataFrame:
    """One row per task: its label as `task`, kind, tokens, batch of a training step, tested, nearest.

    `tested` is the number of sequences in the test. `nearest` is the accuracy of `nearest_neighbour`, averaged over the
    seeds' splits; NaN where no sequence is seen twice, so that there is no neighbour to look for.
    raises   ValueError without a seed
    """
    seeds, rows = list(seeds), []
    check_counts("seeds", seeds, 0)
    for name in TASKS:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        made = [DATA[name](generator) for generator in generators]
        pairs = zip(made, generators, strict=True)
        near = [nearest_neighbour(task, generator).accuracy for task, generator in pairs if not task.endless]
        rows.append(
            {
                "task": LABELS[name],
                "kind": made[0].kind,
                "tokens": made[0].length,
                "batch": plan_of(name).batch,
                "tested": len(made[0].test[0]),
                "nearest": np.mean(near) if near else np.nan,
            }
        )
    return pd.DataFrame(rows)


@cache  # a search that makes every mixer some twenty times
def parameters(factor: int) -> dict[str, int]:
    """Number of parameters of the blocks of each variant that is trained at a factor, by its name in records."""
    return {name: mrss.parameters(config) for name, config in mrss.family(SIZES, factor).items()}
