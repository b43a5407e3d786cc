"""Multi-resolution scanning: what the chapter's text says, what this run shows, what is compared between machines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from lib import records
from lib.experiments import mrss_proxy, mrss_runs, mrss_scan, mrss_tasks, mrss_training
from lib.experiments.mrss_scan import label
from lib.records import Record
from lib.report import accuracy, frames, tables
from lib.report.chapters.mrss_trainings import Difference, Outcome, Solved, differences, outcome, outcomes, solved
from lib.report.evidence import Evidence
from lib.report.frames import Missing
from lib.report.views import mrss as views
from lib.report.views.base import comparison
from lib.report.views.files import naming_files

HARD, FAST = (mrss_training.LABELS[name] for name in ("induction", "plugs"))  # tasks that the text tells more of
PIXELS = mrss_training.LABELS["digits"]  # the task of which the nearest neighbour is known
PROXY_SIZES, SCAN_SIZES = ("batch", "length", "dim", "taps"), ("r", "longest", "width", "layers")
COMPARED = (
    (mrss_scan.AS_WIDE, mrss_scan.FORWARD),
    (mrss_scan.LOW, mrss_scan.FORWARD),
    (mrss_scan.LOW, mrss_scan.TRAINING),
)  # between machines


@dataclass(frozen=True)
class Numbers:
    """All that the text of the chapter says. Ratios are relative to the baseline of the same run, or of the report.

    factors, faster              recorded factors of the proxy, and how many are faster than the baseline
    proxy_size                   batch, length, dim of its record
    largest                      the original report's largest factor
    proxy_latency, proxy_operations   of the proxy at this factor
    original_gain                the original report's latency there, relative to its factor of one
    original_latency             the same, relative to its baseline
    proxy_memory, original_memory     all ratios of peak memory, recorded and in the original report's table
    factor                       of the models on the real scan
    as_wide, matched             latencies of the dual branch at all sizes and in all passes: as wide as the baseline,
                                 with the same number of parameters
    middle, width                tokens, and channels of the wider models
    dual                         latency of a forward pass with the same number of parameters, there
    large                        latencies of the low-rate form there, which was not trained: forward, training step
    forward, training, memory    of the low-rate form that was trained, on each task: latencies of a forward pass and of
                                 a training step, and the peak memory of the latter
    tokens                       shortest and longest sequences of the tasks
    dim, layers, parameters      channels and blocks of the baseline that was trained, and parameters of the low-rate
                                 form's blocks
    low                          that form after its last training
    outcomes, again              a row per variant, after equal steps; and with equal operations, of those that lost so
    steps, seconds               of the low-rate form with equal operations, relative to the baseline's training
    hard                         seeds that solve the task that is solved or not, by variant and budget
    hard_low, hard_baseline      of the low-rate form after its last training, and of the baseline
    fast                         the low-rate form on the fast task, by budget
    pixels, nearest              the baseline's accuracy on digits, and the nearest neighbour's
    minutes                      of one core, for all trainings
    seeds                        of every training
    """

    factors: int
    faster: int
    proxy_size: dict[str, int]
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
    dual: float
    large: tuple[float, float]
    forward: pd.Series
    training: pd.Series
    memory: pd.Series
    tokens: tuple[int, int]
    dim: int
    layers: int
    parameters: int
    low: Outcome
    outcomes: list[Outcome]
    again: list[Outcome]
    steps: pd.Series
    seconds: pd.Series
    hard: list[Solved]
    hard_low: Solved
    hard_baseline: Solved
    fast: list[Difference]
    pixels: float
    nearest: float
    minutes: float
    seeds: int


@naming_files
def numbers(evidence: Evidence, tasks: pd.DataFrame) -> Numbers:
    """The numbers of the chapter's text.

    tasks    of `lib.experiments.mrss_tasks.frame`
    raises   Missing where a record is, or a case of it
    """
    return Numbers(**_of_proxy(evidence), **_of_scan(evidence), **_of_trainings(evidence, tasks))


@naming_files
def _of_proxy(e: Evidence) -> dict[str, object]:
    dual = e.proxy.dropna(subset=["factor"])
    first, last = (frames.only(e.original_mrss, factor=factor) for factor in (1, max(mrss_proxy.FACTORS)))
    largest = frames.only(dual, factor=last["factor"])
    return {
        "factors": len(dual),
        "proxy_size": {name: e.proxy_sizes[name] for name in PROXY_SIZES},
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
    forward, training = (e.scan_in_the_middle[part] for part in (mrss_scan.FORWARD, mrss_scan.TRAINING))
    large = (frames.only(rows, form=mrss_scan.LOW)["latency_ratio"] for rows in (forward, training))
    return {
        "factor": e.scan_sizes["r"],
        "as_wide": e.dual_as_wide["latency_ratio"],
        "matched": e.dual_matched["latency_ratio"],
        "middle": e.middle,
        "width": e.scan_sizes["width"],
        "dual": frames.only(forward, form=mrss_scan.DUAL)["latency_ratio"],
        "large": tuple(large),
    }


@naming_files
def _of_trainings(e: Evidence, tasks: pd.DataFrame) -> dict[str, object]:
    rows = e.resolutions[e.resolutions["variant"] != mrss_training.BASELINE]
    budgets = {budget: frames.where(rows, budget=budget) for budget in (mrss_training.STEPS, mrss_training.OPERATIONS)}
    name, low = e.at_factor(mrss_scan.LOW), e.low_by_task
    longer = frames.where(low, budget=mrss_training.OPERATIONS)
    (last,) = solved(frames.where(low, task=HARD))
    (base,) = solved(frames.where(e.resolutions, task=HARD, variant=mrss_training.BASELINE))
    at = tasks.set_index("task")
    return {
        "forward": low["forward"],
        "training": low["training"],
        "memory": low["memory"],
        "tokens": (int(at["tokens"].min()), int(at["tokens"].max())),
        "dim": mrss_runs.SIZES.dim,
        "layers": mrss_runs.SIZES.layers,
        "parameters": mrss_tasks.parameters(e.scan_sizes["r"])[name],
        "low": outcome(name, low),
        "outcomes": outcomes(budgets[mrss_training.STEPS]),
        "again": outcomes(budgets[mrss_training.OPERATIONS]),
        "steps": longer["steps"] / longer["baseline_steps"],
        "seconds": longer["trained_seconds"] / longer["baseline_seconds"],
        "hard": solved(frames.where(rows, task=HARD)),
        "hard_low": last,
        "hard_baseline": base,
        "fast": differences(frames.where(rows, task=FAST, variant=name)),
        "pixels": frames.only(e.resolutions, task=PIXELS, variant=mrss_training.BASELINE)["accuracy"],
        "nearest": at.loc[PIXELS, "nearest"],
        "minutes": e.training_minutes,
        "seeds": int(e.resolutions["seeds"].min()),
    }


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


def proxy_size(sizes: Mapping[str, object]) -> str:
    """The proxy's size, for a caption: `B = 8, T = 8,192, D = 512, K = 63`."""
    return ", ".join(f"{symbol} = {sizes[name]:,}" for symbol, name in zip("BTDK", PROXY_SIZES, strict=True))


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
