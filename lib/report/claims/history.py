"""Judges of what the original report's repository claims after the report: A17, B16 and B19 to B22.

What was looked for in its commits: `lib.report.history.Search`. Toys: `lib.experiments.artefact`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lib.report import units
from lib.report.claims.clip import bounds
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED, Verdict, decide, decides
from lib.report.frames import Missing
from lib.report.history import Search
from lib.report.prose import extent

SAVED, ABOUT = 0.35, 0.05  # of the temporal updates, as its README says, and what "about" leaves open
CONSISTENCY, POINT = 0.969, 0.01  # of the predictions, as its poster says
COSINES, NEAR = {0.7: 0.89, 0.5: 0.47}, 0.05  # keep -> cosine, as its README says, and how far two count as one


@decides("A17", on="code")
def updates_are_saved(proxy_operations: Sequence[int], searches: Mapping[str, Search]) -> Verdict:
    """A17: does any factor take about 35 % of the operations off the single-resolution baseline, or at least some?

    proxy_operations   of the baseline and of factors 1, 2 and 4
    """
    base, first, *others = proxy_operations
    ratios = pd.Series([first, *others]) / base
    saved = 1 - ratios.min()
    return Verdict(
        f"{where(searches['updates'])} Its code computes every token of both branches: with factors 1, 2 and 4 it "
        f"takes {extent(ratios)} the operations of the single-resolution baseline; relative to its own factor 1 "
        f"{units.listed([units.change(one / first) for one in others])}.",
        REPRODUCED if saved >= SAVED - ABOUT else CORRECTED if saved > 0 else CONTRADICTED,
    )


@decides("B16", on="repository")
def consistency_is_there(searches: Mapping[str, Search], consistency: Mapping[str, Any]) -> Verdict:
    """B16: is there code or an output for it in any commit?

    consistency   of a small CLIP on scenes: "start" and "end" -> "agreement" and "accuracy"; "chance"
    """
    start, end = consistency["start"], consistency["end"]
    return Verdict(
        f"{where(searches['consistency'])} Its notebooks read text at the start token. There, on a small CLIP, half "
        f"of the patches keep {units.share(start['agreement'])} of the predictions with an accuracy of "
        f"{100 * start['accuracy']:.1f} %; chance is {100 * consistency['chance']:.1f} %. Read at the end token, they "
        f"keep {units.share(end['agreement'])}.",
        REPRODUCED if searches["consistency"].found else UNSUPPORTED,
    )


@decides("B16", on="small_clips")
def consistency_of_small_clips(norm_agreements: pd.DataFrame) -> Verdict:
    """B16: with half of the patches, by norm, are 96.9 % of the answers kept on every task, to a point, or on none?

    By whole intervals over checkpoints.
    norm_agreements   columns task, agreement, a row per checkpoint
    """
    by_task = norm_agreements.groupby("task", sort=False)["agreement"]
    found = [f"{units.share(mean)} on {task}" for task, mean in by_task.mean().items()]
    ends = [bounds(values.to_numpy()) for _, values in by_task]
    return Verdict(
        f"With half of the patches, chosen by L2 norm, answers are the unreduced model's in {units.listed(found)}.",
        decide(all(low >= CONSISTENCY - POINT for low, _ in ends), all(high < CONSISTENCY - POINT for _, high in ends)),
    )


@decides("B19", on="repository")
def keys_are_scored(searches: Mapping[str, Search]) -> Verdict:
    """B19: does any of its files score tokens by keys or queries, or do all score patch embeddings?"""
    keys, patches = searches["norms of keys and queries"], searches["norms of patches"]
    return Verdict(f"{where(keys)} {where(patches)}", decide(bool(keys.found), bool(patches.found)))


@decides("B20", on="repository")
def qwen_is_analysed(searches: Mapping[str, Search]) -> Verdict:
    """B20: is there code or an output for it in any commit?"""
    return Verdict(where(searches["qwen"]), REPRODUCED if searches["qwen"].found else UNSUPPORTED)


@decides("B21", on="repository")
def cosines_are_printed(searches: Mapping[str, Search]) -> Verdict:
    """B21: are both cosines among its outputs, or one of them?"""
    both = [searches[f"cosine at {keep}"] for keep in COSINES]
    found = [bool(one.found) for one in both]
    return Verdict(
        " ".join(where(one) for one in both),
        REPRODUCED if all(found) else CORRECTED if any(found) else UNSUPPORTED,
    )


@decides("B21", on="small_clips")
def cosines_of_small_clips(coded_features: pd.DataFrame) -> Verdict:
    """B21: are the original code's cosines near 0.89 and 0.47 on every task, or is one far from it on each?

    By whole intervals over checkpoints.
    coded_features   columns task, keep, cosine, a row per checkpoint
    """
    groups = coded_features.groupby(["task", "keep"], sort=False)["cosine"]
    means = groups.mean().unstack()
    if lacking := [keep for keep in COSINES if keep not in means or means[keep].isna().any()]:
        raise Missing(f"no cosine with keep {lacking[0]} is recorded")
    near, far = [], []
    for task in means.index:
        off = [
            [end - cosine for end in bounds(groups.get_group((task, keep)).to_numpy())]
            for keep, cosine in COSINES.items()
        ]
        near.append(all(low >= -NEAR and high <= NEAR for low, high in off))
        far.append(any(high < -NEAR or low > NEAR for low, high in off))
    found = [f"{task} {' and '.join(f'{means.at[task, keep]:.2f}' for keep in COSINES)}" for task in means.index]
    return Verdict(
        f"The original code, with keep {' and '.join(f'{keep:g}' for keep in COSINES)}: {'; '.join(found)}.",
        decide(all(near), all(far)),
    )


@decides("B22", on="repository")
def positions_are_gathered(searches: Mapping[str, Search]) -> Verdict:
    """B22: does every file that prunes gather positions, or does one of them?"""
    gathered, first, pruning = (searches[key] for key in ("gathered positions", "first positions", "norms of patches"))
    return Verdict(
        f"{where(gathered)} {where(first)} The code that the report itself prints has no positions.",
        REPRODUCED
        if gathered.found and set(gathered.found) >= set(pruning.found)
        else CORRECTED
        if gathered.found
        else CONTRADICTED,
    )


def where(search: Search) -> str:
    """`No file in any commit compares ...`, or `... scores patch embeddings`, with files and commits."""
    if not search.found:
        return f"No file in any commit {search.what}."
    return f"What {search.what}: {units.listed([str(one) for one in search.found])}."
