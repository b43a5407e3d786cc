"""Parameters of a chapter: what papermill may set, what is allowed, and one plain line where it is not.

Defaults stand in the notebook's parameters cell, and nowhere else; types and bounds stand here. papermill
injects a cell of its own after that cell and only warns of names it does not know, so both are read
from the notebook's history.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from lib import names
from lib.profilers.memory import available_bytes
from lib.report.assigned import OWN, assigned
from lib.report.units import binary
from lib.report.views.base import machines


class ParameterError(ValueError):
    """A parameter that the chapter cannot use; Jupyter shows the message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"ParameterError: {self}"]


def _among(allowed: Iterable[str], *more: str) -> str:
    *others, last = [repr(name) for name in (*allowed, *more)]
    return f"{', '.join(others)} or {last}"


class Parameters(BaseModel):
    """What the parameters of every chapter share. The description of a field says what is allowed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    seed: int = Field(ge=0, lt=2**63, description="a whole number, at least 0")
    device: str = Field(description="'auto', 'cpu', or 'cuda' on a machine that has it")
    dtype: Literal["float32", "float64", "bfloat16", "float16"] = Field(
        description="'float32', 'float64', 'bfloat16' or 'float16'"
    )
    runs: int = Field(ge=2, description="a number of timed rounds, a whole number, at least 2")
    warmup: int = Field(ge=0, description="a number of untimed rounds, a whole number, at least 0")
    record: bool = Field(description="True or False")
    machine: str = Field(description="'auto', or a folder of data/runs: the machine whose records the text reads")

    @field_validator("machine")
    @classmethod
    def _recorded(cls, machine: str) -> str | None:
        if machine not in ("auto", *machines()):
            raise ValueError(f"there are {', '.join(machines()) or 'none'}")
        return None if machine == "auto" else machine

    @field_validator("device")
    @classmethod
    def _present(cls, device: str) -> str:
        cuda = torch.cuda.is_available()
        if device not in ("auto", "cpu", "cuda") or (device == "cuda" and not cuda):
            raise ValueError(f"this machine has cpu{' and cuda' if cuda else ' only'}")
        return ("cuda" if cuda else "cpu") if device == "auto" else device

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of torch that the parameter `dtype` names."""
        return getattr(torch, self.dtype)

    @property
    def timing(self) -> dict[str, Any]:
        """What every profiler is told."""
        return {"runs": self.runs, "warmup": self.warmup, "device": self.device}


class Trained(Parameters):
    """What chapters share whose models are trained; each has a `task` of its own."""

    retrain: bool = Field(description="True or False")
    seeds: int = Field(ge=2, description="a number of trainings of each kind, a whole number, at least 2")
    steps: int = Field(ge=0, description="training steps, a whole number; 0 for the task's own")

    @property
    def tasks(self) -> tuple[str, ...]:
        """The one, or all that there are."""
        every = get_args(type(self).model_fields["task"].annotation)
        return tuple(one for one in every if one != "all") if self.task == "all" else (self.task,)


class Mrss(Trained):
    """The chapter on multi-resolution scanning."""

    r: int = Field(ge=1, description="a downsampling factor, a whole number, at least 1")
    batch: int = Field(ge=1, description="a whole number, at least 1")
    length: int = Field(ge=16, description="a sequence length in tokens, a whole number, at least 16")
    dim: int = Field(ge=1, description="a number of channels, a whole number, at least 1")
    taps: int = Field(ge=1, description="a length of the convolution, a whole number, at least 1")
    longest: int = Field(ge=256, description="the longest sequence of the models, a whole number, at least 256")
    width: int = Field(ge=64, multiple_of=4, description="channels of the wider models, a multiple of 4, at least 64")
    layers: int = Field(ge=2, description="a number of blocks, a whole number, at least 2")
    task: Literal[*names.SEQUENCES, "all"] = Field(description=_among(names.SEQUENCES, "all"))


class KernelDistillation(Trained):
    """The chapter on kernel distillation."""

    dtype: Literal["float32", "float64"] = Field(description="'float32' or 'float64'")
    dim: int = Field(ge=4, description="a number of channels, a whole number, at least 4")
    states: int = Field(ge=4, multiple_of=2, description="states per channel, an even number, at least 4")
    length: int = Field(ge=16, description="taps of a kernel, a whole number, at least 16")
    longest: int = Field(ge=1024, description="the longest sequence in tokens, a whole number, at least 1024")
    method: Literal[*names.DISTILLATIONS] = Field(description=_among(names.DISTILLATIONS))
    order: int = Field(ge=2, le=64, description="states, a rank or taps kept per channel, a whole number, 2 to 64")
    healing: int = Field(ge=1, description="a number of training steps, a whole number, at least 1")
    task: Literal[*names.DISTILLED, "all"] = Field(description=_among(names.DISTILLED, "all"))

    @field_validator("order")
    @classmethod
    def _there(cls, order: int, others: ValidationInfo) -> int:
        for name in ("dim", "states", "length"):
            if order > others.data.get(name, order):
                raise ValueError(f"`{name}` is {others.data[name]}, and nothing has more")
        return order


