"""Adapters: what recorded trainings say, as frames and tables."""

from collections.abc import Iterable, Mapping
from statistics import mean
from typing import Any

import pandas as pd
from IPython.display import Markdown

from lib.records import Case, Record, machine_title
from lib.report import prose, units
from lib.report.accuracy import interval
from lib.report.pruning import NAMES
from lib.report.tables import table

FULL, USUAL, CONTROL = "full fine-tuning", "all linear, rank 2", "all tokens"
MEASURED = ("whole", "reduced", "accuracy", "unreduced")  # shares of right answers, of `lib.tasks.adaptations.Adapted`
SETTINGS = ("way", "place", "rank", "init", "method", "keep", "steps")  # of a variant
COSTS = ("trainable", "total", "optimiser_bytes")


def cases(results: Mapping[Any, Mapping[str, Any]], names: Iterable[str], **parameters) -> list[Case]:
    """Cases of trainings: to each variant one for every accuracy that was measured, told apart by `measured`.

    results     plan -> its outcome, all plans of a variant together (`lib.tasks.adaptations`)
    names       of the variants, in the order of the plans
    """
    groups: dict[tuple, dict[int, Mapping[str, Any]]] = {}
    for plan, found in results.items():
        kind = tuple(getattr(plan, name) for name in SETTINGS)
        groups.setdefault(kind, {})[plan.seed] = found
    made = []
    for name, (kind, by) in zip(names, groups.items(), strict=True):
        settings = dict(zip(SETTINGS, kind, strict=True))
        settings |= {cost: next(iter(by.values()))[cost] for cost in COSTS}
        for measured in MEASURED:
            trained = measured == "accuracy"
            made.append(
                Case(
                    variant=name,
                    parameters={**parameters, **settings, "measured": measured},
                    seconds=[one["seconds"] for one in by.values()] if trained else [],
                    accuracies={seed: one[measured] for seed, one in by.items()},
                    losses={seed: one["losses"] for seed, one in by.items()} if trained else {},
                )
            )
    return made


def outcomes(records: Iterable[Record]) -> pd.DataFrame:
    """One row per training: machine, goal, task, variant, its settings and costs, seed, and what was measured.

    `gained` is the accuracy less what it was before; `retained` the accuracy over the checkpoint's with all tokens,
    `before` the same before the training, `kept` the same after it, with all tokens again.

    raises   ValueError, saying how to record, where there is none
    """
    rows: dict[tuple, dict[str, Any]] = {}
    for record in records:
        for case in record.cases:
            settings = {name: value for name, value in case.parameters.items() if name != "measured"}
            for seed, value in case.accuracies.items():
                key = (record.environment.machine, record.experiment, case.variant, seed)
                fresh = {"machine": machine_title(record), "variant": case.variant, **settings, "seed": seed}
                rows.setdefault(key, fresh)[case.parameters["measured"]] = value
    if not rows:
        raise ValueError("no trainings are recorded: run book/lora.ipynb with -p retrain True")
    frame = pd.DataFrame(rows.values())
    whole = frame["whole"]
    return frame.assign(
        share=frame["trainable"] / frame["total"],
        gained=frame["accuracy"] - frame["reduced"],
        retained=frame["accuracy"] / whole,
        before=frame["reduced"] / whole,
        kept=frame["unreduced"] / whole,
    )


def summary(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Mean over seeds of each variant on each task, with Student's interval: `_low` and `_high`."""
    rows = []
    for (machine, task, variant), group in frame.groupby(["machine", "task", "variant"], sort=False):
        first = group.iloc[0]
        row = {"machine": machine, "task": task, "variant": variant, "seeds": len(group)}
        row |= {name: first[name] for name in ("rank", "place", "method", "keep", "share", *COSTS)}
        for column in columns:
            row |= dict(zip((column, f"{column}_low", f"{column}_high"), interval(group[column]), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def last_losses(records: Iterable[Record]) -> dict[tuple[str, str], float]:
    """Task and variant -> training loss of the last twentieth of the steps, mean over seeds [nats]."""
    return {
        (case.parameters["task"], case.variant): mean(losses[-1] for losses in case.losses.values())
        for record in records
        for case in record.cases
        if case.losses
    }


def labels_table(frame: pd.DataFrame, differences: pd.DataFrame, caption: str) -> Markdown:
    """What learns, and accuracies [%] with differences to full fine-tuning [points], by task.

    frame         of `summary`, with `accuracy`
    differences   of `lib.report.accuracy.compared`, to full fine-tuning
    """
    variants = list(frame["variant"].unique())
    one = frame.drop_duplicates("variant").set_index("variant").loc[variants]
    columns = {"what learns": variants, "weights [%]": [f"{100 * share:.1f}" for share in one["share"]]}
    for task in frame["task"].unique():
        rows = frame[frame["task"] == task].set_index("variant").loc[variants]
        columns[f"{NAMES[task]} [%]"] = [percent(row, "accuracy") for row in rows.itertuples()]
        rows = differences[differences["task"] == task].set_index("variant").loc[variants]
        columns[f"{NAMES[task]}, gain [points]"] = [
            "–" if row.Index == FULL else prose.points(row) for row in rows.itertuples()
        ]
    return table(columns, caption)


def tokens_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """Share of the checkpoint's accuracy that is left [%], before and after the training, and with all tokens again.

    frame   of `summary`, with `before`, `retained` and `kept`
    """
    return table(
        {
            "task": [NAMES[task] for task in frame["task"]],
            "method": [row.method.replace("_", " ") if row.keep < 1 else "–" for row in frame.itertuples()],
            "keep": [f"{keep:.1f}" for keep in frame["keep"]],
            "before": [percent(row, "before") for row in frame.itertuples()],
            "with adapters": [percent(row, "retained") for row in frame.itertuples()],
            "with adapters, all tokens": [percent(row, "kept") for row in frame.itertuples()],
        },
        caption,
    )


def room(full: Any, adapters: Any, memory: int) -> dict[str, float]:
    """On paper, with weights of half precision and adapters of float32: bytes "held", bytes "per image", and "images".

    full, adapters   recorded training steps in float32: total, trainable, memory_bytes, gradient_bytes, batch
    memory           bytes that there are
    """
    held = 2 * full["total"] + 12 * adapters["trainable"]  # of what learns, gradient and two moments
    each = (adapters["memory_bytes"] - adapters["gradient_bytes"]) / adapters["batch"] / 2
    return {"held": held, "per image": each, "images": (memory - held) / each}


def cost_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """A training step of each way: weights that learn, what the optimiser keeps, time and memory over the full one's.

    frame   cases of one machine with ratios to "full fine-tuning"
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


def percent(row, column: str) -> str:
    """`98.7 ± 0.6`, of a share with its interval."""
    middle, high = getattr(row, column), getattr(row, f"{column}_high")
    return f"{100 * middle:.1f} ± {100 * (high - middle):.1f}"
