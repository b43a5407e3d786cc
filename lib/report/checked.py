"""How a chapter's parameters are looked at: names, values, what runs here; and one plain line where one is wrong.

papermill injects a cell of its own after the chapter's and only warns of names it does not know, so both are read from
the notebook's history.
"""

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, TypeVar

from IPython import get_ipython
from pydantic import BaseModel, ConfigDict, ValidationError

from lib.experiments.sizes import TooLarge, quoted
from lib.report.assigned import OWN, assigned
from lib.report.units import binary


class ParameterError(ValueError):
    """A parameter that the chapter cannot use; Jupyter shows the message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"ParameterError: {self}"]


class Checked(BaseModel):
    """Parameters whose fields say what is allowed, and which experiments a chapter hands them to."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    EXPERIMENTS: ClassVar[tuple[str, ...]] = ()

    def check_here(self) -> None:
        """Accept what every experiment of the chapter can run on this machine, by the `check` of each.

        raises   ValueError or TypeError, naming what decides it
        """
        for name in self.EXPERIMENTS:
            experiment = import_module(f"lib.experiments.{name}")
            experiment.check(experiment.Settings.of(self))


Chosen = TypeVar("Chosen", bound=Checked)


def check(chapter: type[Chosen], namespace: Mapping[str, Any]) -> Chosen:
    """The chapter's parameters as a notebook's namespace holds them, `device` resolved.

    namespace  the notebook's `globals()`; its history `In` tells which names were set
    raises     ParameterError: one line that names the parameter, what is allowed and the nearest name
    """
    allowed = list(chapter.model_fields)
    for name in assigned(_history(namespace), allowed):
        if name not in allowed and name not in OWN:
            there = ", ".join(allowed)
            raise ParameterError(
                f"`{name}` is not a parameter of this chapter{_nearest(name, allowed)}. There are: {there}"
            )
    if missing := [name for name in allowed if name not in namespace]:
        raise ParameterError(f"{', '.join(missing)}: not set; run the parameters cell first")
    try:
        chosen = chapter.model_validate({name: namespace[name] for name in allowed})
        chosen.check_here()
    except ValidationError as error:
        raise ParameterError("; ".join(_plain(chapter, found) for found in error.errors())) from None
    except TooLarge as error:
        needed, free = f"needs {binary(error.needed)} on {error.device}", f"{binary(error.free)} are free"
        raise ParameterError(f"{error.sizes}: {needed}, {free}; lower one of them") from None
    except (TypeError, ValueError) as error:
        raise ParameterError(" ".join(str(error).split())) from error
    return chosen


def _history(namespace: Mapping[str, Any]) -> list[str]:
    """The cells that were run; a parameter that somebody names `In` hides them from the namespace."""
    shell = get_ipython()
    own = shell is not None and shell.user_ns is namespace
    cells = shell.history_manager.input_hist_parsed if own else namespace.get("In", [])
    return [cell for cell in cells if isinstance(cell, str)]


def _nearest(name: str, allowed: list[str]) -> str:
    """The hint of the name that is most like another, whatever its case and its dashes."""
    found = difflib.get_close_matches(name.lower().replace("-", "_"), allowed, n=1, cutoff=0.3)
    return f"; the nearest is `{found[0]}`" if found else ""


def _plain(chapter: type[Checked], found: Mapping[str, Any]) -> str:
    name = found["loc"][0]
    reason = f"; {found['ctx']['error']}" if found["type"] == "value_error" else ""
    return f"`{name}` is {quoted(found['input'])}; allowed is {chapter.model_fields[name].description}{reason}"
