"""One loop that trains any model."""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from lib.tasks import checkpoint


def train(
    model: nn.Module,
    batch_losses: Iterable[Tensor],
    steps: int,
    *,
    rate: float = 6e-3,
    shares: Mapping[str, float] = MappingProxyType({}),
    matrices: Mapping[str, float] = MappingProxyType({}),
    judge: Callable[[], float] | None = None,
    enough: float = math.inf,
    every: int = 100,
    kept: Path | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> list[float]:
    """Take AdamW steps with a warm-up over the first tenth, a cosine to zero, and gradients clipped to norm one.

    Matrices can take Muon's steps instead, which learn faster where layers are wide.

    batch_losses  yields each step's loss, a scalar with a graph, when asked: a generator over batches
    rate          highest learning rate
    shares        of the rate, for parameters whose own name, without their module's, is a key; one for all others
    matrices      of the rate, for Muon's steps: one for those whose full name has a key in it; the rest take AdamW's
    judge         how good the model is, asked after `every` steps: training stops early once it is `enough`
    kept          a .safetensors file, renewed after `every` steps: where it is, training goes on from there. Delete it
                  to begin anew. The finished model's stays
    generator     what draws the batches; its state is kept, too, so that an interruption changes nothing
    returns       the loss at every step, in the loss's unit
    raises        ValueError for steps or every < 1, for fewer losses than steps, for a file of another model or plan;
                  FloatingPointError, naming the step, where a loss is not finite
    source        Muon: Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/
    """
    if steps < 1:
        raise ValueError(f"steps = {steps}: at least 1 is needed")
    if every < 1:
        raise ValueError(f"every = {every}: at least 1 is needed")
    optimisers = _optimisers(model, rate, shares, matrices)
    losses = [] if kept is None else checkpoint.resume(kept, steps, model, optimisers, generator)
    if losses and judge is not None and judge() >= enough:
        return losses
    model.train()
    with tqdm(total=steps, initial=len(losses), desc="training", unit="step", leave=False, disable=not progress) as bar:
        for step, loss in zip(range(len(losses), steps), batch_losses, strict=False):
            if not loss.isfinite():
                raise FloatingPointError(f"step {step}: the loss is {loss.item()}; a lower rate than {rate} may help")
            for group in (group for one in optimisers for group in one.param_groups):
                group["lr"] = group["share"] * rate * _of_highest(step, steps)
            model.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for one in optimisers:
                one.step()
            losses.append(loss.item())
            bar.set_postfix(loss=f"{losses[-1]:.2f}", refresh=False)
            bar.update()
            if len(losses) % every == 0 or len(losses) == steps:
                if kept is not None:
                    checkpoint.keep(kept, steps, model, optimisers, generator, losses)
                if judge is not None and len(losses) < steps and judge() >= enough:
                    break
        else:
            if len(losses) < steps:
                raise ValueError(f"steps = {steps}: there were losses for {len(losses)} only")
    model.eval()
    return losses


def _optimisers(
    model: nn.Module, rate: float, shares: Mapping[str, float], matrices: Mapping[str, float]
) -> list[torch.optim.Optimizer]:
    by_kind: list[dict[float, list[Tensor]]] = [{}, {}]
    for name, weight in model.named_parameters():
        key = next((key for key in matrices if weight.ndim == 2 and key in name), None)
        share = shares.get(name.rpartition(".")[2], 1.0) if key is None else matrices[key]
        by_kind[key is not None].setdefault(share, []).append(weight)
    rest, muon = ([{"params": weights, "share": share} for share, weights in kind.items()] for kind in by_kind)
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=rate)] if rest else []
    return found + ([torch.optim.Muon(muon, lr=rate, weight_decay=0)] if muon else [])


def _of_highest(step: int, steps: int) -> float:
    """A share: a line up to it over the first tenth, half a cosine down to zero after that."""
    up = max(1, steps // 10)
    return (step + 1) / up if step < up else (1 + math.cos(math.pi * (step - up) / (steps - up))) / 2
