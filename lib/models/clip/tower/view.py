"""Modules that see with a tower's parts in another way, and are to all that looks at them the tower itself.

A view is of the tower's class, so that whatever transformers, peft or a trainer do with one they do with the other; its
parts are the tower's own, under their names, so that what it saves is the tower. Symbols: `lib/__init__.py`.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lib.models.checks import check_kind, check_tensor
from lib.models.clip.tower import Tower
from lib.models.clip.tower.record import RECORDS, Record

try:
    from transformers.utils.output_capturing import capture_outputs
except ImportError:  # older releases, whose layers tell nobody what they give
    from transformers.utils.generic import can_return_tuple as capture_outputs

SHARED = ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set", "training")
EMPTY = object()
OWN = ("_compiled_call_impl",)  # of the tower's own forward
UNREAD = ("num_items_in_batch", "use_cache")  # what trainers and language models hand on, and no tower reads


class View(nn.Module, ABC):
    """A tower with another forward, made by `View(model, ...)`; `model` is the tower that it was made of.

    raises   TypeError for a model that is no tower, before anything is made
    """

    def __new__(cls, model: Any = EMPTY, *_: Any, **__: Any) -> "View":
        """An instance of the tower's class, too; without a model an empty one, to be filled as a copy."""
        if model is EMPTY:
            return super().__new__(cls)
        family = Tower.of(model).family
        made = super().__new__(_joined(cls, type(model)))
        vars(made)["family"] = family
        return made

    def __init__(self, model: nn.Module):
        nn.Module.__init__(self)
        own = {*vars(self), *OWN}
        vars(self).update({name: value for name, value in vars(model).items() if name not in own})
        vars(self).update({name: vars(model)[name] for name in SHARED}, model=model)  # no part of itself

    @property
    def tower(self) -> Tower:
        """The parts, as this module has them."""
        return Tower(self, self.family)

    @capture_outputs
    def forward(
        self, pixel_values: Tensor | None = None, interpolate_pos_encoding: bool | None = None, **options: Any
    ) -> BaseModelOutputWithPooling:
        """The tower's output, seen in this way.

        options   output_hidden_states, output_attentions and return_dict, as the tower has them
        raises    TypeError, naming it, for an option that is not known, and for a mask of patches; ValueError for
                  pixels that are no images of this tower, empty or not finite
        """
        check_tensor("pixel_values", pixel_values)
        check_kind("interpolate_pos_encoding", interpolate_pos_encoding, (bool, type(None)), "True, False or None")
        options.setdefault("is_causal", getattr(self.config, "is_causal", None))  # as the tower does
        record = Record(self.config, len(self.tower.layers), options)
        for name, value in options.items():
            if name not in UNREAD and value is not None and value is not False:
                known = ", ".join(("pixel_values", "interpolate_pos_encoding", *(f"output_{name}" for name in RECORDS)))
                raise TypeError(f"{name} is no argument of a tower with fewer tokens: it knows {known}, return_dict")
        self.tower.check(pixel_values)
        return self.recorded(pixel_values, interpolate_pos_encoding, record)

    @abstractmethod
    def recorded(self, pixels: Tensor, interpolate: bool | None, record: Record) -> BaseModelOutputWithPooling:
        """The output for pixels that have been checked, with what is to be recorded."""

    def __reduce__(self) -> tuple[Callable, tuple[type, type], Mapping[str, Any]]:
        """A copy by its two classes, since their joined one has no name that pickle could look up."""
        return _empty, type(self).joined, vars(self)

    def _get_name(self) -> str:
        return f"{type(self).joined[0].__name__} of {type(self).__name__}"


@functools.cache
def _joined(kind: type, tower: type) -> type:
    """A class that is both, and bears the tower's name: what is saved is known by it."""
    kind, tower = getattr(kind, "joined", (kind,))[0], getattr(tower, "joined", (tower,))[-1]
    names = {"__module__": tower.__module__, "__qualname__": f"{kind.__qualname__} of {tower.__qualname__}"}
    return type(kind)(tower.__name__, (kind, tower), {**names, "joined": (kind, tower), "__doc__": kind.__doc__})


def _empty(kind: type, tower: type) -> View:
    return View.__new__(_joined(kind, tower))
