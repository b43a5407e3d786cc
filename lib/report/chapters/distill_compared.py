"""Kernel distillation: what the chapter's text says of the kernels that the original report names, trained."""

from dataclasses import dataclass

from lib.names import DISTILLATIONS
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.frames.distill_rules import SHARE, Case, at_share, fewest
from lib.report.frames.paired import ABOVE, BELOW
from lib.report.views.distill_compared import LOW_RANK, STATES
from lib.report.views.files import naming_files

OPTIMAL = DISTILLATIONS["h2_optimal"].label


@dataclass(frozen=True)
class Numbers:
    """All that the text on trained kernels says. Accuracies are shares.

    share        of an original's states, as the divisor: what is published to lose nothing
    whole        states of an original
    cases        per task and bank the best model of so few states
    kept         those of them that lose nothing beyond the interval
    curve        per task and bank the model of fewest states that loses nothing
    ahead, behind  cases, among all orders of the two methods with states, in which fine-tuning ends above and below a
                 tuned small model of the same order, after Holm's correction; of `against` comparisons
    low          of a low rank as small, fine-tuned: its difference to the original, per task and bank
    states_time, low_time   latency ratios to the original, all banks and orders
    lacking      tasks that are not recorded
    seeds, minutes          of every training, and of one core for all
    """

    share: int
    whole: int
    cases: list[Case]
    kept: list[Case]
    curve: list[Case]
    ahead: list[Case]
    behind: list[Case]
    against: int
    low: list[Case]
    states_time: object
    low_time: object
    lacking: list[str]
    seeds: int
    minutes: float


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """All that the text says.

    raises   Missing where a record is absent or incomplete
    """
    rows, quality = evidence.kept_with_states, evidence.bank_quality
    cases, small, times = at_share(rows), evidence.against_tuned, evidence.bank_times
    against = small[small["variant"].isin((STATES, OPTIMAL)) & small["healed"].astype(bool)]
    low = frames.where(quality, variant=LOW_RANK, healed=True, order=few(evidence))
    return Numbers(
        share=round(1 / SHARE),
        whole=int(quality["states"].iloc[0]),
        cases=cases,
        kept=[case for case in cases if case.kept],
        curve=fewest(rows),
        ahead=[Case.of(row) for _, row in frames.where(against, word=ABOVE).iterrows()],
        behind=[Case.of(row) for _, row in frames.where(against, word=BELOW).iterrows()],
        against=len(against),
        low=[Case.of(row) for _, row in low.iterrows()],
        states_time=frames.where(times, variant=STATES)["latency_ratio"],
        low_time=frames.where(times, variant=LOW_RANK)["latency_ratio"],
        lacking=evidence.bank_lacking,
        seeds=int(quality["seeds"].min()),
        minutes=evidence.bank_minutes,
    )


def few(evidence: Evidence) -> int:
    """The most states that the bar allows, which tables show: an original's times `SHARE`."""
    return int(SHARE * evidence.bank_quality["states"].iloc[0])
