"""State space models that see: what the chapter's text says of towers that were trained, and of fewer patches."""

from dataclasses import dataclass, field

from lib.experiments import ssm_vlm_training
from lib.experiments.ssm_vlm_runs import GRADUAL, TUNED_KEEP, TUNED_PART, WHOLE
from lib.experiments.ssm_vlm_scaling import TRANSFORMER
from lib.experiments.ssm_vlm_training import PART, STEPS, TASKS, TIME
from lib.names import SCAN_REDUCTIONS, SMALL_CLIPS
from lib.report import accuracy, frames
from lib.report.evidence import Evidence
from lib.report.frames.lora_pairs import Gap, of
from lib.report.views.files import naming_files

DROPPING = [SCAN_REDUCTIONS[name].label for name in ("random", "norm", "steps")]
SEGMENTS = SCAN_REDUCTIONS["segments"].label
AHEAD, LOST = 0.05, 0.02  # of accuracy: what merging is to gain over dropping, and may lose


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
    """One task.

    transformer   accuracy
    whole         of Vision Mamba with all patches; `half` by segments with longer steps, half of the patches
    ahead         segments minus the best way of dropping, `dropping`; that choice is made on the test images
    longer        segments with longer steps minus those without
    gradual       gradual minus at once, by segments
    healed        segments, trained on, minus all patches, trained on equally
    small, large  time at half of the patches relative to all, by segments, and their numbers of patches
    """

    name: str
    transformer: float
    towers: list[Tower]
    whole: float
    half: float
    dropping: str
    ahead: Gap
    longer: Gap
    gradual: Gap
    healed: Gap
    small: float
    large: float
    sizes: tuple[int, int]


@dataclass(frozen=True)
class Numbers:
    """All that the text on trained towers says.

    tasks      those that are recorded, and `lacking` those that are not
    steps      of each training; one in `part` of the small CLIPs' own
    seeds      trainings of each
    tuned      further steps with half of the patches
    bar, most  points that merging is to gain over dropping, and may lose
    """

    tasks: list[OnTask] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    steps: int = 0
    part: int = PART
    seeds: int = 0
    tuned: int = 0
    bar: int = round(100 * AHEAD)
    most: int = round(100 * LOST)


def recorded(evidence: Evidence) -> bool:
    """Is any task recorded?"""
    return evidence.has(ssm_vlm_training, TASKS)


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """What the text says of this evidence; without a record, that there is none."""
    if not recorded(evidence):
        return Numbers(lacking=list(SMALL_CLIPS.values()))
    rows = evidence.tower_trained
    steps = int(rows[rows["budget"] == STEPS]["steps"].iloc[0])
    return Numbers(
        tasks=[_on_task(evidence, task) for task in evidence.tower_tasks],
        lacking=evidence.tower_lacking,
        steps=steps,
        seeds=int(rows["seeds"].max()),
        tuned=max(1, steps // TUNED_PART),
    )


def _on_task(evidence: Evidence, task: str) -> OnTask:
    rows = frames.where(evidence.tower_trained, task=task)
    found = frames.where(evidence.tower_fewer, task=task, tuned=0)
    half = frames.where(found, keep=TUNED_KEEP)
    drops = half[half["variant"].isin(DROPPING)]
    best = drops.loc[drops["accuracy"].idxmax(), "variant"]
    times = frames.where(evidence.tower_times, task=task, variant=SEGMENTS, keep=TUNED_KEEP)
    ratios = times.set_index("patches")["latency_ratio"].sort_index()
    tuned = evidence.tower_fewer
    healed = tuned[(tuned["task"] == task) & (tuned["tuned"] > 0) & (tuned["variant"] == SEGMENTS)].iloc[0]
    merged = {"variant": SEGMENTS, "longer": True}
    return OnTask(
        name=SMALL_CLIPS[task],
        transformer=frames.only(rows, variant=TRANSFORMER)["accuracy"],
        towers=[_tower(evidence, task, label) for label in rows["variant"].unique() if label != TRANSFORMER],
        whole=frames.only(found, variant=WHOLE)["accuracy"],
        half=frames.only(half, **merged)["accuracy"],
        dropping=best,
        ahead=_between(evidence, task, merged, {"variant": best}),
        longer=_between(evidence, task, merged, {"variant": SEGMENTS, "longer": False}),
        gradual=_between(evidence, task, {"variant": GRADUAL}, merged),
        healed=of(healed),
        small=ratios.iloc[0],
        large=ratios.iloc[-1],
        sizes=(int(ratios.index[0]), int(ratios.index[-1])),
    )


def _tower(evidence: Evidence, task: str, label: str) -> Tower:
    rows = frames.where(evidence.tower_trained, task=task, variant=label)
    same = frames.only(rows, budget=STEPS)
    timed = frames.where(rows, budget=TIME)
    step = frames.only(evidence.tower_steps, task=task, variant=label)["latency_ratio"]
    other = same if timed.empty else timed.iloc[0]
    return Tower(label, step, same["accuracy"], of(same), same["verdict"], of(other))


def _between(evidence: Evidence, task: str, first: dict, second: dict) -> Gap:
    """Accuracy of one way to go on with half of the patches minus that of another, seed by seed."""
    rows = frames.where(evidence.tower_pairs(task), keep=TUNED_KEEP, tuned=0)
    one, other = (frames.where(rows, **at).set_index("seed") for at in (first, second))
    found = accuracy.fitting(one)((one["accuracy"] - other["accuracy"].loc[one.index]).to_numpy())
    return Gap(found.mean, found.low, found.high, found.how)
