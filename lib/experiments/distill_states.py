"""Trained Mambas with fewer states by every criterion, before and after fine-tuning, against small from the start.

One record per task: what is lost of a task's accuracy, and what a smaller state saves. Rates are screened for every
number of states on what is held back; controls have equal schedules. Trainings run on several cores, and are resumed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from lib import names
from lib.experiments import base, command
from lib.experiments.distill_state_runs import (
    CONTINUED,
    PLANS,
    SEEN,
    Judged,
    Plan,
    Student,
    Training,
    chosen,
    made,
    reduce_one,
    repeated,
    screened,
    steps_of,
    train_one,
)
from lib.experiments.sizes import check_memory
from lib.models.checks import check_choice
from lib.models.ssm import mixers
from lib.paths import SWEEPS
from lib.profilers.passes import passes, stream
from lib.profilers.profile import profile
from lib.records import Record
from lib.tasks.training import sweep

NAME = "distill_states_{task}"
CHAPTER = "kernel_distillation"
TASKS = tuple(PLANS)
ORIGINAL, SCRATCH = "original", "scratch"  # in records, beside CONTINUED and names of criteria
SCREENED, TRAINED = "screened", "trained"
SCAN, SCAN_TRAINING, FORWARD, TRAINING, STREAMED = "scan", "scan, training", "forward", "training", "streamed"
COST = ("batch", "dim", "layers", "length", "states", "state_bytes", "input_bytes")
PARTS = {
    SCREENED: ("task", "states", "rate", "steps"),
    TRAINED: ("task", "states", "healed", "rate", "steps", "healing", "parameters"),
    **dict.fromkeys((SCAN, SCAN_TRAINING, FORWARD, TRAINING, STREAMED), COST),
}
NUMBER = "N = {}"  # a variant of the costs
TOKENS = 64  # that are streamed
LABELS = {name: row.label for name, row in names.STATE_CHOICES.items()}
LABELS |= {SCRATCH: "small from the start", CONTINUED: "original, trained on"}
WORDS = {"variant": LABELS, "task": {name: names.BENCHMARKS[name].label for name in TASKS}}


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is trained, and at which size costs are measured beside that of the task's models.

    task          one of TASKS
    seeds         originals, and everything that is made of each
    steps         of an original in a trial; 0 for the task's own, which a record needs
    healing       steps of fine-tuning in a trial
    dim, length   D and T of the larger models whose costs are measured
    """

    task: str = TASKS[0]
    seeds: int = 3
    steps: int = 0
    healing: int = 1
    dim: int = 256
    length: int = 2048

    @property
    def plan(self) -> Plan:
        """How the task's models are trained.

        raises   ValueError, quoting it, for an unknown task
        """
        check_choice("task", self.task, TASKS)
        plan = PLANS[self.task]
        return replace(plan, steps=self.steps, healing=self.healing) if self.steps else plan


def run(settings: Settings) -> Record:
    """Measure costs by the number of states, then train all that is compared; resumes after an interruption.

    raises   ValueError for an unknown task, and, naming what decides it, for more memory than is free
    """
    plan, cases = settings.plan, base.Cases(PARTS)
    wide = 2 * settings.dim * plan.layers
    check_memory(settings, wide * (8 * settings.length + 3 * settings.dim), "dim", "length")
    measure(cases, settings, plan)
    at_once = {"workers": None if settings.device == "cpu" else 1}
    first = screened(plan, seed=0, device=settings.device)
    trials = {one: Judged(**found) for one, found in sweep.sweep(first, train_one, SWEEPS, **at_once).items()}
    for one, found in trials.items():
        _add_trial(cases, one, found)
    best = chosen(trials)
    every = sweep.sweep(repeated(best, range(settings.seeds)), train_one, SWEEPS, **at_once)
    trained = {one: Judged(**found) for one, found in every.items()}
    originals = [one for one, found in trained.items() if one.states == plan.states and found.accuracy is not None]
    students = sweep.sweep(_students(plan, originals), reduce_one, SWEEPS, **at_once)
    for variant, states, healed, found in _grouped(plan, trained, students):
        _add(cases, plan, variant, states, healed, best, found)
    protocol = {name: getattr(plan, name) for name in ("layers", "batch", "healing", "share")}
    protocol |= {"width": plan.dim, "rates": ", ".join(map(str, plan.rates)), "seen": SEEN}
    protocol |= {"sizes": ", ".join(f"{name} {size}" for name, size in plan.options)}
    return base.record(NAME.format(task=plan.task), cases, settings, **protocol)


def _students(plan: Plan, originals: list[Training]) -> Iterator[Student]:
    """Every reduction of every original, and the original trained on."""
    for one in originals:
        yield Student(one, plan.states, CONTINUED)
        yield from (Student(one, keep, criterion) for keep in plan.kept for criterion in names.STATE_CHOICES)


