"""What the original report's operator proxy costs, by downsampling factor and over sequence length.

A causal convolution stands for the scan. The baseline is one branch of it; the variants add a branch at a low rate and
a gate. Variants take turns with the baseline.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch

from lib.experiments import base, command
from lib.experiments.sizes import check_memory
from lib.models.mrss import proxy
from lib.profilers.profile import profile
from lib.records import Record

NAME = "mrss_proxy"
CHAPTER = "mrss"
BY_FACTOR, LENGTHS = "factors", "lengths"
COLUMNS = ("batch", "length", "dim", "input_bytes", "factor")
PARTS = {BY_FACTOR: COLUMNS, LENGTHS: COLUMNS}
BASELINE = "baseline"
FACTORS = (1, 2, 4)  # the original report's
SHARES = (1 / 8, 1 / 4, 1 / 2, 1, 2)  # of the length, where growth is measured
FEW = 4  # there the batch is smaller by this: the longest input is twice the usual one


@dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """Sizes of what is timed.

    batch    sequences B
    length   tokens T
    dim      channels D
    taps     of the convolution, K
    r        a downsampling factor, beside the original report's
    """

    batch: int
    length: int
    dim: int
    taps: int = proxy.TAPS
    r: int = 8

    @property
    def factors(self) -> list[int]:
        """All downsampling factors, smallest first."""
        return sorted({*FACTORS, self.r})


def least_elements(settings: Settings) -> int:
    """Numbers that no run can do without: the input, all weights, the baseline's peak."""
    return proxy.least_elements(settings.batch, settings.length, settings.dim, settings.taps, settings.factors)


def check(settings: Settings) -> None:
    """Accept settings that can be run here.

    raises   ValueError, naming what decides it, for more memory than is free
    """
    x = settings.batch * settings.length * settings.dim
    check_memory(settings, least_elements(settings), "batch", "length", "dim", drawn=x)


def run(settings: Settings) -> Record:
    """Time all factors at one length; then the baseline and one factor at five lengths."""
    check(settings)
    cases = base.Cases(PARTS)
    generator = settings.generator()
    blocks = proxy.family(settings.dim, settings.factors, settings.taps, generator=generator)
    for part, batch, length, names in _grid(settings, list(blocks)):
        x = torch.randn(batch, length, settings.dim, generator=generator).to(settings.device, settings.torch_dtype)
        calls = {name: partial(blocks[name].to(x), x) for name in names}
        needs = {name: blocks[name].peak_bytes(x) for name in names}
        at = dict(batch=batch, length=length, dim=settings.dim, input_bytes=x.nbytes)
        for name, result in profile(calls, needs=needs, **settings.timing).items():
            cases.add(part, name, result, factor=blocks[name].factor, **at)
    return base.record(NAME, cases, settings)


def variant(factor: int) -> str:
    """The name of a factor's variant in records, tables and figures."""
    return f"r = {factor}"


def _grid(settings: Settings, every: list[str]):
    """Part, batch, length and variants of each setting."""
    yield BY_FACTOR, settings.batch, settings.length, every
    for share in SHARES:
        few = max(1, settings.batch // FEW)
        yield LENGTHS, few, int(share * settings.length), [BASELINE, variant(settings.r)]


def frame(found: Iterable[Record]) -> pd.DataFrame:
    """One row per case of these records, see `lib.experiments.base.frame`."""
    return base.frame(found, PARTS)


def main() -> None:
    """Run this experiment from the command line, see `lib.experiments.command.main`."""
    command.main(__doc__, CHAPTER, Settings, run, frame)


if __name__ == "__main__":
    main()
