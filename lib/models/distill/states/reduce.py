"""Mamba blocks with fewer states, in a copy of a model. Symbols: `lib/__init__.py`; K of N states are kept."""

import copy
from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from lib.models.checks import check_choice, check_count, check_kind
from lib.models.distill.states.choice import Choice
from lib.models.distill.states.moments import moments
from lib.models.ssm.mamba_block import MambaBlock, MambaConfig
from lib.models.tables import Functions

CRITERIA = Functions("STATE_CHOICES")  # name -> (moments, keep, generator=None) -> Choice


def reduce_states(
    model: nn.Module, keep: int, criterion: str, data: Tensor, *, generator: Generator | None = None
) -> nn.Module:
    """Copy a model with K states in each of its Mamba blocks; the copy is a Mamba of K states as any other.

    A model of transformers becomes ours by `from_transformers`, and `save_pretrained` writes a folder with the new
    `state_size` (`lib.models.ssm.mamba_weights`).

    keep       K, at most the N of every block; with N the copy computes what the model does, to the last digit
    criterion  one of CRITERIA, the rows of `lib.names.STATE_CHOICES`
    data       inputs of the model, (B, T) tokens or (B, T, F) features: a few thousand tokens as it meets them
    generator  for a criterion that draws
    raises     TypeError for what is no model, and where a generator is missing; ValueError, quoting it, for another
               number or criterion, for a model without Mamba blocks, for one with adapters in them, and for data on
               which states are not finite
    """
    check_kind("model", model, nn.Module)
    check_choice("criterion", criterion, CRITERIA)
    blocks = {name: module for name, module in model.named_modules() if isinstance(module, MambaBlock)}
    if not blocks:
        raise ValueError(
            f"a {type(model).__name__} without MambaBlock: there are no states to choose from; a Mamba of "
            "transformers becomes ours by lib.models.ssm.mamba_weights.from_transformers"
        )
    check_count("keep", keep, 1, min(block.config.states for block in blocks.values()))
    for name, block in blocks.items():
        if type(block.x_proj) is not nn.Linear:
            kind = type(block.x_proj).__name__
            raise ValueError(f"{name}.x_proj is a {kind}: a Linear is needed; merge adapters, undo quantisation")
    small = copy.deepcopy(model)
    for block, seen in moments(small, data).items():
        _keep(block, CRITERIA[criterion](seen, keep, generator=generator))
    for module in small.modules():
        if isinstance(getattr(module, "config", None), MambaConfig):
            module.config = replace(module.config, states=keep)
    return small


@torch.no_grad()
def _keep(block: MambaBlock, choice: Choice) -> None:
    """Leave a block the states of a choice: columns of A, rows of B as they are, and rows of C as they are mixed."""
    states, weight = choice.states.to(block.A_log.device), block.x_proj.weight
    low, B, C = weight.split([block.config.step_rank, block.config.states, block.config.states])
    mixing = choice.mixing.to(weight.device)
    rows = torch.cat([low, B[states], (mixing @ C.double()).to(weight.dtype)])
    layer = nn.Linear(rows.shape[1], rows.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(rows, requires_grad=weight.requires_grad)
    block.x_proj = layer.train(block.x_proj.training)
    block.A_log = nn.Parameter(block.A_log[:, states].clone(), requires_grad=block.A_log.requires_grad)
