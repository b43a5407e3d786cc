"""Many small trainings, each on one thread, several at once; what is finished is kept."""

import json
import multiprocessing
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from time import perf_counter

import torch
from tqdm.auto import tqdm

from lib.models import mrss
from lib.models.mamba import MambaClassifier, MambaConfig
from lib.models.mrss import MrssConfig
from lib.paths import LIB
from lib.tasks.sequences import TASKS, Task
from lib.tasks.train import train


@dataclass(frozen=True)
class Plan:
    """How a task is trained: so many steps of the baseline, batches of a size, a highest rate.

    The rate is among the best of several for the baseline; variants take it as it is. The steps bring recall to an
    end. On the others the baseline still learns, slowly.
    """

    steps: int
    batch: int
    rate: float


PLANS = {
    "digits": Plan(400, 32, 8e-3),
    "clocks": Plan(800, 32, 8e-3),
    "motions": Plan(200, 32, 8e-3),
    "plugs": Plan(400, 32, 8e-3),
    "copying": Plan(1000, 64, 6e-3),  # at 8e-3 one of five baselines diverges
    "induction": Plan(500, 64, 6e-3),
}
SIZES = MambaConfig(dim=64, layers=4)  # of the baseline
ROUTING = 1.0  # weight of a router's distance from its budget in the loss


@dataclass(frozen=True)
class Run:
    """One training. The seed decides the test set, the weights and the batches."""

    task: str
    variant: str  # by the name that tables and figures use
    config: MrssConfig  # without a vocabulary: the task brings it
    budget: str  # what the variant has as many of as the baseline: "steps" or "operations"
    steps: int
    seed: int


@dataclass(frozen=True)
class Result:
    """What came out of a training.

    accuracy  share of right answers on the test set
    losses    [nats] means over every twentieth of the steps planned; fewer where a training ended early
    steps     taken
    seconds   on one thread
    """

    accuracy: float
    losses: list[float]
    steps: int
    seconds: float


def planned(
    task: str,
    variants: Mapping[str, MrssConfig],
    operations: Mapping[str, int],
    seeds: Iterable[int],
    steps: int | None = None,
) -> list[Run]:
    """Every variant from every seed, once for as many steps as the baseline, once for as many operations.

    operations  of one step or forward pass, by variant; a variant with no fewer than the baseline has equal steps only
    steps       of the baseline; the task's own number where left out
    raises      ValueError for a task that is not in TASKS, and for a variant whose operations are not given
    """
    if task not in TASKS:
        raise ValueError(f"task {task!r}: one of {', '.join(TASKS)} is needed")
    if lacking := {"baseline", *variants} - set(operations):
        raise ValueError(f"operations of {', '.join(sorted(lacking))}: not given")
    steps, runs = steps or PLANS[task].steps, []
    for name, config in variants.items():
        more = round(steps * operations["baseline"] / operations[name])
        budgets = {"steps": steps} | ({"operations": more} if more > steps else {})
        runs += [Run(task, name, config, budget, budgets[budget], seed) for budget in budgets for seed in seeds]
    return runs


def sweep(runs: Iterable[Run], folder: Path, *, workers: int | None = None, progress: bool = True) -> dict[Run, Result]:
    """Train all runs, `workers` at once (one per core), and return their results in the order given.

    folder   a result is written there as soon as it is known, and not computed again while run and code are the same:
             call again after an interruption
    raises   what a training raises
    """
    runs = list(runs)
    files = {run: folder / f"{_digest(run)}.json" for run in runs}
    waiting = [run for run in runs if not files[run].exists()]
    workers = min(workers or len(os.sched_getaffinity(0)), max(1, len(waiting)))
    # Longest first: at the end no core waits for another.
    waiting.sort(key=lambda run: run.steps, reverse=True)
    context = multiprocessing.get_context("spawn")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tqdm(total=len(runs), initial=len(runs) - len(waiting), desc="trainings", disable=not progress) as bar,
        ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        futures = {pool.submit(train_one, run): run for run in waiting}
        try:
            for future in as_completed(futures):
                run = futures[future]
                _write(files[run], future.result())
                bar.set_postfix_str(f"{run.task}, {run.variant}", refresh=False)
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {run: Result(**json.loads(files[run].read_text())) for run in runs}


def in_rounds(runs: Iterable[Run], point: float, folder: Path, **options) -> dict[Run, dict[int, Result]]:
    """Equal steps first; then equal operations for variants whose mean accuracy is more than a point lower.

    runs     of one task, as planned
    point    of accuracy: what a variant may lose to the baseline, as a share
    folder, options   of `sweep`
    returns  results by seed; of the other runs there are none
    """
    runs = list(runs)
    found = by_seed(sweep((run for run in runs if run.budget == "steps"), folder, **options))
    means = {run.variant: fmean(one.accuracy for one in results.values()) for run, results in found.items()}
    lost = {variant for variant, mean in means.items() if mean < means["baseline"] - point}
    again = (run for run in runs if run.budget == "operations" and run.variant in lost)
    return found | by_seed(sweep(again, folder, **options))


def by_seed(results: Mapping[Run, Result]) -> dict[Run, dict[int, Result]]:
    """Results of runs that differ in nothing but their seed, by seed; the keys have seed 0."""
    groups: dict[Run, dict[int, Result]] = {}
    for run, result in results.items():
        groups.setdefault(replace(run, seed=0), {})[run.seed] = result
    return groups


def build(config: MrssConfig, task: Task, generator: torch.Generator) -> MambaClassifier:
    """A model of a variant for a task, which brings its vocabulary, inputs and classes."""
    config = replace(config, mamba=replace(config.mamba, vocabulary=task.vocabulary))
    return mrss.model(config, task.inputs, task.classes, pooling=task.pooling, generator=generator)


def train_one(run: Run) -> Result:
    """Train one run on this process's threads; where every batch is new, until 1,024 new sequences are all right."""
    generator = torch.Generator().manual_seed(run.seed)
    task, plan = TASKS[run.task](generator), PLANS[run.task]
    model = build(run.config, task, generator)
    judge, start = None, perf_counter()
    if task.endless:
        judge = partial(task.accuracy, model, task.draw(1024, torch.Generator().manual_seed(run.seed + 2**32)))

    def losses():
        while True:
            x, answers = task.draw(plan.batch, generator)
            yield task.loss(model(x), answers) + ROUTING * mrss.balance(model)

    taken = train(model, losses(), run.steps, rate=plan.rate, judge=judge, enough=1, progress=False)
    return Result(task.accuracy(model), _means(taken, run.steps // 20), len(taken), perf_counter() - start)


def _means(losses: list[float], width: int) -> list[float]:
    """Of every so many losses, to four digits; the rest at the end are left out, unless there is nothing else."""
    width = min(max(1, width), len(losses))
    return [round(sum(losses[i : i + width]) / width, 4) for i in range(0, len(losses) - len(losses) % width, width)]


def _digest(run: Run) -> str:
    """Of a run and of the code that it depends on."""
    content = sha256(json.dumps(asdict(run), sort_keys=True).encode())
    for layer in ("kernels", "models", "tasks"):
        for path in sorted((LIB / layer).glob("*.[cph]*")):
            content.update(path.read_bytes())
    content.update(torch.__version__.encode())
    return content.hexdigest()[:24]


def _write(path: Path, result: Result) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(result)))
    part.replace(path)
