"""Values of the headlines on sequence models again, under the names that headlines have for them.

The choices are made anew, too: of peers, forms, states and tasks.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lib.report.audit.raw import Found, Unit, case, cases, differences, interval, memory, right, time

POINT, FASTER, MORE_LOSS = 0.01, 0.6, 0.01
SPLITS = {"digits": (449, 1348)}  # tested, trained, of the collection that seeds split
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
    """The low-rate form that comes closest to the bar on tagging, and the original report's where it is there."""
    record = "mrss_compared_tagging"
    names = {one["variant"] for one in cases(folder, record, part="forward")}
    forms = [name for name in sorted(names) if name.startswith(("low", "hybrid"))]
    every = {name: _costs_and_losses(folder, record, name) for name in forms}
    chosen = min(forms, key=lambda name: _order(every[name]))
    found = every[chosen]
    forms = "mrss_compared_tagging_forms"
    if (folder / f"{forms}.json").exists():
        wide = next(
            one["variant"] for one in cases(folder, forms, part="forward") if one["variant"].startswith("dual as wide")
        )
        of = _costs_and_losses(folder, forms, wide)
        found |= {"original form, time": of["time"], "original form, loss": of["loss at equal steps"]}
    return found


def _costs_and_losses(folder: Path, record: str, variant: str) -> Values:
    of = {
        (part, name): case(folder, record, part=part, variant=name)
        for part in ("forward", "training")
        for name in (variant, "baseline")
    }
    found = {
        "time": time(of["forward", variant], of["forward", "baseline"]),
        "training time": time(of["training", variant], of["training", "baseline"]),
        "training memory": memory(of["training", variant], of["training", "baseline"]),
    }
    base = case(folder, record, part="trained", variant="baseline")
    for one in cases(folder, record, part="trained", variant=variant):
        lost = [loss / base["test_losses"][seed] - 1 for seed, loss in sorted(one["test_losses"].items())]
        name = {"steps": "loss at equal steps", "time": "loss in equal time"}[one["parameters"]["budget"]]
        found[name] = replace(interval(lost), unit=Unit.CHANGE)
        if one["parameters"]["budget"] == "steps":
            found["accuracy"] = interval(differences(one, base))
    return found


def _order(of: Values) -> tuple[int, bool, float]:
    """Parts of the bar that a form misses on average; then its training time if a time is missed, else its loss."""
    steps, later = of["loss at equal steps"], of.get("loss in equal time")
    slow = max(of["time"].value, of["training time"].value) > FASTER
    missed = [of["time"].value > FASTER, of["training time"].value > FASTER, steps.value > MORE_LOSS]
    missed.append(later is None or later.value > 0)
    return sum(missed), slow, of["training time"].value if slow else (later or steps).value


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
