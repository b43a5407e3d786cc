"""Parameters of a chapter: what papermill may set, and what is allowed.

Defaults stand in the notebook's parameters cell, and nowhere else; types and bounds stand here, upper bounds with those
of the experiments. How they are looked at: `lib.report.checked`.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, get_args

import torch
from pydantic import Field, ValidationInfo, field_validator

from lib import names
from lib.experiments.sizes import ATTENDED, MOST, check_memory
from lib.report.checked import Checked
from lib.report.checked import ParameterError as ParameterError
from lib.report.checked import check as check
from lib.report.views.base import machines


def _among(allowed: Iterable[str], *more: str) -> str:
    *others, last = [repr(name) for name in (*allowed, *more)]
    return f"{', '.join(others)} or {last}"


def _count(about: str, least: int, most: int, **more: Any) -> Any:
    """A field of whole numbers between two bounds, which its description names."""
    return Field(ge=least, le=most, description=f"{about}, at least {least}, at most {most}", **more)


class Parameters(Checked):
    """What the parameters of every chapter share. The description of a field says what is allowed."""

    seed: int = _count("a whole number", 0, MOST["seed"])
    device: str = Field(description="'auto', 'cpu', or 'cuda' on a machine that has it")
    dtype: Literal["float32", "float64", "bfloat16", "float16"] = Field(
        description="'float32', 'float64', 'bfloat16' or 'float16'"
    )
    runs: int = _count("a number of timed rounds, a whole number", 2, MOST["runs"])
    warmup: int = _count("a number of untimed rounds, a whole number", 0, MOST["warmup"])
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
    seeds: int = _count("a number of trainings of each kind, a whole number", 2, MOST["seeds"])
    steps: int = _count("training steps, a whole number; 0 for the task's own", 0, MOST["steps"])

    @property
    def tasks(self) -> tuple[str, ...]:
        """The one, or all that there are."""
        every = get_args(type(self).model_fields["task"].annotation)
        return tuple(one for one in every if one != "all") if self.task == "all" else (self.task,)


class Mrss(Trained):
    """The chapter on multi-resolution scanning."""

    EXPERIMENTS: ClassVar = ("mrss_proxy", "mrss_scan")
    r: int = _count("a downsampling factor, a whole number", 1, MOST["r"])
    batch: int = _count("a whole number", 1, MOST["batch"])
    length: int = _count("a sequence length in tokens, a whole number", 16, MOST["length"])
    dim: int = _count("a number of channels, a whole number", 1, MOST["dim"])
    taps: int = _count("a length of the convolution, a whole number", 1, MOST["taps"])
    longest: int = _count("the longest sequence of the models, a whole number", 256, MOST["longest"])
    width: int = _count("channels of the wider models, a multiple of 4", 64, MOST["width"], multiple_of=4)
    layers: int = _count("a number of blocks, a whole number", 2, MOST["layers"])
    task: Literal[*names.SEQUENCES, "all"] = Field(description=_among(names.SEQUENCES, "all"))


class KernelDistillation(Trained):
    """The chapter on kernel distillation."""

    EXPERIMENTS: ClassVar = ("distill_cost",)
    dtype: Literal["float32", "float64"] = Field(description="'float32' or 'float64'")
    dim: int = _count("a number of channels, a whole number", 4, MOST["dim"])
    states: int = _count("states per channel, an even number", 4, MOST["states"], multiple_of=2)
    length: int = _count("taps of a kernel, a whole number", 16, MOST["length"])
    longest: int = _count("the longest sequence in tokens, a whole number", 1024, MOST["longest"])
    method: Literal[*names.DISTILLATIONS] = Field(description=_among(names.DISTILLATIONS))
    order: int = Field(ge=2, le=64, description="states, a rank or taps kept per channel, a whole number, 2 to 64")
    healing: int = _count("a number of training steps, a whole number", 1, MOST["healing"])
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
    images: int = _count("a number of images, a whole number", 8, MOST["images"])
    timed: str = Field(min_length=1, description="a name of lib.models.clip.load.shipped, or a checkpoint of ours")
    batch: int = _count("a number of images, a whole number", 1, MOST["batch"])
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

    EXPERIMENTS: ClassVar = ("clip_cost", "clip_shown")
    dtype: Literal["float32", "bfloat16"] = Field(description="'float32' or 'bfloat16'")
    side: int = _count("pixels of the largest image, a multiple of 16", 32, MOST["side"], multiple_of=16)


class Lora(Clips):
    """The chapter on low-rank adaptation."""

    EXPERIMENTS: ClassVar = ("lora_cost", "lora_live")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(description="'float32', 'bfloat16' or 'float16'")
    rank: int = _count("a whole number", 1, MOST["rank"])
    targets: str = Field(min_length=1, description="a regular expression for whole names of linear layers")
    learning: int = _count("a number of training steps, a whole number", 1, MOST["learning"])
    rate: float = Field(gt=0, le=1, description="a learning rate, more than 0, at most 1")
    accumulate: int = _count("a number of batches in a step, a whole number", 1, MOST["accumulate"])
    goal: Literal["labels", "tokens", "all"] = Field(description="'labels', 'tokens' or 'all'")

    @property
    def goals(self) -> tuple[str, ...]:
        """What is trained: the goal that was chosen, or both for "all"."""
        return ("labels", "tokens") if self.goal == "all" else (self.goal,)


class SsmBackground(Parameters):
    """The chapter on state space models."""

    EXPERIMENTS: ClassVar = ("ssm_scaling",)
    batch: int = _count("a whole number", 1, MOST["batch"])
    length: int = _count("the longest sequence in tokens, a whole number", 256, ATTENDED)
    dim: int = _count("a number of channels, a multiple of 4", 4, MOST["dim"], multiple_of=4)
    state: int = _count("states per channel, an even number", 2, MOST["state"], multiple_of=2)
    backend: Literal["auto", *names.BACKENDS, "ref"] = Field(description=_among(("auto", *names.BACKENDS, "ref")))
    steps: int = _count("a number of training steps, a whole number", 1, MOST["steps"])

    def check_here(self) -> None:
        """Accept what can be timed and trained here: of two blocks the weights, their gradients and moments."""
        super().check_here()
        check_memory(self, 2 * 4 * 6 * self.dim**2, "dim", width=4)


class SsmVlm(Parameters):
    """The chapter on state space models that see."""

    EXPERIMENTS: ClassVar = ("ssm_vlm_scaling",)
    dtype: Literal["float32", "bfloat16"] = Field(description="'float32' or 'bfloat16'")
    tower: Literal[*names.TOWERS] = Field(description=_among(names.TOWERS))
    batch: int = _count("a number of images, a whole number", 1, MOST["batch"])
    length: int = _count("patches of the largest image, a whole number", 64, ATTENDED)
    dim: int = _count("a number of channels, a multiple of 32", 32, MOST["width"], multiple_of=32)
    layers: int = _count("layers of the transformer, a whole number", 1, MOST["layers"])


class Verdicts(Parameters):
    """The chapter on the verdict, which times nothing."""


# Of every chapter, by its notebook.
MODELS: dict[str, type[Parameters]] = dict(
    ssm_background=SsmBackground,
    mrss=Mrss,
    kernel_distillation=KernelDistillation,
    clip_vtp=ClipVtp,
    lora=Lora,
    ssm_vlm=SsmVlm,
    claims=Verdicts,
)
