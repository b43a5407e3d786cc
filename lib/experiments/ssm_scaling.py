"""What token mixing alone costs over length, width and number of states, and whether a closed gate saves anything.

Attention by torch's fused kernel, S4D by FFT, and the selective scan by the backend that serves the device; on short
sequences by every other one, too, and by its definition. Without attention, S4D and scan go on to longer sequences,
where fixed costs and caches are behind them: an exponent is read off there. Queries, step sizes and maps are slices of
one input, so that only the mixing is paid for; the variants of a setting take turns.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import pandas as pd
import torch

from lib.experiments import base, command
from lib.experiments.sizes import ATTENDED, among, check_memory
from lib.models.checks import check_count
from lib.models.ssm import mixers
from lib.profilers.profile import profile
from lib.records import Record

NAME = "ssm_scaling"
CHAPTER = "ssm_background"
LENGTHS, GATE, WIDTHS, STATES = "lengths", "gate", "widths", "states"
COLUMNS = ("batch", "length", "dim", "states", "input_bytes")
PARTS = {LENGTHS: COLUMNS, GATE: COLUMNS, WIDTHS: COLUMNS, STATES: COLUMNS}
OPEN, CLOSED = "step open", "step closed"
FEW = 4  # states where the width grows, or as many as there are channels
ATTENTION = "attention"
SHARES = (64, 32, 16, 8, 4, 2, 1)  # of the longest sequence that attention sees
# Times that sequence for all others: with 16,384 tokens, up to where S4D takes about as long as attention does there.
LONGER = (2, 4, 8, 16)
# Tokens of the longest sequence for scans that nobody would take: on a GPU some start kernels token by token, which is
# linear, and seconds long.
COMPARED = 1024


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """Sizes of what is timed.

    batch    sequences B
    length   tokens T of the longest sequence that attention sees; all others see longer ones, too
    dim      channels D
    state    states N per channel
    """

    batch: int
    length: int
    dim: int
    state: int


def check(settings: Settings) -> None:
    """Accept settings that can be run here: S4D's spectra of the longest input, and the weights of the widest block.

    raises   ValueError, naming what decides it, for more states than channels, and for more memory than is free
    """
    check_count("length", settings.length, 1, ATTENDED)
    check_count("state", settings.state, 1, settings.dim, where=", B is a slice of the `dim` channels")
    x = settings.batch * _lengths(settings)[-1] * settings.dim
    check_memory(settings, 8 * x + 6 * (4 * settings.dim) ** 2, "batch", "length", "dim", drawn=x)


def run(settings: Settings, only: Mapping[str, Collection] = MappingProxyType({})) -> Record:
    """Time every mixer at every length, the scan with its gate open and closed, and scan and block over their sizes.

    only   part, length, dim or states -> values: settings with others are left out
    """
    check(settings)
    cases = base.Cases(PARTS)
    generator = settings.generator()
    for part, length, dim, states, variants in _grid(settings, generator):
        if not among(only, part=part, length=length, dim=dim, states=states):
            continue
        x = torch.randn(settings.batch, length, dim, generator=generator).to(settings.device, settings.torch_dtype)
        calls = {name: partial(mixer.to(x), x) for name, mixer in variants.items()}
        at = dict(batch=settings.batch, length=length, dim=dim, states=states, input_bytes=x.nbytes)
        for name, result in profile(calls, **settings.timing).items():
            if result.error is None:
                result = replace(result, flops=result.flops + mixers.uncounted(variants[name], x))
            cases.add(part, name, result, **at)
    return base.record(NAME, cases, settings)


def _grid(settings: Settings, generator: torch.Generator):
    """Part, length, width, states and variants of each setting."""
    dim, state, longest = settings.dim, settings.state, settings.length
    family = mixers.family(dim, state, settings.device, generator=generator)
    for length in _lengths(settings):
        longer = length > max(64, longest)
        left_out = [*_others(family)] if longer or length > COMPARED else []
        left_out += [ATTENTION] if longer else []
        yield LENGTHS, length, dim, state, {name: mixer for name, mixer in family.items() if name not in left_out}
    gates = {OPEN: mixers.Scan(dim, state), CLOSED: mixers.Scan(dim, state, bias=-50.0)}
    yield GATE, max(64, longest), dim, state, gates
    middle, wide = max(64, longest // 16), max(64, dim)
    for width in (dim // 4, dim // 2, dim, 2 * dim, 4 * dim):
        states = min(FEW, width)
        yield WIDTHS, middle, width, states, mixers.scan_and_block(width, states, generator=generator)
    for states in (2, 4, 8, 16, 32, 64):
        yield STATES, middle, wide, states, {"scan": mixers.Scan(wide, states)}


def _lengths(settings: Settings) -> list[int]:
    """Lengths in tokens, the shortest first: of attention, and beyond of all others."""
    longer = [times * settings.length for times in LONGER if times * settings.length <= ATTENDED]
    return sorted({max(64, length) for length in [*(settings.length // share for share in SHARES), *longer]})


def _others(family: Iterable[str]) -> list[str]:
    """Scans but for the first, which is the fastest that serves."""
    return [name for name in family if name.startswith("scan, ")][1:]


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS)


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
