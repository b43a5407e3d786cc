"""Tables of what was run again: how far a second run differs from the first."""

import pandas as pd
from IPython.display import Markdown

from lib.report import prose, units
from lib.report.evidence import Evidence
from lib.report.frames import Missing
from lib.report.tables import table
from lib.report.views.files import naming_files


@naming_files
def differences(evidence: Evidence, of_costs: str, of_trainings: str) -> list[Markdown]:
    """Both tables of what was run again, folded; one line where nothing of it is recorded."""
    try:
        made = costs(evidence.repeated_costs, of_costs), trainings(evidence.repeated_trainings, of_trainings)
        return [prose.folded(one) for one in made]
    except Missing as error:
        return [Markdown(f"*Nothing was run again: {error}.*")]


def costs(frame: pd.DataFrame, caption: str) -> Markdown:
    """Latency ratios, a row for each record: how far they differ, and the case that differs most.

    frame   `repeated_costs` of the evidence
    """
    return table(
        {
            "record": [f"{row.of}, {_made(row)}" for row in frame.itertuples()],
            "ratios again": list(frame["ratios"]),
            "median difference": [f"{100 * value:.1f} %" for value in frame["median"]],
            "largest difference": [units.signed_share(value) for value in frame["difference"]],
            "first → second": [f"{row.first:.3g} → {row.second:.3g}" for row in frame.itertuples()],
            "of": [f"{row.variant}: {row.setting}" for row in frame.itertuples()],
        },
        caption,
    )


def trainings(frame: pd.DataFrame, caption: str) -> Markdown:
    """Accuracies [%] of trainings that were made again from their seed, and how many points the second differs by.

    frame   `repeated_trainings` of the evidence
    """
    return table(
        {
            "record": [f"{row.of}, {_made(row)}" for row in frame.itertuples()],
            "training": [f"{row.variant}: {row.setting}" for row in frame.itertuples()],
            "first [%]": [f"{100 * value:.2f}" for value in frame["first"]],
            "second [%]": [f"{100 * value:.2f}" for value in frame["second"]],
            "points": [units.signed(100 * value, 2) for value in frame["difference"]],
        },
        caption,
    )


def _made(row) -> str:
    return f"{row.recorded}, commit {row.commit[:7]}"
