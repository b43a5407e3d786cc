"""Tables of the fair comparison: one form a task, every variant, and what was tried."""

from math import log

import pandas as pd
from IPython.display import Markdown

from lib.experiments.mrss_fair import STEPS, TIME
from lib.experiments.mrss_plans import BASELINE
from lib.report import accuracy, frames, prose
from lib.report.evidence import Evidence
from lib.report.frames import mrss_bars
from lib.report.frames.mrss_compared import RECALL, TOKENS, asks, is_text
from lib.report.tables import table
from lib.report.views.files import naming_files

CHANGE = "loss − baseline's [%], or accuracy − baseline's [points], or seeds that solve the task"
SAID = {
    mrss_bars.CONTROL: "{} beats every form trained there",
    mrss_bars.FORM: "a form beats {}",
    mrss_bars.NOT_SEPARATED: "not separated from {}",
}


@naming_files
def main_table(evidence: Evidence, caption: str) -> Markdown:
    """Per task: the baseline and the low-rate form that clears most, then references and published numbers."""
    found, published = evidence.fair_results, evidence.fair_published
    columns: dict[str, list[str]] = {}
    for task, rows in found.groupby("task", sort=False):
        base = frames.only(rows, variant=BASELINE, budget=STEPS)
        form, verdict = told(rows, evidence.fair_outcomes)
        own = frames.where(rows, variant=form)
        row = {
            "task": task,
            "baseline": quality(base),
            "low-rate form": form or "–",
            "inference time": _ratio(own, "forward"),
            "training time": _ratio(own, "training"),
            "memory": f"{own['memory'].iloc[0]:.2f}" if len(own) else "–",
            "at equal steps": change(own, STEPS),
            "in equal time": change(own, TIME),
            "verdict": verdict,
            "references": "; ".join(
                f"{one.variant} {quality(one._replace(task=task))}"
                for one in frames.where(evidence.fair_references, task=task).itertuples()
            ),
            "published": "; ".join(f"{one.method} {_reported(one)}" for one in published.get(task, ())),
        }
        for name, cell in row.items():
            columns.setdefault(name, []).append(cell or "–")
    return table(columns, f"{caption}. Costs relative to the baseline's, with quartiles. {_explained(found)}")


@naming_files
def every_variant(evidence: Evidence, caption: str) -> Markdown:
    """All variants: what they were trained with, what they cost, and what came out."""
    rows = evidence.fair_results
    alone = list(rows.groupby(["task", "variant", "budget"], sort=False))
    return table(
        {
            "task": [task for (task, _, _), _ in alone],
            "variant": [variant for (_, variant, _), _ in alone],
            "equal": [budget for (_, _, budget), _ in alone],
            "parameters": [f"{one['parameters'].iloc[0]:,.0f}" for _, one in alone],
            "steps": [f"{one['steps'].iloc[0]:,.0f}" for _, one in alone],
            "rate": [f"{one['rate'].iloc[0]:g}" for _, one in alone],
            "decay": [f"{one['decay'].iloc[0]:g}" for _, one in alone],
            "inference time": [_ratio(one, "forward") for _, one in alone],
            "training time": [_ratio(one, "training") for _, one in alone],
            "memory": [f"{one['memory'].iloc[0]:.2f}" for _, one in alone],
            "test": [quality(one.iloc[0]) for _, one in alone],
            "change": ["–" if variant == BASELINE else change(one, budget) for (_, variant, budget), one in alone],
            "verdict": ["–" if variant == BASELINE else _word(one.iloc[0]) for (_, variant, _), one in alone],
        },
        f"{caption}. Costs relative to the baseline's, with quartiles. Change: {CHANGE}. {_explained(rows)}; verdicts "
        "adjusted by Holm over the tasks of a variant",
    )


