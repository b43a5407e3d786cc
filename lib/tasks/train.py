"""One loop that trains any model."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm


def train(
    model: nn.Module, batch_losses: Iterable[Tensor], steps: int, *, rate: float = 6e-3, progress: bool = True
) -> list[float]:
    """Take AdamW steps with a warm-up over the first tenth, a cosine to zero, and gradients clipped to norm one.

    batch_losses  yields each step's loss, a scalar with a graph, when asked: a generator over batches
    rate          highest learning rate
    returns       the loss at every step, in the loss's unit
    raises        ValueError for steps < 1, or for fewer losses than steps; FloatingPointError, naming the step, where
                  a loss is not finite
    """
    if steps < 1:
        raise ValueError(f"steps = {steps}: at least 1 is needed")
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1, pct_start=0.1)
    model.train()
    losses = []
    with tqdm(total=steps, desc="training", unit="step", leave=False, disable=not progress) as bar:
        for step, loss in zip(range(steps), batch_losses, strict=False):
            if not loss.isfinite():
                raise FloatingPointError(f"step {step}: the loss is {loss.item()}; a lower rate than {rate} may help")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            bar.set_postfix(loss=f"{losses[-1]:.2f}", refresh=False)
            bar.update()
    model.eval()
    if len(losses) < steps:
        raise ValueError(f"steps = {steps}: there were losses for {len(losses)} only")
    return losses
