"""The verdict: what its text says of all claims together."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lib import records
from lib.experiments import clip_variants
from lib.experiments.toys import SIDES
from lib.report import first_pages, frames, headlines, units
from lib.report.claims.ledger import (
    CONTRADICTED,
    CORRECTED,
    NOT_TESTABLE,
    REPRODUCED,
    UNSUPPORTED,
    Verdict,
    named,
)
from lib.report.claims.outcomes import MIXED, OUTCOMES, Outcome, facts, outcomes
from lib.report.evidence import Evidence
from lib.report.views.base import known
from lib.report.views.files import naming_files

PARTS = {"A": "state space models", "B": "vision-language models", "R": "the report itself"}
HALF = 0.5  # of the patches


@dataclass(frozen=True)
class Checks:
    """What checks say: `name` of a claim or of a subject, and clauses such as "B5 and B6 contradicted"."""

    name: str
    clauses: list[str]


@dataclass(frozen=True)
class Budget:
    """What an adaptive budget of tokens keeps on a task: shares of accuracy retained and of operations."""

    task: str
    retained: float
    operations: float


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says.

    claims            how many there are
    facts             how many facts they rest on; `shared` those that several claims share, by these claims' ids
    sums              a clause per outcome of facts that occurs, "5 are reproduced"
    reproduced, corrected, unsupported, contradicted, untestable   ids of claims with this outcome
    mixed             claims that depend on the form, with the word of each deciding check
    partly            claims that are unsupported though some of their deciding checks are not, alike
    beside            by subject, what checks for comparison say of claims that cannot be tested here
    arithmetic        claims that arithmetic settles; `own_contradicted` the ids of those that it contradicts
    alike             whether all prompts have equal features, read at the start token
    coded, normed     accuracy on small CLIPs, the text read at its end, minus the unreduced model's, by task: of the
                      original code with all patches, and of "L2 norm", with its defects mended, with half of them
    headlines         the headlines as a list in Markdown
    budgets           the largest adaptive budget, by task
    side, attention   pixels, and the share of operations that attention between tokens takes there
    machine, others   titles of the reference machine and of the other ones
    records           number of records, of all machines
    checklist_held, checklist_items   of the original report's checklist
    """

    claims: int
    facts: int
    shared: list[Checks]
    sums: list[str]
    reproduced: list[str]
    corrected: list[str]
    unsupported: list[str]
    contradicted: list[str]
    untestable: list[str]
    mixed: list[Checks]
    partly: list[Checks]
    beside: list[Checks]
    arithmetic: int
    own_contradicted: list[str]
    alike: bool
    coded: pd.Series
    normed: pd.Series
    headlines: str
    budgets: list[Budget]
    side: int
    attention: float
    machine: str
    others: list[str]
    records: int
    checklist_held: int
    checklist_items: int


def sums(words: Sequence[str]) -> list[str]:
    """Clauses on how often each outcome occurs, such as "5 are reproduced"."""
    said = []
    for word in OUTCOMES:
        count = sum(one == word for one in words)
        verb = {
            CORRECTED: "holds with a correction" if count == 1 else "hold with a correction",
            MIXED: "depends on the form" if count == 1 else "depend on the form",
            NOT_TESTABLE: "cannot be tested here",
        }.get(word, f"{'is' if count == 1 else 'are'} {word}")
        said += [f"{count} {verb}"] if count else []
    return said


def differing(found: Sequence[Outcome], word: str) -> list[Checks]:
    """Of claims that come to a word, those whose deciding checks differ, by word: "contradicted on A and B"."""
    made = [Checks(one.id, _by_word(one.checks)) for one in found if one.word == word]
    return [one for one in made if len(one.clauses) > 1]


def beside(found: Sequence[Outcome]) -> list[Checks]:
    """By subject, what checks for comparison say of claims that cannot be tested here: "B5 and B6 contradicted"."""
    said: dict[str, dict[str, list[str]]] = {}
    for one in found:
        for check in one.checks:
            if one.word == NOT_TESTABLE and not check.decides and check.verdict != NOT_TESTABLE:
                said.setdefault(check.on, {}).setdefault(check.verdict, []).append(one.id)
    return [
        Checks(named(on), [f"{units.listed(words[word])} {word}" for word in OUTCOMES if word in words])
        for on, words in said.items()
    ]


def _by_word(checks: Sequence[Verdict]) -> list[str]:
    deciding = [one for one in checks if one.decides and one.verdict != NOT_TESTABLE]
    words = {word: [named(one.on) for one in deciding if one.verdict == word] for word in OUTCOMES}
    return [f"{word} on {units.listed(names)}" for word, names in words.items() if names]


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
    found = outcomes(verdicts)
    every = facts(found)
    by = {word: [one.id for one in found if one.word == word] for word in OUTCOMES}
    arithmetic = [one for one in found if one.claim.kind == "arithmetic"]
    reduced = evidence.reduced_accuracy
    adaptive = frames.where(evidence.reduced, variant="adaptive")
    adaptive = adaptive[adaptive["keep"] == adaptive["keep"].max()]
    flops = pd.DataFrame(evidence.operations_by_part).pivot(index="side", columns="part", values="flops")
    side = SIDES[1]
    kept = evidence.all_records
    titles = {one.environment.machine: records.machine_title(one) for one in kept}
    checklist = evidence.checklist
    return Numbers(
        claims=len(found),
        facts=len(every),
        shared=[Checks(units.listed(list(one.ids)), [one.word]) for one in every if len(one.ids) > 1],
        sums=sums([one.word for one in every]),
        reproduced=by[REPRODUCED],
        corrected=by[CORRECTED],
        unsupported=by[UNSUPPORTED],
        contradicted=by[CONTRADICTED],
        untestable=by[NOT_TESTABLE],
        mixed=differing(found, MIXED),
        partly=differing(found, UNSUPPORTED),
        beside=beside(found),
        arithmetic=len(arithmetic),
        own_contradicted=[one.id for one in arithmetic if one.word == CONTRADICTED],
        alike=evidence.prompts_alike["start"],
        coded=known(frames.where(reduced, variant=clip_variants.ORIGINAL, keep=1.0))["difference"],
        normed=known(frames.where(reduced, variant=clip_variants.NORM, keep=HALF))["difference"],
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
