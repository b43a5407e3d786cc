"""Costs of models in a forward pass, in a training step, and token by token."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from operator import call

import torch
from torch import Tensor, nn

from lib.profilers.failures import attempt
from lib.profilers.profile import Profile, profile


def passes(
    models: Mapping[str, nn.Module],
    x: Tensor,
    *,
    uncounted: Callable[[nn.Module, Tensor], int] | None = None,
    **options,
) -> dict[str, dict[str, Profile]]:
    """Profile models on one input, interleaved: all forward passes first, then all training steps.

    uncounted  operations of a forward pass that `lib.profilers.flops` leaves out
    options    of `lib.profilers.profile.profile`
    returns    "forward" and "training" -> name -> profile. Operations are those of the forward pass, and none for a
               training step: a compiled backward pass hides its own
    """
    forward = profile({name: partial(call, model, x) for name, model in models.items()}, inference=True, **options)
    for name, result in forward.items():
        if uncounted is not None and result.error is None:
            more, error = attempt(partial(uncounted, models[name], x), options.get("device", "cpu"))
            forward[name] = Profile(error=error) if error else replace(result, flops=result.flops + more)
    steps = {name: partial(training_step, model, x) for name, model in models.items()}
    return {"forward": forward, "training": profile(steps, inference=False, operations=False, **options)}


def training_step(model: nn.Module, x: Tensor) -> tuple[Tensor | None, ...]:
    """Compute what a training step does: a forward pass, and all weights' gradients of the output's mean square.

    returns  a gradient per weight, None for one that this pass did not use
    """
    return torch.autograd.grad(model(x).square().mean(), list(model.parameters()), allow_unused=True)


def stream(model: nn.Module, state: object, x: Tensor) -> object:
    """Run a model over a sequence (B, T, ...) token after token, by `step(x, state)`, and return the state at the end.

    state   where the sequence starts, such as `model.initial_state(B)`; it does not change
    """
    for token in x.unbind(1):
        _, state = model.step(token, state)
    return state
