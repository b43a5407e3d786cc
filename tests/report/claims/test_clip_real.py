"""Claims on the real CLIP are decided by its record alone: each comes out every way, and not without the record."""

import clip_runs
import pytest
from rehearsal import evidence

from lib.experiments.clip_variants import MENDED, NORM, ORIGINAL, RANDOM, SUMMARY, SWAPPED
from lib.report.claims.judging import judged
from lib.report.claims.ledger import CONTRADICTED, CORRECTED, NOT_TESTABLE, REPRODUCED, UNSUPPORTED
from lib.report.claims.outcomes import outcomes

RECORD = "clip_accuracy_cifar10_clip_vit_base_patch16"
KEEPS = (0.9, 0.7, 0.5, 0.3)
WHOLE = 300  # of 400 images are answered rightly without a reduction


def counts(variant, *found):
    return {(variant, keep): count for keep, count in zip(KEEPS, found, strict=True)}


def all_of(variant, count):
    return counts(variant, *4 * [count])


@pytest.fixture
def judge(tmp_path):
    def decided(claim, right=None, cosines=None):
        made = clip_runs.real(right or {}, cosines or {})
        (found,) = judged(evidence(tmp_path, made), [claim], on="clip")
        assert found.records == (RECORD,)
        return found

    return decided


@pytest.mark.parametrize(
    ("code", "norm", "verdict"),
    [
        (WHOLE, 100, REPRODUCED),
        (40, WHOLE, CORRECTED),
        (40, 100, CONTRADICTED),
        (40, 298, UNSUPPORTED),  # half a point less, give or take more
    ],
)
def test_accuracy(judge, code, norm, verdict):
    found = judge("B5", all_of(ORIGINAL, code) | all_of(NORM, norm))
    assert found.verdict == verdict
    assert "The original code: CIFAR-10 " in found.evidence
    assert "start token" not in found.evidence  # which was computed on a small model


@pytest.mark.parametrize(
    ("norm", "verdict"),
    [((280, 280, 280, 280), REPRODUCED), ((280, 100, 100, 100), CONTRADICTED), ((280, 100, 100, 280), UNSUPPORTED)],
)
def test_the_norm_against_chance(judge, norm, verdict):
    assert judge("B6", counts(NORM, *norm) | all_of(RANDOM, 200)).verdict == verdict


@pytest.mark.parametrize(
    ("summary", "verdict"),
    [((260, 260, 260, 260), REPRODUCED), ((200, 200, 200, 150), CONTRADICTED), ((260, 200, 200, 200), UNSUPPORTED)],
)
def test_a_summary_token(judge, summary, verdict):
    assert judge("B7", counts(SUMMARY, *summary) | all_of(NORM, 200)).verdict == verdict


@pytest.mark.parametrize(
    ("written", "swapped", "mended", "verdict"),
    [
        (1.0, 1.0, 1.0, REPRODUCED),
        (1.0, 0.4, 1.0, CORRECTED),
        (0.4, 1.0, 1.0, CORRECTED),
        (0.4, 0.4, 0.9, CONTRADICTED),
    ],
)
def test_the_code_with_all_patches(judge, written, swapped, mended, verdict):
    cosines = {(ORIGINAL, 1.0): written, (SWAPPED, 1.0): swapped, (MENDED, 1.0): mended}
    found = judge("B8", cosines=cosines)
    assert found.verdict == verdict
    assert f"{written:.3f} as written, {mended:.3f} with all defects mended, and {swapped:.3f}" in found.evidence


@pytest.mark.parametrize(
    ("whole", "half", "verdict"), [(1.0, 0.47, REPRODUCED), (0.45, 0.47, CORRECTED), (1.0, 0.8, CONTRADICTED)]
)
def test_the_cosine(judge, whole, half, verdict):
    assert judge("B9", cosines={(ORIGINAL, 1.0): whole, (ORIGINAL, 0.5): half}).verdict == verdict


@pytest.mark.parametrize("claim", ["B5", "B6", "B7", "B9"])
def test_without_the_record_small_clips_are_shown_and_decide_nothing(tmp_path, claim):
    found = judged(evidence(tmp_path, toys=clip_runs.TOYS), [claim])
    words = {one.on: one.verdict for one in found}
    assert words["clip"] == NOT_TESTABLE
    assert words["small_clips"] != NOT_TESTABLE
    (outcome,) = outcomes(found)
    assert outcome.word == NOT_TESTABLE
    assert RECORD in outcome.checks[0].evidence


def test_a_record_without_a_variant_that_a_claim_needs_decides_nothing(judge):
    for claim in ("B5", "B6", "B7", "B8", "B9"):
        assert judge(claim, all_of("ToMe, decreasing", 250)).verdict == NOT_TESTABLE


def test_views_of_the_real_clip_have_the_columns_of_those_of_small_ones(tmp_path):
    right = all_of(ORIGINAL, 40) | all_of(NORM, 200) | all_of(RANDOM, 220) | all_of(SUMMARY, 210)
    found = evidence(tmp_path, clip_runs.real(right, {}))
    for name in ("norm_against_random", "summary_against_norm"):
        ours, theirs = getattr(found, name), getattr(found, f"real_clip_{name}")
        assert list(theirs) == list(ours)
        assert set(theirs["task"]) == {"CIFAR-10"}
    assert list(found.real_clip_accuracy) == list(found.reduced_accuracy)
    assert set(found.real_clip_accuracy["how"]) == {"bootstrap over images"}
