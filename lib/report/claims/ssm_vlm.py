"""Judges of what the original report proposes of state space models that see: A20 and B25."""

import pandas as pd

from lib import names
from lib.report import units
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED, Verdict, decides
from lib.report.views.base import known

LINEAR = 0.1  # how far an exponent of operations may be from one
FASTER = 0.9  # of the time: less than a tenth is within what timings vary
OF_CLIP = 256  # patches, about as many as CLIP's towers have: 196 of 16 pixels, 256 of 14
SEEING, MIXED, LOW = (names.TOWERS[name].label for name in ("vision_mamba", "hybrid", "low_rate"))


@decides("A20", on="seeing")
def a_low_rate_accelerates_clip(growing_forward: pd.DataFrame) -> Verdict:
    """A20: by quartiles, is a tower at a low rate faster than the transformer, at CLIP's number of patches, or at any?

    growing_forward   towers by number of patches, with ratios to the transformer
    """
    rows = known(growing_forward[growing_forward["variant"] == LOW]).sort_values("patches")
    here = rows[rows["patches"] == OF_CLIP]
    faster = rows[rows["latency_ratio_high"] < FASTER]
    said = "; ".join(f"{units.times(row.latency_ratio)} at {row.patches:,}" for row in rows.itertuples())
    if len(here) and (here["latency_ratio_high"] < FASTER).all():
        verdict = REPRODUCED
    elif len(faster):
        verdict = CORRECTED
    else:
        verdict = CONTRADICTED if (rows["latency_ratio_low"] > FASTER).all() else UNSUPPORTED
    return Verdict(
        f"One block scans all patches, the others a quarter of them. Time of a forward pass relative to the "
        f"transformer's, by patches: {said}. CLIP's towers see about {OF_CLIP}. That is of cost alone.",
        verdict,
    )


@decides("B25", on="seeing")
def scans_of_images_are_linear(growing_operations: pd.DataFrame, growing_seconds: pd.DataFrame) -> Verdict:
    """B25: are operations linear in the patches, of a tower of scans, and of one that mixes scans and attention?

    growing_operations, growing_seconds   exponents of operations and of latency, columns variant and slope
    """
    both = (known(one, each={"variant": (SEEING, MIXED)}) for one in (growing_operations, growing_seconds))
    operations, seconds = (one.set_index("variant")["slope"] for one in both)
    scans, mixed = (abs(operations[name] - 1) <= LINEAR for name in (SEEING, MIXED))
    said = [f"{name} {operations[name]:.2f} (of latency {seconds[name]:.2f})" for name in (SEEING, MIXED)]
    return Verdict(
        f"Exponent of operations in the number of patches, over the largest images: {units.listed(said)}. "
        "One is linear. Attention in every fourth block brings its square along.",
        (REPRODUCED if mixed else CORRECTED) if scans else CONTRADICTED,
    )
