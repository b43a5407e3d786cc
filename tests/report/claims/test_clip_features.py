"""Verdicts on what the original code makes of features: each is made to come out every way."""

import pandas as pd
import pytest

from lib.report.claims import clip
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, REPRODUCED, UNSUPPORTED


@pytest.mark.parametrize(
    ("written", "mended", "neighbour", "verdict"),
    [
        (0.9995, 1.0, 1e-6, REPRODUCED),
        (0.9995, 1.0, 0.4, CORRECTED),
        (0.02, 1.0, 1e-6, CORRECTED),
        (0.02, 0.9, 0.4, CONTRADICTED),
    ],
)
def test_code_works_where_it_gives_the_unreduced_features(written, mended, neighbour, verdict):
    found = clip.works_as_written(({"as written": written, "mended": mended}, neighbour))
    assert found.verdict == verdict
    assert f"{written:.3f} as written, {mended:.3f} with" in found.evidence


def test_a_negative_cosine_has_a_minus_and_zero_has_none():
    evidence = clip.works_as_written(({"as written": -0.25, "mended": -0.0001}, 0.4)).evidence
    assert "−0.250 as written, 0.000 with" in evidence


@pytest.mark.parametrize(
    ("whole", "half", "verdict"),
    [
        ((1.0, 1.0), (0.49, 0.45), REPRODUCED),
        ((0.45, 0.47), (0.46, 0.48), CORRECTED),  # as low with all patches
        ((1.0, 1.0), (0.47, 0.8), CORRECTED),  # on one task
        ((1.0, 1.0), (0.8, 0.3), CONTRADICTED),
    ],
)
def test_the_cosine_is_held_against_the_claimed_one_and_that_of_all_patches(whole, half, verdict):
    rows = [
        {"task": task, "keep": keep, "cosine": at + off}
        for task, *both in zip("ab", whole, half, strict=True)
        for keep, at in zip((1.0, 0.5), both, strict=True)
        for off in (-0.001, 0.001)
    ]
    found = clip.cosine_of_features(pd.DataFrame(rows))
    assert found.verdict == verdict
    same = all(abs(one - other) < 0.05 for one, other in zip(whole, half, strict=True))
    assert ("says nothing of pruning" in found.evidence) == same
    assert found.evidence.count("near the claimed 0.47") == sum(abs(one - 0.47) < 0.05 for one in half)


def by_checkpoint(whole, half):
    both = ((1.0, whole), (0.5, half))
    return pd.DataFrame([{"task": "a", "keep": keep, "cosine": one} for keep, each in both for one in each])


@pytest.mark.parametrize("cosines", [(0.3, 0.5), (0.44, 0.5)])  # the mean of the latter alone is near the claimed one
def test_checkpoints_that_disagree_on_the_cosine_decide_nothing(cosines):
    found = clip.cosine_of_features(by_checkpoint(cosines, cosines))
    assert found.verdict == UNSUPPORTED
    assert "near the claimed" not in found.evidence
    assert f"a {sum(cosines) / 2:.3f} [" in found.evidence


def test_checkpoints_that_disagree_on_the_difference_make_no_figure_of_pruning():
    found = clip.cosine_of_features(by_checkpoint((0.5, 0.7), (0.469, 0.471)))
    assert found.verdict == CORRECTED  # near with half, not shown to be another with all
    assert "says nothing of pruning" not in found.evidence
    assert clip.cosine_of_features(by_checkpoint((0.6, 0.601), (0.469, 0.471))).verdict == REPRODUCED
