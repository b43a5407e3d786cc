"""Models of S4D blocks whose kernels are distilled: how one is built, trained, kept in a file and found again."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_file

from lib import names
from lib.models.distill.replace import METHODS
from lib.models.ssm.mamba import MambaClassifier, MambaConfig
from lib.models.ssm.s4d import S4D
from lib.models.ssm.s4d_block import S4DBlock
from lib.models.ssm.s5 import S5
from lib.models.ssm.s5_block import S5Block
from lib.paths import SWEEPS
from lib.tasks.data.sequences import TASKS, Task
from lib.tasks.training.loop import train

RATE, BATCH = 4e-3, 32
STATES, STEPS, HEALING = 128, 400, 100
ORDERS = (2, 4, 8, 16)
SIZES = MambaConfig(dim=64, layers=4)
DENSE = "s5"  # an init that is no S4D's: dense kernels
MADE_OF = ("task", "seed", "states", "steps", "width", "layers", "init")  # what a file's header tells of its model
# In records of before 0.5 `balanced_truncation` is the refit, as the word had been.
RECORDED = {"balanced_truncation": "balanced"}  # name of a method -> its word in records, where that is another
METHOD_WORDS = {RECORDED.get(name, name): row.label for name, row in names.DISTILLATIONS.items()}
METHOD_WORDS |= {"balanced_truncation": names.DISTILLATIONS["balanced_refit"].label}


@dataclass(frozen=True)
class Plan:
    """One original model and everything that is made of it; the seed decides data, weights and batches.

    states    N of the original's S4D layers, real ones
    orders    what is kept of them: states, ranks or taps per channel
    methods   names of `lib.names.DISTILLATIONS`
    steps     of the original's training; a model that is small from the start gets those of the fine-tuning, too
    healing   steps of distillation fine-tuning
    width     channels D of the model
    layers    its blocks
    init      of the original's S4D layers
    """

    task: str
    seed: int
    states: int = STATES
    orders: tuple[int, ...] = ORDERS
    methods: tuple[str, ...] = tuple(names.DISTILLATIONS)
    steps: int = STEPS
    healing: int = HEALING
    width: int = SIZES.dim
    layers: int = SIZES.layers
    init: str = "lin"

    @property
    def weights(self) -> Path:
        """Where the original is kept."""
        sizes = f"{self.init}_{self.states}_{self.width}_{self.layers}_{self.steps}"
        return SWEEPS / f"s4d_{self.task}_{sizes}_{self.seed}.safetensors"


def build(
    task: Task,
    states: int,
    generator: torch.Generator,
    width: int = SIZES.dim,
    layers: int = SIZES.layers,
    init: str = "lin",
) -> MambaClassifier:
    """A classifier of S4D blocks of N states per channel, or, of init "s5", of S5 blocks of N states in all."""
    sizes = MambaConfig(dim=width, layers=layers, vocabulary=task.vocabulary)
    block = partial(S5Block, width) if init == DENSE else partial(S4DBlock, width, init=init)
    mixers = (block(states=states, generator=generator) for _ in range(layers))
    return MambaClassifier(sizes, task.inputs, task.classes, pooling=task.pooling, mixers=mixers, generator=generator)


def original(plan: Plan) -> tuple[MambaClassifier, Task]:
    """A model trained by a plan, and its task."""
    generator = torch.Generator().manual_seed(plan.seed)
    task = TASKS[plan.task](generator)
    model = build(task, plan.states, generator, plan.width, plan.layers, plan.init)

    def losses():
        while True:
            x, answers = task.draw(BATCH, generator)
            yield task.loss(model(x), answers)

    train(model, losses(), plan.steps, rate=RATE, progress=False)
    return model, task


def keep(model: MambaClassifier, plan: Plan, place: Path | None = None) -> None:
    """Write an original's weights, and what they are of, to a file; to `plan.weights`, where left out."""
    place = place or plan.weights
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_suffix(".part")
    made_of = {name: str(getattr(plan, name)) for name in MADE_OF}
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, part, made_of)
    part.replace(place)


def load(path: Path | str) -> tuple[MambaClassifier, Task]:
    """An original from its file, and its task with the test set that it was judged by.

    raises   FileNotFoundError, naming the file, and ValueError where it holds no original
    """
    try:
        with safe_open(path, "pt") as file:
            made_of = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path}: not readable as safetensors ({error})") from None
    if not {"task", "seed", "states"} <= set(made_of):
        raise ValueError(f"{path}: not a model of ours, its header lacks task, seed and states")
    sizes = {name: int(made_of[name]) for name in ("width", "layers") if name in made_of}
    generator = torch.Generator().manual_seed(int(made_of["seed"]))
    task = TASKS[made_of["task"]](generator)
    model = build(task, int(made_of["states"]), generator, **sizes, init=made_of.get("init", "lin"))
    load_model(model, path)
    return model.eval(), task


def stored(model: MambaClassifier) -> int:
    """Numbers that stand for the kernels of a model: decay and weight of every mode, of S5 a row and a column each."""
    depthwise = sum(2 * layer.C.numel() for layer in model.modules() if isinstance(layer, S4D))
    return depthwise + sum(
        2 * layer.a_imag.numel() + layer.B.numel() + layer.C.numel()
        for layer in model.modules()
        if isinstance(layer, S5)
    )


def few_states(states: int) -> tuple[int, int]:
    """An eighth and a sixteenth of N states, at least those of one mode: what texts and headlines look at."""
    return max(2, states // 8), max(2, states // 16)


def loudest(
    layer: S4D, method: str, orders: Iterable[int], length: int
) -> tuple[np.ndarray, dict[int, tuple[np.ndarray, float]]]:
    """The kernel of largest norm in a layer, and order -> what stands for it by a method, with its relative error.

    method   a name of `lib.names.DISTILLATIONS`
    length   taps L
    """
    whole = layer.kernel(length).detach()
    channel = int(whole.norm(dim=1).argmax())
    forms = {}
    for order in sorted(set(orders)):
        found = METHODS[method](layer, order, length=length)
        taps = found.module.kernel(length).detach()[channel]
        forms[order] = taps.cpu().numpy(), found.error[channel].item()
    return whole[channel].cpu().numpy(), forms