class Clips(Trained):
    """What the chapters on CLIP share."""

    keep: float = Field(gt=0, le=1, description="a share of tokens, more than 0, at most 1")
    method: Literal[*names.REDUCTIONS] = Field(description=_among(names.REDUCTIONS))
    model: str = Field(min_length=1, description="'auto', a checkpoint of ours, a folder, or a name of the hub")
    dataset: str = Field(min_length=1, description="'scenes', 'cifar10', or a folder with its parquet files")
    images: int = Field(ge=8, description="a number of images, a whole number, at least 8")
    timed: str = Field(min_length=1, description="a model of known sizes, as lib.models.clip.load.shipped lists them")
    batch: int = Field(ge=1, description="a number of images, a whole number, at least 1")
    task: Literal[*names.SMALL_CLIPS, "all"] = Field(description=_among(names.SMALL_CLIPS, "all"))

    @property
    def shown(self) -> str:
        """The model: the first of ours that was trained for the data, unless one is named."""
        return (f"clip-{'scenes' if self.dataset == 'scenes' else 'cifar10'}-0") if self.model == "auto" else self.model

    @property
    def source(self) -> str:
        """Of CIFAR-10, where it is asked for: the hub's name, or a folder."""
        return "uoft-cs/cifar10" if self.dataset in ("scenes", "cifar10") else self.dataset


class ClipVtp(Clips):
    """The chapter on CLIP's visual tokens."""

    dtype: Literal["float32", "bfloat16"] = Field(description="'float32' or 'bfloat16'")
    side: int = Field(ge=32, multiple_of=16, description="pixels of the largest image, a multiple of 16, at least 32")


class Lora(Clips):
    """The chapter on low-rank adaptation."""

    timed: str = Field(min_length=1, description="a name of lib.models.clip.load.shipped, or a checkpoint of ours")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(description="'float32', 'bfloat16' or 'float16'")
    rank: int = Field(ge=1, description="a whole number, at least 1")
    targets: str = Field(min_length=1, description="a regular expression for whole names of linear layers")
    learning: int = Field(ge=1, description="a number of training steps, a whole number, at least 1")
    rate: float = Field(gt=0, le=1, description="a learning rate, more than 0, at most 1")
    accumulate: int = Field(ge=1, description="a number of batches in a step, a whole number, at least 1")
    goal: Literal["labels", "tokens", "all"] = Field(description="'labels', 'tokens' or 'all'")

    @property
    def goals(self) -> tuple[str, ...]:
        """What is trained: the goal that was chosen, or both for "all"."""
        return ("labels", "tokens") if self.goal == "all" else (self.goal,)


class SsmBackground(Parameters):
    """The chapter on state space models."""

    batch: int = Field(ge=1, description="a whole number, at least 1")
    length: int = Field(ge=256, description="the longest sequence in tokens, a whole number, at least 256")
    dim: int = Field(ge=4, multiple_of=4, description="a number of channels, a multiple of 4, at least 4")
    state: int = Field(ge=2, multiple_of=2, description="states per channel, an even number, at least 2")
    backend: Literal["auto", *names.BACKENDS, "ref"] = Field(description=_among(("auto", *names.BACKENDS, "ref")))
    steps: int = Field(ge=1, description="a number of training steps, a whole number, at least 1")


class Verdicts(Parameters):
    """The chapter on the verdict, which times nothing."""


# Of every chapter, by its notebook.
MODELS: dict[str, type[Parameters]] = dict(
    ssm_background=SsmBackground,
    mrss=Mrss,
    kernel_distillation=KernelDistillation,
    clip_vtp=ClipVtp,
    lora=Lora,
    claims=Verdicts,
)
Chosen = TypeVar("Chosen", bound=Parameters)


def check(chapter: type[Chosen], namespace: Mapping[str, Any]) -> Chosen:
    """The chapter's parameters as a notebook's namespace holds them, `device` resolved.

    namespace  the notebook's `globals()`; its history `In` tells which names were set
    raises     ParameterError: one line that names the parameter, what is allowed and the nearest name
    """
    allowed = list(chapter.model_fields)
    for name in assigned(namespace.get("In", []), allowed):
        if name not in allowed and not name.startswith(OWN):
            near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.3)
            hint = f"; the nearest is `{near[0]}`" if near else ""
            raise ParameterError(f"`{name}` is not a parameter of this chapter{hint}. There are: {', '.join(allowed)}")
    if missing := [name for name in allowed if name not in namespace]:
        raise ParameterError(f"{', '.join(missing)}: not set; run the parameters cell first")
    try:
        return chapter.model_validate({name: namespace[name] for name in allowed})
    except ValidationError as error:
        raise ParameterError("; ".join(_plain(chapter, found) for found in error.errors())) from None


def fits(elements: int, p: Parameters, *names: str) -> None:
    """Refuse a run that would not fit into memory, before the operating system ends it without a word.

    elements  numbers of type `p.dtype` that the smallest case holds: input, weights, peak
    names     the parameters that decide it, for the message
    raises    ParameterError, naming them and both sizes
    """
    needed, free = elements * p.torch_dtype.itemsize, available_bytes(p.device)
    if needed > free:
        sizes = ", ".join(f"`{name}` {getattr(p, name)}" for name in names)
        raise ParameterError(
            f"{sizes}: needs {binary(needed)} on {p.device}, {binary(free)} are free; lower one of them"
        )


def _plain(chapter: type[Parameters], found: Mapping[str, Any]) -> str:
    name = found["loc"][0]
    reason = f"; {found['ctx']['error']}" if found["type"] == "value_error" else ""
    return f"`{name}` is {found['input']!r}; allowed is {chapter.model_fields[name].description}{reason}"
