"""Every experiment and every chapter, run in this process on a pretended GPU, at sizes that take seconds.

The scan and the convolution run in torch there, operation by operation, as on a GPU without kernels of ours: a kernel
that is handed an address would find nothing.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from unittest.mock import Mock, patch

import experiments
import focus
import IPython.display
import matplotlib.pyplot as plt
import nbformat
import torch
import yaml
from chapters import tagged
from fake_cuda import pretended
from torch.utils._python_dispatch import _disable_current_modes

from lib.experiments import lora_cases, lora_live, lora_shots, mrss_plans
from lib.experiments.clip_towers import Sizes
from lib.experiments.distill_state_runs import Plan
from lib.kernels import driver, eager
from lib.models.clip import load as clip
from lib.models.mrss import variants
from lib.models.ssm.mamba import MambaConfig
from lib.paths import BOOK, PRESETS
from lib.profilers.clocks import EVENTS
from lib.profilers.latency import Timing
from lib.records import Record
from lib.tasks.data.images import Images
from lib.tasks.training import clips

TIMED = {"device": "cuda", "runs": 2, "warmup": 0}
TRIAL = {"seeds": 1, "steps": 2}
PROFILED = "mrss_proxy"  # the one experiment in which operations are counted, and calls timed
SWEEPING = ("lib.experiments.mrss_runs", "lib.experiments.mrss_fair")  # modules beside the experiments' own that train
NOT_THERE = "the GPU is pretended: no kernel runs on it"
STATES = Plan(
    "mqar", (("length", 12), ("pairs", 2), ("vocabulary", 10), ("tested", 4)), 8, 1, 4, (2,), 2, 1, 2, (0.01,)
)
FAIR = mrss_plans.Plan("tagging", 4, 1, {"low": (4,)}, 40, 1, 4, {"length": 16, "tested": 2}, (32,), seeds=1)
GATES = {
    "FORMS": ("sparse_gate", "hnet"),
    "SIZES": MambaConfig(dim=32, layers=2),
    "LENGTH": 16,
    "TESTED": 1,
    "BATCH": 1,
}
TOWER = {"steps": 1, "trainings": 1, "learned": 8, "tested": 8, "only": "vision_mamba"}
SMALL_VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_FOLDER = TemporaryDirectory()
# Experiment -> constants of its module, settings over those of the smoke preset.
SMALL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "clip_accuracy": ({}, {"seeds": 1, "count": 8}),
    "clip_cost": ({"RATIOS": (0.5,), "KEEPS": (0.5,), "SIDES": (64,)}, {"scenes": 4}),
    "clip_learned": (
        {"KEEPS": (0.5,)},
        {"seeds": 1, "learned": 8, "count": 8, "steps": 2, "per_step": 2, "scenes": 4},
    ),
    "clip_saliency": ({"TARGETS": (0.9,), "CHUNK": 8}, {"learned": 10, "count": 4}),
    "clip_towers": ({"TOWERS": {"a ViT": Sizes("ViT", 32, SMALL_VIT)}}, {}),
    "clip_training": ({}, TRIAL),
    "distill_compared": (
        {"RATES": (4e-3,)},
        {"task": "digits", "trainings": 1, "healing": 1, "teacher_states": 8, "orders": (2,), "width": 8, "layers": 1},
    ),
    "distill_cost": ({"SHARES": (1,), "STREAMED": 4}, {"every": False, "dim": 4, "states": 8, "order": 2}),
    "distill_states": ({"PLANS": {"mqar": STATES}, "TOKENS": 2}, {**TRIAL, "healing": 1, "dim": 8, "length": 16}),
    "distill_training": ({}, {**TRIAL, "healing": 1, "orders": (2,), "width": 16, "layers": 1, "teacher_states": 8}),
    "lora_cost": ({"VARIANTS": {"merge_in_rounds, 0.5": {"keep": 0.5}}, "SHOWN": 4}, {}),
    "lora_labels": ({"VARIANTS": {"full": {"way": "full"}, "lora": {}}}, {**TRIAL, "per_step": 2, "tested": 8}),
    "lora_shots": ({"TRIAL": lora_shots.Grid((1,), 1, (1e-3,), (10.0,), (8,))}, {**TRIAL, "images": 8}),
    "lora_tokens": ({"VARIANTS": {"fewer": {"keep": 0.5}}}, {**TRIAL, "per_step": 2, "tested": 8}),
    "mrss_compared": ({}, {"steps": 4}),
    "mrss_gates": (GATES, {"steps": 1}),
    "mrss_proxy": ({"SHARES": (1,)}, {"length": 64}),
    "mrss_references": ({}, {"steps": 4}),
    "mrss_scan": ({"SHARES": (4,), "FACTORS": (2,)}, {"longest": 64}),
    "mrss_training": ({"SIZES": MambaConfig(dim=64, layers=2)}, {**TRIAL, "task": "motions"}),
    "ssm_scaling": ({"SHARES": (1,), "LONGER": (2,)}, {"length": 64}),
    "ssm_vlm_scaling": ({}, {"length": 64}),
    "ssm_vlm_training": ({"SIDES": (8,), "RATES": (1e-3,)}, TOWER),
    "ssm_scan": ({}, {"sizes": (1, 24, 32, 4), "tokens": 8, "memory": (1, 8, 32, 4), "step": (1, 24, 8, 1, 20)}),
}


@contextmanager
def without_kernels() -> Iterator[None]:
    """A pretended GPU for the library: its own kernels say that they are not there, all else runs as on any GPU."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(driver, "unavailable", lambda *_: NOT_THERE))
        for module in list(sys.modules.values()):  # those that ask whether tensors hold data: these do
            if module is not eager and getattr(module, "eager", None) is eager.eager:
                stack.enter_context(patch.object(module, "eager", lambda *_: True))
        stack.enter_context(patch.object(variants, "parameters", _parameters))
        stack.enter_context(pretended())
        yield


