"""Tables of compared distillations: one row per bank at few states, and everything at every order."""

import pandas as pd
from IPython.display import Markdown

from lib.experiments.distill_compared import IN_TRAINING, SCRATCH
from lib.names import DISTILLATIONS
from lib.report import accuracy, frames, prose, units
from lib.report.evidence import Evidence
from lib.report.frames.paired import ABOVE, BELOW
from lib.report.tables import table
from lib.report.views.distill_compared import MULTIPLES, STATES
from lib.report.views.files import naming_files

OPTIMAL, LOW = (DISTILLATIONS[name].label for name in ("h2_optimal", "truncated_svd"))
SHOWN = {STATES: True, OPTIMAL: True, LOW: True, SCRATCH: False}  # variant -> whether it is one that is fine-tuned


@naming_files
def few_table(evidence: Evidence, order: int, caption: str) -> Markdown:
    """Per task and bank, the original's accuracy; at one order, differences to it and times of the same models."""
    rows, times = frames.where(evidence.bank_quality, order=order), frames.where(evidence.bank_times, order=order)
    whole = evidence.bank_originals.groupby(["task", "bank"], sort=False)["accuracy"].mean()
    tasks, banks = (list(whole.index.get_level_values(name)) for name in ("task", "bank"))
    columns: dict[str, list[str]] = {"task": tasks, "kernels": banks}
    columns["original [%]"] = [f"{100 * share:.1f}" for share in whole]
    for variant, healed in SHOWN.items():
        columns[variant] = [_cell(rows, task, bank, variant, healed) for task, bank in whole.index]
    for form, header in ((STATES, "time, states"), (LOW, "time, low rank")):
        columns[header] = [_time(times, task, bank, form) for task, bank in whole.index]
    return table(columns, f"{caption}. {accuracy.explained(rows)}. Bold: apart from the original by Holm's correction")


@naming_files
def every_table(evidence: Evidence, caption: str) -> Markdown:
    """All that was made: differences to the original and to the small model of its order, errors of kernels."""
    rows, small = _sorted(evidence.bank_quality), evidence.against_tuned
    taps, lengths = evidence.bank_taps, evidence.bank_lengths
    keys = ["task", "bank", "variant", "order", "healed"]
    columns: dict[str, list[str]] = {"task": [], "kernels": [], "variant": [], "order": [], "fine-tuned": []}
    columns |= {"accuracy [%]": [], "− original": [], "− small": []}
    columns |= {f"error, {multiple} L": [] for multiple in MULTIPLES}
    sizes = sorted(map(int, lengths["length"].unique()))
    columns |= {f"at {size:,} tokens [%]": [] for size in sizes}
    for _, row in rows.iterrows():
        at = {key: row[key] for key in keys}
        values = [row["task"], row["bank"], row["variant"], f"{row['order']:g}", "yes" if row["healed"] else "no"]
        values += [f"{100 * row['accuracy']:.1f}", points(row), _only(small, points, **at)]
        values += [_only(taps, _error, **at, multiple=multiple) for multiple in MULTIPLES]
        values += [_only(lengths, _share, **at, length=size) for size in sizes]
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return table(columns, f"{caption}. {accuracy.explained(rows)}")


def points(row: pd.Series) -> str:
    """A difference in points with its interval, in bold where Holm's correction leaves it apart from zero."""
    said = prose.points(row)
    return f"**{said}**" if row["word"] in (ABOVE, BELOW) else said


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    last = rows["variant"].isin((SCRATCH, IN_TRAINING))
    return rows.assign(last=last).sort_values(["task", "bank", "last", "variant", "order", "healed"], kind="stable")


def _cell(rows: pd.DataFrame, task: str, bank: str, variant: str, healed: bool) -> str:
    return _only(rows, points, task=task, bank=bank, variant=variant, healed=healed)


def _time(times: pd.DataFrame, task: str, bank: str, variant: str) -> str:
    return _only(times, lambda row: units.times(row["latency_ratio"]), task=task, bank=bank, variant=variant)


def _only(rows: pd.DataFrame, cell, **at: object) -> str:
    """The cell of the one row with these values; a dash where there is none, as of what diverged."""
    found = frames.where(rows, **at)
    return cell(found.iloc[0]) if len(found) == 1 else "–"


def _error(row: pd.Series) -> str:
    return units.tiny(row["relative_error"])


def _share(row: pd.Series) -> str:
    return f"{100 * row['accuracy']:.1f}"
