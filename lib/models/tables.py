"""What the rows of a table of `lib.names` stand for, looked up at every use: a row that is added is there at once."""

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from lib import names


class Modules(Mapping[str, ModuleType]):
    """Row -> the module that it names.

    kind     a table of `lib.names`, such as "BACKENDS"
    needs    what every such module defines
    raises   KeyError for a name without a row; ImportError, naming row and file, where the file is missing or lacks
             what it needs
    """

    def __init__(self, kind: str, *needs: str):
        self.kind, self.needs = kind, needs
        self._known: dict[str, tuple[names.Method, ModuleType]] = {}  # the scan asks at every call

    def __getitem__(self, name: str) -> Any:
        return self.module(name, *self.needs)

    def __iter__(self) -> Iterator[str]:
        return iter(getattr(names, self.kind))

    def __len__(self) -> int:
        return len(getattr(names, self.kind))

    def module(self, name: str, *needs: str) -> ModuleType:
        """The module of a row, which defines all that is needed."""
        row = getattr(names, self.kind)[name]
        known, module = self._known.get(name, (None, None))
        if known is row:
            return module
        module = names.code(self.kind, name, row)
        for needed in needs:
            if not hasattr(module, needed):
                raise ImportError(f"names.{self.kind}: {name!r} is incomplete: {row.module} has no {needed}")
        self._known[name] = row, module
        return module


class Functions(Modules):
    """Row -> the function of that name in the module that the row names; otherwise as `Modules`."""

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return getattr(self.module(name, name), name)


class Classes(Modules):
    """Row -> the class that its module names as `named`, a whole subclass of `base`; otherwise as `Modules`."""

    def __init__(self, kind: str, named: str, base: type):
        super().__init__(kind)
        self.named, self.base = named, base

    def __getitem__(self, name: str) -> type:
        found, where = getattr(self.module(name), self.named, None), getattr(names, self.kind)[name].module
        said = f"names.{self.kind}: {name!r} is incomplete"
        if not (isinstance(found, type) and issubclass(found, self.base)):
            raise ImportError(f"{said}: {self.named} in {where} is no class of {self.base.__name__}")
        if lacking := sorted(getattr(found, "__abstractmethods__", ())):
            raise ImportError(f"{said}: {found.__name__} in {where} lacks {', '.join(lacking)}")
        return found
