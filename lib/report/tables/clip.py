"""Tables of token reduction: methods, costs, accuracies, and images won."""

from collections.abc import Iterable

import pandas as pd
from IPython.display import Markdown

from lib.experiments.clip_outcomes import Outcome
from lib.experiments.clip_variants import KEEPS, variants
from lib.names import REDUCTIONS, SMALL_CLIPS
from lib.report import accuracy, prose, units
from lib.report.evidence import Evidence
from lib.report.tables import table
from lib.report.views.files import naming_files


def methods() -> Markdown:
    """Every token reduction by its label, with the name that `reduce_tokens` takes, and what it does."""
    rows = [f"| {row.label} | `{name}` | {row.about} |" for name, row in REDUCTIONS.items()]
    return Markdown("\n".join(["| method | name | what goes |", "|:--|:--|:--|", *rows]))


@naming_files
def original(evidence: Evidence, caption: str) -> Markdown:
    """The original report's experiment by the share of patches kept, beside the latency ratios of its own table."""
    frame, printed = evidence.pruned, evidence.original_clip
    printed = printed[printed["variant"] == "vtp"].set_index("keep")["latency_ratio"]
    return table(
        {
            "keep": [f"{row.keep:.1f}" for row in frame.itertuples()],
            "machine": list(frame["machine"]),
            "images/s": [f"{row.batch / row.seconds:.1f}" for row in frame.itertuples()],
            "latency ratio": [_latency(row, 2) for row in frame.itertuples()],
            "operations": [f"{row.flops_ratio:.2f}" for row in frame.itertuples()],
            "memory": [f"{row.memory_ratio:.2f}" for row in frame.itertuples()],
            "original report's latency ratio": [
                f"{printed[keep]:.2f}" if keep in printed else "–" for keep in frame["keep"]
            ],
        },
        caption,
    )


def overheads(frame: pd.DataFrame, caption: str) -> Markdown:
    """Methods at one share of the operations: latency, how far it lies above operations, and the reduction's own part.

    frame   of `lib.report.frames.clip.overheads`
    """
    return table(
        {
            "method": list(frame["variant"]),
            "operations": [f"{row.flops_ratio:.3f}" for row in frame.itertuples()],
            "latency ratio": [_latency(row, 3) for row in frame.itertuples()],
            "latency above operations": [units.signed_share(one) for one in frame["excess"]],
            "reduction itself": [units.signed_share(one) for one in frame["overhead"]],
        },
        caption,
    )


def resolutions(frame: pd.DataFrame, caption: str) -> Markdown:
    """One reduction by the size of the image; cases with ratios to the unreduced tower."""
    return table(
        {
            "pixels": [f"{row.side:.0f}" for row in frame.itertuples()],
            "patches": [f"{row.patches:.0f}" for row in frame.itertuples()],
            "operations": [f"{row.flops_ratio:.3f}" for row in frame.itertuples()],
            "latency ratio": [_latency(row, 3) for row in frame.itertuples()],
        },
        caption,
    )


def outcomes(found: Iterable[Outcome], caption: str) -> Markdown:
    """What methods make of one model, on one set of images."""
    found = list(found)
    return table(
        {
            "method": [one.name for one in found],
            "operations": [f"{one.ratio:.2f}" for one in found],
            "accuracy": [units.share(one.accuracy) for one in found],
            "same answer": [units.share(one.agreement) for one in found],
            "cosine": [f"{one.cosine:.3f}" for one in found],
        },
        caption,
    )


def retained(frame: pd.DataFrame, task: str, caption: str) -> Markdown:
    """Accuracy relative to the unreduced model's [%] by variant (rows) and share of operations (columns).

    frame   of `lib.report.frames.clip.summary`, with a target
    task    the only one that counts
    """
    frame = frame[frame["task"] == task]
    targets = sorted(frame["target"].unique(), reverse=True)
    cells = {(row.variant, row.target): _spread(row) for row in frame.itertuples()}
    columns = {"variant": list(frame["variant"].unique())}
    for target in targets:
        columns[f"≤ {target:.2f}"] = [cells.get((variant, target), "–") for variant in columns["variant"]]
    return table(columns, f"{caption}. {accuracy.explained(frame)}")


