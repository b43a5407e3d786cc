"""Kernels that the original report names, trained, reduced by every method, and compared with tuned small models.

S4D-Lin, S4D-Real and S5 are trained, reduced to few states or to a low rank, and fine-tuned to answer as before. Models
small from the start have rates of their own, chosen on held-back data by the same trials, and the steps of both. One
record per task; see `lib.experiments.distill_compared_runs`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from statistics import fmean

import pandas as pd
import torch
from torch import nn

from lib import names
from lib.experiments import base, command
from lib.experiments.distill_compared_runs import (
    COMPRESSED,
    CONTROL,
    ORIGINAL,
    PLANS,
    Outcome,
    Run,
    best,
    task_of,
    work,
)
from lib.experiments.distill_models import DENSE, build
from lib.models.checks import check_choice
from lib.models.distill.replace import distill
from lib.paths import SWEEPS
from lib.profilers.profile import profile
from lib.records import Record
from lib.tasks.training import sweep
from lib.tasks.training.protocol import TRIAL, TRIED

NAME = "distill_compared_{task}"
CHAPTER = "kernel_distillation"
TASKS = ("cifar", "plaid")  # that are recorded, of PLANS
BANKS = {"lin": "S4D-Lin", "real": "S4D-Real", DENSE: "S5"}
RATES = (4e-3, 8e-3, 1.6e-2, 3.2e-2)
TRIALS, MADE, TAPS, LENGTHS, FORWARD = "trials", "made", "taps", "lengths", "forward"
WHAT = ("task", "bank", "order", "healed")
PARTS = {
    TRIALS: ("task", "bank", "states", "rate", "steps"),
    MADE: (*WHAT, "states", "rate", "steps", "stored", "share"),
    TAPS: (*WHAT, "taps"),
    LENGTHS: (*WHAT, "length"),
    FORWARD: ("task", "bank", "order", "batch", "input_bytes"),
}
SCRATCH, IN_TRAINING = "small from the start", "compressed in training"
LABELS = {name: row.label for name, row in names.DISTILLATIONS.items()}
LABELS |= {CONTROL: SCRATCH, COMPRESSED: IN_TRAINING}
DATA = {name: (names.BENCHMARKS | names.SEQUENCES)[plan.task].label for name, plan in PLANS.items()}
WORDS = {"variant": LABELS, "task": DATA, "bank": BANKS}
PROTOCOL = (
    f"AdamW, a warm-up and a cosine to zero; rates {', '.join(f'{rate:g}' for rate in RATES)}, a trial of one in "
    f"{TRIAL} steps each, chosen by the loss on held-back data, for originals and for every size of small models; "
    "small models take the steps of the original and of the fine-tuning; tested once"
)


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is trained.

    task             of PLANS
    trainings        seeds of each
    steps            of an original in a trial; 0 for `training`, which a record needs
    training         steps of an original
    healing          of distillation fine-tuning
    teacher_states   N of an original: per channel of S4D, of S5 in all
    orders           states or ranks that are kept; an original of real states is reduced to one state, too
    shares           of Hankel singular values, in percent, that models keep which lose states in training
    batch            sequences of a step
    width, layers    sizes of all models
    banks            originals, of "lin", "real" and "s5", with commas
    source           of CIFAR-10: the hub's name or a folder; where left out, the hub's
    """

    task: str = TASKS[0]
    trainings: int = 3
    steps: int = 0
    training: int = 320
    healing: int = 80
    teacher_states: int = 64
    orders: tuple[int, ...] = (2, 4, 8)
    shares: tuple[int, ...] = (90,)
    batch: int = 16
    width: int = 64
    layers: int = 4
    banks: str = ",".join(BANKS)
    source: str = ""

    @property
    def chosen(self) -> list[str]:
        """The banks that are trained.

        raises   ValueError, quoting it, for a bank or a task that is not there
        """
        check_choice("task", self.task, PLANS)
        banks = [bank.strip() for bank in self.banks.split(",")]
        for bank in banks:
            check_choice("banks", bank, BANKS)
        return banks

    def orders_of(self, bank: str) -> tuple[int, ...]:
        """Orders of a bank; one state is a real one."""
        return tuple(sorted({1, *self.orders})) if bank == "real" else tuple(sorted(set(self.orders)))

    def run_of(self, kind: str, bank: str, states: int, rate: float, steps: int, seed: int, **more: object) -> Run:
        """A training at these sizes."""
        sizes = {"batch": self.batch, "width": self.width, "layers": self.layers, "device": self.device}
        return Run(self.task, kind, bank, states, rate, steps, seed, **sizes, source=self.source, **more)


