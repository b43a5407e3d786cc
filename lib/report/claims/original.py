"""Judges of what the original report says of itself and of its runs on a T4: R1 and R2, B4, B13, B17 and B18.

Frames of runs are of `lib.report.frames.original.runs`.
"""

import pandas as pd

from lib.report import frames, units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide, decides, falls
from lib.report.frames import original
from lib.report.history import REPORT, TODAY
from lib.report.units import signed_share

CLOSE = 0.01  # what rounding of a printed latency can explain
BATCH = 8  # sequences, or images, of both of its experiments
HALF = 0.5  # of the patches: the share whose gains it names
LATENCY, THROUGHPUT = 0.57, 1.70  # what its section 6.3 says of half of the patches, relative to all
LATER = 1.5  # times the throughput, as its poster says
ROUNDED = 0.05  # that a number with one decimal may be off
HALFWAY = 1.5  # exponent between a linear and a quadratic cost


@decides("R1", on="repository")
def results_are_at_hand(checklist: pd.DataFrame, promised: pd.DataFrame) -> Verdict:
    """R1: are all places of results that its checklists name there, at the report's date and today, some, or none?

    checklist   of `lib.report.reproducibility.checklist`, executed on this book: columns item, holds
    promised    columns file, report, today: whether it was there then, by the repository's commits
    """
    held, then, now = int(checklist["holds"].sum()), promised[REPORT], promised[TODAY]
    absent = [f"`{one}`" for one in promised["file"][~(then | now)]]
    return Verdict(
        f"Of {len(promised)} places of results that its checklists name, {then.sum()} were there at the report's date "
        f"and {now.sum()} are at its newest commit"
        + (f"; {units.listed(absent)} never {'was' if len(absent) == 1 else 'were'}." if absent else ".")
        + f" Of its checklist, executed on this book, {held} of {len(checklist)} items hold.",
        REPRODUCED if then.all() and now.all() else CORRECTED if then.any() or now.any() else CONTRADICTED,
    )


@decides("R2", on="table")
def tables_agree(original_mrss: pd.DataFrame, original_clip: pd.DataFrame, original_runs: pd.DataFrame) -> Verdict:
    """R2: is every printed throughput the batch over the printed latency, to a hundredth, or most of them?

    original_mrss, original_clip   its tables: variant, seconds, throughput; both with a batch of 8
    original_runs                  the run that its CSV holds, and what is printed
    """
    named = original_clip.assign(variant=[f"{row.variant}, keep {row.keep:g}" for row in original_clip.itertuples()])
    both = pd.concat([original_mrss, named], ignore_index=True)
    off = BATCH / both["seconds"] / both["throughput"] - 1
    if off.isna().any():
        raise ValueError("a row of the original report's tables lacks its latency or its throughput")
    wrong = off.abs() > CLOSE
    found = [f"{variant} by {signed_share(by)}" for variant, by in zip(both["variant"][wrong], off[wrong], strict=True)]
    return Verdict(
        f"Batch over latency is the printed throughput, to one percent, in {(~wrong).sum()} of {len(both)} rows"
        + (f"; off are {units.listed(found)}." if found else ".")
        + f" Relative to the CSV of its run, the printed one is {_by_share(original.printed(original_runs))}.",
        REPRODUCED if not wrong.any() else CORRECTED if wrong.mean() < 1 / 2 else CONTRADICTED,
    )


