"""Token reduction: what recorded outcomes say, as frames, figures and tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from scipy import stats

from lib.paths import SEED
from lib.records import Case, Record, machine_title
from lib.report import prose, units
from lib.report.accuracy import interval
from lib.report.figures import BASELINE, MARKERS
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


def operations_by_part(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Share of a tower's operations by part, over the image's side; columns side, part, flops."""
    wide = frame.pivot(index="side", columns="part", values="flops")[list(frame["part"].unique())]
    shares = wide.div(wide.sum(axis=1), axis=0)
    bottom = np.zeros(len(shares))
    for (part, values), colour, hatch in zip(shares.items(), sns.color_palette(), ("", "//", "", ".."), strict=False):
        ax.bar(range(len(shares)), values, bottom=bottom, label=part, color=colour, hatch=hatch, edgecolor="white")
        bottom += values.to_numpy()
    ax.set_xticks(range(len(shares)), [f"{side}" for side in shares.index])
    ax.set(xlabel="pixels a side", ylabel="share of operations")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="x", visible=False)
    last = shares["attention"].iloc[-1]
    ax.set_title(f"Attention between tokens: {units.share(last)} at {shares.index[-1]} pixels", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4)
    return ax


def latency_by_keep(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Latency over the untouched tower's by the share of patches kept, per machine, and what operations alone cost."""
    for (machine, group), marker in zip(frame.groupby("machine", sort=False), MARKERS, strict=False):
        group = group.sort_values("keep")
        bars = None
        if "latency_ratio_low" in group and group["latency_ratio_low"].notna().all():
            bars = np.stack(
                [
                    group["latency_ratio"] - group["latency_ratio_low"],
                    group["latency_ratio_high"] - group["latency_ratio"],
                ]
            )
        ax.errorbar(group["keep"], group["latency_ratio"], yerr=bars, marker=marker, capsize=2, label=machine)
    ideal = frame.dropna(subset="flops_ratio").drop_duplicates("keep").sort_values("keep")
    ax.plot(ideal["keep"], ideal["flops_ratio"], color="0.55", linestyle=":", label="operations alone")
    ax.axhline(1, **BASELINE)
    ax.set(xlabel="share of patches kept", ylabel="latency / untouched tower's", ylim=(0, 1.1))
    ax.set_title("Latency follows the number of tokens", fontsize="medium")
    ax.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return ax


def retained_over(ax: Axes, frame: pd.DataFrame, cost: str, label: str, title: str) -> Axes:
    """Accuracy over the untouched model's, mean and interval over checkpoints, over a cost; the last variant strongest.

    frame   of `summary`, one task and machine
    cost    a column: `ratio` of operations, or `latency_ratio`
    """
    variants = list(frame["variant"].unique())
    styles = zip(variants, MARKERS * 2, sns.color_palette() * 2, strict=False)
    for number, (variant, marker, colour) in enumerate(styles):
        group = frame[frame["variant"] == variant].sort_values(cost)
        margin = group["retained_high"] - group["retained"]
        line, width = ("-" if number < len(MARKERS) else "--"), 1.4
        if variant == variants[-1]:  # what the others are compared with
            line, width, colour = "-", 2.4, "0.2"
        drawn = {"color": colour, "linewidth": width, "label": variant, "marker": marker, "markersize": 5}
        ax.plot(group[cost], group["retained"], line, **drawn)
        ax.fill_between(
            group[cost], group["retained"] - margin, group["retained"] + margin, color=colour, alpha=0.12, linewidth=0
        )
    ax.axhline(1, **BASELINE)
    ax.set(xlabel=label, ylabel="share of accuracy left", ylim=(0, 1.08))
    ax.set_title(title, fontsize="medium")
    return ax


def kept(ax: Axes, image: np.ndarray, places: np.ndarray, title: str) -> Axes:
    """An image (H, W, 3) as its tokens see it: patches that are gone are pale, those of one token have its mean colour.

    places   of every patch the token that holds it, or a negative number, row by row
    """
    grid = int(len(places) ** 0.5)
    patches = image.reshape(grid, image.shape[0] // grid, grid, image.shape[1] // grid, 3).swapaxes(1, 2)
    patches = patches.reshape(grid * grid, *patches.shape[2:]).copy()
    for place in np.unique(places[places >= 0]):
        own = places == place
        if own.sum() > 1:
            patches[own] = patches[own].mean((0, 1, 2))
    patches[places < 0] = 0.2 * patches[places < 0] + 0.8
    shown = patches.reshape(grid, grid, *patches.shape[1:]).swapaxes(1, 2).reshape(image.shape)
    ax.imshow(shown, interpolation="nearest")
    field, size = places.reshape(grid, grid), image.shape[0] / grid
    for row in range(grid):
        for column in range(grid):
            if column + 1 < grid and field[row, column] != field[row, column + 1]:
                ax.plot([(column + 1) * size - 0.5] * 2, [row * size - 0.5, (row + 1) * size - 0.5], **EDGE)
            if row + 1 < grid and field[row, column] != field[row + 1, column]:
                ax.plot([column * size - 0.5, (column + 1) * size - 0.5], [(row + 1) * size - 0.5] * 2, **EDGE)
    ax.set_axis_off()
    ax.set_title(title, fontsize="small")
    return ax


EDGE = {"color": "white", "linewidth": 0.6}


def gallery(images: np.ndarray, names: Sequence[str], rows: dict[str, tuple[np.ndarray, Sequence[str]]]) -> plt.Figure:
    """Images (B, H, W, 3) from 0 to 1 above what each method keeps of them, with what the model says then.

    rows   label -> places (B, P), answers
    """
    figure, axes = plt.subplots(
        len(rows) + 1, len(images), figsize=(1.45 * len(images), 1.65 * (len(rows) + 1)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for column, (image, name) in enumerate(zip(images, names, strict=True)):
        axes[0, column].imshow(image, interpolation="nearest")
        axes[0, column].set_axis_off()
        axes[0, column].set_title(name, fontsize="small")
        for row, (places, answers) in enumerate(rows.values(), start=1):
            kept(axes[row, column], image, places[column], answers[column])
    for label, ax in zip(["image", *rows], axes[:, 0], strict=True):
        ax.text(-0.12, 0.5, label, transform=ax.transAxes, rotation=90, va="center", ha="right", fontsize="small")
    return figure


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
