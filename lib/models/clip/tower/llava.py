"""LLaVA of transformers with fewer image tokens: its tower is reduced, and its texts have as many placeholders.

LLaVA's processor writes a placeholder for every token that an unreduced tower gives, and its model compares the two
numbers.
Symbols: `lib/__init__.py`. Source: Liu et al. (2023), https://arxiv.org/abs/2304.08485.
"""

import copy
from collections.abc import Mapping
from typing import Any

from jaxtyping import Bool, Int
from torch import Tensor, nn

from lib.models.checks import check_kind, check_tensor
from lib.models.clip.reduction import Reduction, reduce_tokens
from lib.models.clip.tower import Tower

WHERE = "transformers.models.llava.modeling_llava"
STRATEGIES = {"default": 1, "full": 0}  # how features are selected -> tokens that are cut off at the start


def seeing_fewer(model: nn.Module, method: str, keep: float, **options: Any) -> nn.Module:
    """A LLaVA whose language model gets fewer image tokens; all parts but the tower are the model's own, shared.

    model            LlavaForConditionalGeneration, of transformers
    method, keep     and options: as `lib.models.clip.reduction.reduce_tokens` takes them
    returns          a model of the same class, which takes inputs as `fewer_placeholders` makes them
    raises           TypeError for another model; ValueError, quoting it, for a method by which every image has its own
                     number of tokens, and what `reduce_tokens` raises
    """
    _check_model(model)
    inner = model.model
    if isinstance(inner.vision_tower, Reduction):
        raise TypeError(f"{type(model).__name__} with a reduced tower already: give the one that it was made of")
    tower = reduce_tokens(inner.vision_tower, method, keep, **options)
    if tower.per_image:
        raise ValueError(f"method = {method!r}: every image has its own number of tokens, and a text needs it before")
    changed = _with(model, model=_with(inner, vision_tower=tower))
    image_tokens(changed)  # what its configuration cannot do is refused here
    return changed


def image_tokens(model: nn.Module) -> int:
    """Number of image tokens of an image of the tower's own size, which is that of its placeholders in a text.

    model    LlavaForConditionalGeneration, its tower reduced or not
    raises   TypeError for another model; ValueError, quoting it, where features of several layers have unequal numbers,
             or are selected in another way than STRATEGIES
    """
    _check_model(model)
    tower, config = model.model.vision_tower, model.config
    whole = Tower.of(tower.model if isinstance(tower, Reduction) else tower)
    counts = [whole.patches + whole.classes] * (1 + len(whole.layers))  # of the hidden states
    if isinstance(tower, Reduction) and not getattr(tower, "dense", False):
        seen = tower.seen(whole.patches)
        counts = [seen[0][0], *(after for _, after in seen)]
    layers = config.vision_feature_layer
    layers = layers if isinstance(layers, list | tuple) else [layers]
    found = {counts[layer] for layer in layers}
    if len(found) != 1:
        raise ValueError(f"vision_feature_layer = {layers}: their numbers of tokens differ, {sorted(found)}")
    strategy = config.vision_feature_select_strategy
    if strategy not in STRATEGIES:
        raise ValueError(f"vision_feature_select_strategy = {strategy!r}: one of {', '.join(STRATEGIES)} is needed")
    return found.pop() - STRATEGIES[strategy]


def fewer_placeholders(model: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs of an unreduced LLaVA with as many placeholders for each image as the model has image tokens.

    model     as `seeing_fewer` returns it
    inputs    as the processor makes them, or with labels; what has the shape of `input_ids` is cut with it
    raises    ValueError, quoting them, for texts whose placeholders are not those of whole images, or whose numbers of
              images differ within a batch; KeyError without `input_ids`; TypeError for another model
    """
    after = image_tokens(model)
    before = image_tokens(_with(model, model=_with(model.model, vision_tower=model.model.vision_tower.model)))
    ids = inputs["input_ids"]
    check_tensor("input_ids", ids)
    stays = _stays(ids, model.config.image_token_id, before, after)
    found = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, Tensor) and value.shape == ids.shape:
            found[name] = value[stays].unflatten(0, (len(ids), -1))
    return found


def _stays(ids: Int[Tensor, "B T"], image: int, before: int, after: int) -> Bool[Tensor, "B T"]:
    """Which tokens of a text stay: of each image's placeholders the first ones."""
    held = ids == image
    counts = held.sum(dim=1)
    if (counts % before).any() or counts.unique().numel() != 1:
        needed = f"as many in each row, and a multiple of {before}, are needed"
        raise ValueError(f"input_ids with {counts.tolist()} placeholders: {needed}")
    number = (held.cumsum(dim=1) - 1) % before  # of a placeholder within its image
    return ~held | (number < after)


def _with(model: nn.Module, /, **parts: nn.Module) -> nn.Module:
    """A module with some parts exchanged, the others shared."""
    other = copy.copy(model)
    other._modules = {**model._modules, **parts}
    return other


def _check_model(model: object) -> None:
    check_kind("model", model, nn.Module)
    kind = type(model)
    if (kind.__module__, kind.__name__) != (WHERE, "LlavaForConditionalGeneration"):
        raise TypeError(f"{kind.__name__}: LlavaForConditionalGeneration of transformers is needed")
