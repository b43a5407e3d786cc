"""Tables of towers that were trained: what each came to, and Vision Mamba with fewer patches."""

import pandas as pd
from IPython.display import Markdown

from lib import names
from lib.experiments.ssm_vlm_runs import TUNED_KEEP, WHOLE
from lib.experiments.ssm_vlm_scaling import TRANSFORMER
from lib.experiments.ssm_vlm_training import STEPS, TIME
from lib.names import SMALL_CLIPS
from lib.report import accuracy, frames, prose
from lib.report.evidence import Evidence
from lib.report.tables import table
from lib.report.views.files import naming_files


def ways(caption: str) -> Markdown:
    """Every way to go on with fewer patches, and what it does."""
    rows = names.SCAN_REDUCTIONS.values()
    return table({"patches go by": [row.label for row in rows], "what is left": [row.about for row in rows]}, caption)


@naming_files
def trained_table(evidence: Evidence, caption: str) -> Markdown:
    """Accuracy [%] of every tower after equal steps and in equal time, and a training step's relative time."""
    found, rows = evidence.tower_trained, []
    for task in evidence.tower_tasks:
        here = frames.where(found, task=task)
        for label in here["variant"].unique():
            by = {row.budget: row for row in here[here["variant"] == label].itertuples()}
            step = frames.only(evidence.tower_steps, task=task, variant=label)["latency_ratio"]
            same, timed = by[STEPS], by.get(TIME, by[STEPS])
            rows.append(
                {
                    "task": SMALL_CLIPS[task],
                    "tower": label,
                    "equal steps [%]": _percent(same),
                    "difference [points]": "–" if label == TRANSFORMER else prose.points(same),
                    "equal time [%]": _percent(timed),
                    "steps then": f"{timed.steps:,}",
                    "time of a step": f"{step:.2f}×",
                    "rate": f"{same.rate:g}",
                }
            )
    return table(dict(pd.DataFrame(rows).items()), f"{caption}. {accuracy.explained(found)}")


@naming_files
def fewer_table(evidence: Evidence, caption: str) -> Markdown:
    """Accuracy [%] of Vision Mamba by method and share of the patches, as it is and trained on, and relative times."""
    made = pd.DataFrame([row for task in evidence.tower_tasks for row in _rows(evidence, task)]).fillna("–")
    return table(dict(made.items()), f"{caption}. {accuracy.explained(evidence.tower_fewer)}")


def _rows(evidence: Evidence, task: str) -> list[dict[str, str]]:
    found = frames.where(evidence.tower_fewer, task=task)
    keeps = sorted(found["keep"].unique(), reverse=True)[1:]
    whole = frames.only(found, variant=WHOLE, tuned=0)
    control = found[(found["variant"] == WHOLE) & (found["tuned"] > 0)].iloc[0]
    rows = [_row(task, WHOLE, dict.fromkeys(keeps, whole), control, {})]
    at_once = found[(found["variant"] != WHOLE) & (found["tuned"] == 0)]
    for way, group in at_once.groupby("variant", sort=False):
        by = {row.keep: row for row in group.itertuples()}
        tuned = found[(found["variant"] == way) & (found["tuned"] > 0)]
        times = frames.where(evidence.tower_times, task=task, variant=way, keep=TUNED_KEEP)
        ratios = times.set_index("patches")["latency_ratio"].to_dict()
        rows.append(_row(task, way, by, None if tuned.empty else tuned.iloc[0], ratios))
    return rows


def _row(task: str, label: str, by: dict, tuned, ratios: dict) -> dict[str, str]:
    cells = {f"{keep:.0%} kept [%]": _percent(row) for keep, row in by.items()}
    cells |= {"trained on [%]": "–" if tuned is None else _percent(tuned)}
    times = {f"time at {size:,}": f"{ratio:.2f}×" for size, ratio in ratios.items()}
    return {"task": SMALL_CLIPS[task], "patches go by": label, **cells, **times}


def _percent(row) -> str:
    return prose.spread(row.accuracy, row.accuracy_high, row.accuracy_low)
