"""One training of a small CLIP with some tower, what comes out of it, and of it with fewer patches.

What `lib.experiments.ssm_vlm_training` records. Towers have the transformer's parameters; texts, images, batches and
losses are those of `lib.tasks.training.clips`. Rates are chosen on images held back; the test set judges once.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import nn

from lib import names
from lib.experiments.mrss_runs import MEANS, means
from lib.experiments.ssm_vlm_scaling import TRANSFORMER
from lib.models.clip.load import Clip
from lib.models.ssm_vlm.reduced import ReducedTower
from lib.models.ssm_vlm.tower import VisionTower
from lib.paths import SWEEPS
from lib.profilers.profile import Profile, profile
from lib.tasks.data import images
from lib.tasks.training import clips
from lib.tasks.training.loop import train
from lib.tasks.training.protocol import one_thread
from lib.tasks.zero_shot import accuracy

RATES = (1e-3, 2e-3, 4e-3)
TRIED = 1000  # seed of trials, whose images no compared training sees
HELD_BACK = (2000, 1000)  # seed and number of the scenes that rates are chosen by
HELD_PART = 10  # of CIFAR-10's training images one in so many is held back
KEEPS = (0.7, 0.5)
MERGING = ("pairs", "segments")  # whose patches stand for several, so that steps may be longer
LONGER, GRADUAL = ", longer steps", "segments, gradual"  # the latter with longer steps, too
TUNED = (None, "segments", "random")  # what trains on with half of its patches; the whole tower as a control
TUNED_KEEP, TUNED_PART, TUNED_RATE = 0.5, 6, 0.1  # one in so many steps, and the rate's share
WHOLE = "all patches"


@dataclass(frozen=True)
class Training:
    """One training. The seed decides weights, batches and, of scenes, the images.

    tower    TRANSFORMER, or one of `lib.names.TOWERS`
    rate     highest of the learning rates
    steps    of 128 images
    source   of CIFAR-10
    learned  training images; 0 for the task's own number
    tested   test images; 0 for all
    judged   whether the test set judges what comes out
    fewer    and with fewer patches, too, which a tower of Vision Mamba alone can have
    """

    task: str
    tower: str
    rate: float
    steps: int
    seed: int
    source: str = images.CIFAR10
    learned: int = 0
    tested: int = 0
    judged: bool = False
    fewer: bool = False


@dataclass(frozen=True)
class Fewer:
    """What came out with fewer patches.

    method   a label of `lib.names.SCAN_REDUCTIONS`, with LONGER where steps are as long as a patch has parts; GRADUAL,
             or WHOLE
    tuned    steps that were trained on, with fewer patches
    """

    method: str
    keep: float
    tuned: int
    accuracy: float


@dataclass(frozen=True)
class Outcome:
    """What came out of a training: `valid` on images held back; None where the loss was not finite, or not judged."""

    valid: float | None
    losses: list[float]
    accuracy: float | None = None
    fewer: list[dict[str, Any]] = field(default_factory=list)


def built(run: Training, data: images.Images) -> Clip:
    """The untrained small CLIP of a run, with its tower."""
    clip = clips.build(clips.Plan(run.task, run.seed, run.steps, run.source), data)
    if run.tower != TRANSFORMER:
        generator = torch.Generator().manual_seed(run.seed)
        clip.model.vision_model = VisionTower(clip.model.config.vision_config, run.tower, generator=generator)
    return clip


def learned_from(run: Training) -> tuple[images.Images, images.Images]:
    """Images to learn from, and images held back."""
    plan = clips.Plan(run.task, run.seed, run.steps, run.source)
    data = clips.training_images(plan, run.learned or None)
    if run.task == "scenes":
        seed, count = HELD_BACK
        return data, images.rendered(min(count, len(data)), torch.Generator().manual_seed(seed))
    kept = len(data) - len(data) // HELD_PART
    return data.first(kept), data.part(kept, len(data))


def matrices(model: nn.Module) -> Mapping[str, float]:
    """Muon's share of the rate for the tower's matrices that are at least as wide as the tower, both ways.

    So of a transformer every matrix of its layers, of a block of scans its outer projections.
    """
    wide = model.config.vision_config.hidden_size
    layers = [(name, one.weight) for name, one in model.vision_model.named_modules() if isinstance(one, nn.Linear)]
    (share,) = clips.MUON.values()
    return {f"vision_model.{name}.weight": share for name, weight in layers if min(weight.shape) >= wide}


def train_one(run: Training) -> dict[str, Any]:
    """Train one CLIP, and return its `Outcome` as plain values."""
    data, held_back = learned_from(run)
    clip = built(run, data)
    said = f"{run.task}-{run.tower}-{run.rate:g}-{run.steps}-{run.learned}-{run.seed}"
    kept = SWEEPS / f"tower-{said}.safetensors" if run.judged else None  # until its result is
    try:
        losses = _steps(clip, data, run.steps, run.rate, run.seed, kept=kept)
    except FloatingPointError:
        return asdict(Outcome(None, []))
    found = Outcome(accuracy(clip, held_back), means(losses, run.steps // MEANS))
    if not run.judged:
        return asdict(found)
    test = clips.held_out(run.task, run.source)
    test = test.first(run.tested or len(test))
    share, fewer = accuracy(clip, test), []
    if run.fewer:
        whole = Fewer(WHOLE, 1.0, 0, share)
        fewer = [whole, *without_training(clip, test), *with_training(clip, run, data, test)]
    kept.unlink(missing_ok=True)
    return asdict(replace(found, accuracy=share, fewer=[asdict(one) for one in fewer]))


def _steps(clip: Clip, data: images.Images, steps: int, rate: float, seed: int, **options: Any) -> list[float]:
    generator = torch.Generator().manual_seed(seed)
    options |= {"rate": rate, "matrices": matrices(clip.model), "generator": generator, "progress": False}
    return train(clip.model, clips.losses(clip, data, generator, clips.BATCH), steps, **options)


def ways(tower: VisionTower) -> Iterator[tuple[str, dict[str, Any]]]:
    """Label and options of every way to go on with fewer patches."""
    for method in names.SCAN_REDUCTIONS:
        for longer in (False, True) if method in MERGING else (False,):
            yield _label(method, longer), {"method": method, "longer": longer}
    yield GRADUAL, {"method": "segments", "longer": True, "before": tuple(range(1, len(tower.layers), 2))}


def _label(method: str, longer: bool) -> str:
    return names.SCAN_REDUCTIONS[method].label + (LONGER if longer else "")


def without_training(clip: Clip, test: images.Images) -> Iterator[Fewer]:
    """The trained CLIP with fewer patches, as it is."""
    for keep, (label, options) in product(KEEPS, ways(clip.model.vision_model)):
        tower = ReducedTower(clip.model.vision_model, keep=keep, **options)
        yield Fewer(label, keep, 0, accuracy(clip.seeing_with(tower), test))


def with_training(clip: Clip, run: Training, data: images.Images, test: images.Images) -> Iterator[Fewer]:
    """After training on for a part of the steps with half of the patches; as a control, with all of them."""
    steps = max(1, run.steps // TUNED_PART)
    for method in TUNED:
        one, label, keep = replace(clip, model=copy.deepcopy(clip.model)), WHOLE, 1.0
        if method is not None:
            longer, keep = method in MERGING, TUNED_KEEP
            tower, label = one.model.vision_model, _label(method, longer)
            one.model.vision_model = ReducedTower(tower, method, keep, longer=longer)
        _steps(one, data, steps, TUNED_RATE * run.rate, run.seed)
        yield Fewer(label, keep, steps, accuracy(one, test))


@dataclass(frozen=True)
class Costs:
    """What is timed before trainings of equal time are planned: training steps of all towers, on one thread."""

    task: str
    towers: tuple[str, ...]
    source: str = images.CIFAR10
    learned: int = 0
    steps: int = 0


def cost_all(run: Costs) -> dict[str, float]:
    """Seconds of each tower's training step, of the fastest of some rounds: others may compute beside."""
    found = step_profiles(run, runs=5, warmup=1, progress=False)
    return {tower: min(one.seconds) for tower, one in found.items()}


def step_profiles(run: Costs, **options: Any) -> dict[str, Profile]:
    """A training step of the whole CLIP with each tower, batch drawn and gradients made, in turns, on one thread."""
    calls = {}
    for tower in run.towers:
        one = Training(run.task, tower, RATES[0], 1, TRIED, run.source, run.learned or clips.BATCH)
        data, _ = learned_from(one)
        clip = built(one, data)
        parts = clips.losses(clip, data, torch.Generator().manual_seed(TRIED), clips.BATCH)
        calls[tower] = partial(_step, clip.model, parts)
    with one_thread():
        return profile(calls, inference=False, **options)


def _step(model: nn.Module, losses: Iterator[torch.Tensor]) -> None:
    next(losses).backward()
    model.zero_grad(set_to_none=True)
