"""Banks of long kernels that are made smaller: layers of S4D, initialised and trained, and dense kernels as of S5.

`python -m lib.experiments.distill_banks` trains the model of S4D-Real anew, about two minutes of one core.
"""

import math
from collections.abc import Iterator

import pandas as pd
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from lib.experiments.distill_models import Plan, keep, load, original
from lib.models.checks import check_choice
from lib.models.distill.by_modes import hankel_singular_values
from lib.models.distill.replace import distill
from lib.models.ssm.mamba import MambaClassifier
from lib.models.ssm.s4d import S4D
from lib.models.ssm.s5 import initial_system
from lib.paths import CHECKPOINTS
from lib.tasks.data.sequences import Task

INITIAL, TRAINED = "S4D-Lin, initialised", "S4D-Lin, trained"
REAL, REAL_TRAINED = "S4D-Real, initialised", "S4D-Real, trained"
DENSE = "S5-{}, {} states"  # in the layout of the original report: taps by pairs of channels
CHANNELS, TIME = "channels", "time"  # what singular values are across
CHECKPOINT = CHECKPOINTS / "s4d_digits.safetensors"
CHECKPOINT_REAL = CHECKPOINTS / "s4d_real_digits.safetensors"
MODELS = {TRAINED: lambda: CHECKPOINT, REAL_TRAINED: lambda: CHECKPOINT_REAL}  # bank -> the file of its model
WIDEST = 32  # channels of a dense kernel, which holds their square
STEPS = (1e-3, 1e-1)  # of a dense system, as of S4D and S5
ENOUGH = 0.01  # the error that the original report expects


def layers(dim: int, states: int, generator: Generator) -> dict[str, S4D]:
    """The layers whose kernels are reduced, by name: depthwise, a kernel for every channel."""
    return {
        INITIAL: S4D(dim, states, generator=generator),
        TRAINED: trained(TRAINED),
        REAL: S4D(dim, states, "real", generator=generator),
        REAL_TRAINED: trained(REAL_TRAINED),
    }


def trained(bank: str) -> S4D:
    """The last layer of a trained model.

    raises   ValueError, quoting it, for a bank that is not in MODELS
    """
    return _model(bank)[0].backbone.layers[-1]["mixer"].s4d


def _model(bank: str) -> tuple[MambaClassifier, Task]:
    check_choice("bank", bank, MODELS)
    return load(MODELS[bank]())


def dense(dim: int, states: int, length: int, generator: Generator) -> Iterator[tuple[str, Float[Tensor, "L E"]]]:
    """Name and matrix, taps by pairs of at most WIDEST channels, of three systems as S5 initialises them.

    source   Smith, Warrington and Linderman (2023), https://arxiv.org/abs/2208.04933, section 4 and its appendix B
    """
    dim = min(dim, WIDEST)
    half = max(2, states // 4 * 2)  # even, as the states of LegS are
    for init, count in (("LegS", half), ("LegS", states), ("Real", half)):
        yield DENSE.format(init, count), mixing_kernel(init.lower(), dim, count, length, generator).flatten(1)


def mixing_kernel(init: str, dim: int, states: int, length: int, generator: Generator) -> Float[Tensor, "L D D"]:
    """Kernel of one system of N states with D inputs and D outputs: K[k] = Re(C decay^k gain B).

    init     "legs", or "real", whose states have decays of their own and no oscillation
    states   N, even for "legs", whose eigenvalues come in pairs
    raises   ValueError, quoting the value, for another init, and for an odd number of states where they are pairs
    """
    eigenvalues, inward = initial_system(init, states)  # an odd number of states that are pairs is refused there
    B = inward @ torch.randn(states, dim, generator=generator, dtype=torch.float64).to(inward) / math.sqrt(dim)
    C = torch.randn(dim, states, generator=generator, dtype=torch.float64).to(inward) @ inward.mH / math.sqrt(states)
    low, high = map(math.log, STEPS)
    step = torch.exp(low + (high - low) * torch.rand(len(eigenvalues), generator=generator, dtype=torch.float64))
    gain = torch.expm1(step * eigenvalues) / eigenvalues
    powers = torch.exp(torch.arange(length, dtype=torch.float64).unsqueeze(1) * step * eigenvalues)
    pairs = 1 if init == "real" else 2  # one of each conjugate pair is kept
    return pairs * torch.einsum("kn,on,ni->koi", powers, C, gain.unsqueeze(1) * B).real


def spectra(dim: int, states: int, length: int, generator: Generator) -> pd.DataFrame:
    """Singular values of every bank, numbered from 1: across channels, and of layers across time.

    returns   columns bank, across, number, value; those of Hankel matrices are averaged over channels, each relative to
              its largest
    """
    rows = []

    def add(bank: str, across: str, values: Tensor) -> None:
        rows.extend(
            {"bank": bank, "across": across, "number": number, "value": value}
            for number, value in enumerate(values.tolist(), 1)
        )

    for bank, layer in layers(dim, states, generator).items():
        hankel = hankel_singular_values(layer, length=length)
        add(bank, CHANNELS, torch.linalg.svdvals(taps(layer, length)))
        add(bank, TIME, (hankel / hankel[:, :1]).mean(0))
    for bank, matrix in dense(dim, states, length, generator):
        add(bank, CHANNELS, torch.linalg.svdvals(matrix))
    return pd.DataFrame(rows)


def taps(layer: S4D, length: int) -> Float[Tensor, "L D"]:
    """A layer's kernels, a column each."""
    return layer.kernel(length).detach().double().T


def rank_needed(kernel: Float[Tensor, "L D"], error: float = ENOUGH) -> tuple[int, float]:
    """The least rank whose truncation errs by less than a share of the norm, and by how much it errs."""
    shares = dropped(kernel)
    needed = int((shares >= error).sum())
    return needed, shares[needed].item() if needed < len(shares) else 0.0


def dropped(kernel: Float[Tensor, "L D"]) -> Float[Tensor, " R"]:
    """By rank from 0 on, what a truncation to it loses, as a share of the norm."""
    tail = torch.linalg.svdvals(kernel).square().flip(0).cumsum(0).flip(0)
    return (tail / tail[0]).sqrt()


def accuracies(bank: str, rank: int) -> tuple[float, float, int]:
    """Accuracies of a trained model and of a copy at a low rank, without fine-tuning, and of how many answers."""
    model, task = _model(bank)
    low, _ = distill(model, rank, "truncated_svd", task.length)
    return task.accuracy(model), task.accuracy(low), len(task.test[0])


def main() -> None:
    """Train the model of S4D-Real on the digits, from seed 0, and make it the checkpoint."""
    plan = Plan("digits", seed=0, init="real")
    torch.set_num_threads(1)
    model, task = original(plan)
    keep(model, plan, CHECKPOINT_REAL)
    print(f"{CHECKPOINT_REAL}: accuracy {task.accuracy(model):.4f}")


if __name__ == "__main__":
    main()
