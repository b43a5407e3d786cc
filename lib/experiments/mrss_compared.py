"""What multi-resolution models learn under one fair protocol: costs, losses and accuracies of the same models.

Rates and decays are chosen on held-back data, with the same trials for each variant; budgets are the baseline's steps,
or its time. See `lib.experiments.mrss_fair`; what is trained: `lib.experiments.mrss_plans`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import pandas as pd

from lib.experiments import base, command
from lib.experiments.mrss_fair import (
    Costs,
    Outcome,
    Training,
    best,
    cost_all,
    measured,
    train_one,
    tuned,
)
from lib.experiments.mrss_plans import BASELINE, PLANS, source_of, title, variants
from lib.experiments.mrss_runs import MEANS
from lib.models.checks import check_choice
from lib.models.mrss import variants as mrss
from lib.paths import SWEEPS
from lib.records import Record
from lib.tasks.training.protocol import DECAYS, RATES, TRIAL, budgets
from lib.tasks.training.sweep import sweep

NAME = "mrss_compared_{task}"
CHAPTER = "mrss"
FORWARD, TRAINING, TRIED, TRAINED, LENGTHS = "forward", "training", "tried", "trained", "lengths"
COST = ("task", "parameters", "threads")
PARTS = {
    FORWARD: COST,
    TRAINING: COST,
    TRIED: ("task", "rate", "decay", "steps"),
    TRAINED: ("task", "budget", "rate", "decay", "steps"),
    LENGTHS: ("task", "budget", "length"),
}
TASKS = tuple(PLANS)
ON_GPU = tuple(name for name, plan in PLANS.items() if plan.gpu)  # whose records no CPU makes
LABELS = {name: title(name) for name in PLANS}
WORDS = {"task": LABELS}
PROTOCOL = (
    f"AdamW, a warm-up and a cosine to zero; rates {', '.join(f'{rate:g}' for rate in RATES)} at decay {DECAYS[0]}, "
    f"the best at {DECAYS[1]}, a trial of one in {TRIAL} steps each, chosen by the loss on held-back data; "
    "then equal steps, and equal time of measured training steps on one thread; tested once"
)


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is trained.

    task        a row of PLANS
    trainings   of each variant, a seed each; the plan's number where left out
    steps       of the baseline; 0 for the plan's number, else the run is a trial
    source      of CIFAR-10: the hub's name or a folder; where left out, the hub's
    only        labels of variants, with semicolons; all of the plan's where left out
    """

    task: str
    trainings: int | None = None
    steps: int = 0
    source: str = ""
    only: str = ""


