"""Judges of the original report's claims B5 to B9: what pruned visual tokens do to CLIP's answers and features.

The claims are about CLIP's ViT-B/16 with its published weights. Its record decides, where there is one; the same rules
stand on small CLIPs, whose evidence is shown and decides nothing. Frames of accuracies are of
`lib.report.accuracy.compared`, with kinds ("variant", "keep"): a difference is to the variant that the function names,
paired by checkpoint and image.
"""

from collections.abc import Mapping

import pandas as pd

from lib.experiments.clip_variants import NORM, ORIGINAL, SUMMARY
from lib.report import units
from lib.report.accuracy import POINT
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED, Verdict, decide, decides
from lib.report.frames import Values
from lib.report.prose import extent_of_points, points
from lib.report.statistics import clustered_t
from lib.report.views.base import known

COSINE = 0.47  # that a notebook of the original report printed
NEAR = 0.05  # as far as two cosines may be apart and count as one
SAME = 0.999  # cosine from which on features count as equal
STILL = 1e-3  # relative change from which on features count as moved: above what rounding does to them
HALF = 0.5  # of the patches: loss is negligible down to here, as the original report concludes
MODERATE = 0.7  # share of patches: the original report prunes moderately from here up
SHOWN = (1.0, MODERATE, HALF)  # shares of patches


@decides("B5", on="small_clips")
def accuracy_is_kept(reduced_accuracy: pd.DataFrame, prompts_alike: Mapping[str, bool] | None = None) -> Verdict:
    """B5: with half of the patches or more, does the original code lose at most a point on each task, or a mended one?

    Kept, or lost, is what the whole interval says.
    reduced_accuracy   the original code and, with class token, positions and norms, "L2 norm": differences to the
                       unreduced model, the text read at its end
    prompts_alike      "start" and "end" -> whether all prompts have equal features, read at this token
    raises             Missing where one of the two was not tried with half of the patches or more
    """
    kept, lost, found = [], [], []
    known(reduced_accuracy[reduced_accuracy["keep"] >= HALF], each={"variant": (ORIGINAL, NORM)})
    for variant in (ORIGINAL, NORM):
        rows = reduced_accuracy[(reduced_accuracy["variant"] == variant) & (reduced_accuracy["keep"] >= HALF)]
        kept.append((rows["difference_low"] >= -POINT).all())
        lost.append((rows["difference_high"] < -POINT).any())
        found.append(_by_task_and_keep(rows[rows["keep"].isin(SHOWN)]))
    return Verdict(
        "Points of accuracy minus the unreduced model's, the text read at its end, with 95 % intervals. The original "
        f"code: {found[0]}. With class token, positions and norms: {found[1]}.{_prompts(prompts_alike)}",
        REPRODUCED if kept[0] else CORRECTED if kept[1] else CONTRADICTED if all(lost) else UNSUPPORTED,
    )


@decides("B5", on="clip")
def clip_keeps_accuracy(real_clip_accuracy: pd.DataFrame) -> Verdict:
    """B5 by the same rule, of CLIP with its published weights."""
    return accuracy_is_kept(real_clip_accuracy)


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
        + (f" From keep {MODERATE:g} down the norm is worse than random on {units.listed(worse)}." if worse else ""),
        decide((rows["difference_low"] > 0).all(), bool(worse)),
    )


@decides("B6", on="clip")
def norm_tells_importance_to_clip(real_clip_norm_against_random: pd.DataFrame) -> Verdict:
    """B6 by the same rule, of CLIP with its published weights."""
    return norm_tells_importance(real_clip_norm_against_random)


@decides("B7", on="small_clips")
def learned_token_keeps_context(learned_token_gains: pd.DataFrame, summary_against_norm: pd.DataFrame) -> Verdict:
    """B7: does a learned summary token help everywhere, or is its gain below a point everywhere, by whole intervals?

    learned_token_gains    the norm with a learned token, with differences to the norm without, by task and keep
    summary_against_norm   as in `summary_keeps_context`, whose sentence follows
    raises                 Missing where it holds no gain
    """
    rows = known(learned_token_gains)
    helped = (rows["difference_low"] > 0).sum()
    return Verdict(
        f"One learned token, the tower frozen, changes accuracy by {extent_of_points(rows['difference'])} points, by "
        f"task and share; {helped} of {len(rows)} gains have an interval above zero. "
        + summary_keeps_context(summary_against_norm).evidence,
        decide(helped == len(rows), (rows["difference_high"] < POINT).all()),
    )


@decides("B7", on="clip")
def summary_of_clip_keeps_context(real_clip_summary_against_norm: pd.DataFrame) -> Verdict:
    """B7 of CLIP with its published weights: does the mean of what goes help everywhere, or nowhere by a point?"""
    return summary_keeps_context(real_clip_summary_against_norm)


def summary_keeps_context(summary_against_norm: pd.DataFrame) -> Verdict:
    """Does the mean of what goes help everywhere, or is its gain below a point everywhere, by whole intervals?

    summary_against_norm   "L2 norm, summary" by task and keep, with differences to "L2 norm"
    raises                 Missing where it holds no such variant
    """
    rows = known(summary_against_norm, each={"variant": (SUMMARY,)})
    rows = rows[rows["variant"] == SUMMARY]
    helped = (rows["difference_low"] > 0).sum()
    return Verdict(
        f"In a mended form, the mean of the dropped patches as one more token changes accuracy by "
        f"{extent_of_points(rows['difference'])} points, by task and share; {helped} of {len(rows)} gains have an "
        "interval above zero. By the audit of its code, the report's is a plain mean of all patches, without weights "
        "that could learn, in the class token's place.",
        decide(helped == len(rows), (rows["difference_high"] < POINT).all()),
    )