def _grouped(
    plan: Plan, trained: Mapping[Training, Judged], students: Mapping[Student, list[dict]]
) -> Iterator[tuple[str, int, bool, dict[int, Judged]]]:
    """Variant, states, whether fine-tuned, and results by seed."""
    groups: dict[tuple[str, int, bool], dict[int, Judged]] = {}
    for one, found in trained.items():
        variant = ORIGINAL if one.states == plan.states else SCRATCH
        groups.setdefault((variant, one.states, False), {})[one.seed] = found
    for one, (before, after) in students.items():
        of = (one.criterion, one.keep)
        if one.criterion != CONTINUED:  # before, it is the original
            groups.setdefault((*of, False), {})[one.original.seed] = Judged(**before)
        groups.setdefault((*of, True), {})[one.original.seed] = Judged(**after)
    yield from ((*key, found) for key, found in groups.items())


def _add_trial(cases: base.Cases, one: Training, found: Judged) -> None:
    at = dict(task=one.task, states=one.states, rate=one.rate, steps=one.steps)
    if found.valid_loss is None:
        cases.add(SCREENED, NUMBER.format(one.states), measured={"error": "the loss was not finite"}, **at)
        return
    measured = {"accuracies": {one.seed: found.valid_accuracy}, "valid_losses": {one.seed: [found.valid_loss]}}
    cases.add(SCREENED, NUMBER.format(one.states), measured={**measured, "seconds": [found.seconds]}, **at)


def _add(
    cases: base.Cases,
    plan: Plan,
    variant: str,
    states: int,
    healed: bool,
    best: Mapping[int, Training],
    found: Mapping[int, Judged],
) -> None:
    right = {seed: one for seed, one in found.items() if one.accuracy is not None}
    model, *_ = made(best[states])
    measured = {
        "seconds": [one.seconds for one in right.values()],
        "accuracies": {seed: one.accuracy for seed, one in right.items()},
        "test_losses": {seed: one.loss for seed, one in right.items()},
    }
    own = best[states if variant == SCRATCH else plan.states]
    shared = dict(task=plan.task, states=states, healed=healed, healing=plan.healing)
    size = {"parameters": sum(weight.numel() for weight in model.parameters())}
    cases.add(TRAINED, variant, measured=measured, parameters=size, **shared, rate=own.rate, steps=own.steps)


def measure(cases: base.Cases, settings: Settings, plan: Plan) -> None:
    """Costs by the number of states, of the task's models on a batch, and of larger ones on one sequence."""
    counts, device = (plan.states, *plan.kept), settings.device
    batches = {plan: plan.batch, replace(plan, dim=settings.dim): 1}
    for size, batch in batches.items():
        runs = {n: Training(size, n, plan.rates[0], steps_of(plan, n), 0, device) for n in counts}
        models = {NUMBER.format(n): made(run)[0].eval() for n, run in runs.items()}
        _, task, generator = made(runs[plan.states])
        length = task.length if size is plan else settings.length
        x = torch.randint(task.vocabulary, (batch, length), generator=generator).to(device)
        wide = torch.randn(batch, length, 2 * size.dim, generator=generator).to(device)
        scans = {NUMBER.format(n): mixers.Scan(2 * size.dim, n).to(device) for n in counts}
        held = {name: state_bytes(model) for name, model in models.items()}
        modules = passes(models, x, uncounted=mixers.uncounted, **settings.timing)
        alone = {name: partial(scan, wide) for name, scan in scans.items()}
        steps = {name: partial(_scan_step, scan, wide) for name, scan in scans.items()}
        tokens = {name: _streaming(model, x[:1, :TOKENS]) for name, model in models.items()}
        found = {
            SCAN: (profile(alone, **settings.timing), wide, batch),
            SCAN_TRAINING: (profile(steps, inference=False, operations=False, **settings.timing), wide, batch),
            FORWARD: (modules["forward"], x, batch),
            TRAINING: (modules["training"], x, batch),
            STREAMED: (profile(tokens, **settings.timing), x[:1, :TOKENS], 1),
        }
        for part, (profiles, given, rows) in found.items():
            at = dict(batch=rows, dim=size.dim, layers=plan.layers, length=given.shape[1], input_bytes=given.nbytes)
            for n, (name, result) in zip(counts, profiles.items(), strict=True):
                cases.add(part, name, result, **at, states=n, state_bytes=held[name])


def _scan_step(scan: mixers.Scan, x: Tensor) -> Tensor:
    """The gradient of a scan's inputs, which all are slices of one."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(scan(x).square().mean(), x)[0]


def _streaming(model: nn.Module, x: Tensor) -> partial:
    return partial(stream, model, model.initial_state(1), x)


def state_bytes(model: nn.Module) -> int:
    """Bytes that a model carries from token to token, of one sequence."""
    return sum(part.nbytes for state in model.initial_state(1) for part in state)


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`; criteria by their labels."""
    return base.frame(found, PARTS, WORDS)


def accuracies(found: Iterable[Record]) -> pd.DataFrame:
    """One row per model and seed: variant, states, healed, rate, steps, `accuracy` (a share), `test_loss` [nats]."""
    return base.by_seed(found, PARTS, WORDS, accuracies="accuracy", test_losses="test_loss")


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
