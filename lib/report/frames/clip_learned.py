"""Frames of learned reductions: what each gains over the same reduction without what was learned."""

import pandas as pd

from lib.experiments.clip_learned_runs import BY_IMAGE, ONE, SHIFT, TOKEN
from lib.experiments.clip_variants import CLASS_ATTENTION, NORM, SUMMARY
from lib.report import accuracy
from lib.report.views.base import known

KINDS = ("variant", "keep")
PAIRS = (  # a variant, and what it is compared with
    *((SUMMARY, NORM), (TOKEN, NORM), (TOKEN, SUMMARY), (SHIFT, SUMMARY)),
    *((BY_IMAGE, ONE), (BY_IMAGE, CLASS_ATTENTION)),
)


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Differences of accuracy at equal shares of the patches, by task, variant, what it stands `against`, and keep.

    rows     of `lib.experiments.clip_learned.frame`, of one machine
    raises   Missing, naming it, where one of PAIRS was not judged
    """
    found = []
    for variant, other in PAIRS:
        both = known(rows[rows["variant"].isin([variant, other])], each={"variant": (variant, other)})
        for _, group in both.groupby("keep", sort=False):
            made = accuracy.compared(group, other, KINDS)
            found.append(made[made["variant"] == variant].assign(against=other))
    return pd.concat(found, ignore_index=True)
