"""Tables of adapters: what a training step costs, what new labels and fewer tokens come to."""

from collections.abc import Iterable, Mapping

import pandas as pd
from IPython.display import Markdown

from lib.experiments import lora_labels, lora_tokens
from lib.experiments.lora_training import FULL
from lib.names import ADAPTERS, SMALL_CLIPS
from lib.records import Record
from lib.report import accuracy, prose, units
from lib.report.frames.lora import summary
from lib.report.tables import across_machines, table

__all__ = ["across_machines", "cost", "deployed", "kinds", "labels", "live", "tokens", "trained"]


def kinds() -> Markdown:
    """Every kind of adapter by its label, with the name that `add_lora` takes, and what it does."""
    rows = [f"| {row.label} | `{name}` | {row.about} |" for name, row in ADAPTERS.items()]
    return Markdown("\n".join(["| kind | name | what it does |", "|:--|:--|:--|", *rows]))


def cost(frame: pd.DataFrame, caption: str) -> Markdown:
    """A training step of each way: weights that learn, and relative to the full one optimiser, time and memory.

    frame   cases of one machine with ratios to full fine-tuning
    """
    base = frame[frame["variant"] == FULL].iloc[0]
    return table(
        {
            "what learns": list(frame["variant"]),
            "weights": [f"{count:,.0f}" for count in frame["trainable"]],
            "gradients": [units.binary(size) for size in frame["gradient_bytes"]],
            "optimiser (of full)": [
                f"{units.binary(size)} (1 / {base['optimiser_bytes'] / size:.0f})" for size in frame["optimiser_bytes"]
            ],
            "step / full": [
                f"{row.latency_ratio:.2f} ({row.latency_ratio_low:.2f} – {row.latency_ratio_high:.2f})"
                for row in frame.itertuples()
            ],
            "memory / full": [f"{ratio:.2f}" for ratio in frame["memory_ratio"]],
        },
        caption,
    )


def deployed(frame: pd.DataFrame, caption: str) -> Markdown:
    """Latency and operations of the forward pass relative to the original model's.

    frame   cases of one machine with ratios to it
    """
    return table(
        {
            "model": list(frame["variant"]),
            "latency / original": [
                f"{row.latency_ratio:.3f} ({row.latency_ratio_low:.3f} – {row.latency_ratio_high:.3f})"
                for row in frame.itertuples()
            ],
            "operations / original": [f"{ratio:.3f}" for ratio in frame["flops_ratio"]],
        },
        caption,
    )


def labels(frame: pd.DataFrame, differences: pd.DataFrame, caption: str) -> Markdown:
    """What learns, and accuracies [%] with differences to full fine-tuning [points], by task.

    frame         of `lib.report.frames.lora.summary`, with `accuracy`
    differences   of `lib.report.accuracy.compared`, to full fine-tuning
    """
    variants = list(frame["variant"].unique())
    one = frame.drop_duplicates("variant").set_index("variant").loc[variants]
    columns = {"what learns": variants, "weights [%]": [f"{100 * share:.1f}" for share in one["share"]]}
    for task in frame["task"].unique():
        rows = frame[frame["task"] == task].set_index("variant").loc[variants]
        columns[f"{SMALL_CLIPS[task]} [%]"] = [_percent(row, "accuracy") for row in rows.itertuples()]
        rows = differences[differences["task"] == task].set_index("variant").loc[variants]
        columns[f"{SMALL_CLIPS[task]}, gain [points]"] = [
            "–" if row.Index == FULL else prose.points(row) for row in rows.itertuples()
        ]
    return table(columns, f"{caption}. {accuracy.explained(differences)}")


def tokens(frame: pd.DataFrame, caption: str) -> Markdown:
    """Retained accuracy [%] before and after the training, its gain [points], and that with all tokens again.

    frame   of `lib.report.frames.lora.summary`, with `before`, `retained`, `regained` and `kept`
    """
    return table(
        {
            "task": [SMALL_CLIPS[task] for task in frame["task"]],
            "method": [row.method.replace("_", " ") if row.keep < 1 else "–" for row in frame.itertuples()],
            "keep": [f"{keep:.1f}" for keep in frame["keep"]],
            "before": [_percent(row, "before") for row in frame.itertuples()],
            "with adapters": [_percent(row, "retained") for row in frame.itertuples()],
            "gain [points]": [
                prose.around(row.regained, row.regained_low, row.regained_high, "+") for row in frame.itertuples()
            ],
            "with adapters, all tokens": [_percent(row, "kept") for row in frame.itertuples()],
        },
        f"{caption}. {accuracy.explained(frame)}",
    )


def trained(goal: str, found: Iterable[Record], caption: str) -> Markdown:
    """Trainings that a chapter's own run made: on new "labels", or with fewer "tokens"."""
    if goal == lora_tokens.GOAL:
        return tokens(summary(lora_tokens.outcomes(found), ["before", "retained", "regained", "kept"]), caption)
    rows = lora_labels.outcomes(found)
    return labels(summary(rows, ["accuracy"]), accuracy.compared(rows, FULL, ("variant",)), caption)


def live(accuracies: Mapping[str, float], caption: str) -> Markdown:
    """Accuracies [%] of one model before and after a short training, by words for each."""
    return table(
        {"model": list(accuracies), "accuracy [%]": [f"{100 * share:.1f}" for share in accuracies.values()]}, caption
    )


def _percent(row, column: str) -> str:
    return prose.spread(getattr(row, column), getattr(row, f"{column}_high"), getattr(row, f"{column}_low"))
