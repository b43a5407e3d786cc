"""A small causal CNN, trained as the models that it stands beside: rate and decay chosen on held-back sequences."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from lib.models.checks import check_count
from lib.models.mrss.cnn import CausalCnn
from lib.tasks.data.sequences import Task
from lib.tasks.references import Judged
from lib.tasks.training.loop import train
from lib.tasks.training.protocol import DECAYS, HELD_BACK, RATES, TRIAL, TRIED, first, lowest

Setting = tuple[float, float]  # rate and decay


def suits(task: Task) -> bool:
    """Every task is one of sequences."""
    return True


def cnn(
    task: Task,
    generator: torch.Generator,
    *,
    steps: int = 600,
    batch: int = 32,
    setting: Setting | None = None,
    device: str = "cpu",
) -> Judged:
    """Train on the task, and judge by the test once.

    steps     of the training; a trial takes a quarter of them
    setting   rate and decay; where left out, the best of `screened`
    raises    ValueError for steps or a batch below 1, and where the loss was not finite with any setting
    """
    check_count("batch", batch)
    sizes = {"steps": max(1, steps // TRIAL), "batch": batch, "device": device}
    rate, decay = setting or chosen(screened(lambda settings: {one: tried(task, *one, **sizes) for one in settings}))
    model = trained(task, generator, steps, batch, rate, decay, device)
    loss, accuracy = task.judged(model)
    return Judged(accuracy, loss, f"rate {rate:g}, decay {decay:g}")


def trained(
    task: Task, generator: torch.Generator, steps: int, batch: int, rate: float, decay: float, device: str = "cpu"
) -> CausalCnn:
    """A network of 0.13 M parameters after so many steps; the generator decides weights and batches.

    raises   FloatingPointError, naming the step, where the loss is not finite
    """
    sizes = task.inputs, task.vocabulary, task.classes
    model = CausalCnn(*sizes, pooling=task.pooling, generator=generator).to(device)

    def losses() -> Iterator[Tensor]:
        while True:
            x, answers = task.draw(batch, generator)
            yield task.loss(model(x.to(device)), answers.to(device))

    train(model, losses(), steps, rate=rate, decay=decay, progress=False)
    return model


def tried(task: Task, rate: float, decay: float, *, steps: int, batch: int, device: str = "cpu") -> float:
    """Loss [nats] on held-back sequences after a trial; infinite where it was not finite in training."""
    try:
        model = trained(task, torch.Generator().manual_seed(TRIED), steps, batch, rate, decay, device)
    except FloatingPointError:
        return float("inf")
    return task.judged(model, first(task.valid or task.train, HELD_BACK))[0]


def screened(trial: Callable[[list[Setting]], Mapping[Setting, float]]) -> dict[Setting, float]:
    """Try every rate at the first decay, then the best rate at the others.

    trial    from settings to their losses on held-back sequences
    """
    found = dict(trial([(rate, DECAYS[0]) for rate in RATES]))
    rate, _ = chosen(found)
    return found | dict(trial([(rate, decay) for decay in DECAYS[1:]]))


def chosen(trials: Mapping[Setting, float]) -> Setting:
    """The setting of the lowest loss.

    raises   ValueError where none was finite
    """
    return lowest(trials, "the small CNN")
