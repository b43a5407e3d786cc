"""The verdict: what its text says of all claims together."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lib import records
from lib.experiments.toys import SIDES
from lib.report import first_pages, frames, headlines
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, NOT_TESTABLE, REPRODUCED, VERDICTS, Verdict
from lib.report.evidence import Evidence
from lib.report.views.files import naming_files

PARTS = {"A": "state space models", "B": "vision-language models", "R": "the report itself"}


@dataclass(frozen=True)
class Budget:
    """What an adaptive budget of tokens keeps on a task: shares of accuracy retained and of operations."""

    task: str
    retained: float
    operations: float


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says.

    total             claims
    sums              a clause per verdict that occurs, "5 are reproduced"
    reproduced, corrected, contradicted   ids
    arithmetic        claims that arithmetic settles; `own_contradicted` the ids of those that it contradicts
    headlines         the headlines as a list in Markdown
    budgets           the largest adaptive budget, by task
    side, attention   pixels, and the share of operations that attention between tokens takes there
    machine, others   titles of the reference machine and of the other ones
    records           number of records, of all machines
    checklist_held, checklist_items   of the original report's checklist
    """

    total: int
    sums: list[str]
    reproduced: list[str]
    corrected: list[str]
    contradicted: list[str]
    arithmetic: int
    own_contradicted: list[str]
    headlines: str
    budgets: list[Budget]
    side: int
    attention: float
    machine: str
    others: list[str]
    records: int
    checklist_held: int
    checklist_items: int


def counting(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Of several verdicts on one claim the first, which is the one that counts in sums."""
    first: dict[str, Verdict] = {}
    for one in verdicts:
        first.setdefault(one.id, one)
    return list(first.values())


def sums(verdicts: Sequence[Verdict]) -> list[str]:
    """Clauses on how many verdicts there are of each kind that occurs, such as "5 are reproduced"."""
    said = []
    for word in VERDICTS:
        count = sum(one.verdict == word for one in verdicts)
        if word == CORRECTED:
            clause = f"{count} {'holds' if count == 1 else 'hold'} with a correction"
        elif word == NOT_TESTABLE:
            clause = f"{count} cannot be tested here"
        else:
            clause = f"{count} {'is' if count == 1 else 'are'} {word}"
        said += [clause] if count else []
    return said


@naming_files
def addresses(evidence: Evidence) -> dict[str, str]:
    """Name of a record of the reference machine -> its address in the repository."""
    folder = f"{first_pages.REPOSITORY}/data/runs/{evidence.machine}"
    names = [one.experiment for one in evidence.all_records if one.environment.machine == evidence.machine]
    return {name: f"{folder}/{name}.json" for name in names}


@naming_files
def numbers(evidence: Evidence, verdicts: Sequence[Verdict]) -> Numbers:
    """What the text says of these verdicts, and of the evidence that they came from.

    verdicts   of all claims, `lib.report.claims.judging.judged`
    """
    main = counting(verdicts)
    by = {word: [one.id for one in main if one.verdict == word] for word in VERDICTS}
    arithmetic = [one for one in main if one.claim.kind == "arithmetic"]
    adaptive = frames.where(evidence.reduced, variant="adaptive")
    adaptive = adaptive[adaptive["keep"] == adaptive["keep"].max()]
    flops = pd.DataFrame(evidence.operations_by_part).pivot(index="side", columns="part", values="flops")
    side = SIDES[1]
    kept = evidence.all_records
    titles = {one.environment.machine: records.machine_title(one) for one in kept}
    checklist = evidence.checklist
    return Numbers(
        total=len(main),
        sums=sums(main),
        reproduced=by[REPRODUCED],
        corrected=by[CORRECTED],
        contradicted=by[CONTRADICTED],
        arithmetic=len(arithmetic),
        own_contradicted=[one.id for one in arithmetic if one.verdict == CONTRADICTED],
        headlines=headlines.listed(headlines.headlines(evidence), evidence, *first_pages.ADDRESSES["intro.md"]),
        budgets=[
            Budget(task, rows["retained"].mean(), rows["ratio"].mean())
            for task, rows in adaptive.groupby("task", sort=False)
        ],
        side=side,
        attention=flops.at[side, "attention"] / flops.loc[side].sum(),
        machine=evidence.title,
        others=[titles[name] for name in evidence.others],
        records=len(kept),
        checklist_held=int(checklist["holds"].sum()),
        checklist_items=len(checklist),
    )
