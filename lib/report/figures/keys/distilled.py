"""Key picture on kernel distillation: accuracy over the number of states, on the digits."""

import pandas as pd
from matplotlib.axes import Axes

from lib.experiments.distill_training import CONTROL, DATA, LABELS, ORIGINAL
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, MARKERS, bars
from lib.report.figures.keys.looks import COLOURS, as_sizes, legend

CAPTION = "Fewer states in a trained model, beside one that is small from the start, on digits."
TASK = "digits"
LINES = {  # method, and whether it was fine-tuned -> as the picture has it
    ("balanced_refit", True): "fewer states, fine-tuned",
    (CONTROL, False): "small from the start",
    ("truncated_svd", True): "low rank, fine-tuned",
}
DEEPEST = -20  # points that are shown: a very low rank is below


def rows(evidence: Evidence) -> pd.DataFrame:
    """Accuracy minus the original's by states, or rank, and line; `whole`, the original's number of states."""
    every = frames.where(evidence.student_quality, task=DATA[TASK])
    found = [
        frames.where(every, variant=LABELS[method], healed=fine_tuned).assign(line=line)
        for (method, fine_tuned), line in LINES.items()
    ]
    return pd.concat(found).assign(whole=int(frames.only(every, variant=ORIGINAL)["order"]))


def draw(ax: Axes, rows: pd.DataFrame) -> Axes:
    """Points of accuracy against the original over states, with intervals, a line per way."""
    ax.axhline(0, **BASELINE)
    for number, (line, group) in enumerate(rows.groupby("line", sort=False)):
        group = group.sort_values("order")
        style = {"marker": MARKERS[number], "color": COLOURS[number], "capsize": 2, "label": line}
        ax.errorbar(group["order"], 100 * group["difference"], yerr=100 * bars(group, "difference"), **style)
    as_sizes(ax, sorted(rows["order"].unique()))
    ax.set(ylim=(DEEPEST, None), ylabel="points against the original")
    ax.set_xlabel(f"states, or rank; the original has {rows['whole'].iloc[0]}")
    legend(ax)
    return ax


def said(rows: pd.DataFrame) -> str:
    """What is drawn, line by line."""
    found = []
    for line, group in rows.groupby("line", sort=False):
        by = [f"{units.signed(100 * row.difference)} at {row.order}" for row in group.sort_values("order").itertuples()]
        found.append(f"{line} {', '.join(by)}")
    return f"Points of accuracy on digits against the original's, by states or rank: {'; '.join(found)}."
