"""Trainings of adapters on a checkpoint: for a new label set, and for a tower with fewer tokens.

What `lib.experiments.lora_labels` and `lib.experiments.lora_tokens` share; how results become cases of a record, and
rows of a frame again, is in `lib.experiments.lora_cases`.
"""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from lib.models.clip import load as clip
from lib.models.clip.reduction import reduce_tokens
from lib.models.lora.bottleneck import replace_linear
from lib.models.lora.files import save_lora
from lib.models.lora.layers import add_lora, freeze, merge_lora, trainable_report
from lib.paths import CHECKPOINTS
from lib.tasks import zero_shot
from lib.tasks.data import images, labels
from lib.tasks.training import clips
from lib.tasks.training.loop import train

LINEAR = r"\.(?:[qkv]_proj|out_proj|fc1|fc2)"  # ends of their names in a tower
EVERYWHERE, PROJECTIONS = "all linear", "projections"
PLACES = {  # names of linear layers, as regular expressions
    EVERYWHERE: rf".*{LINEAR}|(visual|text)_projection",
    "image tower": rf"vision_model.*{LINEAR}|visual_projection",
    "text tower": rf"text_model.*{LINEAR}|text_projection",
    "queries, values": r".*\.(q|v)_proj",
    "queries, values, projections": r".*\.(q|v)_proj|(visual|text)_projection",
    PROJECTIONS: r"(visual|text)_projection",
}
RANK = 2
SCALE = 2.0  # alpha over rank
FULL, USUAL = "full fine-tuning", f"{EVERYWHERE}, rank {RANK}"  # variants that others are compared with
GOALS = ("labels", "tokens")
WAYS = ("full", "lora", "bottleneck")
BATCH, STEPS = 64, {"labels": 150, "tokens": 300}
RATES = {  # by `Plan.kind`
    ("labels", "full"): 1e-3,
    ("labels", "lora"): 1e-2,
    ("labels", "svd"): 3e-3,
    ("labels", "bottleneck"): 1e-2,
    ("tokens", "lora"): 5e-3,
}
MODELS = 3  # checkpoints of each task; a seed takes one of them
HELD_BACK = 1000  # of CIFAR-10's training images: by them, and by other scenes, rates were chosen
TESTED = 1000  # images that judge


def checkpoint(seed: int) -> int:
    """Number of the checkpoint that a seed trains on: seeds beyond MODELS share one."""
    return seed % MODELS


