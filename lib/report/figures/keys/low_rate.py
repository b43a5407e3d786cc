"""Key picture on multi-resolution models: the headline's form on every task with an output at every token."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MultipleLocator

from lib.experiments.mrss_fair import STEPS, TIME
from lib.report import frames, units
from lib.report.evidence import Evidence
from lib.report.figures import BASELINE, bars
from lib.report.figures.keys.looks import OTHERS, OURS, legend
from lib.report.headlines import mrss

CAPTION = "Blocks at a lower temporal resolution, in the form that the text names, against a baseline of equal size."
LOOKS = {  # budget -> words, colour, marker's filling, place beside the task's line
    STEPS: ("equal steps", OTHERS, "none", 0.14),
    TIME: ("equal time", OURS, "full", -0.14),
}


def rows(evidence: Evidence) -> pd.DataFrame:
    """Change of the test loss of the headline's form, by task and budget, and its time of a forward pass."""
    every = evidence.fair_results
    form = mrss.closest(frames.where(every, task=mrss.LABEL))
    found = frames.where(every[every["relative"].notna()], variant=form)
    return found[["task", "variant", "budget", *mrss.RELATIVE, "forward"]]


def draw(ax: Axes, rows: pd.DataFrame) -> Axes:
    """Change of the loss with its interval, after equal steps hollow and in equal time filled, a line per task."""
    took = dict(reversed([*rows.groupby("task", sort=False)["forward"].first().items()]))
    places = [*took]
    ax.axvline(0, **BASELINE)
    for budget, (words, colour, filling, beside) in LOOKS.items():
        here = frames.where(rows, budget=budget)
        at = [places.index(task) + beside for task in here["task"]]
        style = {"marker": "o", "markersize": 7, "linestyle": "none", "capsize": 2, "fillstyle": filling}
        spread = 100 * bars(here, "relative")
        ax.errorbar(100 * here["relative"], at, xerr=spread, color=colour, label=words, **style)
    ax.set_yticks(range(len(took)), [f"{task}\n{units.times(time)} the time" for task, time in took.items()])
    ax.xaxis.set_major_locator(MultipleLocator(10))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: units.signed(value, 0) if value else "0"))
    ax.set_xlabel("change of the loss [%]")
    legend(ax, above=True)
    return ax


def said(rows: pd.DataFrame) -> str:
    """What is drawn, task by task."""
    found = []
    for task, group in rows.groupby("task", sort=False):
        by = [f"{units.signed_share(row.relative, 0)} at {LOOKS[row.budget][0]}" for row in group.itertuples()]
        found.append(f"{task}, in {units.times(group['forward'].iloc[0])} the time, {' and '.join(by)}")
    return f"Change of the loss against a baseline of equal size, with 95 % intervals: {'; '.join(found)}."
