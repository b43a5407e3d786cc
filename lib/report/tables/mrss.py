"""Tables of the chapter on multi-resolution scanning."""

import pandas as pd
from IPython.display import Markdown

from lib.experiments.mrss_scan import FORWARD
from lib.experiments.mrss_training import OPERATIONS, STEPS
from lib.report import accuracy, prose
from lib.report.evidence import Evidence
from lib.report.frames import MIB, where
from lib.report.tables import compare, or_error, table
from lib.report.views.files import naming_files

BUDGETS = {STEPS: "steps", OPERATIONS: "operations"}  # what was equal


def original_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """The original report's measurement: mean latency, memory, operations, ratios to its baseline."""
    return table(
        {
            "variant": frame["variant"],
            "latency [ms]": [f"{seconds * 1e3:.2f}" for seconds in frame["seconds"]],
            "latency ratio": [f"{ratio:.2f}" for ratio in frame["latency_ratio"]],
            "memory [MiB]": [f"{size / MIB:.1f}" for size in frame["memory_bytes"]],
            "memory ratio": [f"{ratio:.2f}" for ratio in frame["memory_ratio"]],
            "GFLOP": [f"{count / 1e9:.2f}" for count in frame["flops"]],
        },
        caption,
    )


@naming_files
def factors_table(evidence: Evidence, caption: str) -> Markdown:
    """Latency of forms by factor, at one size."""
    rows = where(evidence.scan[FORWARD], dim=evidence.scan_sizes["width"], length=evidence.middle)
    rows = rows.dropna(subset="factor").sort_values("factor", kind="stable")
    forms = rows.drop(columns="variant").rename(columns={"form": "variant"})
    return compare(forms, "latency_ratio", caption, across="factor")


@naming_files
def fastest_table(evidence: Evidence, caption: str) -> Markdown:
    """Per task, the fastest variant that keeps the accuracy to a point on average."""
    return task_table(accuracy.fastest(evidence.tradeoff), caption)


def models_table(forward: pd.DataFrame, training: pd.DataFrame, caption: str) -> Markdown:
    """Parameters of models, and relative to the baseline: operations, latency of both passes, memory of training.

    forward, training  cases with ratios to the baseline, of the same variants; one machine and setting
    """
    columns: dict[str, list[str]] = {
        "variant": list(forward["variant"]),
        "parameters": [f"{count / 1e6:.2f} M" for count in forward["parameters"]],
        "operations": [or_error(row.flops_ratio, row, "{:.2f}") for row in forward.itertuples()],
    }
    training = training.set_index("variant").loc[columns["variant"]]
    for name, rows in (("forward", forward), ("training", training)):
        columns[name] = [
            or_error(row.latency_ratio, row, f"{{:.2f}} ({row.latency_ratio_low:.2f} – {row.latency_ratio_high:.2f})")
            for row in rows.itertuples()
        ]
    columns["memory"] = [or_error(row.memory_ratio, row, "{:.2f}") for row in training.itertuples()]
    return table(
        columns,
        f"{caption}. Relative to the baseline's: operations, latency of a forward pass and of a training step with "
        "quartiles, memory of the training step",
    )


def accuracy_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """Per task and budget, every variant's difference to the baseline, with its interval; one machine.

    Where seeds solve a task or do not, how many of them do, and the interval of their share.

    frame  of `lib.report.accuracy.judged`: what is kept, at least on average, stands in bold
    """
    base = {row.task: row for row in frame[frame["variant"] == "baseline"].itertuples()}
    rows = frame[frame["variant"] != "baseline"]
    found = {
        (row.task, row.budget, row.variant): f"**{_change(row)}**" if "kept" in row.verdict else _change(row)
        for row in rows.itertuples()
    }
    settings = list(dict.fromkeys((row.task, row.budget) for row in rows.itertuples()))
    return table(
        {
            "task, baseline": [f"{task}, {_own(base[task])}" for task, _ in settings],
            "equal": [BUDGETS[budget] for _, budget in settings],
            **{
                variant: [found.get((*setting, variant), "–") for setting in settings]
                for variant in rows["variant"].unique()
            },
        },
        f"{caption}. {accuracy.explained(rows)}. Bold: at most a point below on average, or solved by no fewer seeds",
    )


def task_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """Per task, the fastest variant that keeps the accuracy to a point, its latency, and how sure that is.

    frame  of `lib.report.accuracy.fastest`, with the kind of task in `kind`
    """
    found = frame["variant"].ne("baseline")
    return table(
        {
            "task": [f"{row.task} ({row.kind})" for row in frame.itertuples()],
            "fastest": list(frame["variant"].where(found, "none is faster")),
            "equal": list(frame["budget"].map(BUDGETS).where(found, "–")),
            "latency ratio": [f"{ratio:.2f}" for ratio in frame["latency_ratio"]],
            "difference [points]": [
                prose.points(row) if row.variant != "baseline" else "–" for row in frame.itertuples()
            ],
            "verdict": list(frame["verdict"].where(found, "–")),
        },
        f"{caption}. {accuracy.explained(frame[found])}; verdicts adjusted by Holm over the tasks of a variant"
        if found.any()
        else caption,
    )


def _change(row) -> str:
    """A difference in points; or the seeds that solve a task, and the interval of their share [%]."""
    if pd.isna(getattr(row, "solved", None)):
        return prose.points(row)
    return f"{prose.points(row)} [{100 * row.solved_low:.0f}, {100 * row.solved_high:.0f}] %"


def _own(row) -> str:
    """The baseline's accuracy, or the seeds that solve a task with it."""
    return f"{100 * row.accuracy:.1f} %" if pd.isna(getattr(row, "solved", None)) else prose.points(row)
