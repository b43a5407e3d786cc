"""One loop that trains any model."""

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from lib.models.checks import check_count, check_number, check_shape
from lib.tasks.training import checkpoint


def train(
    model: nn.Module,
    batch_losses: Iterable[Tensor],
    steps: int,
    *,
    rate: float = 6e-3,
    decay: float = 0.01,
    shares: Mapping[str, float] = MappingProxyType({}),
    matrices: Mapping[str, float] = MappingProxyType({}),
    judge: Callable[[], float] | None = None,
    enough: float = math.inf,
    accumulate: int = 1,
    half: bool = False,
    every: int = 100,
    between: tuple[int, int] | None = None,
    kept: Path | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> list[float]:
    """Take AdamW steps with a warm-up in the first tenth, a cosine to zero, and gradients clipped to norm one.

    Weights that require no gradient do not change. Matrices can take Muon's steps instead, which learn faster where
    layers are wide.

    batch_losses  yields each step's loss, a scalar with a graph, one at a time: a generator of batches
    rate          highest learning rate
    decay         of the weights in AdamW's steps, relative to the rate
    shares        of the rate, for parameters whose own name, without their module's, is a key; one for all others
    matrices      of the rate, for Muon's steps: one for those whose full name has a key in it; the rest take AdamW's
    judge         how good the model is, called after `every` steps: training stops early once it is `enough`
    accumulate    losses whose mean is one step's, so that a batch may be larger than memory
    half          whether losses come out of float16, whose small gradients need to be scaled up
    between       the steps of the plan that this call takes, from the first to before the last; all where left out. A
                  model that changes its layers goes on with them after another call, and with new moments
    kept          a .safetensors file, renewed after `every` steps: where it is, training goes on from there. Delete it
                  to begin anew. The finished model's stays
    generator     what draws the batches; its state is kept, too, so that an interruption changes nothing, but with
                  `half`, where the scale of the gradients is found anew
    returns       the loss at every step, in the loss's unit
    raises        ValueError for steps, accumulate or every < 1, for a rate that is not above 0, for a model of which
                  nothing learns, for a loss of several numbers, for fewer losses than steps, for a file of another
                  model or plan;
                  FloatingPointError, naming the step, where a loss is not finite
    source        Muon: Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/
    """
    check_count("steps", steps)
    check_count("accumulate", accumulate)
    check_count("every", every)
    check_number("rate", rate, above=0)
    begin, end = between or (0, steps)
    check_count("between", end, begin + 1, steps)
    check_count("between", begin, 0, end - 1)
    check_number("decay", decay, 0)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    if not learning:
        raise ValueError(f"{type(model).__name__}: no weight requires a gradient, so that nothing can learn")
    scaler = torch.amp.GradScaler(learning[0].device.type, enabled=half)
    optimisers = _optimisers(model, rate, decay, shares, matrices)
    losses = [] if kept is None else checkpoint.resume(kept, steps, model, optimisers, generator)
    if losses and judge is not None and judge() >= enough:
        return losses
    model.train()
    with tqdm(
        total=end - begin, initial=len(losses), desc="training", unit="step", leave=False, disable=not progress
    ) as bar:
        parts = iter(batch_losses)
        while begin + len(losses) < end:
            model.zero_grad(set_to_none=True)
            found = []
            for loss in islice(parts, accumulate):
                check_shape("loss", loss)
                if not loss.isfinite():
                    said = f"step {begin + len(losses)}: the loss is {loss.item()}"
                    raise FloatingPointError(f"{said}; a lower rate than {rate} may help")
                scaler.scale(loss / accumulate).backward()
                found.append(loss.item())
            if len(found) < accumulate:
                raise ValueError(f"steps = {steps}: there were losses for {begin + len(losses)} only")
            for group in (group for one in optimisers for group in one.param_groups):
                group["lr"] = group["share"] * rate * _of_highest(begin + len(losses), steps)
            for one in optimisers:
                scaler.unscale_(one)
            nn.utils.clip_grad_norm_(learning, 1.0)
            for one in optimisers:
                scaler.step(one)
            scaler.update()
            losses.append(sum(found) / accumulate)
            bar.set_postfix(loss=f"{losses[-1]:.2f}", refresh=False)
            bar.update()
            if len(losses) % every == 0 or begin + len(losses) == end:
                if kept is not None:
                    checkpoint.keep(kept, steps, model, optimisers, generator, losses)
                if judge is not None and begin + len(losses) < end and judge() >= enough:
                    break
    model.eval()
    return losses


def _optimisers(
    model: nn.Module, rate: float, decay: float, shares: Mapping[str, float], matrices: Mapping[str, float]
) -> list[torch.optim.Optimizer]:
    by_kind: list[dict[float, list[Tensor]]] = [{}, {}]
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        key = next((key for key in matrices if weight.ndim == 2 and key in name), None)
        share = shares.get(name.rpartition(".")[2], 1.0) if key is None else matrices[key]
        by_kind[key is not None].setdefault(share, []).append(weight)
    rest, muon = ([{"params": weights, "share": share} for share, weights in kind.items()] for kind in by_kind)
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=rate, weight_decay=decay)] if rest else []
    return found + ([torch.optim.Muon(muon, lr=rate, weight_decay=0)] if muon else [])


def _of_highest(step: int, steps: int) -> float:
    """Share of the highest rate: a line up to one in the first tenth, half a cosine down to zero after that."""
    up = max(1, steps // 10)
    return (step + 1) / up if step < up else (1 + math.cos(math.pi * (step - up) / (steps - up))) / 2