COUNT = variants.parameters


@cache
def _parameters(config: variants.MrssConfig) -> int:
    """Counted outside of the pretended GPU: widths are found by many counts, which are the CPU's everywhere."""
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        return COUNT(config)


def names() -> list[str]:
    """Experiments, by their files."""
    return sorted(one.__name__.rpartition(".")[2] for one in experiments.MEASURING)


def run(name: str, **more: Any) -> Record:
    """The record of an experiment that ran on a pretended GPU.

    more   settings
    """
    module = importlib.import_module(f"lib.experiments.{name}")
    constants, settings = SMALL[name]
    smoke = yaml.safe_load((PRESETS / module.CHAPTER / "smoke.yml").read_text())
    task = {"task": experiments.tasks(module)[0]} if experiments.tasks(module) else {}
    if name == "clip_saliency":  # the package is not there for a test
        task["path"] = str(_graph())
    wanted = module.Settings.of({**smoke, **TIMED, **task, **settings, **more})
    with _small(name, module, constants), without_kernels():
        return RUN[name](wanted)


@cache
def _graph() -> Path:
    """The graph of a small model, in a folder that stays while this process lives."""
    return focus.exported(focus.model(layers=4), Path(_FOLDER.name) / "graph.onnx")


def _cifar10(*_: str) -> Images:
    """Images of two classes in the place of CIFAR-10, which no test reads."""
    x = torch.randint(0, 256, (16, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Images(x, torch.arange(16) % 2, ("this", "that"), ("a {}",))


RUN = {name: importlib.import_module(f"lib.experiments.{name}").run for name in names()}


@cache
def ran(name: str) -> Record:
    """The same, run once in this process."""
    return run(name)


def live_adapters(**more: Any) -> dict[str, float]:
    """What the chapter on adapters shows of one checkpoint, by its smoke preset and these settings."""
    notebook = nbformat.read(BOOK / "lora.ipynb", as_version=4)
    defaults: dict[str, Any] = {}
    exec(tagged(notebook, "parameters")[0].source, defaults)
    smoke = yaml.safe_load((PRESETS / "lora/smoke.yml").read_text())
    given = {**defaults, **smoke, "shown": "clip-scenes-0", "device": "cuda", **more}
    with without_kernels():
        return lora_live.run(lora_live.Settings.of(given))


@contextmanager
def _small(name: str, module: ModuleType, constants: dict[str, Any]) -> Iterator[None]:
    with ExitStack() as stack, TemporaryDirectory() as folder:
        # A small tower in place of one with 86 million weights; the device is no other one.
        stack.enter_context(patch.object(clip, "random_init", lambda *_: clip.load("clip-scenes-0").model))
        stack.enter_context(patch.multiple(clips, TRAINING=128, TESTING=24, SWEEPS=Path(folder)))
        stack.enter_context(patch("lib.experiments.distill_models.SWEEPS", Path(folder)))
        stack.enter_context(patch.multiple("lib.experiments.distill_state_runs", SWEEPS=Path(folder), SEEN=2))
        for where in (module, lora_cases, *map(importlib.import_module, SWEEPING)):
            if hasattr(where, "sweep"):
                target = where.sweep if isinstance(where.sweep, ModuleType) else where
                stack.enter_context(patch.object(target, "sweep", _here))
        stack.enter_context(patch("lib.tasks.data.images.cifar10", _cifar10))
        stack.enter_context(patch.dict(mrss_plans.PLANS, {FAIR.task: FAIR}))
        stack.enter_context(patch.multiple("lib.experiments.mrss_fair", RATES=(4e-3,), WATCHED=64, HELD_BACK=64))
        stack.enter_context(patch.multiple("lib.tasks.references.cnn", RATES=(4e-3,), HELD_BACK=64))
        if name != PROFILED:  # each callable is called once, for its memory
            stack.enter_context(patch("lib.profilers.profile.flops", lambda *_, **__: 10**6))
            stack.enter_context(patch("lib.profilers.profile.timings", _timed))
        # Between calls a profiler collects garbage: a third of a second each, in a process that has imported all this.
        stack.enter_context(patch("lib.profilers.failures.gc", Mock()))
        for name, value in constants.items():
            stack.enter_context(patch.object(module, name, value))
        yield


def _timed(callables: Mapping, **_: Any) -> dict[Any, Timing]:
    return {name: Timing([1.0], [1.0], EVENTS) for name in callables}


def _here(runs, work, *_, **__):
    """A sweep in this process, which keeps nothing."""
    return {one: work(one) for one in runs}


def execute(path: Path, **more: Any) -> dict[str, Any]:
    """Run all cells of a chapter on a pretended GPU, by its smoke preset; records are those of `ran`.

    more      parameters
    returns   the names that it leaves
    """
    notebook = nbformat.read(path, as_version=4)
    namespace: dict[str, Any] = {"__name__": "__main__", "display": _Shown}
    smoke = yaml.safe_load((PRESETS / path.stem / "smoke.yml").read_text())
    source = "\n".join(cell.source for cell in notebook.cells)
    with ExitStack() as stack:
        for name in (name for name in names() if f"{name}.run(" in source):
            ran(name)
            stack.enter_context(
                patch(f"lib.experiments.{name}.run", lambda settings, name=name: _handed(name, settings))
            )
        stack.enter_context(patch.object(IPython.display, "display", _Shown))
        stack.enter_context(patch.object(plt, "show", lambda: plt.close("all")))
        stack.enter_context(without_kernels())
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            exec(compile(cell.source, f"{path.stem}, cell {number}", "exec"), namespace)
            if "KEEPS" in namespace:  # pictures of one share of tokens, in place of one of each
                namespace["KEEPS"] = (0.5,)
            if "parameters" in cell.metadata.get("tags", []):
                namespace |= {**smoke, "device": "cuda", "runs": 2, "warmup": 0, **more}
    return namespace


def _handed(name: str, settings: Any) -> Record:
    assert settings.device == "cuda", f"{name} is not told of the device"
    return ran(name)


class _Shown:
    """What a cell displays, kept from the terminal; a place that can be written again."""

    def __init__(self, *shown: Any, **_: Any):
        self.shown = shown

    def update(self, *shown: Any) -> None:
        self.shown = shown
