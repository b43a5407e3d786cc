"""Kernel distillation: what the chapter's text says of fewer states in a trained Mamba."""

from dataclasses import dataclass

from lib.experiments import distill_states as states
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.frames.distill_rules import NO, QUARTER, SURE, Ranking, Recall, ranked
from lib.report.views.distill_states import RECALL, at_quarter
from lib.report.views.files import naming_files

SHOWN = (states.SCAN, states.FORWARD, states.STREAMED)


@dataclass(frozen=True)
class Ranked:
    """Criteria on one task at a quarter of the states, before and after fine-tuning.

    unit     of `extent`: "points" of accuracy, or "nats" of loss
    """

    task: str
    unit: str
    before: Ranking
    after: Ranking


@dataclass(frozen=True)
class Numbers:
    """All that the text on fewer states says.

    whole, keep   states of the original, and a quarter of them
    recalls       the bar, a judgement per recall task
    met, partly   those that meet it by the whole interval, and on average alone
    small         those on which a small model from the start does not fail
    criteria      a row per task
    best          criteria that are best before fine-tuning on some task
    differ        tasks on which criteria are apart after fine-tuning
    times         part -> latency ratio of the larger model, or scan, with `keep` states; `floor` of the scan, or None
    state         bytes of the state with `keep` states, relative to all
    lacking      tasks that are not recorded
    seeds, minutes   of every training, and of one core for all
    """

    whole: int
    keep: int
    recalls: list[Recall]
    met: list[Recall]
    partly: list[Recall]
    small: list[Recall]
    criteria: list[Ranked]
    best: list[str]
    differ: list[str]
    times: dict[str, float]
    floor: float | None
    state: float
    lacking: list[str]
    seeds: int
    minutes: float


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """All that the text says.

    raises   Missing where a record is absent or incomplete
    """
    whole, recalls = evidence.states_whole, evidence.recalls
    keep = int(whole * QUARTER)
    criteria = [_ranked(evidence, task, keep) for task in evidence.state_seeds["task"].unique()]
    costs = evidence.state_costs
    rows = frames.where(costs, dim=costs["dim"].max(), states=keep)
    scan = frames.only(rows, part=states.SCAN)
    return Numbers(
        whole=whole,
        keep=keep,
        recalls=recalls,
        met=[one for one in recalls if one.met == SURE],
        partly=[one for one in recalls if one.met not in (SURE, NO)],
        small=[one for one in recalls if one.train_small],
        criteria=criteria,
        best=list(dict.fromkeys(one.before.best for one in criteria)),
        differ=[one.task for one in criteria if one.after.differ],
        times={part: float(frames.only(rows, part=part)["latency_ratio"]) for part in SHOWN},
        floor=None if scan["floor"] != scan["floor"] else float(scan["floor"]),
        state=float(scan["state_ratio"]),
        lacking=evidence.state_lacking,
        seeds=int(evidence.state_quality["seeds"].min()),
        minutes=evidence.state_minutes,
    )


def _ranked(evidence: Evidence, task: str, keep: int) -> Ranked:
    recalled = task in RECALL
    found = {
        healed: ranked(
            at_quarter(evidence.state_seeds, task, keep, healed),
            "accuracy" if recalled else "test_loss",
            lowest=not recalled,
        )
        for healed in (False, True)
    }
    return Ranked(task, "points" if recalled else "nats", found[False], found[True])
