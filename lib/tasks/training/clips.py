"""Small CLIPs, trained from nothing on scenes or on CIFAR-10, and kept in the hub's layout."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, PreTrainedTokenizerFast

from lib.models.checks import check_choice, check_count, check_labels, check_shape
from lib.models.clip.hub import no_bars, whole_folder
from lib.models.clip.load import Clip
from lib.paths import CHECKPOINTS, SWEEPS, in_repository
from lib.tasks.data import images
from lib.tasks.training.loop import train
from lib.tasks.zero_shot import accuracy

BATCH, RATE, SMOOTHING = 128, 2e-3, 0.1
MUON = {"vision_model.encoder.": 10.0}  # of the rate, for the matrices of the layers that see
SHIFT = 2  # pixels by which a batch is moved, at most
STEEPEST = math.log(100)  # of the logits, as in CLIP
SIDES = {"scenes": (64, 8), "cifar10": (32, 4)}  # pixels of an image and of a patch: 64 patches
TRAINING, TESTING = 20_000, 2_000  # scenes
STEPS = {"scenes": 1200, "cifar10": 2000}
SPECIAL = ("<pad>", "<unknown>", "<start>", "<end>")  # an end of number 2 means an older layout to transformers


@dataclass(frozen=True)
class Plan:
    """One training of a small CLIP; the seed decides weights, batches and, of scenes, the images.

    task     "scenes" or "cifar10"
    source   of CIFAR-10: a name of the hub, or a folder
    steps    of 128 images
    """

    task: str
    seed: int
    steps: int
    source: str = images.CIFAR10

    def __post_init__(self) -> None:
        check_task(self.task)

    @property
    def name(self) -> str:
        """Name of the plan's checkpoint."""
        return f"clip-{self.task}-{self.seed}"


def tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Make a tokenizer of one token per word of the texts, in small letters, with CLIP's start and end of a text."""
    split = pre_tokenizers.BertPreTokenizer()
    words = {word for text in texts for word, _ in split.pre_tokenize_str(text.lower())}
    numbers = {word: number for number, word in enumerate([*SPECIAL, *sorted(words)])}
    made = Tokenizer(models.WordLevel(numbers, unk_token="<unknown>"))
    made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), split
    ends = [(word, numbers[word]) for word in ("<start>", "<end>")]
    made.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    named = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=16, **named)


