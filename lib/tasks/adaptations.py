"""What adapters make of a trained CLIP: of a new label set, and of a tower with fewer tokens."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

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
PLACES = {  # names of linear layers, as regular expressions
    "all linear": rf".*{LINEAR}|(visual|text)_projection",
    "image tower": rf"vision_model.*{LINEAR}|visual_projection",
    "text tower": rf"text_model.*{LINEAR}|text_projection",
    "queries, values": r".*\.(q|v)_proj",
    "queries, values, projections": r".*\.(q|v)_proj|(visual|text)_projection",
    "projections": r"(visual|text)_projection",
}
USUAL, RANK = "all linear", 2
SCALE = 2.0  # alpha over rank
BATCH, STEPS, LONGER = 64, {"labels": 150, "tokens": 300}, 4
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
RANKS = (1, 2, 4, 8, 16, 32)
LABELS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "full fine-tuning": {"way": "full"},
        **{f"all linear, rank {rank}": {"rank": rank} for rank in RANKS},
        "image tower, rank 2": {"place": "image tower"},
        "text tower, rank 2": {"place": "text tower"},
        "queries, values, rank 8": {"place": "queries, values", "rank": 8},
        "queries, values, projections, rank 8": {"place": "queries, values, projections", "rank": 8},
        "projections, rank 8": {"place": "projections", "rank": 8},
        "all linear, rank 2, SVD start": {"init": "svd"},
        "seed's bottleneck, rank 8": {"way": "bottleneck", "place": "projections", "rank": 8},
        f"full fine-tuning, {LONGER} × steps": {"way": "full", "longer": LONGER},
        f"all linear, rank 2, {LONGER} × steps": {"longer": LONGER},
    }
)
METHODS = ("norm", "class_attention", "merge_in_rounds")
KEEPS = (0.5, 0.3)
TOKENS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"all tokens": {}} | {f"{method}, {keep}": {"method": method, "keep": keep} for method in METHODS for keep in KEEPS}
)
GOALS = {"labels": LABELS, "tokens": TOKENS}
WAYS = ("full", "lora", "bottleneck")


@dataclass(frozen=True)
class Plan:
    """One training on top of a checkpoint; the seed decides the checkpoint, adapters, batches and new words.

    task     "scenes" or "cifar10"
    seed     number of the training
    goal     "labels": a new label set; "tokens": the old one, with fewer visual tokens
    steps    of BATCH images each
    way      "full": all weights learn; "lora"; "bottleneck": the seed's pseudocode in the place of layers
    place    of adapters or bottlenecks, one of PLACES
    rank     of adapters and bottleneck
    init     of adapters, "zero" or "svd"
    method   of the reduction
    keep     of the reduction
    rate     highest learning rate; that of RATES where it is 0
    source   of CIFAR-10: a name of the hub, or a folder
    trial    judged by images that are held back, not by the test images
    """

    task: str
    seed: int
    goal: str
    steps: int
    way: str = "lora"
    place: str = USUAL
    rank: int = RANK
    init: str = "zero"
    method: str = "merge_in_rounds"
    keep: float = 1.0
    rate: float = 0.0
    source: str = images.CIFAR10
    trial: bool = False

    def __post_init__(self) -> None:
        clips.check_task(self.task)
        for name, known in (("goal", GOALS), ("way", WAYS), ("place", PLACES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} = {getattr(self, name)!r}: one of {', '.join(known)} is needed")
        for name, least in (("seed", 0), ("steps", 1)):
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
        """Name among the project's checkpoints: of the first seed with fewer tokens, of as many steps as recorded."""
        kept = self.way == "lora" and self.goal == "tokens" and self.keep < 1 and self.seed == 0
        kept = kept and self.steps == STEPS["tokens"] and not self.trial
        return f"lora-{self.task}-{self.method}-{self.keep}" if kept else None


@dataclass(frozen=True)
class Adapted:
    """What a training came to, as shares of right answers.

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


def plans(goal: str, task: str, seeds: int, steps: int = 0, source: str = images.CIFAR10) -> Iterator[Plan]:
    """All trainings for one goal on one task, in the order of LABELS or TOKENS.

    steps    of each; the goal's own where it is 0
    raises   ValueError, quoting it, for another goal
    """
    if goal not in GOALS:
        raise ValueError(f"goal = {goal!r}: one of {', '.join(GOALS)} is needed")
    for options in GOALS[goal].values():
        given = dict(options)
        taken = (steps or STEPS[goal]) * given.pop("longer", 1)
        for seed in range(seeds):
            yield Plan(task, seed, goal, taken, source=source, **given)


def data_of(plan: Plan) -> tuple[images.Images, images.Images]:
    """To learn from, and to be judged by. Test images are never learned from, those held back only in no trial."""
    if plan.task == "scenes":
        # Every scene is seen about once.
        draws = ((plan.steps * BATCH, 1000 + plan.seed), (TESTED, 999 if plan.trial else 0))
        make = labels.by_colour if plan.goal == "labels" else images.rendered
        learned, judged = (make(count, torch.Generator().manual_seed(seed)) for count, seed in draws)
        return learned, judged
    whole = images.cifar10("train", plan.source)
    first = len(whole) - HELD_BACK
    judged = whole.part(first, len(whole)) if plan.trial else images.cifar10("test", plan.source).first(TESTED)
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
    """A checkpoint ready to learn, in place, and the same as it sees with fewer tokens.

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
        add_lora(ours.model, PLACES[plan.place], plan.rank, SCALE * plan.rank, init=plan.init, generator=generator)
    if plan.goal == "labels":
        ours.model.text_model.embeddings.token_embedding.requires_grad_(True)
    return ours.seeing_with(reduce_tokens(ours.model.vision_model, plan.method, plan.keep, class_row_only=True))


def trained(ours: clip.Clip, seen: clip.Clip, learned: images.Images, plan: Plan, **options) -> list[float]:
    """Train a prepared checkpoint; the loss at every step [nats]."""
    generator = torch.Generator().manual_seed(plan.seed)
    losses = clips.losses(seen, learned, generator, BATCH)
    rate = plan.rate or RATES[plan.kind]
    return train(ours.model, losses, plan.steps, rate=rate, generator=generator, **options)


def adapted(plan: Plan) -> dict[str, Any]:
    """Train, and judge before and after: an `Adapted`, as plain values."""
    learned, judged = data_of(plan)
    ours = clip.load(f"clip-{plan.task}-{plan.seed % MODELS}")
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


def state_bytes(optimiser: torch.optim.Optimizer) -> int:
    """Of what an optimiser keeps after a step."""
    return sum(value.nbytes for state in optimiser.state.values() for value in state.values())


def step(model: nn.Module, optimiser: torch.optim.Optimizer, **inputs: torch.Tensor) -> None:
    """One training step by the loss that transformers has for CLIP, for what it costs."""
    optimiser.zero_grad(set_to_none=True)
    model(**inputs, return_loss=True).loss.backward()
    optimiser.step()
