"""Several adapters of one model, by name: switched, mixed, and kept in one folder.

Source: https://huggingface.co/docs/peft/developer_guides/lora, `set_adapter` and `add_weighted_adapter`, peft 0.21.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from lib import names
from lib.files import whole_folder
from lib.models.checks import check_choice, check_kind, check_number
from lib.models.lora.files import check_free, load_lora, packed, write
from lib.models.lora.kinds import kind
from lib.models.lora.layers import add_lora
from lib.models.lora.linear import LoraLinear, adapters, become
from lib.models.lora.targets import uncompiled

NAME = r"[A-Za-z0-9_-]+"  # of a folder, and of a part of peft's modules


class NamedAdapters:
    """Adapters of one model, of which at most one is on; those that are off cost no time and keep what they learned.

    model    one without adapters; it is frozen with the first
    on       name of the adapter that is on; None: the model computes what it did without any
    raises   TypeError for what is no model; ValueError for one that has adapters of its own, and, from every method,
             where `add_lora` or `merge_lora` came between
    """

    def __init__(self, model: nn.Module):
        check_kind("model", model, nn.Module)
        self.model, self.on = uncompiled(model), None
        if own := dict(adapters(self.model)):
            raise ValueError(f"{next(iter(own))} has an adapter: merge it first")
        self._kept: dict[str, dict[str, LoraLinear]] = {}  # by name, then by layer
        self._base: dict[str, nn.Linear] = {}  # what a layer is without adapters

    @property
    def names(self) -> list[str]:
        """Names of all adapters, the oldest first."""
        return list(self._kept)

    def add(
        self, name: str, targets: str, rank: int, alpha: float, dropout: float = 0.0, adapter: str = "lora", *,
        generator: torch.Generator | None = None,
    ) -> list[str]:  # fmt: skip
        """Make an adapter that changes nothing yet, and turn it on: see `lib.models.lora.layers.add_lora`.

        raises   ValueError for a kind that changes the frozen weights, which all adapters share: PiSSA
        """
        check_choice("adapter", adapter, _sharing())
        given = (targets, rank, alpha, dropout, adapter)
        return self._put(name, lambda: add_lora(self.model, *given, generator=generator))

    def load(self, name: str, folder: str | Path) -> list[str]:
        """Load an adapter from peft's layout, and turn it on: see `lib.models.lora.files.load_lora`.

        raises   ValueError, too, for a kind that changes the frozen weights
        """
        return self._put(name, lambda: load_lora(self.model, folder, allowed=_sharing()))

    def use(self, name: str | None) -> None:
        """Turn one adapter on and the others off; None turns all off.

        raises   ValueError, naming those that are there, for another name
        """
        check_choice("name", name, [*self._kept, None])
        self._check()
        layers = {key: self.model.get_submodule(key) for key in self._base}
        modes = {key: layer.training for key, layer in layers.items()}
        for key, layer in layers.items():
            become(layer, self._base[key])
        for key, adapter in self._kept.get(name, {}).items():
            device = self._base[key].weight.device  # the model may have moved meanwhile
            become(layers[key], adapter.to(device))
        for key, layer in layers.items():
            layer.train(modes[key])
        self.on = name

    def mix(self, name: str, weights: Mapping[str, float]) -> None:
        """Make an adapter whose effect is the weighted sum of others' effects, exactly, and turn it on.

        Its rank is the sum of theirs: A and B are stacked, as peft's combination "cat" does. It has no dropout.
        raises   ValueError for names that are not there, for none, for weights that are not finite, and for a kind
                 whose effect is no product of two matrices: DoRA
        """
        self._check_new(name)
        check_kind("weights", weights, Mapping, "mapping of names to numbers")
        if not weights:
            raise ValueError("weights: at least one adapter is needed")
        for one, weight in weights.items():
            check_choice("name", one, self._kept)
            check_number(f"weight of {one}", weight)
            if others := [made for made in self._kept[one].values() if made.KEYS != LoraLinear.KEYS]:
                raise ValueError(f"{one} is of {type(others[0]).__name__}: only A and B alone can be mixed")
        self._check()
        mixed = {}
        for key in self._base:
            parts = [(weight, self._kept[one][key]) for one, weight in weights.items() if key in self._kept[one]]
            if not parts:
                continue
            A = torch.cat([layer.A.detach() * (weight * layer.scale) for weight, layer in parts])
            B = torch.cat([layer.B.detach() for _, layer in parts], dim=1)
            mixed[key] = LoraLinear(self._base[key], len(A), float(len(A)), generator=torch.Generator())
            mixed[key].A, mixed[key].B = nn.Parameter(A), nn.Parameter(B)
        self._kept[name] = mixed
        self.use(name)

    def drop(self, name: str) -> None:
        """Forget an adapter; one that is on is turned off before.

        raises   ValueError, naming those that are there, for another name
        """
        check_choice("name", name, self._kept)
        if self.on == name:
            self.use(None)
        del self._kept[name]

    def save(self, folder: str | Path) -> Path:
        """Write every adapter to a folder of its name inside a folder, which appears whole or not at all.

        raises   ValueError where there is none, or one of several ranks; FileExistsError as `save_lora` does
        """
        if not self._kept:
            raise ValueError("no adapters: add or load one first")
        folder = Path(folder).resolve()
        made = {name: packed(layers) for name, layers in self._kept.items()}
        check_free(folder, {path.parent.name for path in folder.glob("*/adapter_config.json")})
        with whole_folder(folder) as part:
            for name, (config, tensors) in made.items():
                (part / name).mkdir()
                write(part / name, config, tensors)
        return folder

    def _put(self, name: str, make: Callable[[], list[str]]) -> list[str]:
        self._check_new(name)
        before = self.on
        self.use(None)
        try:
            found = make()
        except BaseException:
            self.use(before)
            raise
        self._kept[name] = {key: LoraLinear.__new__(LoraLinear) for key in found}
        for key, adapter in self._kept[name].items():
            layer = self.model.get_submodule(key)
            layer.base = self._base.setdefault(key, layer.base)
            become(adapter, layer)
        self.on = name
        return found

    def _check_new(self, name: str) -> None:
        check_kind("name", name, str)
        if not re.fullmatch(NAME, name) or name in self._kept:
            raise ValueError(f"name = {name!r}: a new one of letters, digits, _ and - is needed")

    def _check(self) -> None:
        """Accept the model as the last call has left it."""
        on = self._kept.get(self.on, {})
        for key, base in self._base.items():
            here = dict(self.model.named_modules()).get(key)
            if here is None or vars(here) is not vars(on.get(key, base)):
                raise ValueError(f"{key} is not as it was left: unmerge it, or make the adapters anew")
        if others := [key for key, _ in adapters(self.model) if key not in on]:
            raise ValueError(f"{others[0]} has an adapter without a name: merge it first")


def _sharing() -> list[str]:
    """Kinds of adapters that leave the frozen weights as they are."""
    return [name for name in names.ADAPTERS if not kind(name).MOVES]
