"""A table of one multi-resolution form: costs and accuracy of the same models, a row per task."""

from collections.abc import Mapping

import pandas as pd
from IPython.display import Markdown

from lib.experiments.mrss_scan import FORWARD, LOW, TRAINING
from lib.report import accuracy, frames, prose
from lib.report.evidence import Evidence
from lib.report.tables import table
from lib.report.tables.mrss import BUDGETS
from lib.report.views.files import naming_files

NOT_TRAINED = "not trained at this size"


@naming_files
def low_rate(evidence: Evidence, tasks: pd.DataFrame, parameters: Mapping[str, int], caption: str) -> Markdown:
    """All blocks at the low rate: what the models cost at each task's size, and the accuracy that they came to.

    The last row is of a larger size, which was timed alone.

    tasks        of `lib.experiments.mrss_tasks.frame`
    parameters   of the blocks, by variant, of the models that were trained
    """
    rows = evidence.low_by_task.merge(tasks.drop(columns="kind"), on="task")
    large = {part: frames.only(found, form=LOW) for part, found in evidence.scan_in_the_middle.items()}
    forward, training = large[FORWARD], large[TRAINING]
    columns = {
        "task": [*rows["task"], f"larger, D = {forward['dim']}: {forward['parameters'] / 1e6:.2f} M parameters"],
        "tokens × batch": [
            *(f"{row.tokens} × {row.batch}" for row in rows.itertuples()),
            f"{forward['length']:,} × {forward['batch']}",
        ],
        "forward": [*(f"{row.forward:.2f}" for row in rows.itertuples()), f"{forward['latency_ratio']:.2f}"],
        "training step": [*(f"{row.training:.2f}" for row in rows.itertuples()), f"{training['latency_ratio']:.2f}"],
        "memory": [*(f"{row.memory:.2f}" for row in rows.itertuples()), f"{training['memory_ratio']:.2f}"],
        "equal": [*rows["budget"].map(BUDGETS), "–"],
        "training (baseline's) [s]": [
            *(f"{row.trained_seconds:.0f} ({row.baseline_seconds:.0f})" for row in rows.itertuples()),
            "–",
        ],
        "accuracy − baseline's [points]": [*(prose.points(row) for row in rows.itertuples()), "–"],
        "verdict": [*rows["verdict"], NOT_TRAINED],
    }
    own = parameters[rows["variant"].iloc[0]], parameters["baseline"]
    return table(
        columns,
        f"{caption}. {own[0]:,} parameters in the blocks of the models that were trained, {own[1]:,} in the "
        "baseline's. Relative to the baseline's: latency of a forward pass and of a training step, memory of that "
        f"step. {accuracy.explained(rows)}",
    )
