"""Low-rank adaptation: what the chapter's text says of few images per class."""

from dataclasses import dataclass, field

from lib.experiments import lora_shots
from lib.experiments.lora_shots import ALPHA, GROWING, KINDS, LABELS, LORA, LOWEST, PROBE, ROOT, WHOLE, ZERO, ranked
from lib.names import SMALL_CLIPS
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.frames.lora_pairs import Gap
from lib.report.frames.lora_shots import minus_lora
from lib.report.views.files import naming_files


@dataclass(frozen=True)
class OnShots:
    """One task.

    zero, probe   accuracy of the checkpoint itself, and of the probe with most images
    few, many     of LoRA with fewest and with most images
    best          the kind of the highest mean with most images; that choice is made on the test images
    growing       the highest rank at one rate, its scale as large as the lowest's, minus the lowest, in accuracy
    rooted        the same with alpha / sqrt(r)
    tuned         the first at a rate of its own
    rates         the one rate, and the highest rank's own
    """

    name: str
    zero: float
    probe: float
    few: float
    many: float
    best: str
    growing: Gap
    rooted: Gap
    tuned: Gap
    rates: tuple[float, float]


@dataclass(frozen=True)
class Numbers:
    """All that the text on few images per class says.

    tasks      those that are recorded, and `lacking` those that are not
    fewest, most   images per class
    lowest, highest   ranks; `alpha` and `scale` of the lowest
    tried      rates, or strengths of the probe, each; chosen at `chosen_at` images per class, by `held_back` images
    seeds      trainings of each
    """

    tasks: list[OnShots] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    fewest: int = WHOLE.shots[0]
    most: int = WHOLE.shots[-1]
    lowest: int = LOWEST
    highest: int = WHOLE.ranks[-1]
    alpha: float = ALPHA
    scale: float = ALPHA / LOWEST
    tried: int = len(WHOLE.rates)
    chosen_at: int = WHOLE.chosen_at
    held_back: int = 0
    seeds: int = 0


def recorded(evidence: Evidence) -> bool:
    """Is any task recorded?"""
    return evidence.has(lora_shots, lora_shots.TASKS)


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """What the text says of this evidence; without a record, that there is none."""
    if not recorded(evidence):
        return Numbers(lacking=list(SMALL_CLIPS.values()))
    rows = evidence.shots
    protocol = evidence.records(f"lora_shots_{evidence.shot_tasks[0]}")[0].parameters
    return Numbers(
        tasks=[_on_task(evidence, task) for task in evidence.shot_tasks],
        lacking=evidence.shot_lacking,
        fewest=int(rows["shots"].min()),
        most=int(rows["shots"].max()),
        highest=int(rows["rank"].max()),
        chosen_at=int(protocol["chosen_at"]),
        held_back=int(protocol["held_back"]),
        seeds=rows["seed"].nunique(),
    )


def _on_task(evidence: Evidence, task: str) -> OnShots:
    rows, means = (frames.where(found, task=task) for found in (evidence.shots, evidence.shot_means))
    fewest, most, highest = means["shots"].min(), means["shots"].max(), int(means["rank"].max())
    last = frames.where(means, shots=most, own=True).set_index("variant")["accuracy"]
    own = frames.only(means, variant=ranked(highest, GROWING), own=True)
    return OnShots(
        name=SMALL_CLIPS[task],
        zero=frames.only(means, variant=LABELS[ZERO])["accuracy"],
        probe=last[LABELS[PROBE]],
        few=frames.only(means, variant=LORA, shots=fewest)["accuracy"],
        many=last[LORA],
        best=last[[LABELS[kind] for kind in KINDS]].idxmax(),
        growing=minus_lora(rows, ranked(highest, GROWING), own=False),
        rooted=minus_lora(rows, ranked(highest, ROOT), own=False),
        tuned=minus_lora(rows, ranked(highest, GROWING), own=True),
        rates=(frames.only(means, variant=LORA, shots=most)["setting"], own["setting"]),
    )
