"""Frames of token reduction: what it costs itself, what accuracy it retains, and who wins on which images.

Frames of outcomes are of `lib.experiments.clip_accuracy.frame`, a row per case and checkpoint.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from lib.experiments import clip_cost
from lib.experiments.clip_variants import ADAPTIVE, CLASS_ATTENTION, SLICED, UNREDUCED
from lib.report.accuracy import interval
from lib.report.frames import ratios


def overheads(frame: pd.DataFrame) -> pd.DataFrame:
    """Reduced towers, with what the reduction itself costs and how far latency lies above operations.

    frame    cases with ratios to the unreduced tower: reduced ones, and for each one named
             "<variant>, sliced", which takes as many tokens, always the first ones
    returns  the reduced ones with `overhead`, median over rounds, relative to the unreduced tower's latency; and
             `excess`, latency ratio relative to the ratio of operations, minus one
    """
    rows = []
    for _, group in frame.groupby("machine", sort=False):
        runs = group.set_index("variant")["runs"]
        for row in group.to_dict("records"):
            sliced = f"{row['variant']}{SLICED}"
            if len(row["runs"]) and len(runs.get(sliced, ())):  # a case that failed has no runs
                overhead = float(np.median((row["runs"] - runs[sliced]) / runs[UNREDUCED]))
                rows.append(row | {"overhead": overhead, "excess": row["latency_ratio"] / row["flops_ratio"] - 1})
    return pd.DataFrame(rows)


def summary(frame: pd.DataFrame, columns: Sequence[str] = ("retained", "agreement", "cosine")) -> pd.DataFrame:
    """Mean over checkpoints of each setting, with Student's interval: `_low` and `_high`."""
    rows = []
    keys = ["machine", "task", "variant", "keep", "target"]
    for key, group in frame.groupby(keys, sort=False, dropna=False):
        row = {**dict(zip(keys, key, strict=True)), "ratio": group["ratio"].mean(), "seeds": len(group)}
        for column in columns:
            row |= dict(zip((column, f"{column}_low", f"{column}_high"), interval(group[column]), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def duels(frame: pd.DataFrame, variant: str, other: str) -> pd.DataFrame:
    """Images that one variant alone answers rightly, and that the other one alone does, per task and target.

    The images of all checkpoints count together. `p` is the exact two-sided probability of so unequal a split of the
    images on which they differ (McNemar).
    """
    rows = []
    for (machine, task, target), group in frame.dropna(subset="target").groupby(
        ["machine", "task", "target"], sort=False
    ):
        sides = [group[group["variant"] == name].sort_values("seed") for name in (variant, other)]
        if sides[0].empty or sides[1].empty:
            continue
        ours, theirs = (np.concatenate(list(side["hits"])) for side in sides)
        won, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        p = stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
        row = {"machine": machine, "task": task, "target": target, "won": won, "lost": lost, "p": p}
        gained = sides[0]["retained"].mean() - sides[1]["retained"].mean()
        rows.append(row | {"gained": gained, "images": len(ours), "ours": sides[0]["retained"].mean()})
    return pd.DataFrame(rows)


def worse_guides(frame: pd.DataFrame, most: float) -> tuple[list[str], list[str]]:
    """Tasks on which a score does worse than chance at every share of patches up to one: surely, and only on average.

    frame   of `lib.report.accuracy.compared` to "random", one score, with `task` and `keep`
    most    share of patches
    """
    surely, on_average = [], []
    for task, rows in frame[frame["keep"] <= most].groupby("task", sort=False):
        if (rows["difference_high"] < 0).all():
            surely.append(task)
        elif (rows["difference"] < 0).all():
            on_average.append(task)
    return surely, on_average


def over_fixed(frame: pd.DataFrame, variant: str = ADAPTIVE, fixed: str = CLASS_ATTENTION) -> pd.DataFrame:
    """A variant's rows with `gained`: the accuracy that it retains minus a fixed one's at equal operations.

    frame   of `summary`; between settings of the fixed one a straight line is drawn, and rows beyond them are left out
    """
    found = []
    for _, rows in frame.groupby(["machine", "task"], sort=False):
        line = rows[rows["variant"] == fixed].sort_values("ratio")
        own = rows[rows["variant"] == variant]
        own = own[own["ratio"].between(line["ratio"].min(), line["ratio"].max())]
        found.append(own.assign(gained=own["retained"] - np.interp(own["ratio"], line["ratio"], line["retained"])))
    return pd.concat(found)


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """Cases of one run at the size of a large model, one table: ratios to the unreduced tower, images' sizes in words.

    frame   of `lib.experiments.clip_cost.frame`
    """
    parts = {part: rows for part, rows in frame.groupby("part", sort=False) if part != clip_cost.SMALL}
    found = [ratios(rows, UNREDUCED, ("machine", "batch", "side")) for rows in parts.values()]
    rows = pd.concat(found)
    rows = rows[~rows["variant"].str.endswith(SLICED)]
    other = rows["part"] == clip_cost.RESOLUTION
    named = [f"{row.variant}, {row.side:.0f} pixels" for row in rows[other].itertuples()]
    rows.loc[other, "variant"] = named
    again = (rows["variant"] == UNREDUCED) & (rows["part"] == clip_cost.METHODS)
    return rows[~again]