@decides("B4", on="table")
def gains_at_half(original_runs: pd.DataFrame) -> Verdict:
    """B4: are both gains of its text those of its own CSV, to the noise of two runs, or one of them?

    raises   Missing where the CSV's run or the second one lacks a share
    """
    half = frames.where(original_runs, variant=original.PRUNED, keep=HALF).set_index("run")
    noise = original.noise(original_runs)["difference"].abs()
    own = half.loc[original.CSV]
    close = [
        abs(own["latency_ratio"] / LATENCY - 1) <= noise.max(),
        abs(own["throughput_ratio"] / THROUGHPUT - 1) <= noise.max(),
    ]
    others = [
        f"{signed_share(row.latency_ratio - 1)} and {signed_share(row.throughput_ratio - 1)}"
        for row in half.loc[[original.SECOND, original.THIRD]].itertuples()
    ]
    return Verdict(
        f"Its CSV: latency {signed_share(own['latency_ratio'] - 1)}, throughput "
        f"{signed_share(own['throughput_ratio'] - 1)}; its text says {signed_share(LATENCY - 1)} and "
        f"{signed_share(THROUGHPUT - 1)}, its conclusion −40 % and +75 %. Its second and third run: "
        f"{units.listed(others)}. Two runs of its protocol differ by {100 * noise.min():.2f} to "
        f"{100 * noise.max():.1f} %.",
        REPRODUCED if all(close) else CORRECTED if any(close) else CONTRADICTED,
    )


@decides("B13", on="table")
def latency_falls_in_its_runs(original_runs: pd.DataFrame) -> Verdict:
    """B13: does latency fall with every smaller share of patches in each of its measured runs, or in some?

    From the unreduced encoder on; keep 1 in its own code's form has as many tokens, and is left out.
    """
    found, paths = [], []
    for run in original.MEASURED:
        rows = frames.where(original_runs, run=run).drop_duplicates("keep").sort_values("keep", ascending=False)
        found.append(falls(rows["seconds"]))
        paths.append(" → ".join(f"{1e3 * one:.1f}" for one in rows["seconds"]))
    noise = original.noise(original_runs)["difference"].abs().max()
    return Verdict(
        f"Latency [ms] from all patches to half of them, in its three runs: {'; '.join(paths)}. It falls throughout in "
        f"{sum(found)} of {len(found)}. Two runs of one protocol differ by up to {100 * noise:.1f} %. The third starts "
        "its timer while passes of the warm-up are still queued, by the audit of its code.",
        REPRODUCED if all(found) else CORRECTED if any(found) else CONTRADICTED,
    )


@decides("B17", on="table")
def throughput_at_half(original_runs: pd.DataFrame) -> Verdict:
    """B17: to its decimal, is throughput at half of the patches 1.5 times the unreduced encoder's, in the third run?

    From that run the poster takes its figures. Or is it so in another of the runs?
    """
    half = frames.where(original_runs, variant=original.PRUNED, keep=HALF).set_index("run")["throughput_ratio"]
    near = (half - LATER).abs() <= ROUNDED
    found = [f"{units.times(half[run])} in {words}" for run, words in _WORDS.items()]
    return Verdict(
        f"Images a second, relative to all patches: {units.listed(found)}.",
        REPRODUCED if near[original.THIRD] else CORRECTED if near.any() else CONTRADICTED,
    )


@decides("B18", on="table")
def pruning_is_quadratic(original_runs: pd.DataFrame) -> Verdict:
    """B18: is the whole interval of latency's exponent in tokens nearer to two than to one, in every run, or in none?

    raises   Missing where a run has fewer than three shares
    """
    rows = original.growth(original_runs)
    found = [f"{row.slope:.2f} {units.interval(row.low, row.high)} in {_WORDS[row.run]}" for row in rows.itertuples()]
    return Verdict(
        f"Latency grows with the number of tokens to the power {units.listed(found)}, with 95 % intervals. One is "
        "linear, two is quadratic.",
        decide((rows["low"] > HALFWAY).all(), (rows["high"] < HALFWAY).all()),
    )


_WORDS = {original.CSV: "its CSV", original.SECOND: "its second run", original.THIRD: "its third run"}


def _by_share(rows: pd.DataFrame) -> str:
    """`+1.6 % (baseline), +3.3 % (keep 1), ...`."""
    named = ["baseline" if row.variant == original.BASELINE else f"keep {row.keep:g}" for row in rows.itertuples()]
    return units.listed([f"{signed_share(by)} ({name})" for by, name in zip(rows["difference"], named, strict=True)])
