"""Judges of the original report's claims B5 to B9: what pruned visual tokens do to CLIP's answers and features.

Frames of accuracies are of `lib.report.accuracy.compared`, with kinds ("variant", "keep"): a difference is to the
variant that the function names, checkpoint by checkpoint.
"""

from collections.abc import Mapping

import pandas as pd

from lib.experiments.clip_variants import NORM, ORIGINAL, SUMMARY
from lib.report import units
from lib.report.accuracy import POINT
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, Verdict, decide, decides
from lib.report.prose import extent_of_points, points
from lib.report.views.base import known

COSINE = 0.47  # that a notebook of the original report printed
NEAR = 0.05  # as far as two cosines may be apart and count as one
SAME = 0.999  # cosine from which on features count as equal
STILL = 1e-3  # relative change from which on features count as moved: above what rounding does to them
HALF = 0.5  # of the patches: loss is negligible down to here, as the original report concludes
MODERATE = 0.7  # share of patches: the original report prunes moderately from here up


@decides("B5", on="small_clips")
def accuracy_is_kept(reduced_accuracy: pd.DataFrame, prompts_alike: Mapping[str, bool]) -> Verdict:
    """B5: with half of the patches or more, does the original code lose at most a point on each task, or a mended one?

    reduced_accuracy   the original code and, with class token, positions and norms, "L2 norm": differences to the
                       unreduced model
    prompts_alike      "start" and "end" -> whether all prompts have equal features, read at this token
    raises             Missing where one of the two was not tried with half of the patches or more
    """
    kept, found = [], []
    known(reduced_accuracy[reduced_accuracy["keep"] >= HALF], each={"variant": (ORIGINAL, NORM)})
    for variant in (ORIGINAL, NORM):
        rows = reduced_accuracy[reduced_accuracy["variant"] == variant]
        kept.append((rows.loc[rows["keep"] >= HALF, "difference"] >= -POINT).all())
        found.append(_by_task_and_keep(rows[rows["keep"].isin([MODERATE, HALF])]))
    read = [f"{'equal' if same else 'not equal'} at the {token} token" for token, same in prompts_alike.items()]
    return Verdict(
        f"Points of accuracy minus the unreduced model's, with 95 % intervals. The original code: {found[0]}. "
        f"With class token, positions and norms: {found[1]}. The prompts' features are {units.listed(read)}."
        + prompts_alike["start"]
        * " Read at the start token, as in the original code, every accuracy is chance.",
        REPRODUCED if kept[0] else CORRECTED if kept[1] else CONTRADICTED,
    )


@decides("B6", on="small_clips")
def norm_tells_importance(norm_against_random: pd.DataFrame) -> Verdict:
    """B6: are patches of large L2 norm better than random ones everywhere, or worse from keep 0.7 down on any task?

    norm_against_random   "L2 norm" by task and keep, with differences to "random"
    raises                Missing where it holds no such variant
    """
    rows = known(norm_against_random, each={"variant": (NORM,)})
    rows = rows[rows["variant"] == NORM]
    below = rows[rows["keep"] <= MODERATE]
    worse = [task for task, group in below.groupby("task", sort=False) if (group["difference_high"] < 0).all()]
    return Verdict(
        f"Points of accuracy relative to patches drawn at random, with 95 % intervals: {_by_task_and_keep(rows)}."
        + (f" From keep 0.7 down the norm is worse than random on {units.listed(worse)}." if worse else ""),
        decide((rows["difference_low"] > 0).all(), bool(worse)),
    )


@decides("B7", on="small_clips")
def summary_keeps_context(summary_against_norm: pd.DataFrame) -> Verdict:
    """B7: does a summary token help everywhere, or nowhere and not on average?

    summary_against_norm   "L2 norm, summary" by task and keep, with differences to "L2 norm"
    raises                 Missing where it holds no such variant
    """
    rows = known(summary_against_norm, each={"variant": (SUMMARY,)})
    rows = rows[rows["variant"] == SUMMARY]
    helped = rows["difference_low"] > 0
    return Verdict(
        f"In a mended form, the mean of the dropped patches as one more token changes accuracy by "
        f"{extent_of_points(rows['difference'])} points, by task and share. By the audit of its code, the "
        "report's is a plain mean of all patches, without weights that could learn, in the class token's place.",
        decide(helped.all(), not helped.any() and rows["difference"].mean() <= 0),
    )


@decides("B8", on="code")
def works_as_written(original_forms: tuple[Mapping[str, float], float]) -> Verdict:
    """B8: with all patches kept, does the original code give the unreduced model's features, or its mended form alone?

    original_forms   "as written" and "mended" -> mean cosine of its features with the unreduced model's, at keep 1;
                     and with swapped axes, the most that another image of the batch changes an image's features,
                     relative to their norm
    """
    cosines, neighbour = original_forms
    holds = cosines["as written"] > SAME and neighbour < STILL
    return Verdict(
        "With all patches kept, cosine of the code's features with the unreduced model's: "
        f"{_cosine(cosines['as written'])} as written, {_cosine(cosines['mended'])} with all defects mended. With the "
        "axes of section 5.3, another image of the batch changes an image's features by up to "
        f"{units.tiny(neighbour)} of their norm.",
        REPRODUCED if holds else CORRECTED if cosines["mended"] > SAME else CONTRADICTED,
    )


@decides("B9", on="small_clips")
def cosine_of_features(coded_features: pd.DataFrame, original_forms: tuple[Mapping[str, float], float]) -> Verdict:
    """B9: is the cosine of the original code near 0.47 with half the patches, and one with all, or as low with all?

    coded_features   of the original code: columns task, keep, cosine, a row per checkpoint
    original_forms   "both normed, all", "both normed, half" -> mean cosine with all defects mended, on one checkpoint
    """
    mended, _ = original_forms
    means = coded_features.groupby(["task", "keep"], sort=False)["cosine"].mean().unstack()
    whole, half = means[1.0], means[HALF]
    found = [f"{task} {_cosine(half[task])} with half, {_cosine(whole[task])} with all" for task in means.index]
    same = bool(((whole - half).abs() <= NEAR).all())
    return Verdict(
        f"The original code, on models of ours: {'; '.join(found)} of the patches."
        + (" The number says nothing of pruning: it is about as low without." if same else "")
        + f" With all defects mended: {_cosine(mended['both normed, half'])} with half, "
        f"{_cosine(mended['both normed, all'])} with all.",
        decide((abs(half - COSINE) <= NEAR).any() and (whole > SAME).all(), same),
    )


def _by_task_and_keep(rows: pd.DataFrame) -> str:
    """`scenes +2.0 ± 0.4 (keep 0.7), −1.0 ± 0.3 (keep 0.5); cifar10 ...`."""
    found = []
    for task, group in rows.groupby("task", sort=False):
        ordered = group.sort_values("keep", ascending=False).itertuples()
        found.append(f"{task} " + ", ".join(f"{points(row)} (keep {row.keep:g})" for row in ordered))
    return "; ".join(found)


def _cosine(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}".replace("-", "−")
