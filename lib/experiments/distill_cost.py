"""What a smaller form of long kernels loses, and what it costs: banks of kernels, sequences, single tokens, a model.

Banks are those of `lib.experiments.distill_banks`. What is timed takes turns: the convolution by a cached spectrum,
basis kernels, and recurrences of a few states; of the model, every form whose accuracy another record has.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from tqdm.auto import tqdm

from lib.experiments import base, command, distill_banks, distill_models
from lib.experiments.distill_banks import CHECKPOINT as CHECKPOINT  # where readers look for it
from lib.experiments.distill_models import METHOD_WORDS, RECORDED, few_states, load
from lib.experiments.sizes import check_memory
from lib.models.distill.by_modes import error_over
from lib.models.distill.modes import Modes
from lib.models.distill.recurrence import Recurrence
from lib.models.distill.replace import METHODS, deployed, distill
from lib.models.ssm.fft_convolution import CachedConvolution
from lib.models.ssm.s4d import S4D
from lib.profilers.passes import stream
from lib.profilers.profile import profile
from lib.records import Record

NAME = "distillation"
CHAPTER = "kernel_distillation"
RANK, BANK, HORIZON, KEPT = "rank", "bank", "horizon", "kept"
SEQUENCE, TOKENS, MODEL = "sequence", "tokens", "model"
TIMED = ("batch", "dim", "length", "tokens", "held", "input_bytes")
PARTS = {
    RANK: ("order", "full"),
    BANK: ("bank", "order", "stored"),
    HORIZON: ("bank", "order", "taps"),
    KEPT: ("bank", "order", "tested"),
    SEQUENCE: TIMED,
    TOKENS: TIMED,
    MODEL: ("batch", "length", "input_bytes"),
}
FULL, LOW, SMALL = "full kernel", "low rank, r = {}", "recurrence, {} states"
WORDS = {"variant": METHOD_WORDS}
ORDERS = (2, 4, 8, 16, 32, 64)
SHARES = (64, 32, 16, 8, 4, 2, 1)  # of the longest sequence
SHORTEST = 256
STREAMED = 64  # tokens, one by one
SEQUENCES = 32  # of the whole model's batch
EXACT = 1e-5  # an error that no higher order makes visibly smaller
LONGER = 8  # times the taps that methods look at: over so many, weights that are fitted to them err
BEYOND = ("balanced_truncation", "balanced_refit")  # methods whose errors are measured there


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """Sizes of the banks and of what is timed.

    dim      channels D
    states   real states N per channel
    length   taps L of the banks
    longest  tokens of the longest sequence
    order    states, a rank or taps kept per channel
    every    whether banks are reduced to every order, as readers of the record need it, or to `order` alone
    """

    dim: int
    states: int
    length: int
    longest: int
    order: int
    every: bool = True

    @property
    def orders(self) -> list[int]:
        """What is kept of a bank."""
        wanted = {*ORDERS, *few_states(self.states), self.order} if self.every else {self.order}
        return sorted(order for order in wanted if order <= min(self.dim, self.states, self.length, ORDERS[-1]))


def check(settings: Settings) -> None:
    """Accept settings that can be run here: spectra of the longest kernels, and Hankel matrices of all channels.

    raises   ValueError, naming what decides it, for more memory than is free
    """
    spectra = 7 * settings.longest * settings.dim + 2 * settings.length * (LONGER * settings.dim + 32**2)
    matrices = 2 * settings.dim * settings.states**2  # in float64
    names = ("dim", "states", "length", "longest")
    check_memory(settings, spectra, *names, drawn=2 * matrices + settings.longest * settings.dim)


def run(settings: Settings) -> Record:
    """Reduce every bank by every method, and time sequences, tokens and the trained model in every form."""
    check(settings)
    cases = base.Cases(PARTS)
    generator = settings.generator()
    _reduce(cases, settings, generator)
    _time_kernels(cases, settings, generator)
    time_model(cases, settings)
    return base.record(NAME, cases, settings)


def spectra(settings: Settings) -> pd.DataFrame:
    """Singular values of the banks, see `lib.experiments.distill_banks.spectra`."""
    return distill_banks.spectra(settings.dim, settings.states, settings.length, settings.generator())


def _reduce(cases: base.Cases, settings: Settings, generator: Generator) -> None:
    """What banks lose: by rank, by every method and order, and over more taps than a method looked at."""
    layers = distill_banks.layers(settings.dim, settings.states, generator)
    wide = dict(distill_banks.dense(settings.dim, settings.states, settings.length, generator))
    deep = {name: distill_banks.taps(layer, settings.length) for name, layer in layers.items()}
    for bank, kernel in (deep | wide).items():
        needed, error = distill_banks.rank_needed(kernel)
        cases.add(RANK, bank, measured=_errs(settings, error), order=needed, full=min(kernel.shape))
    enough = few_states(settings.states)[0]
    for bank, layer in layers.items():
        for name in tqdm(METHODS, desc=bank):
            for order in settings.orders:
                found = METHODS[name](layer, order, length=settings.length)
                error, at = _mean(found.error), dict(bank=bank, order=order)
                word = RECORDED.get(name, name)
                cases.add(BANK, word, measured=_errs(settings, error), **at, stored=found.parameters)
                if name in BEYOND:
                    longer = LONGER * settings.length
                    over = _errs(settings, _mean(error_over(layer, found, longer)))
                    cases.add(HORIZON, word, measured=over, **at, taps=longer)
                if error < EXACT and order >= enough:
                    break
    for bank in distill_banks.MODELS:
        *shares, tested = distill_banks.accuracies(bank, settings.order)
        for name, share in zip((FULL, LOW.format(settings.order)), shares, strict=True):
            held = {"accuracies": {settings.seed: share}}
            cases.add(KEPT, name, measured=held, bank=bank, order=settings.order, tested=tested)


def _mean(errors: Float[Tensor, " D"]) -> float:
    return errors.square().mean().sqrt().item()


def _errs(settings: Settings, error: float) -> dict[str, dict[int, float]]:
    return {"relative_errors": {settings.seed: error}}


def _time_kernels(cases: base.Cases, settings: Settings, generator: Generator) -> None:
    """Sequences of every length, and single tokens with a kernel of that length."""
    device = settings.device
    layer = S4D(settings.dim, settings.states, generator=generator).to(settings.torch_dtype)
    small = {SMALL.format(order): Recurrence(bank).to(device) for order, bank in _few_modes(layer, settings).items()}
    for length in (settings.longest // share for share in SHARES):
        if length < SHORTEST:
            continue
        full = CachedConvolution(layer.kernel(length).detach().to(device), length, layer.skip.to(device))
        x = torch.randn(1, length, settings.dim, generator=generator).to(device, settings.torch_dtype)
        low = {LOW.format(rank): _low_rank(layer, rank, length).to(device) for rank in ranks(settings.dim)}
        modules = {FULL: full} | low | small
        timed = {
            SEQUENCE: (length, {name: partial(module, x) for name, module in modules.items()}),
            TOKENS: (STREAMED, {name: _streaming(module, x) for name, module in ({FULL: full} | small).items()}),
        }
        at = dict(batch=1, dim=settings.dim, length=length, input_bytes=x.nbytes)
        for part, (count, calls) in timed.items():
            for name, result in profile(calls, **settings.timing).items():
                if name in small and result.error is None:  # six multiply-adds a mode, streamed or not
                    result = replace(result, flops=12 * small[name].C[..., 0].numel() * count)
                cases.add(part, name, result, **at, tokens=count, held=_held(modules[name]))


def _few_modes(layer: S4D, settings: Settings) -> dict[int, Modes]:
    """Number of states -> the layer with so many of its modes, and with all of them."""
    orders = sorted({2, settings.order, few_states(settings.states)[0], settings.states})
    return {
        order: Modes.of(layer) if order == settings.states else distill(layer, order, length=settings.length)[0]
        for order in orders
    }


def ranks(dim: int) -> list[int]:
    """Ranks that are timed: a sixteenth and a quarter of the channels."""
    return sorted({max(1, dim // 16), max(1, dim // 4)})


def _low_rank(layer: S4D, rank: int, length: int) -> nn.Module:
    return deployed(distill(layer, rank, "truncated_svd", length)[0], length)


def _streaming(module: nn.Module, x: Float[Tensor, "B T D"]) -> partial:
    return partial(stream, module, module.initial_state(1), x[:, :STREAMED])


def _held(module: nn.Module) -> int:
    """Numbers that a module holds."""
    return sum(tensor.numel() for tensor in module.state_dict().values())


def time_model(cases: base.Cases, settings: Settings) -> None:
    """The trained model as it is deployed: whole, as a recurrence of all states and of few, and by a low rank.

    Time and memory are those of a form, whatever its weights: of a model that is fine-tuned or small from the start.
    """
    trained, task = load(CHECKPOINT)
    layer = trained.backbone.layers[-1]["mixer"].s4d
    states, rank = 2 * layer.C.shape[1], min(len(layer.skip), task.length)
    kept = {*distill_models.ORDERS, settings.order, *few_states(states)}
    whole = copy.deepcopy(trained)
    for block in whole.backbone.layers:
        block["mixer"].s4d = Modes.of(block["mixer"].s4d)
    models = {FULL: trained, SMALL.format(states): whole}
    for order in sorted(order for order in kept if order < states):
        models[SMALL.format(order)] = distill(trained, order, length=task.length)[0]
    for order in sorted(order for order in kept if order <= rank):
        models[LOW.format(order)] = distill(trained, order, "truncated_svd", task.length)[0]
    x = task.test[0][:SEQUENCES].to(settings.device)
    calls = {name: partial(deployed(model, task.length).to(settings.device), x) for name, model in models.items()}
    for name, result in profile(calls, **settings.timing).items():
        at = dict(batch=len(x), length=task.length, input_bytes=x.nbytes)
        cases.add(MODEL, name, replace(result, flops=None), **at)  # compared by time and memory


def states_of(variant: str) -> int:
    """How many states a recurrence has, by its label."""
    before, after = SMALL.split("{}")
    return int(variant.removeprefix(before).removesuffix(after))


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`; methods by their labels."""
    return base.frame(found, PARTS, WORDS)


def errors(found: Iterable[Record]) -> pd.DataFrame:
    """One row per bank, method and order, and per rank needed: `relative_error`, a share of the kernels' norm."""
    return base.by_seed(found, PARTS, WORDS, relative_errors="relative_error")


def accuracies(found: Iterable[Record]) -> pd.DataFrame:
    """One row per trained model, whole and at a low rank: bank, variant, order, tested, `accuracy`, a share."""
    return base.by_seed(found, PARTS, WORDS, accuracies="accuracy")


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
