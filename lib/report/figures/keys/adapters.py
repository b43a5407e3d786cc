"""Key picture on low-rank adaptation: accuracy on new labels over the optimiser's memory, on photographs."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from lib.experiments.lora_cases import BOTTLENECK
from lib.experiments.lora_labels import LADDER
from lib.experiments.lora_training import FULL
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.figures import bars
from lib.report.figures.keys.looks import COLOURS, LETTERS, as_percent, as_times, legend

CAPTION = "What learns of a small CLIP, and what it comes to on new labels of CIFAR-10, after equal steps."
TASK = "cifar10"
RANKS = "LoRA, by rank"
LINES = {FULL: FULL, BOTTLENECK: "the original's bottleneck"}  # variant -> as the picture has it; others are RANKS
STYLES = {RANKS: "o-", FULL: "s", LINES[BOTTLENECK]: "D"}


def rows(evidence: Evidence) -> pd.DataFrame:
    """Accuracy, the optimiser's memory relative to full fine-tuning's, and line, the least memory first."""
    every = frames.where(evidence.adapted_means, task=TASK)
    found = every[every["variant"].isin([FULL, *LADDER, BOTTLENECK])]
    memory = found["optimiser_bytes"] / frames.only(found, variant=FULL)["optimiser_bytes"]
    lines = [LINES.get(name, RANKS) for name in found["variant"]]
    return found.assign(memory=memory, line=lines).sort_values("memory")


def draw(ax: Axes, rows: pd.DataFrame) -> Axes:
    """Accuracy with its interval over memory on a log axis; ranks as a line, each with its number."""
    for number, (line, style) in enumerate(STYLES.items()):
        here = frames.where(rows, line=line)
        spread = bars(here, "accuracy")
        ax.errorbar(here["memory"], here["accuracy"], spread, fmt=style, capsize=2, color=COLOURS[number], label=line)
    for row in frames.where(rows, line=RANKS).itertuples():
        at = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "fontsize": LETTERS}
        ax.annotate(f"{row.rank}", (row.memory, row.accuracy_high), **at)
    ax.set_xscale("log")
    as_times(ax.xaxis)
    ax.yaxis.set_major_locator(MultipleLocator(0.02))
    as_percent(ax.yaxis)
    ax.margins(y=0.1)
    ax.set(xlabel="optimiser's memory / full fine-tuning's", ylabel="accuracy on new labels")
    legend(ax, above=True)
    return ax


def said(rows: pd.DataFrame) -> str:
    """What is drawn, the least memory first."""
    names = [f"rank {row.rank}" if row.line == RANKS else row.line for row in rows.itertuples()]
    found = [
        f"{name} {units.share(row.accuracy)} at {units.times(row.memory)}"
        for name, row in zip(names, rows.itertuples(), strict=True)
    ]
    return f"Accuracy on new labels over the optimiser's memory, with intervals: {'; '.join(found)}."