def kept(frame: pd.DataFrame, caption: str) -> Markdown:
    """Accuracy relative to the unreduced model's [%] by task and variant (rows) and share of patches kept (columns).

    frame   of `lib.report.frames.clip.summary`, without a target; budgets per image, whose shares are of something
            else, and other shares are left out
    """
    budgets = [one.name for one in variants() if one.per_image]
    frame = frame[frame["keep"].isin(KEEPS) & ~frame["variant"].isin(budgets)]
    cells = {(row.task, row.variant, row.keep): _spread(row) for row in frame.itertuples()}
    keys = list(dict.fromkeys((row.task, row.variant) for row in frame.itertuples()))
    columns = {"task": [SMALL_CLIPS[task] for task, _ in keys], "variant": [variant for _, variant in keys]}
    for keep in sorted(frame["keep"].unique(), reverse=True):
        columns[f"keep {keep:.1f}"] = [cells.get((*key, keep), "–") for key in keys]
    return table(columns, f"{caption}. {accuracy.explained(frame)}")


def fidelity(frame: pd.DataFrame, caption: str) -> Markdown:
    """Share of the unreduced model's answers [%] and cosine with its features, by variant and task, with intervals.

    frame   of `lib.report.frames.clip.summary`, one row per variant and task
    """
    columns = {"variant": list(frame["variant"].unique())}
    for task, rows in frame.groupby("task", sort=False):
        rows = rows.set_index("variant").reindex(columns["variant"])
        for name, column, scale, digits in (("same answer [%]", "agreement", 100, 1), ("cosine", "cosine", 1, 3)):
            columns[f"{SMALL_CLIPS[task]}: {name}"] = [
                "–" if pd.isna(middle) else f"{scale * middle:.{digits}f} ± {scale * (high - middle):.{digits}f}"
                for middle, high in zip(rows[column], rows[f"{column}_high"], strict=True)
            ]
    return table(columns, f"{caption}. {accuracy.explained(frame, 'agreement_how')}")


def duels(frame: pd.DataFrame, caption: str) -> Markdown:
    """Duels of `lib.report.frames.clip.duels`, one after another: column `against`."""
    return table(
        {
            "task": [SMALL_CLIPS[task] for task in frame["task"]],
            "against": list(frame["against"]),
            "operations": [f"≤ {target:.2f}" for target in frame["target"]],
            "gained [points]": [
                prose.around(row.gained, row.gained_low, row.gained_high, "+") for row in frame.itertuples()
            ],
            "won : lost": [f"{row.won} : {row.lost}" for row in frame.itertuples()],
            "p": [units.tiny(p) for p in frame["p_holm"]],
        },
        f"{caption}. {accuracy.explained(frame)}. Won: images that more checkpoints answer rightly than with the "
        "other; p: of so unequal a split, adjusted by Holm over the shares of the operations",
    )


def trainings(frame: pd.DataFrame) -> Markdown:
    """Trainings of this run, a row each: task, steps, seed, accuracy; of `lib.experiments.clip_training.accuracies`."""
    rows = [f"| {row.task} | {row.steps} | {row.seed} | {units.share(row.accuracy)} |" for row in frame.itertuples()]
    return Markdown("\n".join(["| trained now | steps | seed | accuracy |", "|:--|--:|--:|--:|", *rows]))


def _latency(row, digits: int) -> str:
    middle, low, high = (
        f"{one:.{digits}f}" for one in (row.latency_ratio, row.latency_ratio_low, row.latency_ratio_high)
    )
    return f"{middle} ({low} – {high})"


def _spread(row) -> str:
    return prose.spread(row.retained, row.retained_high, row.retained_low)
