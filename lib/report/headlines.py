"""What readers should remember: four numbers, each from a record; `lib.report.first_pages` writes them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lib.experiments.clip_variants import NORM, ROUNDS
from lib.names import DISTILLATIONS, DISTILLED, SEQUENCES, SMALL_CLIPS
from lib.report import accuracy, frames, prose, units
from lib.report.evidence import Evidence
from lib.report.views.base import known
from lib.report.views.files import naming_files
from lib.report.views.ssm import Faster

SHARE = 0.45  # of the operations
BALANCED = DISTILLATIONS["balanced_truncation"].label
KEPT = 0.5  # of the tokens, by the original report


@dataclass(frozen=True)
class Point:
    """Time over the baseline's, and a few words on what it bought."""

    ratio: float
    words: str


@dataclass(frozen=True)
class Headline:
    """A sentence, the chapter that tells more, and the records that it was computed from.

    proposed   what the original report proposed, where it did
    reached    what this book came to
    """

    topic: str
    text: str
    chapter: str
    proposed: Point | None
    reached: Point
    records: tuple[str, ...] = ()


@naming_files
def headlines(evidence: Evidence) -> list[Headline]:
    """One for each promise of the original report, all of the reference machine.

    raises   lib.report.frames.Missing where a record is missing
    """
    found = []
    for make in (scan, low_rate, few_states, few_tokens):
        own = evidence.fresh()
        headline = make(own)
        found.append(replace(headline, records=tuple(own.used)))
    return found


@naming_files
def scan(e: Evidence) -> Headline:
    """The compiled scan against the fastest peer of each pass, in both manners of memory."""
    passes, kept = e.scan_speedups, e.scan_speedups_kept
    forward, training = (_best(passes[part], kept[part]) for part in ("forward", "training"))
    return Headline(
        "selective scan without a GPU",
        f"Without a GPU the selective scan is {forward[0]} as its best peer in a forward pass ({forward[1]}), and "
        f"{training[0]} in a training step ({training[1]}). Where freed memory stays with the process, and large "
        f"temporary tensors cost no page faults, it is {forward[2]} in a forward pass and {training[2]} in a "
        f"training step.",
        "ssm_background",
        None,
        Point(1 / passes["forward"].times, f"the same result as {passes['forward'].peer}"),
    )


def _best(one: Faster, kept: Faster) -> tuple[str, str, str]:
    """How much faster; than which peer, at how many tokens, between which quartiles; and where memory is kept."""
    extent = f"{units.times(one.low)} to {units.times(one.high)}"
    return (
        f"**{units.times(one.times)}** as fast",
        f"{one.peer}; {one.length:,} tokens; quartiles {extent}",
        f"{units.times(kept.times)} ({kept.peer})",
    )


