"""Trainings of few images per class, and what they are compared with: zero-shot and a probe on frozen features.

What `lib.experiments.lora_shots` records. Labels, words and images are those of new labels, see
`lib.experiments.lora_training`; layers, dropout, batch and decay are those of CLIP-LoRA.

Source: Zanella and Ben Ayed (2024), https://arxiv.org/abs/2405.18541.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression

from lib import names
from lib.experiments import lora_training
from lib.experiments.lora_training import checkpoint
from lib.models.checks import check_choice, check_count, check_number
from lib.models.clip import load as clip
from lib.models.lora.kinds import kind
from lib.models.lora.layers import add_lora, freeze, merge_lora, trainable_report
from lib.tasks import zero_shot
from lib.tasks.data import images, labels
from lib.tasks.data.images import Images
from lib.tasks.training import clips
from lib.tasks.training.loop import train

TARGETS = r".*\.(q|k|v)_proj"  # of both towers
DROPOUT, BATCH, DECAY = 0.25, 32, 0.01
WORDS = "words"  # the vectors of words alone learn
ZERO, PROBE = "zero_shot", "probe"
POOL = 1600  # drawn images of which the shots are taken
PASSES = 1000  # of L-BFGS, at most


@dataclass(frozen=True)
class Training:
    """One model of one checkpoint; the seed decides the checkpoint, the shots, adapters, batches and new words.

    task         "scenes" or "cifar10"
    kind         a row of `lib.names.ADAPTERS`; or WORDS, ZERO, PROBE
    rank, alpha  of adapters
    shots        images per class that it learns from
    steps        of BATCH images; 0 of what takes none
    setting      highest learning rate; of a probe C, the inverse of its penalty
    trial        judged by images that are held back, not by the test images
    source       of CIFAR-10: a name of the hub, or a folder
    tested       images that judge
    """

    task: str
    seed: int
    kind: str
    shots: int
    steps: int = 0
    setting: float = 0.0
    rank: int = 0
    alpha: float = 0.0
    trial: bool = False
    source: str = images.CIFAR10
    tested: int = lora_training.TESTED

    def __post_init__(self) -> None:
        clips.check_task(self.task)
        check_choice("kind", self.kind, (*names.ADAPTERS, WORDS, ZERO, PROBE))
        check_count("shots", self.shots)
        check_count("tested", self.tested)
        if self.kind != ZERO:
            check_number("setting", self.setting, above=0)
        if self.kind not in (ZERO, PROBE):
            check_count("steps", self.steps)

    @property
    def model(self) -> str:
        """Name of the checkpoint."""
        return f"clip-{self.task}-{checkpoint(self.seed)}"

    @property
    def reads(self) -> list[Path]:
        """Files that decide what comes out, besides the code."""
        return clip.files(self.model)


def data_of(plan: Training) -> tuple[Images, Images]:
    """Images to learn from, `shots` of each class, and images that judge; fewer shots are among more of one seed."""
    pool, judging = _drawn(plan.task, plan.seed, plan.trial, plan.source, plan.tested)
    return few(pool, plan.shots, torch.Generator().manual_seed(plan.seed)), judging


@lru_cache(maxsize=2)
def _drawn(task: str, seed: int, trial: bool, source: str, tested: int) -> tuple[Images, Images]:
    """Images that shots are taken of, and images that judge: the same for all kinds and numbers of shots."""
    steps = -(-POOL // lora_training.BATCH)
    plan = lora_training.Plan(task, seed, "labels", steps, source=source, trial=trial, tested=tested)
    return lora_training.data_of(plan)


def few(pool: Images, shots: int, generator: torch.Generator) -> Images:
    """So many images of each class, drawn at random, class by class in the order of their numbers.

    raises   ValueError, naming it, for a class that has fewer
    """
    order = torch.randperm(len(pool), generator=generator)
    chosen = []
    for number, name in enumerate(pool.names):
        found = order[pool.classes[order] == number]
        if len(found) < shots:
            raise ValueError(f"shots = {shots}: there are {len(found)} images of {name!r}")
        chosen.append(found[:shots])
    at = torch.cat(chosen)
    return Images(pool.images[at], pool.classes[at], pool.names, pool.templates)


def judged(plan: Training) -> dict[str, Any]:
    """Learn, and judge: accuracy, seconds, numbers that learn, and whether the training left finite numbers."""
    learned, judging = data_of(plan)
    ours, start = clip.load(plan.model), perf_counter()
    if plan.kind == PROBE:
        found = _probed(ours, learned, judging, plan.setting)
        width = ours.model.config.projection_dim
        return _outcome(found, start, (width + 1) * len(learned.names))
    generator = torch.Generator().manual_seed(plan.seed)
    labels.learn_words(ours, labels.WORDS[plan.task], generator)
    if plan.kind == ZERO:
        return _outcome(zero_shot.accuracy(ours, judging), start, 0)
    shares = {}
    if plan.kind == WORDS:
        freeze(ours.model)
    else:
        add_lora(ours.model, TARGETS, plan.rank, plan.alpha, DROPOUT, plan.kind, generator=generator)
        shares = kind(plan.kind).SHARES
    ours.model.text_model.embeddings.token_embedding.requires_grad_(True)
    learning = trainable_report(ours.model).trainable
    options = {"rate": plan.setting, "decay": DECAY, "shares": shares, "generator": generator, "progress": False}
    try:
        train(ours.model, clips.losses(ours, learned, generator, BATCH), plan.steps, **options)
    except FloatingPointError:  # a rate beyond what the model stands
        return _outcome(0.0, start, learning, finite=False)
    if not all(weight.isfinite().all() for weight in ours.model.parameters()):
        return _outcome(0.0, start, learning, finite=False)
    if plan.kind != WORDS:
        merge_lora(ours.model)  # judged as it would be deployed
    return _outcome(zero_shot.accuracy(ours, judging), start, learning)


def _outcome(accuracy: float, start: float, trainable: int, finite: bool = True) -> dict[str, Any]:
    return {"accuracy": accuracy, "seconds": perf_counter() - start, "trainable": trainable, "finite": finite}


def _probed(ours: clip.Clip, learned: Images, judging: Images, strength: float) -> float:
    """Accuracy of logistic regression on the frozen image features, which are of unit length."""
    features, seen = (zero_shot.image_features(ours, one).numpy() for one in (learned, judging))
    model = LogisticRegression(C=strength, max_iter=PASSES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # as many classes as images; passes that end before the minimum
        model.fit(features, learned.classes.numpy())
    return float(model.score(seen, judging.classes.numpy()))