def run(settings: Settings) -> Record:
    """Choose each variant's rate, train it from every seed with both budgets, and time it; resumes.

    raises   ValueError for a task or a variant that is not planned
    """
    check_choice("task", settings.task, tuple(PLANS))
    plan, every = PLANS[settings.task], variants(PLANS[settings.task])
    labels = [label.strip() for label in settings.only.split(";") if label.strip()] or list(every)
    for label in labels:
        check_choice("only", label, tuple(every))
    chosen = {label: every[label] for label in every if label in labels}
    steps, seeds = settings.steps or plan.steps, range(settings.trainings or plan.seeds)
    source = source_of(plan, settings.source).get("source", "")
    at_once = None if settings.device == "cpu" else 1
    costed = Costs(settings.task, tuple(chosen.items()), source, settings.device)
    (seconds,) = sweep([costed], cost_all, SWEEPS, workers=1).values() if plan.timed else ({},)
    options = {"workers": at_once, "device": settings.device}
    trials = tuned(settings.task, chosen, SWEEPS, source, max(1, steps // TRIAL), **options)
    planned = []
    for label, found in trials.items():
        kept = best(found)
        for (budget, taken), seed in product(budgets(steps, seconds, label, BASELINE).items(), seeds):
            planned.append((replace(kept, steps=taken, seed=seed, judged=True), budget))
    outcomes = sweep([of for of, _ in planned], train_one, SWEEPS, workers=at_once)
    cases = base.Cases(PARTS)
    add_costs(cases, settings, costed)
    add_trials(cases, settings.task, trials)
    add_trainings(cases, settings.task, [(of, budget, Outcome(**outcomes[of])) for of, budget in planned])
    said = {"source": "CIFAR-10" if source else "", "protocol": PROTOCOL, "dim": plan.dim, "layers": plan.layers}
    said |= {"states": plan.states, "batch": plan.batch, "trained": steps, **plan.options}
    return base.record(NAME.format(task=settings.task), cases, settings, **said)


def add_costs(cases: base.Cases, settings: Settings, costed: Costs) -> None:
    """Forward passes and training steps of all variants, timed anew, in turns."""
    for part, found in measured(costed, **settings.timing).items():
        for label, variant in costed.variants:
            at = {"parameters": mrss.parameters(variant.config), "threads": 1}
            cases.add(part, label, found[label], task=settings.task, parameters=at)


def add_trials(cases: base.Cases, task: str, trials: dict[str, dict[Training, Outcome]]) -> None:
    """What each rate and decay came to on held-back data."""
    for found in trials.values():
        for of, outcome in found.items():
            at = {"task": task, "rate": of.rate, "decay": of.decay, "steps": of.steps}
            if outcome.valid is None:
                cases.add(TRIED, of.label, measured={"error": "the loss was not finite"}, **at)
            else:
                held = {"seconds": [outcome.seconds], "valid_losses": {of.seed: [outcome.valid]}}
                cases.add(TRIED, of.label, measured=held, **at)


def add_trainings(cases: base.Cases, task: str, found: Iterable[tuple[Training, str, Outcome]]) -> None:
    """What each variant came to on the test set, by budget, over all seeds; and on sequences of other lengths."""
    groups: dict[tuple[str, str], list[tuple[Training, Outcome]]] = {}
    for of, budget, outcome in found:
        groups.setdefault((of.label, budget), []).append((of, outcome))
    for (label, budget), held in groups.items():
        of = held[0][0]
        at = {"task": task, "budget": budget, "rate": of.rate, "decay": of.decay, "steps": of.steps}
        if any(outcome.accuracy is None for _, outcome in held):
            lost = sum(outcome.accuracy is None for _, outcome in held)
            cases.add(
                TRAINED, label, measured={"error": f"the loss was not finite from {lost} of {len(held)} seeds"}, **at
            )
            continue
        by_seed = {
            name: {of.seed: getattr(outcome, field) for of, outcome in held}
            for name, field in (
                ("accuracies", "accuracy"),
                ("test_losses", "loss"),
                ("losses", "losses"),
                ("valid_losses", "curve"),
            )
        }
        cases.add(TRAINED, label, measured={"seconds": [one.seconds for _, one in held], **by_seed}, **at)
        for length in held[0][1].lengths or ():
            right = {of.seed: one.lengths[length] for of, one in held}
            cases.add(LENGTHS, label, measured={"accuracies": right}, task=task, budget=budget, length=int(length))


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS, WORDS)


def outcomes(found: Iterable[Record]) -> pd.DataFrame:
    """One row per training and length: machine, task, part, variant, budget, seed, accuracy, loss [nats]."""
    rows = partial(base.by_seed, found, PARTS, WORDS)
    return rows(accuracies="accuracy", test_losses="loss")


def trials(found: Iterable[Record]) -> pd.DataFrame:
    """One row per trial: machine, task, variant, rate, decay, steps, held-back loss [nats], NaN where it diverged."""
    found = list(found)
    at = ["machine", "task", "variant", "rate", "decay", "steps"]
    rows = frame(found)
    losses = base.by_seed(found, PARTS, WORDS, valid_losses="loss")
    last = losses[losses["part"] == TRIED][at].assign(loss=losses["loss"].map(lambda curve: curve[-1]))
    return rows[rows["part"] == TRIED][at].merge(last, on=at, how="left")


def curves(found: Iterable[Record]) -> pd.DataFrame:
    """One row per training and twentieth of its steps: as `outcomes`, with step, and loss [nats] on data held back."""
    rows = base.by_seed(found, PARTS, WORDS, valid_losses="curve")
    rows = rows[rows["part"] == TRAINED].explode("curve", ignore_index=True)
    groups = rows.groupby(["machine", "task", "variant", "budget", "seed"], sort=False)
    number, last = groups.cumcount() + 1, groups.cumcount(ascending=False) == 0
    step = (number * (rows["steps"] // MEANS).clip(lower=1)).where(~last, rows["steps"])
    return rows.assign(step=step.astype(int), loss=rows["curve"].astype(float)).drop(columns="curve")


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