@naming_files
def low_rate(e: Evidence) -> Headline:
    """All blocks at a low rate, and the original report's two branches, against the baseline."""
    sizes = e.scan_sizes
    low, dual = (f"{form}, r = {sizes['r']}" for form in ("low", "dual as wide"))
    at = {"dim": sizes["width"], "length": sizes["longest"] // 4}
    ratios = {
        (part, name): frames.where(rows, **at, variant=name)["latency_ratio"]
        for part, rows in e.scan.items()
        for name in (low, dual)
    }
    rows = e.resolutions[e.resolutions["variant"] == low]
    good = rows["verdict"].str.startswith("kept")
    kept, later = (list(rows.loc[good & (rows["budget"] == budget), "task"]) for budget in ("steps", "operations"))
    later = [task for task in later if task not in kept]
    tasks = rows["task"].nunique()
    lost = rows[(rows["budget"] == "operations") & ~rows["task"].isin(kept + later)]
    behind = units.listed([f"{prose.points(row)} points on {row.task}" for row in lost.itertuples()])
    return Headline(
        "multi-resolution scan",
        f"A Mamba at a lower temporal resolution takes **{prose.extent(ratios['forward', low])}** the time of its "
        f"baseline, and {prose.extent(ratios['training', low])} in a training step. It keeps the accuracy on "
        f"{units.listed(kept)} at equal steps, on {units.listed(later)} at equal compute; then it still stands at "
        f"{behind}. The two branches that the original report proposed take {prose.extent(ratios['forward', dual])}.",
        "mrss",
        Point(float(ratios["forward", dual].iloc[0]), "two branches"),
        Point(
            float(ratios["forward", low].iloc[0]), f"low rate: accuracy kept on {len(kept + later)} of {tasks} tasks"
        ),
    )


@naming_files
def few_states(e: Evidence) -> Headline:
    """An eighth of the states after distillation fine-tuning, and the original report's low-rank kernel."""
    rows = accuracy.compared(e.students, "original", ("variant", "order", "healed"))
    states, taps = e.few[0], e.kernel_taps
    rows = rows[(rows["variant"] == BALANCED) & (rows["order"] == states) & rows["healed"]]
    known(rows, each={"task": [SEQUENCES[task].label for task in DISTILLED]})
    cost = frames.where(e.kernels, length=taps)
    few, low = (
        frames.where(cost, variant=name)["latency_ratio"]
        for name in (f"recurrence, {states} states", f"low rank, r = {states}")
    )
    told = [f"{prose.points(row)} points on {row.task}" for row in rows.itertuples()]
    return Headline(
        "long kernels",
        f"A trained kernel of {taps:,} taps as {states} states takes **{prose.extent(few)}** the time of its "
        f"convolution. Models so reduced, and trained briefly to answer as before, come to "
        f"{units.listed(told)}, against the original. The low rank "
        f"that the original report proposed takes {prose.extent(low)}.",
        "kernel_distillation",
        Point(float(low.iloc[0]), "low rank"),
        Point(float(few.iloc[0]), f"{states} states: {prose.extent_of_points(rows['difference'])} points of accuracy"),
    )


@naming_files
def few_tokens(e: Evidence) -> Headline:
    """Merging in rounds at less than half of the operations, and the original report's norm with half of the tokens."""
    merged = known(frames.where(e.clip_summary, variant=ROUNDS, target=SHARE), each={"task": SMALL_CLIPS})
    normed = known(frames.where(e.clip_summary, variant=NORM, keep=KEPT), each={"task": SMALL_CLIPS})
    merging, norm = (frames.where(e.clip_methods, variant=name)["latency_ratio"] for name in (ROUNDS, NORM))
    told = units.listed(
        [f"{prose.spread(row.retained, row.retained_high)} % on {SMALL_CLIPS[row.task]}" for row in merged.itertuples()]
    )
    left = [units.share(one) for one in normed["retained"]]
    few = [f"{one:.1%}".replace("%", " %") for one in merged["retained"]]
    return Headline(
        "CLIP's visual tokens",
        f"Merging tokens in rounds takes **{prose.extent(merging)}** the time of CLIP's image encoder, ViT-B/16. Small "
        f"CLIPs trained here keep {told.replace(' %', ' % of their accuracy', 1)}, without further training. With the "
        f"norm that the original report proposed they keep {units.listed(left)}, at {prose.extent(norm)} the time.",
        "clip_vtp",
        Point(float(norm.iloc[0]), f"norm: {units.listed(left)} of the accuracy"),
        Point(float(merging.iloc[0]), f"merging: {units.listed(few)} of the accuracy"),
    )


def listed(found: Sequence[Headline], evidence: Evidence, chapter: str, record: str) -> str:
    """A list in Markdown, with links to chapters and to records.

    chapter   address of a chapter, with a {} where its name goes
    record    the same of a record's file below data/runs
    """
    lines = []
    for one in found:
        sources = [
            f"[{name.partition('_')[2] or name}]({record.format(f'{evidence.machine}/{name}.json')})"
            for name in one.records
        ]
        lines.append(f"- {one.text} [Chapter]({chapter.format(one.chapter)}). Records: {', '.join(sources)}.")
    return "\n".join(lines)