def build(plan: Plan, data: images.Images) -> Clip:
    """Make an untrained small CLIP: six layers of 96 channels see 64 patches, two layers of 48 channels read."""
    words = tokenizer([template.format(name) for name in data.names for template in data.templates])
    side, patch = SIDES[plan.task]
    config = CLIPConfig(
        text_config={
            **{"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2},
            **{"vocab_size": len(words), "max_position_embeddings": 16, "projection_dim": 48},
            **{f"{name}_token_id": getattr(words, f"{name}_token_id") for name in ("pad", "bos", "eos")},
        },
        vision_config={
            **{"hidden_size": 96, "intermediate_size": 288, "num_hidden_layers": 6, "num_attention_heads": 3},
            **{"image_size": side, "patch_size": patch, "projection_dim": 48},
        },
        projection_dim=48,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        model = CLIPModel(config)
    square = {"height": side, "width": side}
    return Clip(plan.name, model, words, CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size=square))


def check_task(task: str) -> None:
    """Accept what a small CLIP can learn.

    raises   ValueError, quoting it, for another task
    """
    check_choice("task", task, STEPS)


def training_images(plan: Plan, count: int | None = None) -> images.Images:
    """Training images of a plan; scenes are drawn by its seed.

    count   so many of them, of scenes as many drawn anew; all where left out
    """
    if plan.task == "cifar10":
        found = images.cifar10("train", plan.source)
        return found if count is None else found.first(count)
    return images.rendered(TRAINING if count is None else count, torch.Generator().manual_seed(plan.seed + 1))


def held_out(task: str, source: str = images.CIFAR10) -> images.Images:
    """Test images of a task, the same for every seed."""
    check_task(task)
    if task == "cifar10":
        return images.cifar10("test", source)
    return images.rendered(TESTING, torch.Generator().manual_seed(0))


def contrast(logits: Float[Tensor, "B C"], classes: Int[Tensor, " B"]) -> Tensor:
    """CLIP's two-way loss [nats], where images that share their caption share it as their match.

    logits   of a batch of images and one caption per class
    raises   ValueError, quoting it, for logits of other axes, and for numbers of no class
    source   Yang et al. (2022), https://arxiv.org/abs/2204.03610
    """
    check_shape("logits", logits, "B", "C")
    check_labels("classes", classes, logits.shape[1], len(logits))
    by_image = F.cross_entropy(logits, classes, label_smoothing=SMOOTHING)
    matches = F.one_hot(classes, logits.shape[1]).to(logits.dtype).T  # (C, B)
    shown = matches.sum(1) > 0
    matches = matches[shown] / matches[shown].sum(1, keepdim=True)
    by_text = -(matches * F.log_softmax(logits.T[shown], dim=1)).sum(1).mean()
    return (by_image + by_text) / 2


def losses(
    clip: Clip,
    data: images.Images,
    generator: torch.Generator,
    batch: int,
    precision: torch.dtype | None = None,
) -> Iterator[Tensor]:
    """Losses of one batch after another, forever: mirrored and moved images, one way of saying each class.

    precision   what matrix products are computed in, where it is not the weights' own
    raises      ValueError, quoting it, for a batch below 1, and for no images
    """
    check_count("batch", batch)
    check_count("images", len(data))
    device = clip.model.device
    while True:
        chosen = torch.randint(len(data), (batch,), generator=generator)
        pixels = moved(clip, data.images[chosen], generator)
        template = data.templates[torch.randint(len(data.templates), (), generator=generator)]
        with torch.autocast(device.type, precision, enabled=precision is not None):
            texts = clip.text_features([template.format(name) for name in data.names])
            scale = clip.model.logit_scale.clamp(max=STEEPEST).exp()
            loss = contrast(scale * clip.image_features(pixels) @ texts.T, data.classes[chosen].to(device, torch.long))
        yield loss


def moved(clip: Clip, pictures: UInt8[Tensor, "B 3 H W"], generator: torch.Generator) -> Float[Tensor, "B 3 side side"]:
    """Prepare images as the model takes them, each mirrored by chance, all moved by a few pixels."""
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (clip.processor.image_mean, clip.processor.image_std))
    pixels = (pictures / 255 - mean) / std
    mirrored = torch.rand(len(pixels), 1, 1, 1, generator=generator) < 0.5
    pixels = torch.where(mirrored, pixels.flip(-1), pixels)
    left, top = torch.randint(2 * SHIFT + 1, (2,), generator=generator).tolist()
    padded = F.pad(pixels, [SHIFT] * 4, mode="reflect")
    pixels = padded[..., top : top + pixels.shape[-2], left : left + pixels.shape[-1]]
    side = clip.model.config.vision_config.image_size
    if pixels.shape[-1] != side:
        pixels = F.interpolate(pixels, size=(side, side), mode="bicubic", antialias=True)
    return pixels.to(clip.model.device, clip.model.dtype)


def made(plan: Plan) -> dict[str, Any]:
    """Train a plan's model and judge it; with the task's own number of steps it becomes a checkpoint of the project."""
    whole = plan.steps == STEPS[plan.task]
    if whole:
        in_repository(CHECKPOINTS)  # refused before hours of training, not after them
    data, test = training_images(plan), held_out(plan.task, plan.source)
    clip, start = build(plan, data), perf_counter()
    generator = torch.Generator().manual_seed(plan.seed)
    kept = SWEEPS / f"{plan.name}-{plan.steps}.safetensors"
    options = {"rate": RATE, "matrices": MUON, "kept": kept, "generator": generator, "progress": False}
    found = train(clip.model, losses(clip, data, generator, BATCH), plan.steps, **options)
    seconds = perf_counter() - start
    clip.model.half().float()
    share = accuracy(clip, test)
    if whole:
        keep(clip, plan, accuracy=share, tested=len(test))
    return {"accuracy": share, "seconds": seconds, "losses": found[:: max(1, plan.steps // 20)]}


def keep(clip: Clip, plan: Plan, folder: Path = CHECKPOINTS, **about) -> Path:
    """Write model, tokenizer and processor as the hub has them, in half precision; `about` goes into the config.

    returns   its folder, which is replaced as a whole where there is one
    """
    clip.model.config.trained = {"task": plan.task, "seed": plan.seed, "steps": plan.steps, **about}
    target = folder / plan.name
    with whole_folder(target) as part:
        with no_bars():
            clip.model.half().save_pretrained(part)
        clip.model.float()
        clip.tokenizer.save_pretrained(part)
        clip.processor.save_pretrained(part)
    return target
