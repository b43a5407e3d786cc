"""Records of the fair comparison, written by hand: three seeds, costs and losses that can be worked out."""

import torch

from lib import records
from lib.experiments import base, mrss_compared, mrss_gates, mrss_references
from lib.experiments.mrss_compared import FORWARD, LENGTHS, TRAINED, TRAINING, TRIED
from lib.experiments.mrss_gate_uses import packed
from lib.profilers.profile import Profile
from lib.records import Record
from lib.report.frames.mrss_compared import results
from lib.tasks.training.protocol import DECAYS, RATES, STEPS, TIME

SEEDS = (-0.001, 0.0, 0.001)  # what a seed adds to every loss: differences to the baseline hardly scatter
BASELINE, LOW, HYBRID = "baseline", "low, r = 8", "hybrid, r = 8"
USUAL = {  # variant -> seconds of a step, relative to the baseline's; loss [nats] by budget
    BASELINE: (1.0, {STEPS: 1.0}),
    LOW: (0.5, {STEPS: 1.005, TIME: 0.9}),
    HYBRID: (0.8, {STEPS: 1.2, TIME: 1.1}),
}
RATE = RATES[1]


def compared(
    plan: str = "tagging", variants=None, *, right=None, lengths=(), rate=RATE, falls=0.5, noise=SEEDS
) -> Record:
    """A record of a plan.

    variants   as USUAL; a loss of None is a training that diverged
    right      variant -> accuracies by seed, of every budget; 0.8 where left out
    lengths    that accuracies are recorded at, too
    rate       that was chosen
    falls      by how much the held-back loss falls in the last fifth of a training, as a share
    noise      of losses, by seed
    """
    variants, right = variants or USUAL, right or {}
    cases = base.Cases(mrss_compared.PARTS)
    for label, (share, _) in variants.items():
        at = {"task": plan, "parameters": 1000, "threads": 1}
        for part in (FORWARD, TRAINING):
            cases.add(part, label, Profile([share] * 3, int(1000 * share), 1), parameters=at)
        for tried in RATES:
            held = {"seconds": [1.0], "valid_losses": {2**31: [1.0 + abs(tried - rate)]}}
            cases.add(TRIED, label, measured=held, task=plan, rate=tried, decay=DECAYS[0], steps=10)
    for label, (share, budgets) in variants.items():
        for budget, loss in budgets.items():
            steps = 40 if budget == STEPS else round(40 / share)
            at = {"task": plan, "budget": budget, "rate": rate, "decay": DECAYS[0], "steps": steps}
            if loss is None:
                cases.add(TRAINED, label, measured={"error": "the loss was not finite from 1 of 3 seeds"}, **at)
                continue
            of = right.get(label, [0.8] * len(noise))
            before = [loss / (1 - falls)] * 16
            held = {
                "seconds": [share * steps] * len(noise),
                "accuracies": dict(enumerate(of)),
                "test_losses": {seed: loss + more for seed, more in enumerate(noise)},
                "losses": {seed: [2.0, 1.0] for seed in range(len(noise))},
                "valid_losses": {seed: [*before, *[loss] * 4] for seed in range(len(noise))},
            }
            cases.add(TRAINED, label, measured=held, **at)
            for length in lengths:
                held = {"accuracies": dict(enumerate(of))}
                cases.add(LENGTHS, label, measured=held, task=plan, budget=budget, length=length)
    said = {"task": plan, "protocol": mrss_compared.PROTOCOL, "dim": 64, "layers": 4, "batch": 8, "trained": 40}
    return records.new(mrss_compared.NAME.format(task=plan), cases, seed=0, parameters=said)


def references(plan: str = "tagging", **judged: tuple[float, float | None]) -> Record:
    """A record of references: name of a row -> accuracy and loss, the same from three seeds."""
    cases = base.Cases(mrss_references.PARTS)
    for name, (right, loss) in (judged or {"1-NN": (0.5, None), "CNN": (0.7, 1.5)}).items():
        held = {"accuracies": dict.fromkeys(range(3), right)}
        held |= {} if loss is None else {"test_losses": dict.fromkeys(range(3), loss)}
        cases.add(mrss_references.JUDGED, name, measured=held, task=plan, chosen="", steps=0)
    return records.new(mrss_references.NAME.format(task=plan), cases, seed=0, parameters={})


def gates() -> Record:
    """A record of learned gates: the baseline, and a form that computes one token in two."""
    cases = base.Cases(mrss_gates.PARTS)
    at = {"batch": 1, "length": 4, "input_bytes": 0}
    for form, gate, share in (
        (BASELINE, "as learned", 1.0),
        ("dynamic", "as learned", 0.5),
        ("dynamic", "all open", 2.0),
    ):
        name = form if gate == "as learned" else f"{form}, {gate}"
        cases.add(mrss_gates.FORWARD, name, Profile([share] * 3, 100, 1), form=form, gate=gate, **at)
    right = {"accuracies": {0: 0.8}, "test_losses": {0: 1.0}}
    at = {"steps": 4, "parameters": 10, "used": 0.5, "after_fast": 0.5, "after_slow": 0.5}
    cases.add(mrss_gates.TRAINED, "dynamic", measured=right, parameters={"form": "dynamic", **at})
    shares = packed(torch.tensor([1.0, 0.0]))
    cases.add(mrss_gates.USED, "dynamic, mixer 1", measured=right, form="dynamic", mixer=1, span=2, shares=shares)
    held = {"signal": "0 100 50 -50", "slow": "0011", "fast": "0101"}
    return records.new(mrss_gates.NAME, cases, seed=0, parameters=held)


def table(*made: Record):
    """The frame of results of records."""
    return results(mrss_compared.frame(made), mrss_compared.outcomes(made), mrss_compared.curves(made))
