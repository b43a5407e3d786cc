"""Accuracies of seeds or checkpoints: their means, and the differences to a baseline, with intervals that fit the data.

A seed decides data, weights and batches alike, so a variant and the baseline are compared seed by seed. What may be
concluded depends on what seeds share; `compared` says which interval is taken for what.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from lib import names
from lib.experiments.mrss_training import POINT  # of accuracy: what a variant may lose
from lib.report import statistics, units
from lib.report.frames import Missing
from lib.report.statistics import Interval

TAIL = 0.025  # of each side of a 95 % interval: a p-value below it, adjusted, decides
UNDECIDED = "undecided"
_FAMILY = ("machine", "variant", "budget", "order", "healed", "keep")  # what makes a variant, beside its task


def training_minutes(rows: pd.DataFrame) -> float:
    """What all trainings took, each on one thread, from cases of experiments that train.

    raises   Missing, naming it, for a variant of which no training was timed
    """
    timed = rows.groupby(["experiment", "variant"], sort=False)["runs"].agg(lambda found: sum(map(len, found)))
    if (timed == 0).any():
        raise Missing(f"{' '.join(timed.index[timed == 0][0])}: no training has its seconds")
    return sum(runs.sum() for runs in rows["runs"]) / 60


def fitting(rows: pd.DataFrame) -> Callable[[Any], Interval]:
    """The interval that fits values of these trainings, one each, of one task.

    rows   with `checkpoint`, several of which may have started from the same: t over checkpoints. With a task whose
           seeds split one collection anew: corrected resampled t. Else, data being drawn anew: paired t over seeds
    """
    if "checkpoint" in rows:
        return lambda values: statistics.clustered_t(values, list(rows["checkpoint"]))
    split = known(rows["task"].iloc[0]).split
    return statistics.paired_t if split is None else lambda values: statistics.corrected_t(values, *split)


def of_images(statistic: Callable[..., np.ndarray], mean: Any, *sides: pd.DataFrame) -> Interval:
    """Interval of the mean over checkpoints of a statistic of accuracies on the same images.

    By bootstrap over images and checkpoints, and no narrower than t over checkpoints where there are several.

    statistic   of an array of accuracies for each side, element by element
    mean        the statistic of each checkpoint, as recorded. It is more than the answers say where a variant's
                accuracy is a mean of several drawings, of which the answers of one are kept
    sides       rows with `hits`, a row per checkpoint, in the same order
    """
    hits = np.stack([np.stack(list(side["hits"])) for side in sides], axis=2)
    draws = statistics.resampled(hits, generator_seed=statistics.SEED)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = statistic(*np.moveaxis(draws, 2, 0)).mean(axis=1)
        answered = float(statistic(*hits.mean(axis=1).T).mean())
    bounds = statistics.percentiles(np.where(np.isfinite(found), found, np.nan))
    how = statistics.IMAGES if len(hits) == 1 else statistics.BOOTSTRAP
    images = Interval(answered, *map(float, bounds), how).moved(float(np.mean(mean)))
    return images if len(hits) == 1 else statistics.wider(images, statistics.clustered_t(mean, range(len(hits))))


def compared(
    frame: pd.DataFrame, baseline: str = "baseline", kinds: tuple[str, ...] = ("variant", "budget")
) -> pd.DataFrame:
    """Accuracy per machine, task and kind, and its difference to the baseline's, each with the interval that fits.

    Where answers to the same images are known, see `of_images`; else see `fitting`. On a task that a seed solves or
    does not, no interval of a mean fits: there the difference is of the shares of seeds that solve it.

    frame    a row per case and seed: machine, task, variant, kinds, seed, accuracy; `hits` or `checkpoint` where there
             are; the baseline is of one kind, which counts for all
    kinds    columns that make a kind
    returns  machine, task, kinds, seeds; accuracy, difference, each with _low and _high, as shares; `how`, words of
             `statistics.HOW`; `degrees` of freedom; on a task that is solved or not, `solved` of so many (`of`) seeds,
             with _low and _high as shares, and `solved_by_baseline`
    raises   Missing, naming the task, where the baseline lacks a seed that a variant has; ValueError where it has one
             twice
    """
    rows = []
    for (machine, task), group in frame.groupby(["machine", "task"], sort=False):
        base = group[group["variant"] == baseline].set_index("seed", drop=False)
        if base.index.has_duplicates:
            raise ValueError(f"{task}: {baseline} has a seed twice among {list(base.index)}")
        for kind, cases in group.groupby(list(kinds), sort=False):
            if missing := sorted(set(cases["seed"]) - set(base.index)):
                raise Missing(f"{task}: {cases['variant'].iloc[0]} has seed {missing[0]}, {baseline} has not")
            row = {"machine": machine, "task": task, **dict(zip(kinds, kind, strict=True)), "seeds": len(cases)}
            rows.append(row | _intervals(cases, base.loc[cases["seed"]]))
    return pd.DataFrame(rows)


def judged(frame: pd.DataFrame, point: float = POINT, family: Iterable[str] = _FAMILY) -> pd.DataFrame:
    """Add `verdict`: is a variant at most a point below the baseline?

    "kept" and "lost" by a one-sided test, "kept on average" and "lost on average" where it is not sure. What is said of
    a variant is one decision from a test on each task: its p-values are adjusted for the tasks by Holm's method. On a
    task that a seed solves or does not: "kept" where no fewer seeds solve it than with the baseline, "lost" where it
    is fewer by Fisher's exact test, adjusted alike, else "undecided".

    frame   of `compared`
    point   what may be lost, as a share
    family  columns that the tests of one decision have in common, where the frame has them
    raises  Missing for a frame without rows
    """
    if frame.empty:
        raise Missing("there is no comparison to judge")
    keys = [column for column in family if column in frame]
    groups = frame.groupby(keys, sort=False, dropna=False).indices.values() if keys else [range(len(frame))]
    words = [""] * len(frame)
    for places in groups:
        rows = [frame.iloc[place] for place in places]
        above, below = zip(*(_tests(row, point) for row in rows), strict=True)
        for place, row, kept, lost in zip(
            places, rows, statistics.holm(list(above)), statistics.holm(list(below)), strict=True
        ):
            words[place] = _word(row, kept <= TAIL, lost <= TAIL, point)
    return frame.assign(verdict=words)


def fastest(frame: pd.DataFrame) -> pd.DataFrame:
    """Per machine and task, the fastest variant that lost at most a point on average, or the baseline.

    frame  of `judged`, one budget, with latency_ratio; it holds the baseline, at 1
    """
    kept = frame[frame["verdict"].str.startswith("kept")].reset_index(drop=True)
    return kept.loc[kept.groupby(["machine", "task"], sort=False)["latency_ratio"].idxmin()]


def explained(frame: pd.DataFrame, column: str = "how") -> str:
    """Which statistic stands in a table, for its caption: `95 % intervals: paired t over seeds`, or by task.

    column   of a frame that names statistics, beside `task`
    """
    found = {how: list(rows["task"].unique()) for how, rows in frame.groupby(column, sort=False)}
    if len(found) == 1:
        return f"95 % intervals: {next(iter(found))}"
    by_task = [f"{how} ({units.listed([str(task) for task in tasks])})" for how, tasks in found.items()]
    return f"95 % intervals: {'; '.join(by_task)}"


def solves(rows: pd.DataFrame) -> pd.Series:
    """Whether each training solves its task, which is one that a seed solves or does not; rows of one task.

    raises   Missing, naming it, for another task
    """
    task = rows["task"].iloc[0]
    if (least := known(task).solved) is None:
        raise Missing(f"{task}: there is no accuracy above which it is solved")
    return rows["accuracy"] > least


def known(task: str) -> names.Sequences:
    """What the tables of tasks say of one, by its label, alone or before a comma and more; of others nothing."""
    rows = (*names.SEQUENCES.values(), *names.BENCHMARKS.values())
    found = [row for row in rows if isinstance(row, names.Sequences) and f"{task}, ".startswith(f"{row.label}, ")]
    return max(found, key=lambda row: len(row.label), default=names.Sequences(task, "", ""))


def _intervals(cases: pd.DataFrame, base: pd.DataFrame) -> dict[str, Any]:
    """Columns of `compared` for one kind; the baseline's rows are of the same seeds."""
    found, before = cases["accuracy"].to_numpy(), base["accuracy"].to_numpy()
    if "hits" in cases:
        own = of_images(lambda ours: ours, found, cases)
        difference = of_images(np.subtract, found - before, cases, base)
        return _bounds("accuracy", own) | _bounds("difference", difference)
    if known(cases["task"].iloc[0]).solved is not None:
        count, other, of = int(solves(cases).sum()), int(solves(base).sum()), len(cases)
        share, same = statistics.solved(count, of), cases["variant"].iloc[0] == base["variant"].iloc[0]
        difference = statistics.solved_difference(count, of, other, of)
        if same:  # the baseline against itself
            difference = Interval(0.0, 0.0, 0.0, difference.how)
        seeds = {"solved": count, "of": of, "solved_low": share.low, "solved_high": share.high}
        own = {"accuracy": float(found.mean()), "accuracy_low": np.nan, "accuracy_high": np.nan}
        return own | _bounds("difference", difference) | seeds | {"solved_by_baseline": other}
    fit = fitting(cases)
    return _bounds("accuracy", fit(found)) | _bounds("difference", fit(found - before))


def _bounds(column: str, found: Interval) -> dict[str, Any]:
    ends = {f"{column}_low": found.low, f"{column}_high": found.high}
    return {column: found.mean} | ends | {"how": found.how, "degrees": found.degrees}


def _tests(row: pd.Series, point: float) -> tuple[float, float]:
    """p-values of no more than a point being lost, and of more."""
    if pd.notna(row.get("solved")):  # "kept" is counted, no test: zero leaves it out of the family
        counts = (int(row[name]) for name in ("solved", "of", "solved_by_baseline", "of"))
        return 0.0, statistics.p_fewer(*counts)
    bounds = row["difference"], row["difference_low"], row["difference_high"]
    above = statistics.p_above(Interval(*bounds, str(row.get("how")), row.get("degrees", np.inf)), -point)
    return above, 1 - above


def _word(row: pd.Series, kept: bool, lost: bool, point: float) -> str:
    if pd.notna(row.get("solved")):
        return "kept" if row["solved"] >= row["solved_by_baseline"] else "lost" if lost else UNDECIDED
    if kept or lost:
        return "kept" if kept else "lost"
    return "kept on average" if row["difference"] >= -point else "lost on average"
