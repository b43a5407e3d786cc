"""Token reduction: what recorded outcomes say, as frames and tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy import stats

from lib.paths import SEED
from lib.records import Case, Record, machine_title
from lib.report import prose, units
from lib.report.accuracy import interval
from lib.report.frames import MIB
from lib.report.tables import table

FIELDS = {"accuracies": "accuracy", "agreements": "agreement", "cosines": "cosine"}
NAMES = {"scenes": "scenes", "cifar10": "CIFAR-10"}


def seed_vtp() -> pd.DataFrame:
    """The seed report's table on pruned tokens (B, 6.1) in base units, with ratios to its baseline; one T4 GPU."""
    printed = pd.read_csv(SEED / "vtp.csv")
    frame = pd.DataFrame(
        {
            "machine": "seed report, T4",
            "variant": printed["variant"],
            "keep": printed["keep"],
            "seconds": printed["latency_ms"] / 1e3,
            "throughput": printed["throughput_img_per_s"],
            "memory_bytes": printed["peak_memory_mib"] * MIB,
        }
    )
    base = frame[frame["variant"] == "baseline"].iloc[0]
    return frame.assign(
        latency_ratio=frame["seconds"] / base["seconds"], memory_ratio=frame["memory_bytes"] / base["memory_bytes"]
    )


def overheads(frame: pd.DataFrame) -> pd.DataFrame:
    """Reduced towers, with what the reduction itself costs and how far latency lies above operations.

    frame    cases with ratios to "untouched": reduced towers, and the twin of each named "<variant>, sliced", which
             has as many tokens for nothing
    returns  the reduced ones with `overhead`, median over rounds, over the untouched tower's latency; and `excess`,
             latency ratio over ratio of operations, less one
    """
    rows = []
    for _, group in frame.groupby("machine", sort=False):
        runs = group.set_index("variant")["runs"]
        for row in group.to_dict("records"):
            if (twin := f"{row['variant']}, sliced") in runs:
                overhead = float(np.median((row["runs"] - runs[twin]) / runs["untouched"]))
                rows.append(row | {"overhead": overhead, "excess": row["latency_ratio"] / row["flops_ratio"] - 1})
    return pd.DataFrame(rows)


def cases(results: Mapping[int, Iterable[Any]], **parameters) -> list[Case]:
    """One case per variant and setting, from the `Outcome`s of each checkpoint's seed (`lib.tasks.reductions`)."""
    groups: dict[tuple, dict[int, Any]] = {}
    for seed, found in results.items():
        for one in found:
            groups.setdefault((one.name, one.keep, one.target), {})[seed] = one
    return [
        Case(
            variant=name,
            parameters={**parameters, "keep": keep, "target": target, "ratio": np.mean([x.ratio for x in by.values()])},
            right={seed: one.right for seed, one in by.items()},
            **{field: {seed: getattr(one, column) for seed, one in by.items()} for field, column in FIELDS.items()},
        )
        for (name, keep, target), by in groups.items()
    ]


def outcomes(records: Iterable[Record]) -> pd.DataFrame:
    """One row per case and checkpoint: machine, task, variant, keep, target, ratio, seed, and what came out.

    `retained` is the accuracy over the untouched model's of the same seed; `hits` tells which answers are right.
    """
    rows = []
    for record in records:
        untouched = next(case.accuracies for case in record.cases if case.variant == "untouched")
        for case in record.cases:
            for seed, accuracy in case.accuracies.items():
                row = {"machine": machine_title(record), "variant": case.variant, **case.parameters, "seed": seed}
                row |= {column: getattr(case, field)[seed] for field, column in FIELDS.items()}
                hits = unpacked(case.right[seed], case.parameters["images"])
                rows.append(row | {"retained": accuracy / untouched[seed], "hits": hits})
    return pd.DataFrame(rows)


def unpacked(right: str, count: int) -> np.ndarray:
    """Which answers of so many are right, from one bit each, hexadecimal, the first answer first."""
    return np.array([bit == "1" for bit in f"{int(right, 16):0{count}b}"])


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
    """Per task and target, of how many images one variant alone is right, of how many the other, and by what chance.

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
    """Tasks on which a score does worse than chance at every share of patches up to one: surely, and on average alone.

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


