"""Tables of fewer states in a trained Mamba: a quarter of them, everything at every number, and what they cost."""

import pandas as pd
from IPython.display import Markdown

from lib.experiments import distill_states as states
from lib.report import accuracy, frames, units
from lib.report.evidence import Evidence
from lib.report.frames.distill_rules import QUARTER
from lib.report.frames.paired import TOGETHER
from lib.report.tables import table
from lib.report.tables.distill_compared import points
from lib.report.views.distill_states import COSTS, CRITERIA, RECALL, SMALL
from lib.report.views.files import naming_files


@naming_files
def quarter_table(evidence: Evidence, caption: str) -> Markdown:
    """At a quarter of the states, per variant a column per task: points of accuracy, or loss, against the original."""
    order, tasks = int(QUARTER * evidence.states_whole), list(evidence.state_seeds["task"].unique())
    kinds = [(name, healed) for name in CRITERIA for healed in (False, True)] + [(SMALL, False)]
    columns = {"variant": [name for name, _ in kinds], "fine-tuned": ["yes" if healed else "no" for _, healed in kinds]}
    for task in tasks:
        recalled = task in RECALL
        rows = evidence.state_quality_equal if recalled else evidence.state_losses
        found = [frames.only(rows, task=task, variant=name, order=order, healed=healed) for name, healed in kinds]
        header = f"{task} [{'points' if recalled else 'nats'}]"
        columns[header] = [points(row) if recalled else _nats(row) for row in found]
    return table(columns, f"{caption}. {accuracy.explained(evidence.state_quality_equal)}")


@naming_files
def every_table(evidence: Evidence, caption: str) -> Markdown:
    """Every model by task and number of states: accuracy, loss, differences to the original and to it trained on."""
    keys = ["task", "variant", "order", "healed"]
    rows = evidence.state_quality
    beside = {"equal": evidence.state_quality_equal, "loss": evidence.state_losses}
    cells: dict[str, list[str]] = {name: [] for name in ("accuracy [%]", "− original", "− trained on", "loss [nats]")}
    for _, row in rows.iterrows():
        at = {key: row[key] for key in keys}
        cells["accuracy [%]"].append(f"{100 * row['accuracy']:.1f}")
        cells["− original"].append(points(row))
        equal, loss = (frames.where(one, **at) for one in beside.values())
        cells["− trained on"].append(points(equal.iloc[0]) if len(equal) else "–")
        cells["loss [nats]"].append(f"{loss['test_loss'].iloc[0]:.3f}" if len(loss) else "–")
    first = {"task": rows["task"], "variant": rows["variant"], "K": [f"{order}" for order in rows["order"]]}
    first["fine-tuned"] = ["yes" if healed else "no" for healed in rows["healed"]]
    return table(first | cells, f"{caption}. {accuracy.explained(rows)}")


@naming_files
def costs_table(evidence: Evidence, caption: str) -> Markdown:
    """At each size and number of states, times relative to all states, the scan's floor, and the bytes of the state."""
    rows = evidence.state_costs
    sizes = (
        rows[["dim", "states"]].astype(int).drop_duplicates().sort_values(["dim", "states"], ascending=[True, False])
    )
    columns: dict[str, list[str]] = {
        "D": [f"{one:,}" for one in sizes["dim"]],
        "K": [f"{one}" for one in sizes["states"]],
    }
    for part in COSTS:
        found = [frames.only(rows, part=part, dim=row.dim, states=row.states) for row in sizes.itertuples()]
        columns[part] = [_ratio(one) for one in found]
        if part == states.SCAN:
            columns["scan's floor"] = ["–" if pd.isna(one["floor"]) else units.times(one["floor"]) for one in found]
    columns["state"] = [units.binary(one["state_bytes"]) for one in found]
    columns["state / all"] = [units.times(one["state_ratio"]) for one in found]
    return table(columns, caption)


def _nats(row: pd.Series) -> str:
    said = f"{row['difference']:+.3f} [{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]".replace("-", "−")
    return f"**{said}**" if row["word"] != TOGETHER else said


def _ratio(row: pd.Series) -> str:
    return f"{row['latency_ratio']:.2f} ({row['latency_ratio_low']:.2f} – {row['latency_ratio_high']:.2f})"
