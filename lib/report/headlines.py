"""What readers should remember: four numbers, each from a record. `lib.report.first_pages` writes them there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lib.report import accuracy, frames, prose, pruning, units
from lib.report.evidence import Evidence

SHARE = 0.45  # of the operations
STATES, RANK = 16, 16  # of 128 states; of the seed's kernel
TAPS = 8192
KEPT = 0.5  # of the tokens, by the seed


@dataclass(frozen=True)
class Point:
    """Time over the baseline's, and a few words on what it bought."""

    ratio: float
    words: str


@dataclass(frozen=True)
class Headline:
    """A sentence, the chapter that tells more, and the records that it was computed from.

    proposed   what the seed report proposed, where it did
    reached    what this book came to
    """

    topic: str
    text: str
    chapter: str
    proposed: Point | None
    reached: Point
    records: tuple[str, ...] = ()


def headlines(evidence: Evidence) -> list[Headline]:
    """One for each promise of the seed report, all of one machine.

    raises   lib.report.evidence.Missing where a record is missing
    """
    found, evidence = [], evidence.of_one_machine()
    for make in (scan, slow_clock, few_states, few_tokens):
        own = evidence.fresh()
        headline = make(own)
        found.append(replace(headline, records=tuple(own.used)))
    return found


def scan(e: Evidence) -> Headline:
    """The compiled scan against transformers' fallback."""
    faster = frames.speedup(frames.benchmark(e.records("scan")[0]), "cpp")
    return Headline(
        "selective scan without a GPU",
        f"A selective scan without a GPU is **{units.times(faster['forward'])}** as fast as the fallback of "
        f"transformers, and {units.times(faster['training'])} in a training step.",
        "ssm_background",
        None,
        Point(1 / faster["forward"], "the same result"),
    )


def slow_clock(e: Evidence) -> Headline:
    """All blocks at a low rate, and the seed's two branches, against the baseline with as many weights."""
    sizes = e.scan_sizes
    slow, dual = (f"{form}, r = {sizes['r']}" for form in ("low", "dual as wide"))
    at = {"dim": sizes["width"], "length": sizes["longest"] // 4}
    ratios = {
        (part, name): frames.where(rows, **at, variant=name)["latency_ratio"]
        for part, rows in e.scan.items()
        for name in (slow, dual)
    }
    rows = e.resolutions[e.resolutions["variant"] == slow]
    good = rows["verdict"].str.startswith("kept")
    kept, later = (list(rows.loc[good & (rows["budget"] == budget), "task"]) for budget in ("steps", "operations"))
    later = [task for task in later if task not in kept]
    tasks = rows["task"].nunique()
    lost = rows[(rows["budget"] == "operations") & ~rows["task"].isin(kept + later)]
    behind = units.listed([f"{prose.points(row)} points on {row.task}" for row in lost.itertuples()])
    return Headline(
        "multi-resolution scan",
        f"A Mamba on a slower clock takes **{prose.extent(ratios['forward', slow])}** the time of its baseline, and "
        f"{prose.extent(ratios['training', slow])} in a training step. It keeps the accuracy on {units.listed(kept)} "
        f"after as many steps, on {units.listed(later)} after as many operations; then it still stands at {behind}. "
        f"The two branches that the seed report proposed take {prose.extent(ratios['forward', dual])}.",
        "mrss",
        Point(float(ratios["forward", dual].iloc[0]), "two branches"),
        Point(
            float(ratios["forward", slow].iloc[0]), f"slow clock: accuracy kept on {len(kept + later)} of {tasks} tasks"
        ),
    )


def few_states(e: Evidence) -> Headline:
    """An eighth of the states, healed, and the seed's low-rank kernel."""
    tasks = ("digits", "plugs", "clocks")
    shares = accuracy.accuracies(e.records(*(f"distillation_{task}" for task in tasks)))
    rows = accuracy.compared(shares, "original", ("variant", "order", "healed"))
    rows = rows[(rows["variant"] == "balanced_truncation") & (rows["order"] == STATES) & rows["healed"]]
    cost = frames.gather(e.records("distillation"), "sequence")
    cost = frames.where(frames.ratios(cost, "full kernel", ("machine", "length")), length=TAPS)
    few, low = (
        frames.where(cost, variant=name)["latency_ratio"]
        for name in (f"recurrence, {STATES} states", f"low rank, r = {RANK}")
    )
    told = [f"{prose.points(row)} points on {row.task}" for row in rows.itertuples()]
    return Headline(
        "long kernels",
        f"A trained kernel of {TAPS:,} taps as {STATES} states takes **{prose.extent(few)}** the time of its "
        f"convolution. Models so reduced, and trained briefly to answer as before, come to "
        f"{units.listed(told)}, against the original. The low rank "
        f"that the seed report proposed takes {prose.extent(low)}.",
        "kernel_distillation",
        Point(float(low.iloc[0]), "low rank"),
        Point(float(few.iloc[0]), f"{STATES} states: {prose.extent_of_points(rows['difference'])} points of accuracy"),
    )


def few_tokens(e: Evidence) -> Headline:
    """Merging in rounds at less than half of the operations, and the seed's norm with half of the tokens."""
    every = pruning.summary(pruning.outcomes(e.records("clip_accuracy_scenes", "clip_accuracy_cifar10")))
    merged = frames.where(every, variant="merge in rounds", target=SHARE)
    normed = frames.where(every, variant="L2 norm", keep=KEPT)
    cost = frames.ratios(frames.gather(e.records("clip_cost"), "methods"), "untouched", ("machine", "batch", "side"))
    merging, norm = (frames.where(cost, variant=name)["latency_ratio"] for name in ("merge in rounds", "L2 norm"))
    told = units.listed([f"{pruning.retained(row)} on {pruning.NAMES[row.task]}" for row in merged.itertuples()])
    left = [units.share(one) for one in normed["retained"]]
    few = [f"{one:.1%}".replace("%", " %") for one in merged["retained"]]
    return Headline(
        "CLIP's visual tokens",
        f"Merging tokens in rounds takes **{prose.extent(merging)}** the time of CLIP's image encoder, ViT-B/16. Small "
        f"CLIPs trained here keep {told.replace(' %', ' % of their accuracy', 1)}, without further training. With the "
        f"norm that the seed report proposed they keep {units.listed(left)}, at {prose.extent(norm)} the time.",
        "clip_vtp",
        Point(float(norm.iloc[0]), f"norm: {units.listed(left)} of the accuracy"),
        Point(float(merging.iloc[0]), f"merging: {units.listed(few)} of the accuracy"),
    )


def listed(found: Sequence[Headline], evidence: Evidence, chapter: str, record: str) -> str:
    """A list in Markdown, with links to chapters and to records.

    chapter   address of a chapter, with a {} where its name goes
    record    the same of a record's file below data/runs
    """
    lines, evidence = [], evidence.of_one_machine()
    for one in found:
        machines = {name: evidence.records(name)[0].environment.machine for name in one.records}
        sources = [
            f"[{name.partition('_')[2] or name}]({record.format(f'{machine}/{name}.json')})"
            for name, machine in machines.items()
        ]
        lines.append(f"- {one.text} [Chapter]({chapter.format(one.chapter)}). Records: {', '.join(sources)}.")
    return "\n".join(lines)