def over_fixed(frame: pd.DataFrame, variant: str = "adaptive", fixed: str = "class attention") -> pd.DataFrame:
    """A variant's rows with `gained`: what it keeps over a fixed one at the same operations, between whose settings a
    straight line is drawn; where the fixed one has no setting on either side, the row is left out.

    frame   of `summary`
    """
    found = []
    for _, rows in frame.groupby(["machine", "task"], sort=False):
        line = rows[rows["variant"] == fixed].sort_values("ratio")
        own = rows[rows["variant"] == variant]
        own = own[own["ratio"].between(line["ratio"].min(), line["ratio"].max())]
        found.append(own.assign(gained=own["retained"] - np.interp(own["ratio"], line["ratio"], line["retained"])))
    return pd.concat(found)


def retained_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """Accuracy over the untouched model's [%] by variant (rows) and share of operations (columns), with intervals.

    frame   of `summary`, one task, with a target
    """
    targets = sorted(frame["target"].unique(), reverse=True)
    cells = {(row.variant, row.target): row for row in frame.itertuples()}
    columns = {"variant": list(frame["variant"].unique())}
    for target in targets:
        found = [cells.get((variant, target)) for variant in columns["variant"]]
        columns[f"≤ {target:.2f}"] = ["–" if row is None else retained(row).removesuffix(" %") for row in found]
    return table(columns, caption)


def keep_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """Accuracy over the untouched model's [%] by task and variant (rows) and share of patches kept (columns).

    frame   of `summary`, chosen by the share of patches
    """
    keeps = sorted(frame["keep"].unique(), reverse=True)
    cells = {(row.task, row.variant, row.keep): row for row in frame.itertuples()}
    keys = list(dict.fromkeys((row.task, row.variant) for row in frame.itertuples()))
    columns = {"task": [NAMES[task] for task, _ in keys], "variant": [variant for _, variant in keys]}
    for keep in keeps:
        found = [cells.get((*key, keep)) for key in keys]
        columns[f"keep {keep:.1f}"] = ["–" if row is None else retained(row).removesuffix(" %") for row in found]
    return table(columns, caption)


def fidelity_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """Share of the untouched model's answers [%] and cosine with its features, by variant and task, with intervals.

    frame   of `summary`, one row per variant and task
    """
    columns = {"variant": list(frame["variant"].unique())}
    for task, rows in frame.groupby("task", sort=False):
        rows = rows.set_index("variant").reindex(columns["variant"])
        for name, column, scale, digits in (("same answer [%]", "agreement", 100, 1), ("cosine", "cosine", 1, 3)):
            columns[f"{NAMES[task]}: {name}"] = [
                "–" if pd.isna(middle) else f"{scale * middle:.{digits}f} ± {scale * (high - middle):.{digits}f}"
                for middle, high in zip(rows[column], rows[f"{column}_high"], strict=True)
            ]
    return table(columns, caption)


def duel_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """Of `duels`, one after another: column `against`."""
    return table(
        {
            "task": [NAMES[task] for task in frame["task"]],
            "against": list(frame["against"]),
            "operations": [f"≤ {target:.2f}" for target in frame["target"]],
            "gained [points]": [f"{100 * gained:+.1f}".replace("-", "−") for gained in frame["gained"]],
            "won : lost": [f"{row.won} : {row.lost}" for row in frame.itertuples()],
            "p": [units.tiny(p) for p in frame["p"]],
        },
        caption,
    )


def ahead(frame: pd.DataFrame) -> str:
    """Of `duels`: at how many targets ahead, behind, and how surely: `ahead at 5 of 7, surely (p < 0.05) at 4`."""
    sure = frame["p"] < 0.05
    better = prose.out_of(int((frame["gained"] > 0).sum()), len(frame))
    worse = int((sure & (frame["gained"] < 0)).sum())
    surely = int((sure & (frame["gained"] > 0)).sum())
    return f"ahead at {better}, beyond chance (p < 5 %) at {surely}, behind beyond chance at {worse or 'none'}"


def retained(row) -> str:
    """Share of the accuracy that is left, in percent, and how far its interval goes: `98.7 ± 0.6 %`."""
    return f"{100 * row.retained:.1f} ± {100 * (row.retained_high - row.retained):.1f} %"
