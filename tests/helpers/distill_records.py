"""Records of compared distillations and of fewer states, made by hand: what is lost is given."""

from collections.abc import Callable

from lib import records
from lib.experiments import base, distill_compared, distill_states
from lib.experiments.distill_compared_runs import COMPRESSED, CONTROL, HEALED, METHODS, ORIGINAL
from lib.experiments.distill_state_runs import CONTINUED
from lib.names import STATE_CHOICES
from lib.profilers.profile import Profile
from lib.records import Record

SEEDS = (0.001, 0.0, -0.001)  # what seeds add to a loss, so that intervals are not empty
WHOLE, ORDERS, LENGTH, LONGER = 64, (2, 8), 256, 512
STATES, KEPT = 16, (8, 4, 2)


def lost_by_default(variant: str, order: float, healed: bool) -> float:
    """Ten points before fine-tuning, none after it; a small model loses five."""
    return 0.05 if variant == CONTROL else 0.0 if healed or variant == COMPRESSED else 0.1


def banks(
    task: str,
    lost: Callable[[str, float, bool], float] = lost_by_default,
    seconds: float = 0.5,
    diverged: tuple[str, ...] = (),
) -> Record:
    """A record of one task.

    lost      variant, order, healed -> what a model loses of the original's accuracy on average, a share
    seconds   of what was reduced, where an original takes one
    diverged  variants whose loss was not finite
    """
    cases = base.Cases(distill_compared.PARTS)
    for bank in distill_compared.BANKS:
        at = dict(task=task, bank=bank)
        trial = {"seconds": [6.0], "valid_losses": {0: [1.0]}}
        cases.add(distill_compared.TRIALS, CONTROL, measured=trial, **at, states=2, rate=4e-3, steps=1)
        kinds = [(ORIGINAL, float(WHOLE), False)] + [(CONTROL, order, False) for order in ORDERS]
        kinds += [(name, order, False) for name in METHODS[bank] for order in ORDERS]
        kinds += [(name, order, True) for name in HEALED if name in METHODS[bank] for order in ORDERS]
        if bank != distill_compared.DENSE:
            kinds.append((COMPRESSED, 3.5, False))
        for variant, order, healed in kinds:
            _made(cases, at, variant, order, healed, lost, variant in diverged)
        timed = [(ORIGINAL, WHOLE, 1.0)]
        timed += [(name, order, seconds) for name in ("balanced_truncation", "truncated_svd") for order in ORDERS]
        for variant, order, taken in timed:
            result = Profile(seconds=[taken] * 3, peak_bytes=100)
            cases.add(distill_compared.FORWARD, variant, result, **at, order=order, batch=2, input_bytes=0)
    name = distill_compared.NAME.format(task=task)
    return records.new(name, cases, seed=0, parameters={"protocol": "rates by held-back data", "healing": 7})


def _made(cases, at, variant, order, healed, lost, diverged):
    what = dict(**at, order=order, healed=healed)
    more = dict(states=WHOLE, rate=4e-3, steps=9, stored=10, share=1.0)
    if diverged:
        cases.add(distill_compared.MADE, variant, measured={"error": "the loss was not finite"}, **what, **more)
        return
    gone = 0.0 if variant == ORIGINAL else lost(variant, order, healed)
    own = [0.0] * len(SEEDS) if variant == ORIGINAL else SEEDS
    shares = {seed: start - gone - noise for seed, (start, noise) in enumerate(zip((0.9, 0.8, 0.85), own, strict=True))}
    measured = {
        "seconds": [20.0] * 3,
        "accuracies": shares,
        "test_losses": {seed: 1 - one for seed, one in shares.items()},
    }
    whole = variant in (ORIGINAL, CONTROL, COMPRESSED)
    if not whole and not healed:
        measured["relative_errors"] = dict.fromkeys(shares, 0.1)
        for multiple in (2, 4):
            far = {"relative_errors": dict.fromkeys(shares, 0.1 * multiple)}
            cases.add(distill_compared.TAPS, variant, measured=far, **what, taps=multiple * LENGTH)
    cases.add(distill_compared.MADE, variant, measured=measured, **what, **more)
    if at["task"] == "plaid":
        longer = {"accuracies": {seed: one - 0.2 for seed, one in shares.items()}}
        cases.add(distill_compared.LENGTHS, variant, measured=longer, **what, length=LONGER)


def kept_by_default(variant: str, order: int, healed: bool) -> float:
    """Refitting loses least before fine-tuning; after it all lose nothing; small from the start loses much."""
    if variant in (distill_states.ORIGINAL, CONTINUED):
        return 0.0
    if variant == distill_states.SCRATCH:
        return 0.2
    return 0.0 if healed else 0.02 + 0.01 * list(STATE_CHOICES).index(variant)


def states(
    task: str, lost: Callable[[str, int, bool], float] = kept_by_default, device: str = "cpu", least: float = 0.25
) -> Record:
    """A record of one task.

    lost    variant, states, healed -> what a model loses of the original's accuracy on average, and gains in loss
    least   of the time of all states: what does not fall with their number
    """
    cases = base.Cases(distill_states.PARTS)
    kinds = [(distill_states.ORIGINAL, STATES, False), (CONTINUED, STATES, True)]
    kinds += [(distill_states.SCRATCH, keep, False) for keep in KEPT]
    kinds += [(name, keep, healed) for name in STATE_CHOICES for keep in KEPT for healed in (False, True)]
    for variant, keep, healed in kinds:
        gone = lost(variant, keep, healed)
        own = [0.0] * len(SEEDS) if variant in (distill_states.ORIGINAL, CONTINUED) else SEEDS
        starts = zip((0.96, 0.95, 0.97), own, strict=True)
        shares = {seed: start - gone - noise for seed, (start, noise) in enumerate(starts)}
        losses = {seed: 2 - one for seed, one in shares.items()}
        measured = {"seconds": [20.0] * 3, "accuracies": shares, "test_losses": losses}
        at = dict(task=task, states=keep, healed=healed, rate=1e-3, steps=9, healing=3, parameters=5)
        # `add` has its own argument `parameters`
        at["parameters"] = {"parameters": at["parameters"]}
        cases.add(distill_states.TRAINED, variant, measured=measured, **at)
    for part in (distill_states.SCAN, distill_states.SCAN_TRAINING, *_MODELS):
        for dim in (64, 256):
            for count in (STATES, *KEPT):
                taken = least + (1 - least) * count / STATES
                at = dict(batch=1, dim=dim, layers=2, length=2048, states=count, state_bytes=4 * (3 + count))
                result = Profile(seconds=[taken] * 3, peak_bytes=100)
                cases.add(part, distill_states.NUMBER.format(count), result, **at, input_bytes=0)
    held = {"device": device, "width": 64, "layers": 2, "healing": 3, "rates": "0.001", "dim": 256, "length": 2048}
    return records.new(distill_states.NAME.format(task=task), cases, seed=0, parameters=held)


_MODELS = (distill_states.FORWARD, distill_states.TRAINING, distill_states.STREAMED)
