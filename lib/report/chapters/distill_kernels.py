"""Kernel distillation: what the chapter's text says of banks of kernels, and of the time of what replaces them."""

from dataclasses import dataclass

from lib.experiments import distill_banks
from lib.experiments import distill_cost as cost
from lib.names import DISTILLATIONS
from lib.report import frames
from lib.report.evidence import Evidence
from lib.report.views.files import naming_files

BALANCED, FITTED, SVD = (
    DISTILLATIONS[name].label for name in ("balanced_truncation", "balanced_refit", "truncated_svd")
)


@dataclass(frozen=True)
class Bank:
    """A bank's rank for an error of one percent, of its full one, and whether that is a low one."""

    name: str
    needed: int
    full: int
    low: bool


@dataclass(frozen=True)
class Layer(Bank):
    """A depthwise bank, with errors at a low rank, and of balanced truncation with weights fitted to the taps."""

    low_rank: float
    fitted: float


@dataclass(frozen=True)
class Beyond:
    """Errors of balanced truncation over so many taps, with its own weights, and with weights fitted to fewer."""

    bank: str
    taps: int
    own: float
    fitted: float


@dataclass(frozen=True)
class LowModel:
    """Accuracies of a trained model whole and at a low rank, without fine-tuning, of so many test sequences."""

    bank: str
    rank: int
    tested: int
    whole: float
    low: float


@naming_files
def kernels(e: Evidence) -> dict[str, object]:
    """What banks lose, and what sequences and tokens cost."""
    few, states, taps = e.few[0], e.distill_sizes["states"], e.kernel_taps
    short, wide = (cost.SMALL.format(count) for count in (few, states))
    ring, single = (frames.where(e.kernel_tokens, variant=name) for name in (cost.FULL, short))
    layers = [_layer(e, row, few) for row in e.ranks[~e.ranks["dense"]].itertuples()]
    sequences = frames.where(e.kernels, variant=short)["latency_ratio"]
    return dict(
        banks=layers,
        dense=[Bank(row.bank, row.needed, row.full, row.low) for row in e.ranks[e.ranks["dense"]].itertuples()],
        trained=next(bank for bank in layers if bank.name == distill_banks.TRAINED),
        real=next(bank for bank in layers if bank.name == distill_banks.REAL_TRAINED),
        low_models=[
            LowModel(row.bank, row.order, row.tested, row.whole, row.low) for row in e.low_rank_models.itertuples()
        ],
        beyond=[_beyond(e, bank.name, few) for bank in layers],
        few=few,
        states=states,
        taps=taps,
        low_rank=e.low_rank["latency_ratio"],
        wide=frames.where(e.kernels, variant=wide)["latency_ratio"],
        short=sequences,
        at_taps=frames.only(e.kernels, variant=short, length=taps)["latency_ratio"],
        step=frames.only(single, length=taps)["latency_ratio"],
        steps=single["latency_ratio"],
        ring=frames.only(ring, length=taps)["latency_ratio"],
        shortest=int(e.kernel_tokens["length"].min()),
        longest=int(e.kernel_tokens["length"].max()),
        ring_grows=ring["seconds"].max() / ring["seconds"].min(),
        steady=single["seconds"].max() / single["seconds"].min(),
    )


def _layer(e: Evidence, row, few: int) -> Layer:
    lost = {
        method: frames.only(e.kernel_errors, bank=row.bank, variant=method, order=few)["relative_error"]
        for method in (SVD, FITTED)
    }
    return Layer(row.bank, row.needed, row.full, row.low, lost[SVD], lost[FITTED])


def _beyond(e: Evidence, bank: str, few: int) -> Beyond:
    own, fitted = (frames.only(e.errors_beyond, bank=bank, variant=method, order=few) for method in (BALANCED, FITTED))
    return Beyond(bank, int(own["taps"]), own["relative_error"], fitted["relative_error"])