@naming_files
def tried_table(evidence: Evidence, caption: str) -> Markdown:
    """Held-back loss of every trial by rate and decay, the chosen one in bold."""
    rows = evidence.fair_tried
    best = rows.groupby(["task", "variant"])["loss"].transform("min")
    cells = {
        (row.task, row.variant, row.rate, row.decay): "diverged"
        if pd.isna(row.loss)
        else f"**{row.loss:.3f}**"
        if row.loss == least
        else f"{row.loss:.3f}"
        for row, least in zip(rows.itertuples(), best, strict=True)
    }
    settings = sorted({(row.decay, row.rate) for row in rows.itertuples()})
    models = list(dict.fromkeys((row.task, row.variant) for row in rows.itertuples()))
    columns = {
        f"rate {rate:g}, decay {decay:g}": [cells.get((*model, rate, decay), "–") for model in models]
        for decay, rate in settings
    }
    named = {"task": [task for task, _ in models], "variant": [variant for _, variant in models]}
    return table(named | columns, f"{caption}. Held-back loss [nats]; bold: chosen")


def told(rows: pd.DataFrame, trained: pd.DataFrame) -> tuple[str | None, str]:
    """The low-rate form that is told of a task, and the verdict; without such a form, none.

    rows      of `lib.report.frames.mrss_compared.results`, of one task
    trained   of `lib.experiments.mrss_compared.outcomes`
    """
    asked = rows["asks"].iloc[0]
    if asked in (TOKENS, RECALL):
        bars = mrss_bars.on_tokens(rows) if asked == TOKENS else mrss_bars.on_recall(rows)
        return (bars[0].variant, said(bars[0])) if bars else (None, "–")
    forms = rows[rows["variant"].map(mrss_bars.is_low) & rows["valid"].notna() & (rows["budget"] == STEPS)]
    form = None if forms.empty else forms.loc[forms["valid"].idxmin(), "variant"]
    made = mrss_bars.patches_or_forms(rows, trained)
    outcome, control = next(iter(made.values()), (None, ""))
    return form, SAID[outcome].format(control) if outcome else "–"


def said(bar: mrss_bars.Bar) -> str:
    """A bar's outcome, and what it misses: `missed: training time`."""
    return f"{bar.outcome}: {', '.join(bar.missed)}" if bar.missed else bar.outcome


def quality(row) -> str:
    """What a model comes to on the test: loss with an output at every token, else accuracy.

    row   with task, loss, accuracy; what it has not is a dash
    """
    if pd.isna(row.loss) and pd.isna(row.accuracy):
        return "–"
    if asks(row.task) == TOKENS and pd.notna(row.loss):
        return f"{row.loss / log(2):.3f} bits per character" if is_text(row.task) else f"{row.loss:.3f} nats"
    return f"{100 * row.accuracy:.1f} %"


def change(rows: pd.DataFrame, budget: str) -> str:
    """A variant's difference to the baseline with a budget, see CHANGE; a dash where there is none."""
    found = rows[rows["budget"] == budget]
    if found.empty or pd.isna(found["points"].iloc[0]):
        return "–"
    row = found.iloc[0]
    if row["asks"] == TOKENS:
        return prose.around(row["relative"], row["relative_low"], row["relative_high"], "+")
    if row["asks"] == RECALL:
        return f"{prose.points(row)} ({prose.extent_of_points(found['points'])})"
    return prose.around(row["points"], row["points_low"], row["points_high"], "+")


def _word(row) -> str:
    """The word of the verdict on a variant: by its loss with an output at every token, else by accuracy."""
    word = row["loss_verdict"] if row["asks"] == TOKENS else row["verdict"]
    return "diverged" if pd.notna(row["error"]) else "–" if pd.isna(word) else str(word)


def _ratio(rows: pd.DataFrame, column: str) -> str:
    if rows.empty or pd.isna(rows[column].iloc[0]):
        return "–"
    row = rows.iloc[0]
    return f"{row[column]:.2f} ({row[f'{column}_low']:.2f} – {row[f'{column}_high']:.2f})"


def _reported(one) -> str:
    """A published number, an accuracy or bits per character, and what keeps it from being compared as it is."""
    number = f"{one.bits:.3f} bits per character" if one.accuracy is None else f"{100 * one.accuracy:.1f} %"
    return f"{number} ({one.note})" if one.note else number


def _explained(rows: pd.DataFrame) -> str:
    return accuracy.explained(rows[rows["how"].notna()])
