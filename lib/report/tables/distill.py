"""Tables of kernels and of what replaces them: what they lose, what they cost, what trained models keep."""

from collections.abc import Iterable, Mapping

import pandas as pd
from IPython.display import Markdown

from lib.experiments import distill_cost
from lib.experiments.distill_training import accuracies
from lib.names import DISTILLATIONS
from lib.records import Record
from lib.report import accuracy, frames, prose, units
from lib.report.evidence import Evidence
from lib.report.tables import table
from lib.report.views.distill import after_fine_tuning, quality, stepped, timed
from lib.report.views.files import naming_files

COMPARED = tuple(DISTILLATIONS[name].label for name in ("truncated_svd", "balanced_refit"))


@naming_files
def ranks_table(evidence: Evidence, caption: str) -> Markdown:
    """Per bank, the rank that an error of one percent needs, and errors at a sixteenth and an eighth of the states."""
    banks, errors = evidence.ranks["bank"], evidence.kernel_errors
    return table(
        {
            "bank": banks,
            "rank needed for 1 %": [f"{row.needed} of {row.full}" for row in evidence.ranks.itertuples()],
            **{
                f"{method}, {order}": [
                    _error(frames.where(errors, bank=bank, variant=method, order=order)["relative_error"])
                    for bank in banks
                ]
                for method in COMPARED
                for order in sorted(set(evidence.few))
            },
        },
        caption,
    )


def accuracy_table(frame: pd.DataFrame, caption: str) -> Markdown:
    """Per task and variant, the difference to the original at every order, with its interval; one machine.

    frame  of `lib.report.accuracy.judged` and `named`: what is kept, at least on average, stands in bold
    """
    found = {
        (row.task, row.variant, row.order): f"**{prose.points(row)}**" if "kept" in row.verdict else prose.points(row)
        for row in frame.itertuples()
    }
    rows = [(task, variant) for task in frame["task"].unique() for variant in frame["variant"].unique()]
    return table(
        {
            "task": [task for task, _ in rows],
            "variant": [variant for _, variant in rows],
            **{f"{order:,}": [found.get((*row, order), "–") for row in rows] for order in sorted(set(frame["order"]))},
        },
        f"{caption}. {accuracy.explained(frame)}. Bold: at most a point below on average",
    )


def speed_table(sequence: pd.DataFrame, tokens: pd.DataFrame, length: int, caption: str) -> Markdown:
    """Numbers that a variant holds, its latency for a sequence and for one token, and ratios to two baselines.

    sequence   cases of one machine with ratios to "full kernel", and columns length, held
    tokens     the same with ratios to the recurrence of all states, see `lib.report.views.distill.stepped`; tokens
    length     the only one that is shown
    """
    sequence, tokens = (frames.where(rows, length=length) for rows in (sequence, tokens))
    single = tokens.set_index("variant").reindex(sequence["variant"])
    micros = single["seconds"] / single["tokens"] * 1e6
    return table(
        {
            "variant": list(sequence["variant"]),
            "numbers held": [f"{held:,.0f}" for held in sequence["held"]],
            "sequence [ms]": [_shown(seconds * 1e3) for seconds in sequence["seconds"]],
            "this / full": [_ratio(row) for row in sequence.itertuples()],
            "token [µs]": [_shown(one, 1) for one in micros],
            "this / all states": [_ratio(row) for row in single.itertuples()],
        },
        caption,
    )


def trained_table(records: Iterable[Record], caption: str) -> Markdown:
    """What trainings of one run came to after fine-tuning, see `accuracy_table`."""
    return accuracy_table(after_fine_tuning(quality(accuracies(records))), caption)


def live_speed_table(record: Record, length: int, caption: str) -> Markdown:
    """Costs of one run at one length, see `speed_table`."""
    cases = distill_cost.frame([record])
    tokens = stepped(cases, record.parameters["states"])
    return speed_table(timed(cases, distill_cost.SEQUENCE), tokens, length, caption)


def steps_table(accuracies: Mapping[str, float], task: str, caption: str) -> Markdown:
    """Accuracy of one model at every step of its distillation."""
    return table({task: list(accuracies), "accuracy": [f"{100 * one:.1f} %" for one in accuracies.values()]}, caption)


def _error(found: pd.Series) -> str:
    """A dash for a dense bank, of which the rank alone is known."""
    return "–" if found.empty else units.tiny(found.item())


def _shown(value: float, digits: int = 2) -> str:
    return "–" if pd.isna(value) else f"{value:.{digits}f}"


def _ratio(row) -> str:
    """A latency ratio with quartiles; a dash where a case failed or does not stream."""
    if pd.isna(row.latency_ratio):
        return "–"
    return f"{row.latency_ratio:.2f} ({row.latency_ratio_low:.2f} – {row.latency_ratio_high:.2f})"
