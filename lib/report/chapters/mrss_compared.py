"""Multi-resolution scanning under one fair protocol: what the chapter's text says of the compared trainings."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from lib.experiments.mrss_fair import STEPS
from lib.experiments.mrss_plans import PLANS
from lib.report.evidence import Evidence
from lib.report.frames import mrss_bars, where
from lib.report.frames.mrss_bars import CONTROL, FORM, LOWER_LOSS, MET, MISSED, NOT_SEPARATED, ON_AVERAGE, Bar
from lib.report.frames.mrss_compared import LOSS, plan_of
from lib.report.views.files import naming_files

ALL, SOME, NONE = "all", "some", "none"
LONGER = [  # plans whose sequences are longer than those of their benchmark's own
    name for name, plan in PLANS.items() if plan.options.get("length") != PLANS[plan.task].options.get("length")
]


@dataclass(frozen=True)
class Numbers:
    """All that the section says. Times are relative to the baseline's.

    tasks, lacking       plans that are recorded, and those that are not
    longest, widest      tokens of the longest sequences of a benchmark's second plan, and channels of its baseline;
                         zeros where no such plan is recorded
    faster, recall_faster, loss   of the bars: shares of the baseline's time; what a loss may be above the baseline's
    tokens               the best form on each task with an output at every token
    tokens_met           whether ALL, SOME or NONE of them meet the bar, at least on average
    lower                those on which its loss is lower in equal time, at least on average
    sure                 tasks on which the bar is met by tests
    training, inference  times of those forms
    recall, recall_met   the same on recall
    patches              tasks with one answer a sequence on which a control beats every form
    forms, even          those on which a form beats it, and those on which nothing is sure
    control_times        training times of the controls that win
    separated, alike     tasks on which some variant differs from the baseline with equal steps, and all others
    falling              tasks on which the baseline's held-back loss still fell at the end
    edge, trainings      of variants on tasks, those whose rate is at an edge of what was tried, and all
    seeds                fewest and most trainings of a variant
    """

    tasks: list[str]
    lacking: list[str]
    longest: int
    widest: int
    faster: float
    recall_faster: float
    loss: float
    tokens: list[Bar]
    tokens_met: str
    lower: list[str]
    sure: list[str]
    training: pd.Series
    inference: pd.Series
    recall: list[Bar]
    recall_met: str
    patches: list[str]
    forms: list[str]
    even: list[str]
    control_times: pd.Series
    separated: list[str]
    alike: list[str]
    falling: list[str]
    edge: int
    trainings: int
    seeds: tuple[int, int]


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """The numbers of the section.

    raises   Missing where no plan of the comparison is recorded
    """
    found, whole = evidence.fair_results, mrss_bars.patches_or_forms(evidence.fair_results, evidence.fair_outcomes)
    tokens, recall, differing = mrss_bars.on_tokens(found), mrss_bars.on_recall(found), mrss_bars.separated(found)
    of = {
        outcome: [task for task, (word, _) in whole.items() if word == outcome]
        for outcome in (CONTROL, FORM, NOT_SEPARATED)
    }
    own = where(found, budget=STEPS)
    longer = [PLANS[name] for name in map(plan_of, own["task"].unique()) if name in LONGER]
    longest = max(longer, key=lambda plan: plan.options["length"], default=None)
    return Numbers(
        tasks=list(own["task"].unique()),
        lacking=evidence.fair_lacking,
        longest=longest.options["length"] if longest else 0,
        widest=longest.dim if longest else 0,
        faster=mrss_bars.FASTER,
        recall_faster=mrss_bars.RECALL_FASTER,
        loss=LOSS,
        tokens=tokens,
        tokens_met=met(tokens),
        lower=[bar.task for bar in tokens if bar.parts[LOWER_LOSS] != MISSED],
        sure=[bar.task for bar in tokens if bar.outcome == MET],
        training=_times(own, [(bar.task, bar.variant) for bar in tokens], "training"),
        inference=_times(own, [(bar.task, bar.variant) for bar in tokens], "forward"),
        recall=recall,
        recall_met=met(recall),
        patches=of[CONTROL],
        forms=of[FORM],
        even=of[NOT_SEPARATED],
        control_times=_times(own, [(task, whole[task][1]) for task in of[CONTROL]], "training"),
        separated=[task for task, variants in differing.items() if variants],
        alike=[task for task, variants in differing.items() if not variants],
        falling=mrss_bars.still_falling(found),
        edge=len(mrss_bars.at_the_edge(found)),
        trainings=len(own),
        seeds=(int(own["seeds"].min()), int(own["seeds"].max())),
    )


def met(bars: Iterable[Bar]) -> str:
    """Whether ALL, SOME or NONE of these bars are met, at least on average; of no bars NONE."""
    passed = [bar.outcome in (MET, ON_AVERAGE) for bar in bars]
    return NONE if not any(passed) else ALL if all(passed) else SOME


def _times(rows: pd.DataFrame, models: list[tuple[str, str]], column: str) -> pd.Series:
    at = rows.set_index(["task", "variant"])[column]
    return pd.Series([at[model] for model in models], dtype=float)
