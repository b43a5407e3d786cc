"""Frames of token reduction: what it costs itself, what accuracy it retains, and who wins on which images.

Frames of outcomes are of `lib.experiments.clip_accuracy.frame`, a row per case and checkpoint.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from lib.experiments import clip_cost
from lib.experiments.clip_variants import ADAPTIVE, CLASS_ATTENTION, SLICED, UNREDUCED
from lib.report.accuracy import of_images
from lib.report.frames import Missing, ratios
from lib.report.statistics import clustered_t, holm


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
    """Mean over checkpoints of each setting, with its interval: `_low`, `_high`, and `_how`, words on the statistic.

    What the answers to single images decide, `retained`, is resampled over images and checkpoints; of the others each
    checkpoint has one number, and they have t over checkpoints. `how` is the first column's.

    raises   Missing, naming the task, where a checkpoint has no unreduced model
    """
    rows = []
    keys = ["machine", "task", "variant", "keep", "target"]
    whole = {key: group.set_index("seed", drop=False) for key, group in _unreduced(frame)}
    for key, group in frame.groupby(keys, sort=False, dropna=False):
        row = {**dict(zip(keys, key, strict=True)), "ratio": group["ratio"].mean(), "seeds": len(group)}
        for column in columns:
            if column == "retained":
                found = of_images(np.divide, group[column], group, _beside(group, whole.get(key[:2])))
            else:
                found = clustered_t(group[column], list(group["seed"]))
            row |= {column: found.mean, f"{column}_low": found.low, f"{column}_high": found.high}
            row |= {"how": row.get("how", found.how), f"{column}_how": found.how}
        rows.append(row)
    return pd.DataFrame(rows)


def duels(frame: pd.DataFrame, variant: str, other: str) -> pd.DataFrame:
    """Images on which more checkpoints answer rightly with one variant than with the other, per task and target.

    An image counts once, whatever the number of checkpoints that answer it. `p` is the exact two-sided probability of
    so unequal a split of `won` and `lost` images; `p_holm` is adjusted for the targets of the task, which are one
    decision on the two. `gained` is what the variant retains more, with its interval over images and checkpoints.
    """
    found = []
    whole = {key: group.set_index("seed", drop=False) for key, group in _unreduced(frame)}
    for (machine, task), rows in frame.dropna(subset="target").groupby(["machine", "task"], sort=False):
        made = []
        for target, group in rows.groupby("target", sort=False):
            sides = [group[group["variant"] == name].sort_values("seed") for name in (variant, other)]
            if sides[0].empty or sides[1].empty:
                continue
            ours, theirs = (np.stack(list(side["hits"])).astype(int).sum(axis=0) for side in sides)
            won, lost = int((ours > theirs).sum()), int((ours < theirs).sum())
            p = stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
            retained = [side["retained"].to_numpy() for side in sides]
            gained = of_images(
                _gained, retained[0] - retained[1], *sides, _beside(sides[0], whole.get((machine, task)))
            )
            row = {"machine": machine, "task": task, "target": target, "won": won, "lost": lost, "p": p}
            row |= {"gained": gained.mean, "gained_low": gained.low, "gained_high": gained.high, "how": gained.how}
            made.append(row | {"images": len(ours), "ours": retained[0].mean()})
        adjusted = holm([row["p"] for row in made])
        found += [row | {"p_holm": p} for row, p in zip(made, adjusted, strict=True)]
    return pd.DataFrame(found)


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


def _unreduced(frame: pd.DataFrame) -> Iterable[tuple[tuple[str, str], pd.DataFrame]]:
    return frame[frame["variant"] == UNREDUCED].groupby(["machine", "task"], sort=False)


def _beside(rows: pd.DataFrame, whole: pd.DataFrame | None) -> pd.DataFrame:
    """The unreduced model's rows of the same checkpoints, in the same order."""
    if whole is None or (lacking := set(rows["seed"]) - set(whole.index)):
        seeds = sorted(rows["seed"]) if whole is None else sorted(lacking)
        raise Missing(f"{rows['task'].iloc[0]}: of checkpoint {seeds[0]} the unreduced model is not recorded")
    return whole.loc[rows["seed"]]


def _gained(ours: np.ndarray, theirs: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return (ours - theirs) / whole
