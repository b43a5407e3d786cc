"""Multi-resolution scanning: what the chapter's text says, what this run shows, what is compared between machines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd

from lib import records
from lib.experiments import mrss_proxy, mrss_scan, mrss_training
from lib.experiments.mrss_scan import label
from lib.records import Record
from lib.report import accuracy, frames, tables
from lib.report.evidence import Evidence
from lib.report.frames import Missing
from lib.report.views import mrss as views
from lib.report.views.base import comparison
from lib.report.views.files import naming_files

SOLVED = 0.9  # accuracy: who is above knows the rule of the task, who is not is at its first plateau, far below
HARD = mrss_training.LABELS["induction"]  # the task on which the text tells how many seeds are so
PROXY_SIZES, SCAN_SIZES = ("batch", "length", "dim", "taps"), ("r", "longest", "width", "layers")
COMPARED = (
    (mrss_scan.AS_WIDE, mrss_scan.FORWARD),
    (mrss_scan.LOW, mrss_scan.FORWARD),
    (mrss_scan.LOW, mrss_scan.TRAINING),
)  # between machines


@dataclass(frozen=True)
class Difference:
    """Accuracy minus the baseline's, as a share, with the upper end of its interval."""

    task: str
    variant: str
    difference: float
    difference_high: float


@dataclass(frozen=True)
class Outcome:
    """What a variant comes to after equal steps: tasks on which it keeps the accuracy, and losses on the others."""

    variant: str
    kept: list[str]
    lost: list[Difference]


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says. Ratios are relative to the baseline of the same run, or of the report.

    factors, faster              recorded factors of the proxy, and how many are faster than the baseline
    largest                      the original report's largest factor
    proxy_latency, proxy_operations   of the proxy at this factor
    original_gain                the original report's latency there, relative to its factor of one
    original_latency             the same, relative to its baseline
    proxy_memory, original_memory     all ratios of peak memory, recorded and in the original report's table
    factor                       of the models on the real scan
    as_wide, matched             latencies of the dual branch at all sizes and in all passes: as wide as the baseline,
                                 with the same number of parameters
    middle, width, narrow        tokens, and channels of the wider and of the narrower models
    dual, hybrid, dynamic        latency of a forward pass at the middle length and greater width
    low                          the same of the form whose blocks all run at the low rate
    low_training, low_memory     latency and peak memory of its training step
    low_narrow                   its latencies with the narrower models, over length
    outcomes                     a row per variant
    retrained                    what variants that lost came to with equal compute
    minutes                      of one core, for all trainings
    retried, solved              seeds of the low-rate form that trained again on induction, and how many solved it
    seeds                        of every training
    kept, lost                   tasks on which the low-rate form keeps the accuracy after its last training, or loses
    """

    factors: int
    faster: int
    largest: int
    proxy_latency: float
    proxy_operations: float
    original_gain: float
    original_latency: float
    proxy_memory: pd.Series
    original_memory: pd.Series
    factor: int
    as_wide: pd.Series
    matched: pd.Series
    middle: int
    width: int
    narrow: int
    dual: float
    hybrid: float
    dynamic: float
    low: float
    low_training: float
    low_memory: float
    low_narrow: pd.Series
    outcomes: list[Outcome]
    retrained: list[Difference]
    minutes: float
    retried: int
    solved: int
    seeds: int
    kept: list[str]
    lost: list[str]


@naming_files
def numbers(evidence: Evidence) -> Numbers:
    """The numbers of the chapter's text.

    raises   Missing where a record is, or a case of it
    """
    return Numbers(**_of_proxy(evidence), **_of_scan(evidence), **_of_trainings(evidence))


@naming_files
def _of_proxy(e: Evidence) -> dict[str, object]:
    dual = e.proxy.dropna(subset=["factor"])
    first, last = (frames.only(e.original_mrss, factor=factor) for factor in (1, max(mrss_proxy.FACTORS)))
    largest = frames.only(dual, factor=last["factor"])
    return {
        "factors": len(dual),
        "faster": int((dual["latency_ratio_high"] < 1).sum()),
        "largest": int(last["factor"]),
        "proxy_latency": largest["latency_ratio"],
        "proxy_operations": largest["flops_ratio"],
        "original_gain": last["seconds"] / first["seconds"],
        "original_latency": last["latency_ratio"],
        "proxy_memory": dual["memory_ratio"],
        "original_memory": e.original_mrss.dropna(subset=["factor"])["memory_ratio"],
    }


@naming_files
def _of_scan(e: Evidence) -> dict[str, object]:
    width = e.scan_sizes["width"]
    narrow = width // mrss_scan.NARROW
    forward, training = (e.scan_in_the_middle[part] for part in (mrss_scan.FORWARD, mrss_scan.TRAINING))
    at = partial(frames.only, forward)
    slow = frames.only(training, form=mrss_scan.LOW)
    slim = frames.where(e.scan_at_factor[mrss_scan.FORWARD], form=mrss_scan.LOW, dim=narrow)
    return {
        "factor": e.scan_sizes["r"],
        "as_wide": e.dual_as_wide["latency_ratio"],
        "matched": e.dual_matched["latency_ratio"],
        "middle": e.middle,
        "width": width,
        "narrow": narrow,
        "dual": at(form=mrss_scan.DUAL)["latency_ratio"],
        "hybrid": at(form=mrss_scan.HYBRID)["latency_ratio"],
        "dynamic": at(form=mrss_scan.DYNAMIC)["latency_ratio"],
        "low": at(form=mrss_scan.LOW)["latency_ratio"],
        "low_training": slow["latency_ratio"],
        "low_memory": slow["memory_ratio"],
        "low_narrow": slim["latency_ratio"],
    }


@naming_files
def _of_trainings(e: Evidence) -> dict[str, object]:
    rows = e.resolutions[e.resolutions["variant"] != mrss_training.BASELINE]
    first = rows[rows["budget"] == mrss_training.STEPS]
    low = e.at_factor(mrss_scan.LOW)
    again = frames.where(e.trained, task=HARD, variant=low, budget=mrss_training.OPERATIONS)["accuracy"]
    last = frames.where(e.tradeoff, variant=low)
    good = last["verdict"].str.startswith("kept")
    return {
        "outcomes": [_outcome(name, group) for name, group in first.groupby("variant", sort=False)],
        "retrained": _differences(rows[rows["budget"] == mrss_training.OPERATIONS]),
        "minutes": e.training_minutes,
        "retried": len(again),
        "solved": int((again > SOLVED).sum()),
        "seeds": int(e.resolutions["seeds"].min()),
        "kept": list(last["task"][good]),
        "lost": list(last["task"][~good]),
    }


def _outcome(variant: str, rows: pd.DataFrame) -> Outcome:
    good = rows["verdict"].str.startswith("kept")
    return Outcome(variant, list(rows["task"][good]), _differences(rows[~good]))


def _differences(rows: pd.DataFrame) -> list[Difference]:
    return [Difference(row.task, row.variant, row.difference, row.difference_high) for row in rows.itertuples()]


def live_proxy(run: Record) -> pd.DataFrame:
    """The proxy at every factor as this run measured it; its machine says so."""
    rows = views.by_factor(mrss_proxy.frame([run]))
    return rows.assign(machine=f"this run, {records.title(run.environment)}")


def live_models(run: Record) -> dict[str, pd.DataFrame]:
    """ "forward" and "training" -> models at one size as this run measured them."""
    return views.in_the_middle(views.by_part(mrss_scan.frame([run])), run.parameters)


def live_accuracy(runs: list[Record]) -> pd.DataFrame:
    """Accuracies of trainings of this run, judged."""
    return accuracy.judged(accuracy.compared(mrss_training.accuracies(runs)))


def source(run: Record) -> str:
    """Machine, day and commit of this run, for a caption."""
    return tables.provenance(run, records.title(run.environment))


@naming_files
def across_machines(evidence: Evidence) -> pd.DataFrame:
    """Key ratios of the proxy, of the original form on the scan and of the low-rate form, on every recorded machine.

    returns   rows of `lib.report.views.base.comparison`, the reference machine's first; machines whose record lacks a
              case, or is of other sizes than the first one's, are left out of the rows concerned
    """
    found = [comparison(pd.DataFrame(), "")]
    for one in _alike(evidence.everywhere(mrss_proxy.NAME), PROXY_SIZES):
        rows = _if_known(views.by_factor, mrss_proxy.frame([one]))
        for factor in mrss_proxy.FACTORS[1:]:
            found.append(comparison(rows, f"proxy, r = {factor}", factor=factor))
    for one in _alike(evidence.everywhere(mrss_scan.NAME), SCAN_SIZES):
        factor = one.parameters["r"]
        for form, part in COMPARED:
            rows = _if_known(_of_part, mrss_scan.frame([one]), one.parameters, part)
            name = label(form, factor)
            found.append(comparison(rows, f"{name}, {part}", name))
    filled = [rows for rows in found if not rows.empty]
    return pd.concat(filled or found, ignore_index=True)


def _alike(found: list[Record], sizes: tuple[str, ...]) -> list[Record]:
    """Those that are of the sizes of the first."""
    return [one for one in found if all(one.parameters.get(x) == found[0].parameters.get(x) for x in sizes)]


def _of_part(rows: pd.DataFrame, sizes: Mapping[str, object], part: str) -> pd.DataFrame:
    return views.in_the_middle(views.by_part(rows), sizes)[part]


def _if_known(make: Callable[..., pd.DataFrame], *given: object) -> pd.DataFrame:
    """What is made of a machine's cases; nothing where some are missing."""
    try:
        return make(*given)
    except Missing:
        return pd.DataFrame()
