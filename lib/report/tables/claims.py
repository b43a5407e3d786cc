"""Tables of claims: what each comes to, and every check of it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd
from IPython.display import Markdown

from lib.report import sections as report
from lib.report import units
from lib.report.claims import ledger
from lib.report.claims.ledger import Verdict
from lib.report.claims.outcomes import Outcome, outcomes
from lib.report.tables import table

HOW_FAR = {"whole": "whole", "part": "in part", "none": "not"}


def verdicts(found: Sequence[Verdict], caption: str, files: Mapping[str, str] = MappingProxyType({})) -> Markdown:
    """Claim, outcome and checks: a row per check, which names its subject and has its own word.

    found    all verdicts on each claim that is shown
    files    name of a record -> its address: checks then end with links to the records that were read, and to the
             chapter that tells more
    raises   ValueError where a check of a claim is left out
    """
    rows = [(one, check) for one in outcomes(found) for check in one.checks]
    first = [check is one.checks[0] for one, check in rows]
    return table(
        {
            "claim": [_claim(one) if new else "" for (one, _), new in zip(rows, first, strict=True)],
            "outcome": [f"**{one.word}**" if new else "" for (one, _), new in zip(rows, first, strict=True)],
            "checks": [" ".join([_check(check), *_links(check, files)]) for _, check in rows],
        },
        caption,
    )


def subjects(found: Sequence[Verdict], caption: str) -> Markdown:
    """What claims are about, and what stands beside: a row per subject, with the claims that each decides."""
    made = {key: ([], []) for key in ledger.subjects()}
    for one in found:
        made[one.on][0 if one.decides else 1].append(one.id)
    shown = {key: pair for key, pair in made.items() if any(pair)}
    return table(
        {
            "subject": [ledger.subjects()[key] for key in shown],
            "decides": [units.listed(decided) if decided else "–" for decided, _ in shown.values()],
            "shown beside": [units.listed(beside) if beside else "–" for _, beside in shown.values()],
        },
        caption,
    )


def sections(found: Sequence[Outcome], caption: str) -> Markdown:
    """The original report section by section: a row each, where it is answered, how far, and what its claims come to.

    found   outcomes of all claims
    """
    rows = report.sections()
    held = {row.id: [one for one in found if row.place in report.places(one.claim)] for row in rows}
    first = {row.place: row.id for row in reversed(rows)}  # a section's claims stand in its first row
    claims = [[f"{one.id} {one.word}" for one in held[row.id] if first[row.place] == row.id] for row in rows]
    return table(
        {
            "section": [row.id for row in rows],
            "what it says": [row.says for row in rows],
            "answered in": [_places(row) for row in rows],
            "claims": [", ".join(some) or "–" for some in claims],
            "how far": [HOW_FAR[row.how] + (f": {row.why}" if row.why else "") for row in rows],
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


def _places(section: report.Section) -> str:
    """Chapters with their headings."""
    by: dict[str, list[str]] = {}
    for chapter, heading in section.at:
        by.setdefault(chapter, []).append(f"*{heading}*")
    return "; ".join(f"[{chapter}]({chapter}.ipynb), {units.listed(some)}" for chapter, some in by.items())


def _claim(outcome: Outcome) -> str:
    claim = outcome.claim
    sharing = [one.id for one in ledger.claims().values() if claim.fact and one.fact == claim.fact and one != claim]
    return f"{claim.id}. {claim.claim} ({claim.section})" + (
        f". It rests on one fact with {units.listed(sharing)}" if sharing else ""
    )


def _check(check: Verdict) -> str:
    beside = "" if check.decides else ", for comparison"
    return f"*On {ledger.named(check.on)}{beside}*: {check.verdict}. {check.evidence}"


def _links(verdict: Verdict, files: Mapping[str, str]) -> list[str]:
    if not files:
        return []
    chapter = verdict.claim.chapter
    records = ", ".join(f"[{name}]({files[name]})" for name in verdict.records)
    records = records or "the original report's tables and this page"
    return [f"From: {records}. More: [{chapter}]({chapter}.ipynb)."]
