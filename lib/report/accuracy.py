"""Accuracies over seeds: their means, and the differences to a baseline, with intervals.

A seed decides data, weights and batches alike, so a variant and the baseline are compared seed by seed.
"""

import numpy as np
import pandas as pd
from scipy import stats

from lib.experiments.mrss_training import POINT  # of accuracy: what a variant may lose
from lib.report.frames import Missing, Values


def training_minutes(rows: pd.DataFrame) -> float:
    """What all trainings took, each on one thread, from cases of experiments that train.

    raises   Missing, naming it, for a variant of which no training was timed
    """
    timed = rows.groupby(["experiment", "variant"], sort=False)["runs"].agg(lambda found: sum(map(len, found)))
    if (timed == 0).any():
        raise Missing(f"{' '.join(timed.index[timed == 0][0])}: no training has its seconds")
    return sum(runs.sum() for runs in rows["runs"]) / 60


def interval(values: Values, confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean, and Student's interval of it, low and high.

    raises  Missing for fewer than two values
    """
    if len(values) < 2:
        raise Missing(f"{len(values)} values: an interval needs at least 2")
    mean, error = np.mean(values), stats.sem(values)
    margin = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * error
    return float(mean), float(mean - margin), float(mean + margin)


def compared(
    frame: pd.DataFrame, baseline: str = "baseline", kinds: tuple[str, ...] = ("variant", "budget")
) -> pd.DataFrame:
    """Accuracy per machine, task and kind, and its difference to the baseline's, each with its interval.

    frame    a row per case and seed: machine, task, variant, kinds, seed, accuracy; the baseline is of one kind, which
             counts for all
    kinds    columns that make a kind
    returns  machine, task, kinds, seeds; accuracy, difference, each with _low and _high, as shares
    raises   Missing, naming the task, where the baseline lacks a seed that a variant has
    """
    rows = []
    for (machine, task), group in frame.groupby(["machine", "task"], sort=False):
        base = group[group["variant"] == baseline].set_index("seed")["accuracy"]
        for kind, cases in group.groupby(list(kinds), sort=False):
            if missing := sorted(set(cases["seed"]) - set(base.index)):
                raise Missing(f"{task}: {cases['variant'].iloc[0]} has seed {missing[0]}, {baseline} has not")
            found = cases["accuracy"].to_numpy()
            row = {"machine": machine, "task": task, **dict(zip(kinds, kind, strict=True)), "seeds": len(cases)}
            for name, values in (("accuracy", found), ("difference", found - base.loc[cases["seed"]].to_numpy())):
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), interval(values), strict=True))
            rows.append(row)
    return pd.DataFrame(rows)


def judged(frame: pd.DataFrame, point: float = POINT) -> pd.DataFrame:
    """Add `verdict`: is a variant at most a point below the baseline? By mean, and by the whole interval.

    frame  of `compared`
    point  what may be lost, as a share
    """
    words = [
        "kept" if row.difference_low >= -point
        else "lost" if row.difference_high < -point
        else "kept on average" if row.difference >= -point
        else "lost on average"
        for row in frame.itertuples()
    ]  # fmt: skip
    return frame.assign(verdict=words)


def fastest(frame: pd.DataFrame) -> pd.DataFrame:
    """Per machine and task, the fastest variant that lost at most a point on average, or the baseline.

    frame  of `judged`, one budget, with latency_ratio; it holds the baseline, at 1
    """
    kept = frame[frame["verdict"].str.startswith("kept")].reset_index(drop=True)
    return kept.loc[kept.groupby(["machine", "task"], sort=False)["latency_ratio"].idxmin()]