def run(settings: Settings) -> Record:
    """Choose rates, train originals and small models, make all that is made of them, and time it; resumes."""
    cases, steps = base.Cases(PARTS), settings.steps or settings.training
    at_once = None if settings.device == "cpu" else 1
    rates = {}
    tried = sweep.sweep(list(trials(settings, max(1, steps // TRIAL))), work, SWEEPS, workers=at_once)
    for (bank, states), found in by_size(tried).items():
        rates[bank, states] = best(found)
        for one, outcome in found.items():
            at = dict(task=settings.task, bank=bank, states=states, rate=one.rate, steps=one.steps)
            cases.add(TRIALS, one.kind, measured=_of_trial(one, outcome), **at)
    results = sweep.sweep(list(planned(settings, rates, steps)), work, SWEEPS, workers=at_once)
    groups: dict[tuple, dict[Run, Outcome]] = {}
    for one, found in results.items():
        for outcome in (Outcome(**each) for each in found):
            order = None if one.kind == COMPRESSED else outcome.order
            groups.setdefault((one.bank, outcome.method, order, outcome.healed, one.share), {})[one] = outcome
    for key, found in groups.items():
        add_made(cases, settings, key, found)
    add_times(cases, settings)
    said = {"protocol": PROTOCOL, "trained": steps, "source": "CIFAR-10" if settings.task == "cifar" else ""}
    said |= PLANS[settings.task].options
    return base.record(NAME.format(task=settings.task), cases, settings, **said)


def trials(settings: Settings, steps: int) -> Iterator[Run]:
    """The trainings that choose a rate for each original and each small model."""
    for bank in settings.chosen:
        sizes = ((CONTROL, order) for order in settings.orders_of(bank))
        for (kind, states), rate in product([(ORIGINAL, settings.teacher_states), *sizes], RATES):
            yield settings.run_of(kind, bank, states, rate, steps, TRIED, judged=False)


def planned(settings: Settings, rates: dict[tuple[str, int], float], steps: int) -> Iterator[Run]:
    """The trainings that are compared, at the rates chosen; what loses states in training has the original's."""
    whole, longer = settings.teacher_states, steps + settings.healing
    for bank, seed in product(settings.chosen, range(settings.trainings)):
        orders = settings.orders_of(bank)
        own = {"orders": orders, "healing": settings.healing}
        yield settings.run_of(ORIGINAL, bank, whole, rates[bank, whole], steps, seed, **own)
        for order in orders:
            yield settings.run_of(CONTROL, bank, order, rates[bank, order], longer, seed)
        for share in settings.shares if bank != DENSE else ():
            yield settings.run_of(COMPRESSED, bank, whole, rates[bank, whole], longer, seed, share=share / 100)


def by_size(tried: dict[Run, list[dict]]) -> dict[tuple[str, int], dict[Run, Outcome]]:
    """Bank and states -> trial -> what it came to."""
    found: dict[tuple[str, int], dict[Run, Outcome]] = {}
    for one, (outcome,) in tried.items():
        found.setdefault((one.bank, one.states), {})[one] = Outcome(**outcome)
    return found


def add_made(cases: base.Cases, settings: Settings, key: tuple, found: dict[Run, Outcome]) -> None:
    """One case of all seeds: accuracies, and where there are some, errors over more taps and on longer sequences."""
    bank, method, order, healed, share = key
    one = next(iter(found))
    order = round(fmean(outcome.order for outcome in found.values()), 1) if order is None else order
    what = dict(task=settings.task, bank=bank, order=order, healed=healed)
    at = dict(states=settings.teacher_states, rate=one.rate, steps=one.steps, share=share)
    at["stored"] = max(outcome.stored for outcome in found.values())
    if lost := sum(outcome.accuracy is None for outcome in found.values()):
        said = {"error": f"the loss was not finite from {lost} of {len(found)} seeds"}
        cases.add(MADE, method, measured=said, **what, **at)
        return
    by_seed = {one.seed: outcome for one, outcome in found.items()}
    measured = {
        "seconds": [outcome.seconds for outcome in by_seed.values()],
        "accuracies": {seed: outcome.accuracy for seed, outcome in by_seed.items()},
        "test_losses": {seed: outcome.loss for seed, outcome in by_seed.items()},
        "relative_errors": {seed: out.error for seed, out in by_seed.items() if out.error is not None},
    }
    cases.add(MADE, method, measured=measured, **what, **at)
    for part, name, field, measure in (
        (TAPS, "taps", "taps", "relative_errors"),
        (LENGTHS, "length", "lengths", "accuracies"),
    ):
        for size in next(iter(by_seed.values())).__dict__[field]:
            held = {seed: getattr(outcome, field)[size] for seed, outcome in by_seed.items()}
            cases.add(part, method, measured={measure: held}, **what, **{name: int(size)})


def add_times(cases: base.Cases, settings: Settings) -> None:
    """Forward passes of originals and of all that is made of them, in turns; weights change no time, and are fresh."""
    generator = settings.generator()
    task = task_of(PLANS[settings.task], settings.source, generator)
    x, _ = task.draw(settings.batch, generator)
    x = x.to(settings.device)
    for bank in settings.chosen:
        whole = build(task, settings.teacher_states, generator, settings.width, settings.layers, bank).eval()
        models: dict[tuple[str, int], nn.Module] = {(ORIGINAL, settings.teacher_states): whole}
        for method, order in product(("balanced_truncation", "truncated_svd"), settings.orders_of(bank)):
            models[method, order] = distill(whole, order, method, task.length)[0]
        calls = {name: partial(_without_gradients, model.to(settings.device), x) for name, model in models.items()}
        for (method, order), result in profile(calls, **settings.timing).items():
            at = dict(task=settings.task, bank=bank, order=order, batch=len(x), input_bytes=x.nbytes)
            cases.add(FORWARD, method, replace(result, flops=None), **at)  # an S5's products are not all counted


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`; methods and banks by their labels."""
    return base.frame(found, PARTS, WORDS)


def accuracies(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case and seed: the case's parameters, seed, accuracy (a share), loss [nats], relative_error."""
    columns = {"accuracies": "accuracy", "test_losses": "loss", "relative_errors": "relative_error"}
    return base.by_seed(found, PARTS, WORDS, **columns)


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


def _of_trial(one: Run, outcome: Outcome) -> dict[str, object]:
    if outcome.valid is None:
        return {"error": "the loss was not finite"}
    return {"seconds": [outcome.seconds], "valid_losses": {one.seed: [outcome.valid]}}


@torch.no_grad()
def _without_gradients(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return model(x)


if __name__ == "__main__":
    main()