@dataclass(frozen=True)
class Plan:
    """One training on top of a checkpoint; the seed decides the checkpoint, adapters, batches and new words.

    task     "scenes" or "cifar10"
    seed     number of the training
    goal     "labels": a new label set; "tokens": the old one, with fewer visual tokens
    steps    of `batch` images each
    way      "full": all weights learn; "lora"; "bottleneck": the original report's pseudocode replaces layers
    place    of adapters or bottlenecks, one of PLACES
    rank     of adapters and bottleneck
    init     of adapters, "zero" or "svd"
    method   of the reduction
    keep     of the reduction
    rate     highest learning rate; that of RATES where it is 0
    source   of CIFAR-10: a name of the hub, or a folder
    trial    judged by images that are held back, not by the test images
    batch    images of a step
    tested   images that judge
    """

    task: str
    seed: int
    goal: str
    steps: int
    way: str = "lora"
    place: str = EVERYWHERE
    rank: int = RANK
    init: str = "zero"
    method: str = "merge_in_rounds"
    keep: float = 1.0
    rate: float = 0.0
    source: str = images.CIFAR10
    trial: bool = False
    batch: int = BATCH
    tested: int = TESTED

    def __post_init__(self) -> None:
        clips.check_task(self.task)
        for name, known in (("goal", GOALS), ("way", WAYS), ("place", PLACES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r}: one of {', '.join(known)} is needed")
        for name, least in (("seed", 0), ("steps", 1), ("batch", 1), ("tested", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} = {getattr(self, name)}: at least {least} is needed")
        if not self.rate and self.kind not in RATES:
            raise ValueError(f"rate = 0: {' and '.join(self.kind)} have none of their own")

    @property
    def kind(self) -> tuple[str, str]:
        """What rates are known by: the goal, and the way, or the start where it is another one."""
        return self.goal, "svd" if self.init == "svd" else self.way

    @property
    def adapter(self) -> str | None:
        """Name among the project's checkpoints: of the first seed with fewer tokens, after the recorded steps."""
        kept = self.way == "lora" and self.goal == "tokens" and self.keep < 1 and self.seed == 0
        kept = kept and self.steps == STEPS["tokens"] and not self.trial
        return f"lora-{self.task}-{self.method}-{self.keep}" if kept else None

    @property
    def model(self) -> str:
        """Name of the checkpoint that is trained on."""
        return f"clip-{self.task}-{checkpoint(self.seed)}"

    @property
    def reads(self) -> list[Path]:
        """Files that decide what comes out, besides the code."""
        return clip.files(self.model)


@dataclass(frozen=True)
class Adapted:
    """Outcome of a training, as shares of right answers.

    whole, reduced   of the checkpoint as it was, with all tokens and with as few as the plan says
    accuracy         after the training, as it was trained
    unreduced        after the training, with all tokens
    seconds          of all steps
    losses           means over twentieths of the steps
    trainable, total, optimiser_bytes   of `trainable_report`
    """

    whole: float
    reduced: float
    accuracy: float
    unreduced: float
    seconds: float
    losses: list[float]
    trainable: int
    total: int
    optimiser_bytes: int


def data_of(plan: Plan) -> tuple[images.Images, images.Images]:
    """Images to learn from, and images that judge. The latter are test images, or, of a trial, images held back."""
    if plan.task == "scenes":
        # Every scene is seen about once.
        draws = ((plan.steps * plan.batch, 1000 + plan.seed), (plan.tested, 999 if plan.trial else 0))
        make = labels.by_colour if plan.goal == "labels" else images.rendered
        learned, judged = (make(count, torch.Generator().manual_seed(seed)) for count, seed in draws)
        return learned, judged
    whole = images.cifar10("train", plan.source)
    first = len(whole) - HELD_BACK
    judged = whole.part(first, len(whole)) if plan.trial else images.cifar10("test", plan.source).first(plan.tested)
    learned = whole.first(first)
    if plan.goal == "tokens":
        return learned, judged
    seeds = (1000 + plan.seed, 0)
    learned, judged = (
        labels.by_way(data, torch.Generator().manual_seed(seed))
        for data, seed in zip((learned, judged), seeds, strict=True)
    )
    return learned, judged


def prepared(ours: clip.Clip, plan: Plan) -> clip.Clip:
    """Make a checkpoint ready to learn, in place; returned is the same with the plan's tokens.

    Where there are new words, the vectors of all words learn, whatever else does.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    if plan.goal == "labels":
        labels.learn_words(ours, labels.WORDS[plan.task], generator)
    if plan.way == "bottleneck":
        names = replace_linear(ours.model, PLACES[plan.place], plan.rank, "random", generator=generator)
        freeze(ours.model)
        for name in names:
            ours.model.get_submodule(name).requires_grad_(True)
    elif plan.way == "lora":
        adapter = "pissa" if plan.init == "svd" else "lora"
        given = PLACES[plan.place], plan.rank, SCALE * plan.rank
        add_lora(ours.model, *given, adapter=adapter, generator=generator)
    if plan.goal == "labels":
        ours.model.text_model.embeddings.token_embedding.requires_grad_(True)
    return ours.seeing_with(reduce_tokens(ours.model.vision_model, plan.method, plan.keep, class_row_only=True))


def trained(ours: clip.Clip, seen: clip.Clip, learned: images.Images, plan: Plan, **options) -> list[float]:
    """Train a prepared checkpoint; the loss at every step [nats]."""
    generator = torch.Generator().manual_seed(plan.seed)
    losses = clips.losses(seen, learned, generator, plan.batch)
    rate = plan.rate or RATES[plan.kind]
    return train(ours.model, losses, plan.steps, rate=rate, generator=generator, **options)


def adapted(plan: Plan) -> dict[str, Any]:
    """Train, and judge before and after: an `Adapted`, as plain values."""
    learned, judged = data_of(plan)
    ours = clip.load(plan.model)
    seen = prepared(ours, plan)
    whole, reduced = zero_shot.accuracy(ours, judged), zero_shot.accuracy(seen, judged)
    report, start = trainable_report(ours.model), perf_counter()
    losses = trained(ours, seen, learned, plan, progress=False)
    seconds, twentieth = perf_counter() - start, max(1, plan.steps // 20)
    if plan.adapter:
        save_lora(ours.model, CHECKPOINTS / plan.adapter)
    if plan.way == "lora":
        merge_lora(ours.model)  # judged as it would be deployed
    means = [sum(losses[at : at + twentieth]) / twentieth for at in range(0, len(losses) - twentieth + 1, twentieth)]
    found = Adapted(
        *(whole, reduced, zero_shot.accuracy(seen, judged), zero_shot.accuracy(ours, judged), seconds, means),
        *(report.trainable, report.total, report.optimiser_bytes),
    )
    return vars(found)
