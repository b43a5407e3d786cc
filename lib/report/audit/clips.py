"""Values of the headlines on small CLIPs again, under the names that headlines have for them; choices are made anew."""

from pathlib import Path
from statistics import fmean

from lib.report.audit.raw import Case, Found, Unit, case, cases, differences, interval, memory, retained, time

CLIPS = {"scenes": "scenes", "cifar10": "CIFAR-10"}  # the last is the one of photographs
ROUNDS, NORM, WHOLE = "merge in rounds", "L2 norm", ("unreduced", "untouched")
RATIO = 0.45  # of the operations
FULL, USUAL = "full fine-tuning", "all linear, rank 2"
BOTTLENECK = ("original's bottleneck, rank 8", "seed's bottleneck, rank 8")
CHECKPOINTS = 3  # a seed starts from one of them

Values = dict[str, Found]


def tokens(folder: Path) -> Values:
    """Merging in rounds on the last small CLIP whose own tower was timed, its rivals in no more time, other CLIPs."""
    timed = {task: _timed(folder, task) for task in CLIPS}
    *others, task = [task for task, found in timed.items() if found]
    base, mine = _whole(timed[task]), _merged(timed[task])
    cheap = [one for one in timed[task] if one["variant"] not in (ROUNDS, *WHOLE)]
    cheap = [one for one in cheap if time(one, base).value <= time(mine, base).value]
    chosen = {"": mine, "best other, ": _best(folder, task, cheap, base)}
    chosen["norm, "] = _best(folder, task, [one for one in cheap if one["variant"] == NORM], base)
    found = {"memory": memory(mine, base)}
    for name, one in chosen.items():
        found |= {f"{name}time": time(one, base), f"{name}accuracy": retained(*_answered(folder, task, one))}
    for other in others:
        one = _merged(timed[other])
        found[f"{CLIPS[other]}, time"] = time(one, _whole(timed[other]))
        found[f"{CLIPS[other]}, accuracy"] = retained(*_answered(folder, other, one))
    right = _answered(folder, task, mine)[1]["accuracies"].values()
    return found | {"own accuracy": Found(fmean(right), min(right), max(right), unit=Unit.RANGE)}


def _timed(folder: Path, task: str) -> list[Case]:
    """Times of a task's own image tower; a record that names no checkpoint timed that of scenes."""
    named = [
        (one, one["parameters"].get("checkpoint", "clip-scenes-0")) for one in cases(folder, "clip_cost", part="small")
    ]
    return [one for one, checkpoint in named if checkpoint.startswith(f"clip-{task}-")]


def _whole(timed: list[Case]) -> Case:
    return next(one for one in timed if one["variant"] in WHOLE)


def _merged(timed: list[Case]) -> Case:
    return next(one for one in timed if (one["variant"], one["parameters"]["target"]) == (ROUNDS, RATIO))


def _best(folder: Path, task: str, timed: list[Case], base: Case) -> Case:
    """The setting that retains most on average, the faster one of equals."""

    def rank(one: Case) -> tuple[float, float]:
        mine, whole = _answered(folder, task, one)
        kept = fmean(mine["accuracies"][seed] / whole["accuracies"][seed] for seed in mine["accuracies"])
        return kept, -time(one, base).value

    return max(timed, key=rank)


def _answered(folder: Path, task: str, one: Case) -> tuple[Case, Case]:
    """Answers of a setting that was timed, and of the unreduced model."""
    record = f"clip_accuracy_{task}"
    mine = case(folder, record, variant=one["variant"], target=one["parameters"]["target"])
    return mine, next(one for one in cases(folder, record) if one["variant"] in WHOLE)


def adapters(folder: Path) -> Values:
    """Adapters of rank 2 on the last task's new labels, the best other ones, the bottleneck; other tasks."""
    *others, task = CLIPS
    trained = {one["variant"]: one for one in cases(folder, f"lora_labels_{task}", measured="accuracy")}
    usual = trained[USUAL]
    peers = [one for name, one in trained.items() if name != USUAL and one["parameters"]["way"] == "lora"]
    peers = [one for one in peers if one["parameters"]["steps"] == usual["parameters"]["steps"]]
    best = max(peers, key=lambda one: _gained(one, trained[FULL]).value)
    bottleneck = next(trained[name] for name in BOTTLENECK if name in trained)
    found = {"optimiser's memory": _share(usual, "optimiser_bytes", trained[FULL], "optimiser_bytes")}
    by_seed = [usual["accuracies"][seed] for seed in sorted(usual["accuracies"])]
    found["right"] = Found(fmean(_by_checkpoint(by_seed)), unit=Unit.SHARE)
    for name, one in {"": usual, "best other adapters, ": best, "bottleneck, ": bottleneck}.items():
        found |= {f"{name}time": time(one, trained[FULL]), f"{name}accuracy": _gained(one, trained[FULL])}
        if one is not bottleneck:
            found[f"{name}weights"] = _share(one, "trainable", one, "total")
    for other in others:
        record = f"lora_labels_{other}"
        both = [case(folder, record, variant=name, measured="accuracy") for name in (USUAL, FULL)]
        found[f"{CLIPS[other]}, accuracy"] = _gained(*both)
    return found


def _share(one: Case, name: str, other: Case, beside: str) -> Found:
    return Found(one["parameters"][name] / other["parameters"][beside], unit=Unit.SHARE)


def _gained(one: Case, full: Case) -> Found:
    """Difference of accuracies: seeds of one checkpoint are averaged before the interval is taken."""
    return interval(_by_checkpoint(differences(one, full)))


def _by_checkpoint(values: list[float]) -> list[float]:
    """Means of the seeds that start from one checkpoint; values in the order of seeds."""
    return [fmean(values[first::CHECKPOINTS]) for first in range(CHECKPOINTS)]
