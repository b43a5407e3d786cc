"""Distillation fine-tuning, which we call healing: a student learns to answer as its teacher does.

Source: Hinton et al. (2015), arXiv 1503.02531.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.checks import check_count, check_number, check_shape
from lib.tasks.data.sequences import IGNORE
from lib.tasks.training.loop import train


def heal(
    student: nn.Module,
    teacher: nn.Module,
    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]],
    steps: int,
    *,
    generator: torch.Generator,
    rate: float = 4e-3,
    poles: float = 0.1,
    batch: int = 32,
    temperature: float = 2.0,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    share: float = 0.5,
    answered: bool = False,
    kept: Path | None = None,
    progress: bool = True,
) -> list[float]:
    """Train a student to answer as its teacher does on a task's inputs; the teacher does not change.

    draw         a task's: (size, generator) -> inputs, answers
    generator    what batches are drawn with
    rate         highest learning rate
    poles        share of it for the decays and frequencies of modes: what they are off by grows with the lag
    temperature  both models' logits are divided by it; the divergence is multiplied by its square, so that gradients
                 keep their size
    loss         the task's, of logits and answers, to be mixed in
    share        of that loss in the whole, where there is one
    answered     whether models are compared only where the task has an answer, as at the queries of a recall task
    kept         a file that an interrupted training goes on from, see `lib.tasks.training.loop`
    returns      the loss at every step [nats]
    raises       ValueError for a temperature, batch or share out of range, and what `train` raises
    """
    check_number("temperature", temperature, above=0)
    check_number("poles", poles, 0, 1)
    check_count("batch", batch)
    check_number("share", share, 0, 1)

    device = next(student.parameters()).device

    def losses():
        while True:
            x, answers = (part.to(device) for part in draw(batch, generator))
            with torch.no_grad():
                wanted = teacher(x)
            logits = student(x)
            told = answers != IGNORE if answered else ...
            whole = divergence(logits[told], wanted[told], temperature)
            yield whole if loss is None else torch.lerp(whole, loss(logits, answers), share)

    training = teacher.training
    teacher.eval()
    try:
        shares = {"log_rate": poles, "angle": poles}
        options = {"rate": rate, "shares": shares, "kept": kept, "generator": generator, "progress": progress}
        return train(student, losses(), steps, **options)
    finally:
        teacher.train(training)


def divergence(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """KL(wanted || logits) [nats] of tempered answers, averaged over all of them, times the squared temperature.

    raises   ValueError, quoting both, for logits of two shapes
    """
    check_shape("logits", logits, *wanted.shape)
    log_chances, log_wanted = (F.log_softmax(x.flatten(0, -2) / temperature, -1) for x in (logits, wanted))
    return F.kl_div(log_chances, log_wanted, reduction="batchmean", log_target=True) * temperature**2
