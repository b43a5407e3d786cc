"""What one training of the compared distillations comes to: originals with all that is made of them, and controls.

A seed decides data, weights and batches. Held-back data judges trials; the test judges what is compared, once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from lib.experiments.distill_models import DENSE, build, stored
from lib.models.checks import check_count, check_number
from lib.models.distill.modes import Modes
from lib.models.distill.replace import distill
from lib.tasks.data.sequences import BENCHMARKS, TASKS, Task, of_parts
from lib.tasks.training.compress import CUTS, compress
from lib.tasks.training.heal import heal
from lib.tasks.training.loop import train
from lib.tasks.training.protocol import HELD_BACK, first, lowest

ORIGINAL, CONTROL, COMPRESSED = "original", "scratch", "compressed"  # in records, beside names of methods
LONGER = 256  # sequences of the test, at most, that judge at other lengths
ASIDE = 0.2  # of the sequences to learn from are held back, where a task holds none
HEALED = ("balanced_truncation", "h2_optimal", "truncated_svd")  # what is fine-tuned, too
METHODS = {  # by the original's bank: what its kernels can be reduced by
    "lin": ("modal", "balanced_truncation", "balanced_refit", "h2_optimal", "truncated_svd"),
    "real": ("modal", "balanced_truncation", "balanced_refit", "h2_optimal", "truncated_svd"),
    DENSE: ("balanced_truncation", "truncated_svd"),
}


@dataclass(frozen=True)
class Plan:
    """A task as it is compared on.

    task      of `lib.names.BENCHMARKS`, or of SEQUENCES, where some of what is learned from is held back
    options   sizes of the task
    lengths   of other sequences that trained models are judged on
    """

    task: str
    options: Mapping[str, Any] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()


PLANS = {
    "cifar": Plan("cifar"),
    "plaid": Plan("plaid", {"length": 256}, lengths=(512, 1024)),
    "digits": Plan("digits"),
}


@dataclass(frozen=True)
class Run:
    """One training, or an original and all that is made of it.

    plan      its name in PLANS
    kind      ORIGINAL, CONTROL or COMPRESSED
    bank      "lin", "real" or "s5": S4D by its init, or S5
    states    N
    orders    of what is made of an original
    healing   steps of distillation fine-tuning of each
    share     of Hankel singular values that a compressed model keeps
    judged    whether the test set judges it; a trial it does not
    """

    plan: str
    kind: str
    bank: str
    states: int
    rate: float
    steps: int
    seed: int
    batch: int = 32
    width: int = 64
    layers: int = 4
    orders: tuple[int, ...] = ()
    healing: int = 0
    share: float = 1.0
    source: str = ""
    device: str = "cpu"
    judged: bool = True

    @property
    def task(self) -> str:
        """Name of the task, for whoever waits."""
        return PLANS[self.plan].task


@dataclass(frozen=True)
class Outcome:
    """What came out of it.

    order     states of an original or a control; states, rank or taps of what was made; of COMPRESSED, on average
    healed    whether it was fine-tuned after it was made
    accuracy, loss   on the test set; None of a trial, and where training diverged
    valid     loss [nats] of a trial on held-back data; None where it diverged
    stored    numbers that stand for the kernels
    error     of the kernels of all layers over the task's length, relative to their norm, before fine-tuning
    taps      number of taps -> the same over so many
    lengths   length of sequences -> accuracy on such
    """

    method: str
    order: float
    healed: bool
    seconds: float
    valid: float | None = None
    accuracy: float | None = None
    loss: float | None = None
    stored: int = 0
    error: float | None = None
    taps: Mapping[str, float] = field(default_factory=dict)
    lengths: Mapping[str, float] = field(default_factory=dict)


def task_of(plan: Plan, source: str, generator: torch.Generator, **more: int) -> Task:
    """The task of a plan, with sequences held back.

    source   of CIFAR-10, for a plan of it: a folder or a name of the hub; "cifar10" and nothing stand for the hub's own
    """
    given = {"source": source} if plan.task == "cifar" and source not in ("", "cifar10") else {}
    if plan.task in BENCHMARKS:
        return BENCHMARKS[plan.task](generator, **{**given, **plan.options, **more})
    return with_held_back(TASKS[plan.task](generator, **{**plan.options, **more}), ASIDE)


def with_held_back(task: Task, share: float) -> Task:
    """A task of a collection of which a share of what is learned from is held back; the test stays.

    raises   ValueError, quoting the share, for one that leaves nothing
    """
    check_number("share", share, above=0, below=1)
    x, answers = task.train
    kept = len(x) - round(share * len(x))
    check_count("sequences to learn from", kept, 1, len(x) - 1)
    train, valid = ((x[part], answers[part]) for part in (slice(kept), slice(kept, None)))
    options = {"classes": task.classes, "vocabulary": task.vocabulary, "pooling": task.pooling}
    return of_parts(task.name, task.kind, train=train, valid=valid, test=task.test, **options)


def work(run: Run) -> list[dict[str, Any]]:
    """All outcomes of a run, as plain values; of a training that diverged, one without results."""
    return [asdict(outcome) for outcome in outcomes(run)]


def outcomes(run: Run) -> Iterator[Outcome]:
    """The model that is trained, and of an original all that is made of it, by method and order."""
    plan, generator = PLANS[run.plan], torch.Generator().manual_seed(run.seed)
    task = task_of(plan, run.source, generator)
    again = (torch.Generator().manual_seed(run.seed) for _ in plan.lengths)
    longer = [task_of(plan, run.source, one, length=length) for one, length in zip(again, plan.lengths, strict=True)]
    longer = [replace(one, test=spread(one.test, LONGER)) for one in longer]
    judge = partial(judged, task, longer if run.judged else None)
    model = build(task, run.states, generator, run.width, run.layers, run.bank).to(run.device)
    start, history, options = perf_counter(), [], {"rate": run.rate, "progress": False}
    losses = _losses(run, task, model, generator)
    try:
        if run.kind == COMPRESSED:
            cuts = min(CUTS, run.steps - 1)  # a trial may have fewer steps
            _, history = compress(model, losses, run.steps, share=run.share, cuts=cuts, **options)
        else:
            train(model, losses, run.steps, **options)
    except FloatingPointError:
        yield Outcome(run.kind, run.states, False, perf_counter() - start)
        return
    seconds = perf_counter() - start
    order = sum(history[-1]) / len(history[-1]) if history else run.states
    size = stored(model) + sum(2 * layer.C.numel() for layer in model.modules() if isinstance(layer, Modes))
    first = Outcome(run.kind, order, False, seconds, stored=size)
    yield judge(model, first)
    if run.kind == ORIGINAL and run.orders:
        yield from made(run, task, model, judge)


def made(run: Run, task: Task, teacher: nn.Module, judge: Callable[..., Outcome]) -> Iterator[Outcome]:
    """What becomes of an original by every method and order, before distillation fine-tuning and after it."""
    for method in METHODS[run.bank]:
        for order in run.orders:
            start = perf_counter()
            student, layers = distill(teacher, order, method, task.length)
            error = torch.cat([layer.error for layer in layers]).square().mean().sqrt().item()
            seconds, size = perf_counter() - start, sum(layer.parameters for layer in layers)
            taps = {str(taps): beyond(teacher, student, taps) for taps in (2 * task.length, 4 * task.length)}
            found = Outcome(method, order, False, seconds, stored=size, error=error, taps=taps)
            yield judge(student, found)
            if method not in HEALED:
                continue
            start, generator = perf_counter(), torch.Generator().manual_seed(run.seed)
            options = {"loss": task.loss, "batch": run.batch, "progress": False}
            heal(student, teacher, task.draw, run.healing, generator=generator, **options)
            found = replace(found, healed=True, seconds=perf_counter() - start, error=None, taps={})
            yield judge(student, found)


def judged(task: Task, longer: list[Task] | None, model: nn.Module, found: Outcome) -> Outcome:
    """An outcome with what the test says, and of a trial with its loss on held-back data instead.

    longer   the task at other lengths, whose tests judge, too; None of a trial
    """
    if longer is None:
        return replace(found, valid=task.judged(model, first(task.valid, HELD_BACK))[0])
    loss, accuracy = task.judged(model)
    lengths = {str(one.length): one.accuracy(model, size=32) for one in longer}
    return replace(found, loss=loss, accuracy=accuracy, lengths=lengths)


def beyond(teacher: nn.Module, student: nn.Module, taps: int) -> float:
    """Error of a student's kernels over so many taps, relative to the norm of its teacher's, over all layers."""
    lost, whole = 0.0, 0.0
    with torch.no_grad():
        for name, layer in student.named_modules():
            if hasattr(layer, "kernel") and hasattr(layer, "skip"):
                wanted = teacher.get_submodule(name).kernel(taps)
                lost += (layer.kernel(taps) - wanted).double().square().sum().item()
                whole += wanted.double().square().sum().item()
    return (lost / whole) ** 0.5


def best(trials: Mapping[Run, Outcome]) -> float:
    """The rate whose trial has the lowest loss on held-back data.

    raises   ValueError, naming the bank and its states, where all of them diverged
    """
    one = next(iter(trials))
    return lowest({run: found.valid for run, found in trials.items()}, f"{one.bank} of {one.states} states").rate


def spread(data: tuple[Tensor, Tensor], count: int) -> tuple[Tensor, Tensor]:
    """At most so many sequences of some data, at even distances: an archive has them class by class."""
    step = -(-len(data[0]) // count)
    return data[0][::step], data[1][::step]


def _losses(run: Run, task: Task, model: nn.Module, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        x, answers = task.draw(run.batch, generator)
        yield task.loss(model(x.to(run.device)), answers.to(run.device))
