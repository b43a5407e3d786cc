"""Tables of few images per class: accuracies by kind, and ranks at one rate and at rates of their own."""

import pandas as pd
from IPython.display import Markdown

from lib.experiments.lora_shots import LABELS, LOWEST, ZERO
from lib.names import SMALL_CLIPS
from lib.report import accuracy, frames, prose
from lib.report.evidence import Evidence
from lib.report.tables import table
from lib.report.views.files import naming_files


@naming_files
def kinds_table(evidence: Evidence, caption: str) -> Markdown:
    """Accuracies [%] by number of images per class: zero-shot, the probe, and every kind of adapter."""
    means = evidence.shot_means
    numbers = sorted(means["shots"].unique())
    rows = []
    for task in evidence.shot_tasks:
        for label in LABELS.values():
            found = frames.where(means, task=task, variant=label, own=True).set_index("shots")
            at = {number: found.loc[numbers[0] if label == LABELS[ZERO] else number] for number in numbers}
            cells = {f"{number} [%]": _percent(row) for number, row in at.items()}
            rows.append({"task": SMALL_CLIPS[task], "what learns": label, **cells})
    return table(dict(pd.DataFrame(rows).items()), f"{caption}. {accuracy.explained(means)}")


@naming_files
def ranks_table(evidence: Evidence, caption: str) -> Markdown:
    """Accuracies [%] by rank and scale, at the rate of the lowest rank and at the rank's own, with that rate."""
    means = evidence.shot_means
    last = means[(means["shots"] == means["shots"].max()) & (means["rank"] >= LOWEST)]
    rows = []
    for task in evidence.shot_tasks:
        above = frames.where(last, task=task, own=False)
        for row in above.itertuples():
            own = frames.only(last, task=task, variant=row.variant, own=True)
            rows.append(
                {
                    "task": SMALL_CLIPS[task],
                    "scale": row.variant.partition(", ")[2],
                    "rank": f"{row.rank}",
                    "at one rate [%]": _percent(row),
                    "at its own [%]": _percent(own),
                    "one rate": f"{row.setting:g}",
                    "its own": f"{own.setting:g}",
                }
            )
    return table(dict(pd.DataFrame(rows).items()), f"{caption}. {accuracy.explained(last)}")


def _percent(row) -> str:
    return prose.spread(row.accuracy, row.accuracy_high, row.accuracy_low)