@decides("B8", on="code")
def works_as_written(original_forms: tuple[Mapping[str, float], float]) -> Verdict:
    """B8: with all patches kept, does the original code give the unreduced model's features, or its mended form alone?

    original_forms   "as written" and "mended" -> mean cosine of its features with the unreduced model's, at keep 1;
                     and with swapped axes, the most that another image of the batch changes an image's features,
                     relative to their norm; on a small CLIP
    """
    cosines, neighbour = original_forms
    holds = cosines["as written"] > SAME and neighbour < STILL
    return Verdict(
        f"{_forms(cosines)}, on a small CLIP. With the axes of section 5.3, another image of the batch changes an "
        f"image's features by up to {units.tiny(neighbour)} of their norm.",
        REPRODUCED if holds else CORRECTED if cosines["mended"] > SAME else CONTRADICTED,
    )


@decides("B8", on="clip")
def works_on_clip(real_clip_forms: Mapping[str, float]) -> Verdict:
    """B8 of CLIP with its published weights: do both printed forms of the code give its features, or the mended alone?

    real_clip_forms   "as written", "swapped" and "mended" -> mean cosine with the unreduced model's features, at keep 1
    """
    holds = min(real_clip_forms["as written"], real_clip_forms["swapped"]) > SAME
    return Verdict(
        f"{_forms(real_clip_forms)}, and {_cosine(real_clip_forms['swapped'])} with the axes of section 5.3.",
        REPRODUCED if holds else CORRECTED if real_clip_forms["mended"] > SAME else CONTRADICTED,
    )


@decides("B9", on="small_clips")
def cosine_of_features(coded_features: pd.DataFrame) -> Verdict:
    """B9: is the cosine of the original code near 0.47 with half the patches, and another with all, on every task?

    Near, far and another are what whole intervals over checkpoints say; one model is what it is. Where the figure comes
    back on some task alone, or is not shown to be another with all patches, the claim holds with a correction.
    coded_features   of the original code: columns task, keep, cosine, a row per checkpoint, in one order for each keep
    """
    near, far, apart, alike, found = [], [], [], [], []
    for task, rows in coded_features.groupby("task", sort=False):
        half, whole = (rows.loc[rows["keep"] == keep, "cosine"].to_numpy() for keep in (HALF, 1.0))
        low, high = bounds(half)
        near.append(low >= COSINE - NEAR and high <= COSINE + NEAR)
        far.append(high < COSINE - NEAR or low > COSINE + NEAR)
        ends = f" [{_cosine(low)}, {_cosine(high)}]" if len(half) > 1 else ""
        low, high = bounds(half - whole)
        apart.append(high < -NEAR or low > NEAR)
        alike.append(low >= -NEAR and high <= NEAR)
        said = f", near the claimed {COSINE:g}" if near[-1] else f", far from {COSINE:g}" if far[-1] else ""
        found.append(
            f"{task} {_cosine(half.mean())}{ends} with half, {_cosine(whole.mean())} with all of the patches{said}"
        )
    said = "" if not all(alike) else " The figure says nothing of pruning: it is about the same without."
    return Verdict(
        f"Cosine of the original code's features with the unreduced model's, [95 % interval] where there are several "
        f"checkpoints: {'; '.join(found)}.{said}",
        REPRODUCED
        if all(near) and all(apart)
        else CORRECTED
        if any(near)
        else CONTRADICTED
        if all(far)
        else UNSUPPORTED,
    )


@decides("B9", on="clip")
def cosine_of_clips_features(real_clip_features: pd.DataFrame) -> Verdict:
    """B9 by the same rule, of CLIP with its published weights."""
    return cosine_of_features(real_clip_features)


def _prompts(alike: Mapping[str, bool] | None) -> str:
    """What reading the text at its start does by itself."""
    if alike is None:
        return ""
    read = [f"{'equal' if same else 'not equal'} at the {token} token" for token, same in alike.items()]
    chance = " Read at the start token, as in the original code, every accuracy is chance, with all patches, too."
    return f" The prompts' features are {units.listed(read)}.{chance if alike['start'] else ''}"


def _forms(cosines: Mapping[str, float]) -> str:
    return (
        "With all patches kept, cosine of the code's features with the unreduced model's: "
        f"{_cosine(cosines['as written'])} as written, {_cosine(cosines['mended'])} with all defects mended"
    )


def bounds(values: Values) -> tuple[float, float]:
    """Interval over checkpoints, a value each; of a single one its value."""
    if len(values) == 1:
        return values[0], values[0]
    found = clustered_t(values, range(len(values)))
    return found.low, found.high


def _by_task_and_keep(rows: pd.DataFrame) -> str:
    """`scenes +2.0 ± 0.4 (keep 0.7), −1.0 ± 0.3 (keep 0.5); CIFAR-10 ...`."""
    found = []
    for task, group in rows.groupby("task", sort=False):
        ordered = group.sort_values("keep", ascending=False).itertuples()
        found.append(f"{task} " + ", ".join(f"{points(row)} (keep {row.keep:g})" for row in ordered))
    return "; ".join(found)


def _cosine(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}".replace("-", "−")
