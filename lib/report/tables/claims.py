"""Tables of verdicts."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd
from IPython.display import Markdown

from lib.report.claims.ledger import Verdict
from lib.report.tables import table


def verdicts(found: Sequence[Verdict], caption: str, files: Mapping[str, str] = MappingProxyType({})) -> Markdown:
    """Claim, verdict and evidence, one row each.

    files   name of a record -> its address: evidence then ends with links to the records that were read, and to the
            chapter that tells more
    """
    return table(
        {
            "claim": [f"{one.id}. {one.claim.claim} ({one.claim.section})" for one in found],
            "verdict": [f"**{one.verdict}**" for one in found],
            "evidence": [" ".join([one.evidence, *_links(one, files)]) for one in found],
        },
        caption,
    )


def checklist(frame: pd.DataFrame, caption: str) -> Markdown:
    """The original report's checklist on this book; columns item, holds, evidence."""
    return table(
        {
            "item": list(frame["item"]),
            "this book": ["yes" if one else "no" for one in frame["holds"]],
            "how": list(frame["evidence"]),
        },
        caption,
    )


def _links(verdict: Verdict, files: Mapping[str, str]) -> list[str]:
    if not files:
        return []
    chapter = verdict.claim.chapter
    records = ", ".join(f"[{name}]({files[name]})" for name in verdict.records)
    records = records or "the original report's tables and this page"
    return [f"From: {records}. More: [{chapter}]({chapter}.ipynb)."]
