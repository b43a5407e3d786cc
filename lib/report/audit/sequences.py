"""Values of the headlines on sequence models again, under the names that headlines have for them.

The choices are made anew, too: of peers, forms, states and tasks.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from lib.report.audit.raw import Found, Unit, case, cases, differences, interval, memory, right, time

POINT, SOLVED = 0.01, 0.9
SPLITS = {"digits": (449, 1348), "plugs": (534, 535), "motions": (40, 40)}  # tested, trained; others are drawn anew
TASKS = {  # name -> as readers know it
    "digits": "digits",
    "clocks": "synthetic oscillators",
    "motions": "BasicMotions",
    "plugs": "PLAID",
    "copying": "selective copying",
    "induction": "induction heads",
}
PEERS = ("transformers, compiled", "transformers, mambapy", "mamba_ssm", "llama.cpp", "transformers, fallback")

Values = dict[str, Found]


def scan(folder: Path) -> Values:
    """How many times our time the fastest peer of each pass takes."""
    found = {}
    for name, part in {"forward pass": "forward", "training step": "training"}.items():
        timed = [one for one in cases(folder, "scan", part=part, after="itself") if one["seconds"]]
        kept = [one for one in timed if one["parameters"]["keep_freed"]] or timed
        most = max(one["parameters"]["threads"] for one in kept)
        by = {one["variant"]: one for one in kept if one["parameters"]["threads"] == most}
        ours = next(by[name] for name in ("cpp", "cuda", "torch") if name in by)
        peer = min((by[name] for name in PEERS if name in by), key=lambda one: time(one, one | _unit(one)).value)
        ratio = time(ours, peer)
        found[name] = Found(1 / ratio.value, 1 / ratio.high, 1 / ratio.low, unit=Unit.TIMES)
    return found


def _unit(one: Mapping) -> dict[str, list[float]]:
    """Seconds of one each, so that a ratio to it is the seconds themselves."""
    return {"seconds": [1.0] * len(one["seconds"])}


def resolution(folder: Path) -> Values:
    """The low-rate form on the digits, its rivals there, and the tasks on which it does not keep the accuracy."""
    names = {one["variant"] for one in cases(folder, "mrss_digits", part="forward")}
    low, dual = (next(name for name in names if name.startswith(f"{form}, r = ")) for form in ("low", "dual"))
    base = {part: case(folder, "mrss_digits", part=part, variant="baseline") for part in ("forward", "training")}
    timed = {name: case(folder, "mrss_digits", part="forward", variant=name) for name in names}
    ran = {name: time(one, base["forward"]) for name, one in timed.items()}
    came = {name: _against_baseline(folder, "digits", name, "steps") for name in names}
    training = case(folder, "mrss_digits", part="training", variant=low)
    found = {
        "time": ran[low],
        "memory": memory(timed[low], base["forward"]),
        "training time": time(training, base["training"]),
        "right": right(case(folder, "mrss_digits", part="trained", variant=low, budget="steps")),
        "accuracy": came[low],
    }
    rivals = [name for name in names - {low, dual, "baseline"} if came[name].value >= -POINT]
    for name in [dual, *sorted(rivals, key=lambda name: ran[name].value)[:1]]:
        found |= {f"{name}, time": ran[name], f"{name}, accuracy": came[name]}
    for task, words in TASKS.items():
        budgets = [one["parameters"]["budget"] for one in cases(folder, f"mrss_{task}", part="trained", variant=low)]
        last = _against_baseline(folder, task, low, budgets[-1])
        least = _solved(folder, task, "baseline", "steps")[0] if last.unit is Unit.SEEDS else -POINT
        if last.value < least:
            found[f"{words}, accuracy"] = last
    return found


def _against_baseline(folder: Path, task: str, variant: str, budget: str) -> Found:
    at = dict(part="trained", budget=budget)
    if task == "induction":
        share, seeds = _solved(folder, task, variant, budget)
        return Found(share, unit=Unit.SEEDS, of=seeds)
    one = case(folder, f"mrss_{task}", variant=variant, **at)
    base = case(folder, f"mrss_{task}", variant="baseline", part="trained")
    return interval(differences(one, base), _overlap(task))


def _solved(folder: Path, task: str, variant: str, budget: str) -> tuple[float, int]:
    """The share of the seeds that solve a task, and how many there are."""
    reached = case(folder, f"mrss_{task}", part="trained", variant=variant, budget=budget)["accuracies"].values()
    return fmean(float(one > SOLVED) for one in reached), len(reached)


def _overlap(task: str) -> float:
    tested, trained = SPLITS.get(task, (0, 1))
    return tested / trained


def distillation(folder: Path) -> Values:
    """The digits model with the fewest states that surely keeps the accuracy, and what stands beside it."""
    record = "distillation_digits"
    whole = case(folder, record, variant="original")
    methods = {one["variant"] for one in cases(folder, record, healed=True)}
    method = next(name for name in ("balanced", "balanced_refit", "balanced_truncation") if name in methods)
    tuned = {one["parameters"]["order"]: one for one in cases(folder, record, variant=method, healed=True)}
    small = {one["parameters"]["order"]: one for one in cases(folder, record, variant="scratch")}
    timed = {one["variant"]: one for one in cases(folder, "distillation", part="model")}
    lost = {order: interval(differences(one, whole), _overlap("digits")) for order, one in tuned.items()}
    form = "recurrence, {} states".format
    states = min(order for order, one in lost.items() if one.low >= -POINT and form(order) in timed)
    low_rank = case(folder, record, variant="truncated_svd", order=states, healed=True)
    full = timed["full kernel"]
    found = {
        "time": time(timed[form(states)], full),
        "memory": memory(timed[form(states)], full),
        "right": right(tuned[states]),
        "accuracy": lost[states],
        "small from the start, accuracy": interval(differences(small[states], whole), _overlap("digits")),
        "truncated SVD, accuracy": interval(differences(low_rank, whole), _overlap("digits")),
    }
    for name in (form(whole["parameters"]["states"]), f"low rank, r = {states}"):
        found |= {f"{name}, time": time(timed[name], full)} if name in timed else {}
    for order, one in tuned.items():
        gain = interval(differences(one, small[order]), _overlap("digits"))
        found |= {f"gain at {order} states": gain} if gain.low > 0 else {}
    return found
