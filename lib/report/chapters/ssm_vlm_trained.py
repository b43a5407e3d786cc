"""State space models that see: what the chapter's text says of towers that were trained."""

from dataclasses import dataclass, field

from lib.experiments import ssm_vlm_training
from lib.experiments.ssm_vlm_scaling import TRANSFORMER
from lib.experiments.ssm_vlm_training import PART, STEPS, TASKS, TIME
from lib.names import SMALL_CLIPS
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.frames.lora_pairs import Gap, of
from lib.report.views.files import naming_files


@dataclass(frozen=True)
class Tower:
    """A tower beside the transformer.

    step        time of a training step, relative to the transformer's
    equal       difference of accuracies after equal steps, and `verdict` on it: at most a point lost?
    timed       difference in equal time; that of equal steps where steps take as long
    """

    name: str
    step: float
    accuracy: float
    equal: Gap
    verdict: str
    timed: Gap


@dataclass(frozen=True)
class OnTask:
    """One task: accuracy of the transformer, and the towers beside it."""

    name: str
    transformer: float
    towers: list[Tower]


@dataclass(frozen=True)
class Numbers:
    """All that the text on trained towers says.

    tasks      those that are recorded, and `lacking` those that are not
    steps      of each training; one in `part` of the small CLIPs' own
    seeds      trainings of each
    """

    tasks: list[OnTask] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    steps: int = 0
    part: int = PART
    seeds: int = 0


def recorded(evidence: Evidence) -> bool:
    """Is any task recorded?"""
    return evidence.has(ssm_vlm_training, TASKS)


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """What the text says of this evidence; without a record, that there is none."""
    if not recorded(evidence):
        return Numbers(lacking=list(SMALL_CLIPS.values()))
    rows = evidence.tower_trained
    return Numbers(
        tasks=[_on_task(evidence, task) for task in evidence.tower_tasks],
        lacking=evidence.tower_lacking,
        steps=int(rows[rows["budget"] == STEPS]["steps"].iloc[0]),
        seeds=int(rows["seeds"].max()),
    )


def _on_task(evidence: Evidence, task: str) -> OnTask:
    rows = frames.where(evidence.tower_trained, task=task)
    towers = [_tower(evidence, task, label) for label in rows["variant"].unique() if label != TRANSFORMER]
    return OnTask(SMALL_CLIPS[task], frames.only(rows, variant=TRANSFORMER)["accuracy"], towers)


def _tower(evidence: Evidence, task: str, label: str) -> Tower:
    rows = frames.where(evidence.tower_trained, task=task, variant=label)
    same = frames.only(rows, budget=STEPS)
    timed = frames.where(rows, budget=TIME)
    step = frames.only(evidence.tower_steps, task=task, variant=label)["latency_ratio"]
    other = same if timed.empty else timed.iloc[0]
    return Tower(label, step, same["accuracy"], of(same), same["verdict"], of(other))
