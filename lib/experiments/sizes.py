"""What the settings of an experiment may be: a kind and bounds for every field, and memory that is there.

Refused before anything is allocated: an operating system ends a process that asks for too much without a word.
"""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import torch

from lib.models.checks import check_choice, check_count, check_counts, check_kind, check_many, check_number
from lib.profilers.memory import available_bytes

FROM_ZERO = {"seed", "warmup", "steps"}  # no steps: the task's own number
MOST = {  # of whole numbers, by the name of their field: beyond what any machine here times within a day
    "seed": 2**63 - 1,
    "runs": 10_000,
    "warmup": 10_000,
    "seeds": 1000,
    "steps": 10**6,
    "healing": 10**6,
    "learning": 10**6,
    "accumulate": 4096,
    "batch": 2**20,
    "per_step": 2**16,
    "images": 10**5,
    "count": 10**5,
    "tested": 10**5,
    "scenes": 10**5,
    "length": 2**22,
    "longest": 2**22,
    "tokens": 2**22,
    "dim": 2**16,
    "width": 2**12,
    "layers": 256,
    "taps": 2**16,
    "r": 128,  # beyond, a narrow router of two blocks finds no width with the same number of parameters
    "state": 256,
    "states": 1024,
    "teacher_states": 1024,
    "order": 64,
    "orders": 1024,
    "rank": 1024,
    "side": 448,
}
ATTENDED = 2**18  # tokens, where attention is timed beside: its time grows with their square
LARGEST = 2**31 - 1  # of whole numbers that are not named there
DTYPES = ("float32", "float64", "bfloat16", "float16")
DEVICES = ("cpu", "cuda")
ALLOWED = {"dtype": DTYPES, "device": DEVICES}  # words, by the name of their field
SHOWN = 80  # characters of a value in a message
KINDS = (int, float, bool, str, Path)


def quoted(value: object) -> str:
    """A value as code, on one line, shortened in the middle."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python prints no number of more than some thousand digits
        return "a number of more digits than can be shown"
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}...{text[-SHOWN // 4 :]}, {len(text):,} characters"


class TooLarge(ValueError):
    """A run that would not fit into memory.

    sizes    what decides it, in words
    needed   bytes on `device`, of which `free` are there
    """

    def __init__(self, sizes: str, device: str, needed: int, free: int):
        super().__init__(f"{sizes}: needs {needed:,} bytes on {device}, {free:,} are free; lower one of them")
        self.sizes, self.device, self.needed, self.free = sizes, device, needed, free


def check_fields(settings: Any) -> None:
    """Accept settings whose fields are of their kinds and within their bounds.

    raises   ValueError or TypeError, quoting the value and what is allowed, for any other
    """
    for one in fields(settings):
        name, value = one.name, getattr(settings, one.name)
        kinds = get_args(one.type) if isinstance(one.type, UnionType) else (one.type,)
        if value is None and NoneType in kinds:
            continue
        if int in kinds:
            check_count(name, value, 0 if name in FROM_ZERO else 1, MOST.get(name, LARGEST))
        elif float in kinds:
            check_number(name, value)
        elif several := [kind for kind in kinds if get_origin(kind) is tuple and int in get_args(kind)]:
            _check_several(name, value, get_args(several[0]))
        elif one.type in KINDS:
            check_kind(name, value, one.type)
        if name in ALLOWED:
            check_choice(name, value, ALLOWED[name])


def _check_several(name: str, values: Any, kinds: tuple[Any, ...]) -> None:
    """Accept whole numbers within bounds, as many as the kinds are, or any number of them where an ellipsis follows."""
    check_kind(name, values, (list, tuple), "list of numbers")
    check_counts(name, values)
    check_count(name, max(values), 1, MOST.get(name, LARGEST))
    if Ellipsis not in kinds:
        check_many(name, values, len(kinds), "numbers")


def check_given(kind: type, given: Mapping[str, Any]) -> None:
    """Accept values for all fields of a class of settings that have no default, and for no others.

    raises   TypeError, naming those that lack, or those that are unknown
    """
    known: dict[str, Field] = {one.name: one for one in fields(kind)}
    if unknown := [name for name in given if name not in known]:
        raise TypeError(f"{', '.join(unknown)}: no setting of {kind.__module__}; there are {', '.join(known)}")
    lacking = [
        name
        for name, one in known.items()
        if name not in given and one.default is MISSING and one.default_factory is MISSING
    ]
    if lacking:
        raise TypeError(f"{', '.join(lacking)}: not given; {kind.__module__} needs {', '.join(lacking)}")


def among(only: Mapping[str, Collection], **here: object) -> bool:
    """Whether a case is among those wanted: its values are, by name.

    raises   ValueError, quoting it, for a name that the case has not
    """
    for name in only:
        check_choice("only", name, here)
    return all(here[name] in values for name, values in only.items())


def check_memory(settings: Any, elements: int, *names: str, drawn: int = 0, width: int | None = None) -> None:
    """Accept settings whose run fits into what is free, on the device, and on the host where its input is drawn.

    elements   numbers of the settings' dtype that no run can do without
    names      the fields that decide it
    drawn      numbers of single precision that the host draws first
    width      bytes of a number, where it is another than the dtype's
    raises     TooLarge, naming the fields, what is needed and what is free; ValueError for a GPU that is not there
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device = 'cuda': this machine has none that torch can use; cpu is there")
    needs = {settings.device: elements * (width or settings.torch_dtype.itemsize)}
    needs["cpu"] = max(needs.get("cpu", 0), 4 * drawn)
    for device, needed in needs.items():
        try:
            free = available_bytes(device)
        except (RuntimeError, AssertionError):  # of a GPU that is broken: what is called next says so
            continue
        if needed > free:
            raise TooLarge(", ".join(f"`{name}` {getattr(settings, name)}" for name in names), device, needed, free)
